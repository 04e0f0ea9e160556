#include "hwmodels/attention/product.hpp"

#include <algorithm>
#include <cmath>

#include "hwmodels/attention/nest.hpp"
#include "spaces/base/check.hpp"

namespace cosearch::attention {
namespace {

double unit_energy(const Prices& prices, const UnitCounts& counts) {
  double pj = 0.0;
  for (std::size_t unit = 0; unit < kUnits; ++unit) {
    pj += static_cast<double>(counts.of[unit]) * prices.unit_pj[unit];
  }
  return pj;
}

double register_energy(const Design& design, double operations) {
  const Prices& prices = design.prices();
  return design.choices().complete_energy ? operations * (2.0 * prices.register_read_pj + prices.register_write_pj)
                                          : 0.0;
}

}  // namespace

void ProductCost::add(const ProductCost& other, double times) {
  seconds += times * other.seconds;
  array_cycles += times * other.array_cycles;
  traffic_bytes += times * other.traffic_bytes;
  macs += times * other.macs;
  energy.array_units += times * other.energy.array_units;
  energy.lane_units += times * other.energy.lane_units;
  energy.registers += times * other.energy.registers;
  energy.buffer += times * other.energy.buffer;
  energy.dram += times * other.energy.dram;
}

ProductCost product_cost(const Design& design, const ProductShape& shape) {
  const Arch& arch = design.arch();
  const Prices& prices = design.prices();
  const auto instances = static_cast<double>(shape.instances);
  // Rows of x along the columns, outputs down the rows, inputs one after the other.
  const ProductNest nest(arch, {shape.inputs, shape.outputs, shape.rows}, Rank::inner);
  const RankSet x{{true, false, true}};
  const RankSet w{{true, true, false}};
  const RankSet y{{false, true, true}};
  ProductCost cost;
  cost.array_cycles = instances * nest.cycles();
  const double half = static_cast<double>(arch.buffer_bytes) / 2.0 / static_cast<double>(arch.word_bytes);
  const double a = nest.elements(x);
  const double b = nest.elements(w);
  const double operands = std::min(a + b * std::ceil(a / half), b + a * std::ceil(b / half));
  cost.traffic_bytes = instances * static_cast<double>(arch.word_bytes) * (operands + nest.elements(y));
  cost.macs = instances * static_cast<double>(shape.rows) * static_cast<double>(shape.inputs) *
              static_cast<double>(shape.outputs);
  cost.seconds = std::max(cost.array_cycles / arch.frequency_hz, cost.traffic_bytes / arch.dram_bytes_per_second);
  cost.energy.array_units = cost.macs * prices.unit_pj[static_cast<std::size_t>(Unit::mac)];
  cost.energy.registers = register_energy(design, cost.macs);
  cost.energy.buffer = instances * ((nest.words(x) + nest.words(w)) * prices.buffer.read_pj_per_word(arch.priced()) +
                                    (operands + nest.elements(y)) * prices.buffer.write_pj_per_word(arch.priced()));
  cost.energy.dram = cost.traffic_bytes * prices.dram_pj_per_byte;
  return cost;
}

ProductCost lanes_cost(const Design& design, double points, const UnitCounts& operation, double traffic_bytes) {
  const Arch& arch = design.arch();
  const std::optional<UnitCounts> expanded = arch.lane.expand(operation);
  COSEARCH_CHECK(expanded.has_value(), "lanes that compute every operation");
  ProductCost cost;
  cost.traffic_bytes = traffic_bytes;
  const double cycles =
      std::ceil(points / static_cast<double>(arch.lanes)) * static_cast<double>(arch.lane.cycles(*expanded));
  cost.seconds = std::max(cycles / arch.frequency_hz, traffic_bytes / arch.dram_bytes_per_second);
  cost.energy.lane_units = points * unit_energy(design.prices(), *expanded);
  double operations = 0.0;
  for (const std::int64_t count : expanded->of) {
    operations += points * static_cast<double>(count);
  }
  cost.energy.registers = register_energy(design, operations);
  cost.energy.dram = traffic_bytes * design.prices().dram_pj_per_byte;
  return cost;
}

}  // namespace cosearch::attention
