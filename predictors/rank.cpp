#include "predictors/rank.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "spaces/base/check.hpp"

namespace cosearch {
namespace {

void check_lists(std::span<const double> a, std::span<const double> b) {
  COSEARCH_CHECK(a.size() == b.size(), "lists to compare have one length");
  const auto is_nan = [](double value) { return std::isnan(value); };
  COSEARCH_CHECK(std::none_of(a.begin(), a.end(), is_nan) && std::none_of(b.begin(), b.end(), is_nan),
                 "NaN has no rank");
}

std::vector<std::size_t> indices_of(std::span<const double> values) {
  std::vector<std::size_t> indices(values.size());
  std::iota(indices.begin(), indices.end(), std::size_t{0});
  return indices;
}

/// Twice the mean rank, an integer, so that sums of ranks are exact.
std::vector<std::int64_t> doubled_ranks(std::span<const double> values) {
  std::vector<std::size_t> order = indices_of(values);
  std::sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) { return values[i] < values[j]; });
  std::vector<std::int64_t> ranks(values.size());
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin + 1;
    while (end < order.size() && values[order[end]] == values[order[begin]]) {
      ++end;
    }
    for (std::size_t i = begin; i < end; ++i) {
      ranks[order[i]] = static_cast<std::int64_t>(begin + end - 1);
    }
    begin = end;
  }
  return ranks;
}

/// Sorts `values` by merging and returns the number of pairs that were out of order.
std::int64_t sort_counting_inversions(std::span<double> values, std::span<double> scratch) {
  if (values.size() < 2) {
    return 0;
  }
  const std::size_t half = values.size() / 2;
  std::int64_t inversions = sort_counting_inversions(values.first(half), scratch.first(half)) +
                            sort_counting_inversions(values.subspan(half), scratch.subspan(half));
  std::size_t left = 0;
  std::size_t right = half;
  for (double& merged : scratch) {
    if (right == values.size() || (left < half && values[left] <= values[right])) {
      merged = values[left++];
    } else {
      merged = values[right++];
      inversions += static_cast<std::int64_t>(half - left);
    }
  }
  std::copy(scratch.begin(), scratch.end(), values.begin());
  return inversions;
}

/// Pairs within the runs of equal neighbours of 0 .. count - 1.
template <class Equal>
std::int64_t tied_pairs(std::size_t count, const Equal& equal) {
  std::int64_t pairs = 0;
  std::int64_t run = 0;
  for (std::size_t i = 1; i < count; ++i) {
    run = equal(i - 1, i) ? run + 1 : 0;
    pairs += run;
  }
  return pairs;
}

}  // namespace

double spearman(std::span<const double> a, std::span<const double> b) {
  check_lists(a, b);
  const std::vector<std::int64_t> ranks_a = doubled_ranks(a);
  const std::vector<std::int64_t> ranks_b = doubled_ranks(b);
  // Doubled ranks average n - 1, with or without ties.
  const std::int64_t mean = static_cast<std::int64_t>(a.size()) - 1;
  double product = 0.0;
  double square_a = 0.0;
  double square_b = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto deviation_a = static_cast<double>(ranks_a[i] - mean);
    const auto deviation_b = static_cast<double>(ranks_b[i] - mean);
    product += deviation_a * deviation_b;
    square_a += deviation_a * deviation_a;
    square_b += deviation_b * deviation_b;
  }
  return square_a > 0.0 && square_b > 0.0 ? product / (std::sqrt(square_a) * std::sqrt(square_b)) : 0.0;
}

double kendall(std::span<const double> a, std::span<const double> b) {
  check_lists(a, b);
  std::vector<std::size_t> order = indices_of(a);
  std::sort(order.begin(), order.end(),
            [&](std::size_t i, std::size_t j) { return a[i] != a[j] ? a[i] < a[j] : b[i] < b[j]; });
  const std::size_t n = a.size();
  const std::int64_t tied_a = tied_pairs(n, [&](std::size_t i, std::size_t j) { return a[order[i]] == a[order[j]]; });
  const std::int64_t tied_both = tied_pairs(
      n, [&](std::size_t i, std::size_t j) { return a[order[i]] == a[order[j]] && b[order[i]] == b[order[j]]; });
  std::vector<double> sorted_b(n);
  std::transform(order.begin(), order.end(), sorted_b.begin(), [&](std::size_t i) { return b[i]; });
  std::vector<double> scratch(n);
  // Within ties of a, b is sorted already, so that only pairs that differ in both count.
  const std::int64_t discordant = sort_counting_inversions(sorted_b, scratch);
  const std::int64_t tied_b = tied_pairs(n, [&](std::size_t i, std::size_t j) { return sorted_b[i] == sorted_b[j]; });
  const auto count = static_cast<std::int64_t>(n);
  const std::int64_t pairs = count * (count - 1) / 2;
  if (pairs == tied_a || pairs == tied_b) {
    return 0.0;
  }
  const std::int64_t concordant_minus_discordant = pairs - tied_a - tied_b + tied_both - 2 * discordant;
  return static_cast<double>(concordant_minus_discordant) /
         (std::sqrt(static_cast<double>(pairs - tied_a)) * std::sqrt(static_cast<double>(pairs - tied_b)));
}

double top_k_overlap(std::span<const double> predicted, std::span<const double> truth, std::size_t k) {
  check_lists(predicted, truth);
  COSEARCH_CHECK(k >= 1 && k <= truth.size(), "k lies in [1, n]");
  const auto top = [k](std::span<const double> values) {
    std::vector<std::size_t> order = indices_of(values);
    std::sort(order.begin(), order.end(),
              [&](std::size_t i, std::size_t j) { return values[i] != values[j] ? values[i] > values[j] : i < j; });
    order.resize(k);
    std::sort(order.begin(), order.end());
    return order;
  };
  const std::vector<std::size_t> top_predicted = top(predicted);
  const std::vector<std::size_t> top_truth = top(truth);
  std::vector<std::size_t> common;
  std::set_intersection(top_predicted.begin(), top_predicted.end(), top_truth.begin(), top_truth.end(),
                        std::back_inserter(common));
  return static_cast<double>(common.size()) / static_cast<double>(k);
}

}  // namespace cosearch
