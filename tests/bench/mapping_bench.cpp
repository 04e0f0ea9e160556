// Exact evaluations of loop nests per second of one thread: a 3-level and the 6-level architecture, even and uneven
// nests. Median of the repeats, of the thread's CPU time.
// Usage: mapping_bench
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "hwmodels/asic/count.hpp"

namespace {

using namespace cosearch;        // NOLINT(google-build-using-namespace): a program, not a header
using namespace cosearch::asic;  // NOLINT(google-build-using-namespace)

constexpr int kRepeats = 7;

double thread_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

/// ResNet's second stage: 3 x 3, 64 channels, 56 x 56 outputs.
ir::Workload convolution() {
  return ir::parse_workload(
      "workload c\ninput x activation int16 [1,58,58,64]\ntensor w weight int16 [3,3,64,64]\n"
      "output y activation int16 [1,56,56,64]\n"
      "einsum c N<1 P<56 Q<56 K<64 C<64 R<3 S<3 : y[N,P,Q,K] += mul(x[N,P+R,Q+S,C], w[R,S,C,K])\n");
}

void measure(const std::string& name, const std::string& arch_name, const std::string& text,
             ir::FootprintKind footprint) {
  const ir::Workload workload = convolution();
  const Arch arch = load_arch(arch_name, "");
  const NestCounter counter(workload, workload.einsums[0], arch);
  const LoopNest nest = parse_nest(text, workload, workload.einsums[0], arch);
  constexpr std::int64_t kEvaluations = 200000;
  std::vector<double> rates;
  std::int64_t checksum = 0;
  for (int repeat = -1; repeat < kRepeats; ++repeat) {  // the first one warms up
    const double start = thread_seconds();
    for (std::int64_t i = 0; i < kEvaluations; ++i) {
      const auto counts = counter.count(nest, footprint);
      checksum += counts.has_value() ? counts->cycles : 0;
    }
    if (repeat >= 0) {
      rates.push_back(static_cast<double>(kEvaluations) / (thread_seconds() - start));
    }
  }
  std::sort(rates.begin(), rates.end());
  fmt::print("{:34} {:9.0f} evaluations/s   ({} cycles)\n", name, rates[rates.size() / 2],
             checksum / kEvaluations / (kRepeats + 1));
}

const char* const kEyeriss =
    "DRAM [ x w y ]\n for Q in [0:7)\n for C in [0:4)\nGlobalBuffer [ x y ]\n for K in [0:2)\n for P in [0:56)\n"
    " for K in [0:2) (spatial x)\n for Q in [0:8) (spatial x)\nDummyBuffer [ ]\n for C in [0:4) (spatial y)\n"
    " for S in [0:3) (spatial y)\nInputRegFile [ x ]\nWeightRegFile [ w ]\n for R in [0:3)\n for C in [0:4)\n"
    "PsumRegFile [ y ]\n for K in [0:16)\n";
const char* const kEyerissUneven =
    "DRAM [ x w y ]\n for Q in [0:8)\n for C in [0:6) covering 64\nGlobalBuffer [ x y ]\n"
    " for K in [0:3) covering 64\n for P in [0:56)\n for K in [0:2) (spatial x)\n for Q in [0:7) (spatial x)\n"
    "DummyBuffer [ ]\n for C in [0:4) (spatial y)\n for S in [0:3) (spatial y)\n"
    "InputRegFile [ x ]\nWeightRegFile [ w ]\n for R in [0:3)\n for C in [0:3)\nPsumRegFile [ y ]\n for K in [0:13)\n";
const char* const kStationary =
    "DRAM [ x w y ]\n for K in [0:4)\n for Q in [0:4)\n for C in [0:4)\nBuffer [ x y ]\n for P in [0:56)\n"
    " for Q in [0:14)\n for K in [0:16) (spatial x)\n for C in [0:16) (spatial y)\nRegFile [ w ]\n for R in [0:3)\n"
    " for S in [0:3)\n";
const char* const kStationaryUneven =
    "DRAM [ x w y ]\n for K in [0:5) covering 64\n for Q in [0:5) covering 56\n for C in [0:4)\nBuffer [ x y ]\n"
    " for P in [0:56)\n for Q in [0:13)\n for K in [0:15) (spatial x)\n for C in [0:16) (spatial y)\nRegFile [ w ]\n"
    " for R in [0:3)\n for S in [0:3)\n";

}  // namespace

int main() {
  for (const auto& [kind, footprint] :
       {std::pair{"exact", ir::FootprintKind::exact}, std::pair{"hull", ir::FootprintKind::hull}}) {
    measure(fmt::format("3 levels, {}, even", kind), "ws_16x16", kStationary, footprint);
    measure(fmt::format("3 levels, {}, uneven", kind), "ws_16x16", kStationaryUneven, footprint);
    measure(fmt::format("6 levels, {}, even", kind), "eyeriss_256", kEyeriss, footprint);
    measure(fmt::format("6 levels, {}, uneven", kind), "eyeriss_256", kEyerissUneven, footprint);
  }
  return 0;
}
