#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_cases.h"
#include "kernel_oracle.hpp"

namespace cosearch::testing_support {
namespace {

constexpr std::uint32_t kCases = 200;  // of each kernel

std::string description(const kernel_case& call, std::uint32_t number) {
  const cs_geometry& g = call.geometry;
  std::string text = "case " + std::to_string(number) + ", kernel " + std::to_string(call.kernel);
  for (const std::int32_t field : {g.in_h, g.in_w, g.in_c, g.out_h, g.out_w, g.out_c, g.kernel_h, g.kernel_w, g.stride,
                                   g.pad_top, g.pad_left, g.groups, call.rows, call.linear.weight_bits}) {
    text += " " + std::to_string(field);
  }
  return text;
}

TEST(ExportedKernels, EqualTheFormulasInEveryBit) {
  for (std::uint32_t number = 0; number < kCases * KERNELS; ++number) {
    kernel_case call;
    make_case(number, &call);
    const std::vector<std::int8_t> expected = expected_output(call);
    run_case(&call);
    ASSERT_TRUE(std::equal(expected.begin(), expected.end(), call.out)) << description(call, number);
  }
}

// A high-water mark of the exported program equals the plan only if scratch is used to its last byte.
TEST(ExportedKernels, WriteTheirScratchAndNothingBehindIt) {
  for (std::uint32_t number = 0; number < kCases * KERNELS; ++number) {
    kernel_case call;
    make_case(number, &call);
    if (call.scratch_bytes == 0) {
      continue;
    }
    std::vector<bool> written(CASE_BYTES, false);
    for (const std::int8_t before : {std::int8_t{0x55}, std::int8_t{-0x56}}) {
      make_case(number, &call);
      std::memset(call.scratch, before, CASE_BYTES);
      run_case(&call);
      for (std::size_t i = 0; i < CASE_BYTES; ++i) {
        written[i] = written[i] || call.scratch[i] != before;
      }
    }
    const auto end = written.begin() + call.scratch_bytes;
    ASSERT_TRUE(std::all_of(written.begin(), end, [](bool byte) { return byte; })) << description(call, number);
    ASSERT_TRUE(std::none_of(end, written.end(), [](bool byte) { return byte; })) << description(call, number);
  }
}

}  // namespace
}  // namespace cosearch::testing_support
