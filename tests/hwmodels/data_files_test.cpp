#include "hwmodels/data_files.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "hwmodels/asic/energy_table.hpp"
#include "hwmodels/mcu/boards.hpp"
#include "hwmodels/mcu/coefficients.hpp"
#include "hwmodels/model.hpp"
#include "tests/hwmodels/temporary_data.hpp"

namespace cosearch {
namespace {

using testing::config_error_of;
using ::testing::HasSubstr;
using testing::TemporaryData;

nlohmann::json boards() { return load_data("boards", ""); }

TEST(DataFiles, EmbeddedFilesAreSortedJson) {
  std::string previous;
  for (const EmbeddedFile& file : embedded_files()) {
    EXPECT_LT(previous, file.name);
    previous = file.name;
    EXPECT_TRUE(nlohmann::json::accept(file.text)) << file.name;
  }
  EXPECT_GE(embedded_files().size(), 13U);
}

TEST(DataFiles, DirectoryOverridesTheFilesThatItHolds) {
  const TemporaryData data;
  nlohmann::json changed = boards();
  changed["boards"][0]["sram_bytes"] = 1000;
  data.write("boards.json", changed.dump());
  EXPECT_EQ(mcu::load_boards(data.path())[0].sram_bytes, 1000);
  EXPECT_EQ(mcu::load_boards("")[0].sram_bytes, 131072);
  EXPECT_EQ(load_data("energy_45nm", data.path()), load_data("energy_45nm", ""));
  EXPECT_NE(make_target("cortex_m", nlohmann::json::object(), data.path())->fingerprint(),
            make_target("cortex_m", nlohmann::json::object(), "")->fingerprint());
}

TEST(DataFiles, MistakesNameTheFileAndThePlace) {
  const TemporaryData data;
  EXPECT_THAT(config_error_of([] { (void)load_data("bords", ""); }), HasSubstr("did you mean \"boards\"?"));
  EXPECT_THAT(config_error_of([] { (void)load_data("boards", "/no/such/directory"); }),
              HasSubstr("/no/such/directory: is not a directory"));

  data.write("boards.json", "{\"boards\": [}");
  EXPECT_THAT(config_error_of([&] { (void)mcu::load_boards(data.path()); }),
              ::testing::AllOf(HasSubstr("boards.json"), HasSubstr("byte 13"), HasSubstr("is not JSON")));

  const auto board_error = [&data](auto change) {
    nlohmann::json json = boards();
    change(json);
    data.write("boards.json", json.dump());
    return config_error_of([&] { (void)mcu::load_boards(data.path()); });
  };
  EXPECT_THAT(
      board_error([](nlohmann::json& j) { j["boards"][1].erase("flash_bytes"); }),
      ::testing::AllOf(HasSubstr("boards.json: /boards/1/flash_bytes: is missing; expected an integer from 1 to")));
  EXPECT_THAT(board_error([](nlohmann::json& j) { j["boards"][2]["core"] = "cortex_m5"; }),
              HasSubstr("/boards/2/core: \"cortex_m5\" is not known; known: cortex_m0plus, cortex_m33, cortex_m4, "
                        "cortex_m7, cortex_m85"));
  EXPECT_THAT(board_error([](nlohmann::json& j) {
                j["boards"][0]["clocks_mhz"] = {84, 100};
              }),
              HasSubstr("/boards/0/clocks_mhz/1: expected clocks in descending order, read 100"));
  EXPECT_THAT(board_error([](nlohmann::json& j) { j["boards"][0]["clocks_mhz"] = nlohmann::json::array(); }),
              HasSubstr("/boards/0/clocks_mhz: expected at least one clock, read []"));
  EXPECT_THAT(board_error([](nlohmann::json& j) { j["boards"][0]["sram_bytes"] = -1; }),
              HasSubstr("/boards/0/sram_bytes: expected an integer from 1 to 9007199254740992, read -1"));
  EXPECT_THAT(board_error([](nlohmann::json& j) { j["boards"][0]["energy"]["calibrated"] = "no"; }),
              HasSubstr("/boards/0/energy/calibrated: expected true or false, read \"no\""));
  EXPECT_THAT(board_error([](nlohmann::json& j) { j["boards"] = 3; }), HasSubstr("/boards: expected an array, read 3"));
  EXPECT_THAT(board_error([](nlohmann::json& j) { j["boards"][1]["name"] = "f411"; }), HasSubstr("there twice"));
}

TEST(DataFiles, WrongCoefficientsAndEnergiesAreRefused) {
  const TemporaryData data;
  const auto coefficient_error = [&data](auto change) {
    nlohmann::json json = load_data("mcu_coefficients", "");
    change(json);
    data.write("mcu_coefficients.json", json.dump());
    return config_error_of([&] { (void)make_target("cortex_m", nlohmann::json::object(), data.path()); });
  };
  EXPECT_THAT(coefficient_error([](nlohmann::json& j) { j["models"].erase(1); }),
              HasSubstr("does not stand before it"));
  EXPECT_THAT(coefficient_error([](nlohmann::json& j) { j["pooled"]["pairs"] = nlohmann::json::array(); }),
              HasSubstr("names a model that does not stand before it"));
  EXPECT_THAT(coefficient_error([](nlohmann::json& j) { j["pooled"]["engines"]["bosch"].erase(0); }),
              HasSubstr("/pooled/engines/bosch: 3 rates for 4 terms"));
  EXPECT_THAT(coefficient_error([](nlohmann::json& j) {
                j["pooled"]["engines"]["busch"] = {1, 2, 3, 4};
              }),
              HasSubstr("/pooled/engines/busch: \"busch\" is not known; known: tinyengine, "));
  EXPECT_THAT(coefficient_error([](nlohmann::json& j) { j["pooled"]["stand_ins"]["f411"]["like"] = "f413"; }),
              HasSubstr("/pooled/stand_ins/f411/like: \"f413\" is not known"));
  EXPECT_THAT(coefficient_error([](nlohmann::json& j) { j["models"][0]["terms"][0]["features"]["conv3d.macs"] = 1; }),
              HasSubstr("kernel kind \"conv3d\" is not known"));
  EXPECT_THAT(coefficient_error([](nlohmann::json& j) { j["models"][0]["terms"][0]["features"]["add.bytes"] = 1; }),
              HasSubstr("is not a feature"));
  EXPECT_THAT(coefficient_error([](nlohmann::json& j) { j["assumed"]["instructions"].erase("add.elements"); }),
              HasSubstr("says nothing about the kernel kind add"));

  const auto energy_error = [&data](auto change) {
    nlohmann::json json = load_data("energy_45nm", "");
    change(json);
    data.write("energy_45nm.json", json.dump());
    return config_error_of([&] { (void)make_target("asic", nlohmann::json::object(), data.path()); });
  };
  EXPECT_THAT(energy_error([](nlohmann::json& j) { j["register_bit"]["energy_pj"] = 0; }),
              HasSubstr("/register_bit/energy_pj: expected a number above 0, read 0"));
  EXPECT_THAT(energy_error([](nlohmann::json& j) { j["vector_operations"].erase("gelu"); }),
              HasSubstr("/vector_operations/gelu: is missing; expected a number above 0"));
  EXPECT_THAT(energy_error([](nlohmann::json& j) { std::swap(j["sram"]["macros"][0], j["sram"]["macros"][1]); }),
              HasSubstr("/sram/macros/1/bytes: expected more than the one before, read "));
}

}  // namespace
}  // namespace cosearch
