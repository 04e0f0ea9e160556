#include <chrono>
#include <cstdint>
#include <vector>

#include <fmt/format.h>

#include "tests/hwmodels/asic/maestro/reference_rows.hpp"

using cosearch::maestro::Mapping;

/// Layer evaluations per second of one thread: the layers, mappings and arrays of tests/data/maestro_resnet50.csv.
/// Mappings are read once; everything that depends on the layer or the array is done in each evaluation.
int main() {
  struct Point {
    cosearch::maestro::Layer layer;
    Mapping mapping;
    cosearch::maestro::Hardware hardware;
  };
  for (const std::size_t levels : {std::size_t{1}, std::size_t{2}}) {
    std::vector<Point> points;
    for (const cosearch::testing::MaestroRow& row : cosearch::testing::maestro_rows()) {
      const Mapping mapping =
          cosearch::maestro::parse_mapping(cosearch::maestro::template_named(row.mapping, "").text(row.layer.kind));
      if (mapping.levels.size() == levels) {
        points.push_back({row.layer, mapping, row.hardware});
      }
    }
    constexpr int kRepetitions = 200;
    std::int64_t cycles = 0;  // printed, so that nothing is optimised away
    const auto start = std::chrono::steady_clock::now();
    for (int repetition = 0; repetition < kRepetitions; ++repetition) {
      for (const Point& point : points) {
        cycles += cosearch::maestro::analyse(point.layer, point.mapping, point.hardware)->runtime_cycles;
      }
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    fmt::print("maestro, {} level{}: {:.0f} layer evaluations/s/thread over {} points (checksum {})\n", levels,
               levels == 1 ? "" : "s", static_cast<double>(points.size()) * kRepetitions / seconds.count(),
               points.size(), cycles);
  }
  return 0;
}
