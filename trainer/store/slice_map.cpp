#include "trainer/store/slice_map.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <numeric>

#include "spaces/base/check.hpp"

namespace cosearch {
namespace {

using Run = SliceMap::Run;
using graph::AxisFactor;
using graph::AxisSegment;
using graph::SliceRule;
using graph::WeightAxis;

std::int64_t product(const AxisSegment& segment) {
  std::int64_t extent = 1;
  for (const AxisFactor& factor : segment) {
    extent *= factor.extent;
  }
  return extent;
}

/// Appends `run`, lengthening the last one where both copy neighbours.
void append(std::vector<Run>& runs, const Run& run) {
  if (!runs.empty()) {
    Run& last = runs.back();
    if (last.weight == 1.0F && run.weight == 1.0F && last.subnet_begin + last.length == run.subnet_begin &&
        last.shared_begin + last.length == run.shared_begin) {
      last.length += run.length;
      return;
    }
  }
  runs.push_back(run);
}

/// The entries that a select factor consists of; none listed means all of them in order.
std::vector<std::int64_t> entries_of(const AxisFactor& factor) {
  std::vector<std::int64_t> indices = factor.selected;
  if (indices.empty()) {
    indices.resize(static_cast<std::size_t>(factor.extent));
    std::iota(indices.begin(), indices.end(), std::int64_t{0});
  }
  COSEARCH_CHECK(static_cast<std::int64_t>(indices.size()) == factor.extent, "a select factor lists its entries");
  return indices;
}

std::vector<Run> resample_runs(std::int64_t shared, std::int64_t subnet) {
  std::vector<Run> runs;
  for (std::int64_t i = 0; i < subnet; ++i) {
    const double centre =
        (static_cast<double>(i) + 0.5) * static_cast<double>(shared) / static_cast<double>(subnet) - 0.5;
    const double place = std::clamp(centre, 0.0, static_cast<double>(shared - 1));
    const auto low = static_cast<std::int64_t>(place);
    const double fraction = place - static_cast<double>(low);
    append(runs, {i, low, 1, static_cast<float>(1.0 - fraction)});
    if (fraction > 0.0) {
      append(runs, {i, low + 1, 1, static_cast<float>(fraction)});
    }
  }
  return runs;
}

/// Lengths are in units of 1 / subnet of a shared entry, so that they are whole numbers.
std::vector<Run> area_runs(std::int64_t shared, std::int64_t subnet) {
  std::vector<Run> runs;
  for (std::int64_t i = 0; i < subnet; ++i) {
    for (std::int64_t s = i * shared / subnet; s * subnet < (i + 1) * shared; ++s) {
      const std::int64_t covered = std::min((s + 1) * subnet, (i + 1) * shared) - std::max(s * subnet, i * shared);
      append(runs, {i, s, 1, static_cast<float>(static_cast<double>(covered) / static_cast<double>(subnet))});
    }
  }
  return runs;
}

/// Where the selected entries lie in the shared factor, which may itself be a selection.
std::vector<Run> select_runs(const AxisFactor& shared, const AxisFactor& subnet) {
  const std::vector<std::int64_t> held = entries_of(shared);
  const std::vector<std::int64_t> wanted = entries_of(subnet);
  std::map<std::int64_t, std::int64_t> position;
  for (std::size_t i = 0; i < held.size(); ++i) {
    COSEARCH_CHECK(position.emplace(held[i], static_cast<std::int64_t>(i)).second, "selected indices are distinct");
  }
  std::vector<Run> runs;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const auto found = position.find(wanted[i]);
    COSEARCH_CHECK(found != position.end(), "a selected index lies in the shared factor, and is selected once");
    append(runs, {static_cast<std::int64_t>(i), found->second, 1, 1.0F});
    position.erase(found);
  }
  return runs;
}

std::vector<Run> factor_runs(const AxisFactor& shared, const AxisFactor& subnet) {
  COSEARCH_CHECK(shared.rule == subnet.rule, "a shared factor and its slice follow one rule");
  COSEARCH_CHECK(shared.extent >= 1 && subnet.extent >= 1, "factors are positive");
  if (subnet.rule == SliceRule::resample) {
    return resample_runs(shared.extent, subnet.extent);
  }
  if (subnet.rule == SliceRule::area) {
    return area_runs(shared.extent, subnet.extent);
  }
  COSEARCH_CHECK(subnet.extent <= shared.extent, "a slice is not larger than what it is taken from");
  switch (subnet.rule) {
    case SliceRule::leading:
      return {{0, 0, subnet.extent, 1.0F}};
    case SliceRule::centre:
      return {{0, (shared.extent - subnet.extent) / 2, subnet.extent, 1.0F}};
    case SliceRule::select:
      return select_runs(shared, subnet);
    case SliceRule::resample:
    case SliceRule::area:
      break;  // returned above
  }
  COSEARCH_CHECK(false, "unknown slice rule");
}

bool is_resampled(const WeightAxis& shared, const WeightAxis& subnet) {
  for (std::size_t s = 0; s < subnet.size(); ++s) {
    for (std::size_t f = 0; f < subnet[s].size(); ++f) {
      if (graph::interpolates(subnet[s][f].rule) && subnet[s][f].extent != shared[s][f].extent) {
        return true;
      }
    }
  }
  return false;
}

/// The product of an outer map with an inner one of extents `shared` and `subnet`, without merging across entries
/// that the inner map does not take whole.
std::vector<Run> multiply(const std::vector<Run>& outer, const std::vector<Run>& inner, std::int64_t shared,
                          std::int64_t subnet) {
  const bool inner_whole = inner.size() == 1 && inner[0].length == shared && shared == subnet;
  std::vector<Run> runs;
  for (const Run& o : outer) {
    if (inner_whole) {
      append(runs, {o.subnet_begin * subnet, o.shared_begin * shared, o.length * shared, o.weight});
      continue;
    }
    for (std::int64_t k = 0; k < o.length; ++k) {
      for (const Run& i : inner) {
        append(runs, {(o.subnet_begin + k) * subnet + i.subnet_begin, (o.shared_begin + k) * shared + i.shared_begin,
                      i.length, o.weight * i.weight});
      }
    }
  }
  return runs;
}

std::vector<Run> axis_runs(const WeightAxis& shared, const WeightAxis& subnet) {
  COSEARCH_CHECK(!subnet.empty() && subnet.size() <= shared.size(), "a slice has no more segments than its source");
  std::vector<Run> runs;
  std::int64_t shared_begin = 0;
  std::int64_t subnet_begin = 0;
  for (std::size_t s = 0; s < subnet.size(); ++s) {
    COSEARCH_CHECK(shared[s].size() == subnet[s].size(), "a segment and its slice have the same factors");
    std::vector<Run> segment{{0, 0, 1, 1.0F}};
    for (std::size_t f = 0; f < subnet[s].size(); ++f) {
      segment = multiply(segment, factor_runs(shared[s][f], subnet[s][f]), shared[s][f].extent, subnet[s][f].extent);
    }
    for (const Run& run : segment) {
      append(runs, {subnet_begin + run.subnet_begin, shared_begin + run.shared_begin, run.length, run.weight});
    }
    shared_begin += product(shared[s]);
    subnet_begin += product(subnet[s]);
  }
  return runs;
}

bool factor_fits(const AxisFactor& shared, const AxisFactor& subnet) {
  if (shared.rule != subnet.rule) {
    return false;
  }
  if (graph::interpolates(subnet.rule)) {
    return true;
  }
  if (subnet.rule == SliceRule::select) {
    const std::vector<std::int64_t> held = entries_of(shared);
    const std::vector<std::int64_t> wanted = entries_of(subnet);
    return std::all_of(wanted.begin(), wanted.end(),
                       [&](std::int64_t entry) { return std::find(held.begin(), held.end(), entry) != held.end(); });
  }
  return subnet.extent <= shared.extent;
}

bool axis_fits(const WeightAxis& shared, const WeightAxis& subnet) {
  if (subnet.empty() || subnet.size() > shared.size()) {
    return false;
  }
  for (std::size_t s = 0; s < subnet.size(); ++s) {
    if (!std::equal(shared[s].begin(), shared[s].end(), subnet[s].begin(), subnet[s].end(), factor_fits)) {
      return false;
    }
  }
  return true;
}

}  // namespace

bool SliceMap::fits(const graph::WeightSpec& shared, const graph::WeightSpec& subnet) {
  return std::equal(shared.axes.begin(), shared.axes.end(), subnet.axes.begin(), subnet.axes.end(), axis_fits);
}

SliceMap::SliceMap(const graph::WeightSpec& shared, const graph::WeightSpec& subnet) {
  COSEARCH_CHECK(shared.axes.size() == subnet.axes.size(), "a weight and its slice have the same axes");
  for (std::size_t a = shared.axes.size(); a-- > 0;) {
    const std::int64_t shared_extent = graph::extent(shared.axes[a]);
    const std::int64_t subnet_extent = graph::extent(subnet.axes[a]);
    std::vector<Run> runs = axis_runs(shared.axes[a], subnet.axes[a]);
    copies_ = copies_ && !is_resampled(shared.axes[a], subnet.axes[a]);
    // Inner axes that are taken whole are contiguous, so the axis outside of them moves longer runs.
    if (!axes_.empty() && axes_.back().runs.size() == 1 && axes_.back().runs[0].length == shared_elements_ &&
        shared_elements_ == subnet_elements_) {
      axes_.back() = {1, 1, multiply(runs, axes_.back().runs, shared_elements_, subnet_elements_)};
    } else {
      axes_.push_back({subnet_elements_, shared_elements_, std::move(runs)});
    }
    shared_elements_ *= shared_extent;
    subnet_elements_ *= subnet_extent;
  }
  if (axes_.empty()) {  // a scalar
    axes_.push_back({1, 1, {{0, 0, 1, 1.0F}}});
  }
  std::reverse(axes_.begin(), axes_.end());
}

bool SliceMap::identity() const noexcept {
  return axes_.size() == 1 && axes_[0].runs.size() == 1 && axes_[0].runs[0].length == shared_elements_ &&
         shared_elements_ == subnet_elements_;
}

template <class Visit>
void SliceMap::visit_runs(std::size_t axis, const Run& base, const Visit& visit) const {
  const Axis& current = axes_[axis];
  for (const Run& run : current.runs) {
    const std::int64_t subnet = base.subnet_begin + run.subnet_begin * current.subnet_stride;
    const std::int64_t shared = base.shared_begin + run.shared_begin * current.shared_stride;
    const float weight = base.weight * run.weight;
    if (axis + 1 == axes_.size()) {
      visit(Run{subnet, shared, run.length, weight});
      continue;
    }
    for (std::int64_t i = 0; i < run.length; ++i) {
      visit_runs(axis + 1, {subnet + i * current.subnet_stride, shared + i * current.shared_stride, 1, weight}, visit);
    }
  }
}

void SliceMap::gather(std::span<const float> shared, std::span<float> subnet) const {
  COSEARCH_CHECK(static_cast<std::int64_t>(shared.size()) == shared_elements_ &&
                     static_cast<std::int64_t>(subnet.size()) == subnet_elements_,
                 "values do not fit the weights' shapes");
  if (copies_) {
    visit_runs(0, {}, [&](const Run& run) {
      std::copy_n(shared.data() + run.shared_begin, run.length, subnet.data() + run.subnet_begin);
    });
    return;
  }
  std::fill(subnet.begin(), subnet.end(), 0.0F);
  visit_runs(0, {}, [&](const Run& run) {
    const float* from = shared.data() + run.shared_begin;
    float* to = subnet.data() + run.subnet_begin;
    for (std::int64_t i = 0; i < run.length; ++i) {
      to[i] += run.weight * from[i];
    }
  });
}

void SliceMap::scatter_add(std::span<const float> subnet, std::span<float> shared) const {
  COSEARCH_CHECK(static_cast<std::int64_t>(shared.size()) == shared_elements_ &&
                     static_cast<std::int64_t>(subnet.size()) == subnet_elements_,
                 "values do not fit the weights' shapes");
  visit_runs(0, {}, [&](const Run& run) {
    const float* from = subnet.data() + run.subnet_begin;
    float* to = shared.data() + run.shared_begin;
    for (std::int64_t i = 0; i < run.length; ++i) {
      to[i] += run.weight * from[i];
    }
  });
}

void SliceMap::scatter(std::span<const float> subnet, std::span<float> shared) const {
  COSEARCH_CHECK(copies_, "resampled weights cannot be written back");
  COSEARCH_CHECK(static_cast<std::int64_t>(shared.size()) == shared_elements_ &&
                     static_cast<std::int64_t>(subnet.size()) == subnet_elements_,
                 "values do not fit the weights' shapes");
  visit_runs(0, {}, [&](const Run& run) {
    std::copy_n(subnet.data() + run.subnet_begin, run.length, shared.data() + run.shared_begin);
  });
}

}  // namespace cosearch
