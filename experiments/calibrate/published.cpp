#include "experiments/calibrate/published.hpp"

#include <nlohmann/json.hpp>

#include "hwmodels/data_files.hpp"
#include "hwmodels/mcu/boards.hpp"
#include "spaces/base/json_reader.hpp"

namespace cosearch::calibrate {
namespace {

void add_table(const JsonReader& item, const std::vector<std::string>& boards, PublishedLatencies& published) {
  PublishedLatency row;
  row.board = item.at("board").name_of(boards);
  row.engine = item.at("engine").text();
  if (const std::optional<JsonReader> generation = item.find("generation")) {
    row.generation = generation->text();
  }
  row.clock_mhz = item.at("clock_mhz").number(kPositive);
  for (const auto& [network, latency] : item.at("latencies_ms").members()) {
    if (published.networks.find(network) == published.networks.end()) {
      latency.fail("names a network without features");
    }
    row.network = network;
    row.measured_ms = latency.number(kPositive);
    published.rows.push_back(row);
  }
}

}  // namespace

PublishedLatencies load_published(const std::string& data_directory) {
  const nlohmann::json data = load_data("mcu_latencies", data_directory);
  const JsonReader root(data, "", data_file_name("mcu_latencies", data_directory));
  std::vector<std::string> boards;
  for (const mcu::Board& board : mcu::load_boards(data_directory)) {
    boards.push_back(board.name);
  }
  PublishedLatencies published;
  for (const auto& [network, features] : root.at("networks").members()) {
    for (const auto& [feature, amount] : features.members()) {
      published.networks[network][feature] = amount.number(kNonNegative);
    }
  }
  for (const auto& [engine, generation] : root.at("generations").members()) {
    published.generation_in_use[engine] = generation.at("use").text();
  }
  for (const JsonReader& item : root.at("tables").items()) {
    add_table(item, boards, published);
  }
  return published;
}

}  // namespace cosearch::calibrate
