#include "hwmodels/mcu/boards.hpp"

#include <map>

#include <nlohmann/json.hpp>

#include "hwmodels/data_files.hpp"
#include "spaces/base/json_reader.hpp"

namespace cosearch::mcu {

std::vector<Board> load_boards(const std::string& data_directory) {
  const nlohmann::json data = load_data("boards", data_directory);
  const JsonReader root(data, "", data_file_name("boards", data_directory));
  std::map<std::string, double> peaks;
  std::vector<std::string> cores;
  for (const auto& [name, core] : root.at("cores").members()) {
    peaks[name] = core.at("peak_macs_per_cycle").number(kPositive);
    cores.push_back(name);
  }
  std::vector<Board> boards;
  for (const JsonReader& item : root.at("boards").items()) {
    Board board;
    board.name = item.at("name").text();
    for (const Board& other : boards) {
      if (other.name == board.name) {
        item.at("name").fail("\"" + board.name + "\" is there twice");
      }
    }
    board.part = item.at("part").text();
    board.core = item.at("core").name_of(cores);
    board.peak_macs_per_cycle = peaks[board.core];
    for (const JsonReader& clock : item.at("clocks_mhz").items()) {
      const std::int64_t mhz = clock.integer(1);
      if (!board.clocks_mhz.empty() && mhz >= board.clocks_mhz.back()) {
        clock.refuse("clocks in descending order");
      }
      board.clocks_mhz.push_back(mhz);
    }
    if (board.clocks_mhz.empty()) {
      item.at("clocks_mhz").refuse("at least one clock");
    }
    board.sram_bytes = item.at("sram_bytes").integer(1);
    board.flash_bytes = item.at("flash_bytes").integer(1);
    board.weights_in_sram = item.name_of("weights", "flash", {"flash", "sram"}) == "sram";
    const JsonReader energy = item.at("energy");
    board.nanojoules_per_cycle = energy.at("nanojoules_per_cycle").number(kPositive);
    board.energy_calibrated = energy.at("calibrated").boolean();
    board.energy_source = energy.at("source").text();
    boards.push_back(std::move(board));
  }
  if (boards.empty()) {
    root.at("boards").refuse("at least one board");
  }
  return boards;
}

}  // namespace cosearch::mcu
