#include "hwmodels/fpga/part.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/hwmodels/fpga/published_rows.hpp"
#include "tests/hwmodels/temporary_data.hpp"

namespace cosearch::fpga {
namespace {

using cosearch::testing::m3vit_value;
using ::testing::HasSubstr;

constexpr double kMib = 1024.0 * 1024.0;

TEST(FpgaParts, ThePublishedDesignExceedsItsOwnPart) {
  const FpgaData data = load_fpga_data("");
  const double bytes = kMib * m3vit_value("Table 4", "MoE ViT-small CR", "-", "memory_footprint");
  Resources published;
  published.buffers = {{"all", static_cast<std::int64_t>(bytes)}};
  const auto verdict = exceeded(data.parts.at("zcu104"), published, data);
  ASSERT_TRUE(verdict.has_value());
  ASSERT_EQ(verdict->violations.size(), 1U);
  const Violation& violation = verdict->violations.front();
  EXPECT_EQ(violation.name, "on_chip_bytes");
  // 312 blocks of 36 Kb and 96 of 288 Kb.
  EXPECT_DOUBLE_EQ(violation.limit, (312.0 * 36.0 + 96.0 * 288.0) * 1024.0 / 8.0);
  EXPECT_GE(violation.required, bytes);
  EXPECT_LT(violation.required, bytes + 4608.0) << "rounded up to a block";
  EXPECT_THAT(verdict->reason, HasSubstr("zcu104: needs 5,"));
  EXPECT_THAT(verdict->reason, HasSubstr("bytes of block RAM and UltraRAM of 4,976,640"));
}

TEST(FpgaParts, AllThatIsExceededIsNamed) {
  const FpgaData data = load_fpga_data("");
  Part part;
  part.name = "small";
  part.dsps = 10;
  part.on_chip_bytes = 4608;
  part.bytes_per_second = 100.0;
  Resources design{10, {{"a", 4608}}, 100.0};
  EXPECT_FALSE(exceeded(part, design, data)) << "what is there may be used up";
  design.buffers.emplace_back("b", 1);
  design.dsps = 12;
  design.bytes_per_second = 101.0;
  const auto verdict = exceeded(part, design, data);
  ASSERT_TRUE(verdict.has_value());
  EXPECT_EQ(verdict->violations.size(), 3U);
  EXPECT_THAT(verdict->reason, HasSubstr("12 DSPs of 10, 2 more than there are; 9,216 bytes"));
  EXPECT_EQ(design.buffer_bytes(), 4609);
}

TEST(FpgaParts, LutsAreEstimatedFromDsps) {
  const FpgaData data = load_fpga_data("");
  Part part = data.parts.at("zcu102");
  part.luts = std::llround(data.luts_per_dsp * 100.0) - 1;
  EXPECT_FALSE(exceeded(part, {99, {}, 0.0}, data));
  const auto verdict = exceeded(part, {100, {}, 0.0}, data);
  ASSERT_TRUE(verdict.has_value());
  EXPECT_EQ(verdict->violations.front().name, "luts");
}

TEST(FpgaParts, WrongDataNamesItsPlace) {
  const cosearch::testing::TemporaryData directory;
  directory.write("fpga.json", R"({"bram_bytes": 0})");
  EXPECT_THAT(cosearch::testing::config_error_of([&] { (void)load_fpga_data(directory.path()); }),
              HasSubstr("/bram_bytes"));
}

}  // namespace
}  // namespace cosearch::fpga
