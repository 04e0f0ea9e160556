#include "hwmodels/asic/arch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "hwmodels/data_files.hpp"
#include "tests/hwmodels/temporary_data.hpp"

namespace cosearch::asic {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using testing::config_error_of;
using ::testing::HasSubstr;

TEST(Arch, EyerissWith256ElementsIsTimeloopsExample) {
  const Arch arch = load_arch("eyeriss_256", "");
  ASSERT_EQ(arch.levels.size(), 6U);
  EXPECT_EQ(arch.macs, (Grid{16, 16}));
  EXPECT_EQ(arch.levels[1].capacity_words, 192);
  EXPECT_EQ(arch.levels[4].capacity_words, 65536);
  EXPECT_EQ(arch.levels[4].read_bandwidth, 16.0);
  EXPECT_EQ(arch.levels[5].capacity_words, std::nullopt);
  EXPECT_EQ(arch.fan_out(0), (Grid{1, 1}));
  EXPECT_EQ(arch.fan_out(3), (Grid{1, 16}));
  EXPECT_EQ(arch.fan_out(4), (Grid{16, 1}));
  EXPECT_TRUE(arch.levels[4].keeps[static_cast<std::size_t>(Role::input)]);
  EXPECT_FALSE(arch.levels[4].keeps[static_cast<std::size_t>(Role::weight)]);
}

TEST(Arch, EveryPresetIsAnArchitecture) {
  int presets = 0;
  for (const EmbeddedFile& file : embedded_files()) {
    if (file.name.substr(0, 5) == "arch_") {
      const Arch arch = load_arch(std::string(file.name.substr(5)), "");
      EXPECT_EQ("arch_" + arch.name, file.name);
      EXPECT_FALSE(arch.levels.back().dram.empty());
      EXPECT_GE(arch.vector_lanes, 1);
      ++presets;
    }
  }
  EXPECT_EQ(presets, 7);
}

TEST(Arch, MistakesNameTheirPlace) {
  const json good = load_data("arch_ws_16x16", "");
  const auto error_of = [&](const std::string& pointer, const json& value) {
    json changed = good;
    changed[json::json_pointer(pointer)] = value;
    return config_error_of([&] { (void)read_arch(JsonReader(changed)); });
  };
  EXPECT_THAT(error_of("/levels/1/read_bandwidth", 0),
              AllOf(HasSubstr("/levels/1/read_bandwidth"), HasSubstr("above 0")));
  EXPECT_THAT(error_of("/levels/0/capacity_words", -1), HasSubstr("/levels/0/capacity_words"));
  EXPECT_THAT(error_of("/levels/1/capacity_bytes", 0), HasSubstr("/levels/1/capacity_bytes"));
  EXPECT_THAT(error_of("/levels/1/capacity_bytes", 1), HasSubstr("room for a word of 16 bits"));
  EXPECT_THAT(error_of("/levels/1/capacity_bytes", 1e300), HasSubstr("an integer"));
  EXPECT_THAT(error_of("/levels/1/capacity_bytes", std::uint64_t{1} << 63U), HasSubstr("an integer"));
  EXPECT_THAT(error_of("/levels/0/instances", json{3, 16}),
              AllOf(HasSubstr("/levels/0/instances"), HasSubstr("[16, 16]")));
  EXPECT_THAT(error_of("/mac/instances", json{1 << 20, 1}), HasSubstr("/mac/instances/0"));
  EXPECT_THAT(error_of("/levels/2/capacity_words", 100), HasSubstr("outermost"));
  EXPECT_THAT(error_of("/levels/2/keeps", json{"input", "output"}), HasSubstr("weight is missing"));
  EXPECT_THAT(error_of("/levels/1/name", "DRAM"), HasSubstr("no other level"));
  EXPECT_THAT(error_of("/levels/1/keeps", json{"inputs"}), HasSubstr("did you mean \"input\""));
  EXPECT_THAT(error_of("/levels/1/hop_pj", -1), HasSubstr("/levels/1/hop_pj: expected"));
  EXPECT_THAT(error_of("/mac/fill_cycles", 0.5), HasSubstr("/mac/fill_cycles: expected"));
  EXPECT_THAT(error_of("/levels/1/banks", 3), HasSubstr("\"banks\" is not known"));
  EXPECT_THAT(error_of("/levels", json::array()), HasSubstr("1 to 8 levels"));
  EXPECT_THAT(error_of("/frequency_mhz", -1), HasSubstr("/frequency_mhz"));
  json missing = good;
  missing["levels"][0].erase("word_bits");
  EXPECT_THAT(config_error_of([&] { (void)read_arch(JsonReader(missing)); }),
              AllOf(HasSubstr("/levels/0/word_bits"), HasSubstr("missing")));
}

}  // namespace
}  // namespace cosearch::asic
