#include <cstdint>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "emulator.hpp"
#include "kernel_cases.h"

namespace cosearch::testing_support {
namespace {

constexpr std::uint32_t kCases = 40 * KERNELS;
const std::string kCortexM4 = "-mcpu=cortex-m4 -mfpu=fpv4-sp-d16 -mfloat-abi=hard ";

class ExportedKernelsEmulated : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto missing = missing_emulator()) {
      GTEST_SKIP() << *missing;
    }
  }

  static void expect_equal_checksums(const std::string& flags) {
    const std::vector<std::uint32_t> emulated =
        run_emulated({{"emulator/checksums.c", "kernel_cases.c", "cs_attention.c", "cs_conv.c", "cs_depthwise.c",
                       "cs_elementwise.c", "cs_linear.c", "cs_moe.c", "cs_norm.c", "cs_pool.c"},
                      flags + " -DCASES=" + std::to_string(kCases) + "u"});
    ASSERT_EQ(emulated.size(), kCases);
    for (std::uint32_t number = 0; number < kCases; ++number) {
      kernel_case call;
      make_case(number, &call);
      run_case(&call);
      ASSERT_EQ(emulated[number], checksum(&call)) << "case " << number << ", kernel " << call.kernel;
    }
  }
};

// On this machine the kernels are plain C, which kernels_test.cpp holds against the formulas.
TEST_F(ExportedKernelsEmulated, GiveTheSameBitsWithDspInstructions) { expect_equal_checksums(kCortexM4 + "-O2"); }
TEST_F(ExportedKernelsEmulated, GiveTheSameBitsWithDspInstructionsAtOtherOptimisation) {
  expect_equal_checksums(kCortexM4 + "-O3");
  expect_equal_checksums(kCortexM4 + "-Os");
}
TEST_F(ExportedKernelsEmulated, GiveTheSameBitsOnTheSmallestCore) { expect_equal_checksums("-mcpu=cortex-m0plus -Os"); }

// --- instructions ---

struct TableRow {
  std::string model, kind;
  cs_geometry geometry{};
  std::int64_t macs = 0, cmsis_nn = 0;
};

/// tests/data/cmsis_nn_instructions.csv, padded as TensorFlow's SAME.
std::vector<TableRow> table_rows() {
  std::ifstream file(std::string(COSEARCH_SOURCE_DIR) + "/tests/data/cmsis_nn_instructions.csv");
  std::vector<TableRow> rows;
  bool header = true;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') {
      continue;
    }
    if (header) {
      EXPECT_EQ(line,
                "model,kind,in_h,in_w,in_c,out_h,out_w,out_c,kernel_h,kernel_w,stride,macs,instructions,scratch_bytes");
      header = false;
      continue;
    }
    std::istringstream fields(line);
    TableRow row;
    std::getline(fields, row.model, ',');
    std::getline(fields, row.kind, ',');
    cs_geometry& g = row.geometry;
    char comma = ',';
    for (std::int32_t* field :
         {&g.in_h, &g.in_w, &g.in_c, &g.out_h, &g.out_w, &g.out_c, &g.kernel_h, &g.kernel_w, &g.stride}) {
      fields >> *field >> comma;
    }
    fields >> row.macs >> comma >> row.cmsis_nn;
    g.pad_top = std::max(0, (g.out_h - 1) * g.stride + g.kernel_h - g.in_h) / 2;
    g.pad_left = std::max(0, (g.out_w - 1) * g.stride + g.kernel_w - g.in_w) / 2;
    g.groups = row.kind == "dw" ? g.in_c : 1;
    g.in_row = g.in_w * g.in_c;
    g.out_row = g.out_w * g.out_c;
    rows.push_back(row);
  }
  return rows;
}

std::string layers_header(const std::vector<TableRow>& rows) {
  const std::map<std::string, std::string> kinds = {
      {"conv", "CONV2D"}, {"pw", "POINTWISE"}, {"dw", "DEPTHWISE"}, {"fc", "FULLY_CONNECTED"}};
  std::ostringstream text;
  text << "enum kind { CONV2D, POINTWISE, DEPTHWISE, FULLY_CONNECTED };\n"
          "struct layer {\n  enum kind kind;\n  cs_geometry geometry;\n};\nstatic const struct layer layers[] = {\n";
  for (const TableRow& row : rows) {
    const cs_geometry& g = row.geometry;
    text << "{" << kinds.at(row.kind) << ", {";
    for (const std::int32_t field : {g.in_h, g.in_w, g.in_c, g.out_h, g.out_w, g.out_c, g.kernel_h, g.kernel_w,
                                     g.stride, g.pad_top, g.pad_left, g.groups, g.in_row, g.out_row}) {
      text << field << ", ";
    }
    text << "}},\n";
  }
  text << "};\n";
  return text.str();
}

// The table's counts are of -Ofast; ours of -O2. Both without the surroundings of a call.
TEST_F(ExportedKernelsEmulated, TakeNoMoreInstructionsThanCmsisNnInSumOfAModel) {
  const std::vector<TableRow> rows = table_rows();
  ASSERT_EQ(rows.size(), 58u);
  const std::vector<std::uint32_t> instructions =
      run_emulated({{"emulator/layer_instructions.c", "cs_conv.c", "cs_depthwise.c", "cs_elementwise.c", "cs_linear.c"},
                    kCortexM4 + "-O2",
                    layers_header(rows)});
  ASSERT_EQ(instructions.size(), rows.size());
  std::map<std::string, std::pair<std::int64_t, std::int64_t>> sums;
  std::printf("model  layer  in          out         instructions  CMSIS-NN  ratio  per MAC\n");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& [model, kind, g, macs, cmsis_nn] = rows[i];
    sums[model].first += instructions[i];
    sums[model].second += cmsis_nn;
    const auto shape = [](std::int32_t h, std::int32_t w, std::int32_t c) {
      return std::to_string(h) + "x" + std::to_string(w) + "x" + std::to_string(c);
    };
    std::printf("%-5s  %-5s  %-10s  %-10s  %12u  %8ld  %5.2f  %7.2f\n", model.c_str(), kind.c_str(),
                shape(g.in_h, g.in_w, g.in_c).c_str(), shape(g.out_h, g.out_w, g.out_c).c_str(), instructions[i],
                static_cast<long>(cmsis_nn), instructions[i] / static_cast<double>(cmsis_nn),
                instructions[i] / static_cast<double>(macs));
  }
  for (const auto& [model, sum] : sums) {
    std::printf("%-5s  sum %44ld  %8ld  %5.2f\n", model.c_str(), static_cast<long>(sum.first),
                static_cast<long>(sum.second), static_cast<double>(sum.first) / static_cast<double>(sum.second));
    EXPECT_LE(sum.first, sum.second) << model;
  }
}

}  // namespace
}  // namespace cosearch::testing_support
