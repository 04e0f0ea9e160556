#include "trainer/quantize/integer_rows.hpp"

#include <algorithm>
#include <cmath>

namespace cosearch::quantize {
namespace {

double steps_of(std::int64_t bits) { return static_cast<double>((std::int64_t{1} << (bits - 1)) - 1); }

}  // namespace

std::vector<RealRow> real_rows(std::span<const float> weights, std::span<const float> biases) {
  const std::size_t length = weights.size() / biases.size();
  std::vector<RealRow> rows;
  rows.reserve(biases.size());
  for (std::size_t row = 0; row < biases.size(); ++row) {
    rows.push_back({weights.subspan(row * length, length), biases[row]});
  }
  return rows;
}

double row_scale(const RealRow& row, double input_scale, std::int64_t bits, double most) {
  double largest = 0.0;
  double sum = 0.0;
  for (const float weight : row.weight) {
    const double magnitude = std::abs(static_cast<double>(weight));
    largest = std::max(largest, magnitude);
    sum += magnitude;
  }
  return std::max({largest / steps_of(bits), kDifference * sum / (most / 2.0),
                   std::abs(static_cast<double>(row.bias)) / (input_scale * most)});
}

void IntegerRows::add(const RealRow& row, double scale, double input_scale, std::int64_t bits) {
  const double steps = steps_of(bits);
  double sum = 0.0;
  for (const float real : row.weight) {
    const double q = scale > 0.0 ? std::clamp(std::round(static_cast<double>(real) / scale), -steps, steps) : 0.0;
    weight.push_back(static_cast<std::int8_t>(q));
    sum += kDifference * std::abs(q);
  }
  const double q = scale > 0.0 ? std::round(static_cast<double>(row.bias) / (input_scale * scale)) : 0.0;
  bias.push_back(static_cast<std::int32_t>(q));
  bound.push_back(sum + std::abs(q));
}

}  // namespace cosearch::quantize
