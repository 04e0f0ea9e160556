// The mapper against Timeloop v3.0.3's exhaustive searches (tests/data/timeloop_eyeriss256.csv): energy-delay product
// of the best mapping found over that of Timeloop's, under the constraints of its input file and without them, and the
// time it takes. Timeloop's search of the two convolutions was exhaustive, that of the point-wise layer was stopped
// after 45 s. Usage: mapper_bench [evaluations]
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "hwmodels/asic/mapper.hpp"

namespace {

using namespace cosearch;        // NOLINT(google-build-using-namespace): a program, not a header
using namespace cosearch::asic;  // NOLINT(google-build-using-namespace)

struct Layer {
  const char* name;
  int filter, outputs, channels, kernels, stride;
  double cycles, energy_uj;  ///< Timeloop's
};
constexpr Layer kLayers[] = {{"conv1 7x7 stride 2", 7, 112, 3, 64, 2, 526848, 852.10},
                             {"conv2 3x3", 3, 56, 64, 64, 1, 602112, 743.56},
                             {"point-wise 384 to 64", 1, 14, 384, 64, 1, 21504, 49.34}};

double thread_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

ir::Workload workload_of(const Layer& layer) {
  const int size = (layer.outputs - 1) * layer.stride + layer.filter;
  return ir::parse_workload(fmt::format(
      "workload w\ninput x activation int16 [1,{0},{0},{1}]\ntensor w weight int16 [{2},{2},{1},{3}]\n"
      "output y activation int16 [1,{4},{4},{3}]\n"
      "einsum c N<1 P<{4} Q<{4} K<{3} C<{1} R<{2} S<{2} : y[N,P,Q,K] += mul(x[N,{5}*P+R,{5}*Q+S,C], w[R,S,C,K])\n",
      size, layer.channels, layer.filter, layer.kernels, layer.outputs, layer.stride));
}

}  // namespace

int main(int argc, char** argv) {
  MapOptions options;
  options.evaluations = argc > 1 ? std::atoll(argv[1]) : 1'000'000;
  options.footprint = ir::FootprintKind::hull;
  const Arch arch = load_arch("eyeriss_256", "");
  const Pricing pricing(arch, load_price_table("energy_pat", ""));
  const std::vector<Dataflow> dataflows = load_dataflows("");
  const auto free =
      std::find_if(dataflows.begin(), dataflows.end(), [](const Dataflow& d) { return d.name == "free"; });
  for (const Layer& layer : kLayers) {
    const ir::Workload workload = workload_of(layer);
    for (const auto& [name, dataflow] : {std::pair<const char*, const Dataflow*>{"constrained", nullptr},
                                         std::pair<const char*, const Dataflow*>{"free", &*free}}) {
      const double start = thread_seconds();
      const auto mapped = Mapper(workload, workload.einsums[0], arch, pricing, dataflow).best(options);
      const double seconds = thread_seconds() - start;
      if (!mapped) {
        fmt::print("{}: {}\n", layer.name, mapped.error().reason);
        return 1;
      }
      // Timeloop has no static power.
      const double edp =
          static_cast<double>(mapped->counts.cycles) * (mapped->price.total_pj - mapped->price.static_pj);
      fmt::print("{:22} {:12} edp / Timeloop's {:.3f}  {:8} cycles {:8.2f} uJ  {:7} mappings counted in {:.2f} s, {}\n",
                 layer.name, name, edp * 1e-6 / (layer.cycles * layer.energy_uj), mapped->counts.cycles,
                 (mapped->price.total_pj - mapped->price.static_pj) * 1e-6, mapped->evaluations, seconds,
                 to_string(mapped->stop));
    }
  }
  return 0;
}
