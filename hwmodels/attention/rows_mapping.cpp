// How Fusion::rows and Fusion::none run a cascade: what stays in the array, what in the buffer, and how many rows
// together.
#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>

#include "hwmodels/attention/design.hpp"
#include "hwmodels/attention/nest.hpp"

namespace cosearch::attention {
namespace {

constexpr std::array<Stationary, 3> kStationary{Stationary::output, Stationary::input, Stationary::weight};

}  // namespace

std::size_t Design::tile_products() const {
  std::size_t count = 0;
  for (std::size_t i = 0; i < profile_.works.size(); ++i) {
    count += on_array_[i] && profile_.works[i].extent == Extent::tile ? 1 : 0;
  }
  return count;
}

/// Everything at once, each product in the order that takes least time.
RowsMapping Design::unfused_mapping(const Shape& shape) const {
  RowsMapping mapping{0, false, {}, std::vector<bool>(profile_.tensors.size(), true)};
  for (std::size_t i = 0; i < profile_.works.size(); ++i) {
    const Work& work = profile_.works[i];
    if (!on_array_[i] || work.extent != Extent::tile) {
      continue;
    }
    double best = std::numeric_limits<double>::infinity();
    Stationary choice = Stationary::output;
    for (const Stationary stationary : kStationary) {
      const ProductNest nest(arch_, {work.inner_points(), shape.keys, shape.rows},
                             innermost_rank(profile_, work, stationary));
      if (nest.cycles() < best) {
        best = nest.cycles();
        choice = stationary;
      }
    }
    mapping.products.push_back(choice);
  }
  return mapping;
}

RowsMapping Design::best_mapping(const Shape& shape) const {
  const std::size_t products = tile_products();
  std::vector<std::size_t> choosable;  // tensors that may stay
  for (std::size_t i = 0; i < profile_.tensors.size(); ++i) {
    const TensorUse& use = profile_.tensors[i];
    if ((use.input || use.output) && (use.extent == Extent::row || use.extent == Extent::key)) {
      choosable.push_back(i);
    }
  }
  constexpr std::size_t kMostChoosable = 8;  // of what the user's cascades may have more, the first ones
  choosable.resize(std::min(choosable.size(), kMostChoosable));
  std::size_t orders = 1;
  for (std::size_t i = 0; i < products; ++i) {
    orders *= kStationary.size();
  }
  RowsMapping best{arch_.columns, true, std::vector<Stationary>(products, Stationary::output),
                   std::vector<bool>(profile_.tensors.size(), false)};
  double best_seconds = std::numeric_limits<double>::infinity();
  double best_traffic = best_seconds;
  for (std::int64_t chunk = arch_.columns;; chunk *= 2) {
    const bool whole = chunk >= shape.rows;
    for (std::size_t order = 0; order < orders; ++order) {
      for (std::size_t stay = 0; stay < (std::size_t{1} << choosable.size()) * 2; ++stay) {
        RowsMapping mapping{whole ? 0 : chunk, stay % 2 == 0, {}, std::vector<bool>(profile_.tensors.size(), false)};
        std::size_t rest = order;
        for (std::size_t i = 0; i < products; ++i, rest /= kStationary.size()) {
          mapping.products.push_back(kStationary[rest % kStationary.size()]);
        }
        for (std::size_t i = 0; i < choosable.size(); ++i) {
          mapping.resident[choosable[i]] = ((stay / 2) >> i) % 2 == 1;
        }
        const Expected<AttentionCost, Infeasible> cost = evaluate(shape, mapping);
        if (cost &&
            (cost->seconds < best_seconds || (cost->seconds <= best_seconds && cost->traffic_bytes < best_traffic))) {
          best = mapping;
          best_seconds = cost->seconds;
          best_traffic = cost->traffic_bytes;
        }
      }
    }
    if (whole) {
      return best;
    }
  }
}

}  // namespace cosearch::attention
