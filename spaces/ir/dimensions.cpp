#include "spaces/ir/dimensions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>
#include <numeric>
#include <optional>
#include <set>

#include "spaces/ir/checked.hpp"
#include "spaces/ir/union_find.hpp"

namespace cosearch::ir {
namespace {

/// Numbers for all loops, tensor axes and iterations of a workload.
struct Numbering {
  explicit Numbering(const Workload& workload) {
    for (const Einsum& einsum : workload.einsums) {
      first_loop.push_back(count);
      count += einsum.loops.size();
    }
    loop_count = count;
    for (const Tensor& tensor : workload.tensors) {
      first_axis.push_back(count);
      count += tensor.shape.size();
    }
    first_iteration = count;
    count += workload.iterations.size();
  }

  /// Loops have the numbers below this one.
  [[nodiscard]] std::size_t loops() const { return loop_count; }

  std::vector<std::size_t> first_loop;
  std::vector<std::size_t> first_axis;
  std::size_t loop_count = 0;
  std::size_t first_iteration = 0;
  std::size_t count = 0;
};

std::vector<const Access*> accesses(const Einsum& einsum) {
  std::vector<const Access*> result{&einsum.output};
  for (const Operand& operand : einsum.operands) {
    if (const auto* access = std::get_if<Access>(&operand)) {
      result.push_back(access);
    }
  }
  return result;
}

/// The loops of an axis with their coefficients, each loop once, the largest steps first.
std::vector<Term> steps(const AxisIndex& axis) {
  std::map<int, std::int64_t> sums;
  for (const Term& term : axis.terms) {
    sums[term.loop] += term.coefficient;
  }
  std::vector<Term> terms;
  for (const auto& [loop, coefficient] : sums) {
    if (coefficient != 0) {
      terms.push_back({loop, coefficient});
    }
  }
  std::stable_sort(terms.begin(), terms.end(),
                   [](const Term& a, const Term& b) { return std::abs(a.coefficient) > std::abs(b.coefficient); });
  return terms;
}

/// Whether each step is as long as all that the smaller ones reach: no element twice, none left out.
bool cuts_into_blocks(const std::vector<Term>& terms, const std::vector<Loop>& loops) {
  for (std::size_t i = 1; i < terms.size(); ++i) {
    const std::int64_t extent = loops[static_cast<std::size_t>(terms[i].loop)].extent;
    if (extent == 1 || multiply(terms[i].coefficient, extent) != terms[i - 1].coefficient) {
      return false;
    }
  }
  return terms.size() > 1 && std::abs(terms.back().coefficient) == 1;
}

int farthest(const std::vector<Term>& terms, const std::vector<Loop>& loops) {
  const auto reach = [&](const Term& term) {
    const std::int64_t extent = loops[static_cast<std::size_t>(term.loop)].extent;
    return std::abs(static_cast<double>(term.coefficient)) * static_cast<double>(extent - 1);
  };
  return std::max_element(terms.begin(), terms.end(), [&](const Term& a, const Term& b) { return reach(a) < reach(b); })
      ->loop;
}

/// An axis (class) and the loops (classes) that cut it into blocks, outermost first.
struct Cut {
  std::size_t whole = 0;
  std::vector<std::size_t> parts;
};

class DimensionFinder {
 public:
  explicit DimensionFinder(const Workload& workload)
      : workload_(workload), numbers_(workload), same_(numbers_.count), joined_(0) {}

  std::vector<Dimension> find() {
    find_crossed_axes();
    for (std::size_t e = 0; e < workload_.einsums.size(); ++e) {
      link(e);
    }
    settle_cuts();
    joined_ = same_;
    for (const Cut& cut : cuts_) {
      for (const std::size_t part : cut.parts) {
        joined_.unite(cut.whole, part);
      }
    }
    return collect();
  }

 private:
  [[nodiscard]] std::size_t axis_number(const Access& access, std::size_t axis) const {
    return numbers_.first_axis[static_cast<std::size_t>(access.tensor)] + axis;
  }

  /// Axes that an einsum walks by independent loops in two accesses.
  void find_crossed_axes() {
    for (const Einsum& einsum : workload_.einsums) {
      std::map<std::size_t, std::vector<std::set<int>>> seen;
      for (const Access* access : accesses(einsum)) {
        for (std::size_t a = 0; a < access->axes.size(); ++a) {
          std::set<int> loops;
          for (const Term& term : steps(access->axes[a])) {
            loops.insert(term.loop);
          }
          if (!loops.empty()) {
            seen[axis_number(*access, a)].push_back(std::move(loops));
          }
        }
      }
      for (const auto& [axis, sets] : seen) {
        for (const std::set<int>& loops : sets) {
          if (std::none_of(loops.begin(), loops.end(), [&](int loop) { return sets.front().contains(loop); })) {
            crossed_.insert(axis);
          }
        }
      }
    }
  }

  void link(std::size_t e) {
    const Einsum& einsum = workload_.einsums[e];
    for (std::size_t i = 0; einsum.iteration >= 0 && i < einsum.loops.size(); ++i) {
      const auto iteration = static_cast<std::size_t>(einsum.iteration);
      if (einsum.loops[i].name == workload_.iterations[iteration].rank) {
        same_.unite(numbers_.first_iteration + iteration, numbers_.first_loop[e] + i);
      }
    }
    for (const Access* access : accesses(einsum)) {
      for (std::size_t a = 0; a < access->axes.size(); ++a) {
        const std::size_t axis = axis_number(*access, a);
        const std::vector<Term> terms = steps(access->axes[a]);
        if (terms.empty() || crossed_.contains(axis)) {
          continue;
        }
        if (cuts_into_blocks(terms, einsum.loops)) {
          Cut& cut = cuts_.emplace_back(Cut{axis, {}});
          for (const Term& term : terms) {
            cut.parts.push_back(numbers_.first_loop[e] + static_cast<std::size_t>(term.loop));
          }
        } else {
          same_.unite(axis, numbers_.first_loop[e] + static_cast<std::size_t>(farthest(terms, einsum.loops)));
        }
      }
    }
  }

  /// One cut for each class: equal ones are merged; where an axis is its own part, its blocks are a window.
  void settle_cuts() {
    for (bool changed = true; changed;) {
      changed = false;
      std::map<std::size_t, std::vector<std::size_t>> known;
      std::vector<Cut> kept;
      for (const Cut& cut : cuts_) {
        const std::size_t whole = same_.find(cut.whole);
        const auto is_whole = [&](std::size_t part) { return same_.find(part) == whole; };
        if (std::any_of(cut.parts.begin(), cut.parts.end(), is_whole)) {
          same_.unite(whole, cut.parts.front());
          changed = true;
          continue;
        }
        const auto [found, added] = known.emplace(whole, cut.parts);
        if (added) {
          kept.push_back(cut);
        } else if (same_extents(found->second, cut.parts)) {
          for (std::size_t i = 0; i < cut.parts.size(); ++i) {
            changed = changed || same_.find(found->second[i]) != same_.find(cut.parts[i]);
            same_.unite(found->second[i], cut.parts[i]);
          }
        } else {
          kept.push_back(cut);
        }
      }
      cuts_ = std::move(kept);
    }
  }

  [[nodiscard]] bool same_extents(const std::vector<std::size_t>& a, const std::vector<std::size_t>& b) const {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [&](std::size_t x, std::size_t y) {
             return loop_at(x).extent == loop_at(y).extent;
           });
  }

  [[nodiscard]] const Loop& loop_at(std::size_t number) const {
    const auto above = std::upper_bound(numbers_.first_loop.begin(), numbers_.first_loop.end(), number);
    const auto einsum = static_cast<std::size_t>(above - numbers_.first_loop.begin()) - 1;
    return workload_.einsums[einsum].loops[number - numbers_.first_loop[einsum]];
  }

  /// Classes that a class stands for: itself, or the parts of its cut, outermost first.
  void expand(std::size_t number, std::vector<std::size_t>& ranks, Dimension& dimension, std::size_t depth) {
    const std::size_t name = same_.find(number);
    const Cut* own = nullptr;
    for (const Cut& cut : cuts_) {
      if (same_.find(cut.whole) != name) {
        continue;
      }
      if (own != nullptr || depth > cuts_.size()) {
        dimension.obstacle = "one of its axes is cut into blocks in two ways";
        continue;
      }
      own = &cut;
    }
    if (own == nullptr || depth > cuts_.size()) {
      ranks.push_back(name);
      return;
    }
    for (const std::size_t part : own->parts) {
      expand(part, ranks, dimension, depth + 1);
    }
  }

  std::vector<Dimension> collect() {
    std::vector<std::vector<std::size_t>> groups;
    std::map<std::size_t, std::size_t> group_of;
    for (std::size_t number = 0; number < numbers_.count; ++number) {
      const std::size_t root = joined_.find(number);
      const bool is_loop = number < numbers_.loops();
      if (is_loop && group_of.emplace(root, groups.size()).second) {
        groups.emplace_back();
      }
      if (const auto found = group_of.find(root); found != group_of.end()) {
        groups[found->second].push_back(number);
      }
    }
    std::vector<Dimension> dimensions;
    for (const std::vector<std::size_t>& members : groups) {
      dimensions.push_back(build(members));
    }
    return dimensions;
  }

  Dimension build(const std::vector<std::size_t>& members) {
    Dimension dimension;
    std::map<std::size_t, std::vector<std::size_t>> expansions;
    std::vector<std::size_t> ranks;
    for (const std::size_t member : members) {
      std::vector<std::size_t>& expansion = expansions[same_.find(member)];
      if (expansion.empty()) {
        expand(member, expansion, dimension, 0);
        ranks = expansion.size() > ranks.size() ? expansion : ranks;
      }
    }
    for (const auto& [name, expansion] : expansions) {
      for (const std::size_t rank : expansion) {
        if (std::find(ranks.begin(), ranks.end(), rank) == ranks.end()) {
          ranks.push_back(rank);
          dimension.obstacle = "its loops do not cut one axis";
        }
      }
    }
    if (ranks.size() > kMostRanks) {
      dimension.obstacle = fmt::format("it has {} ranks, more than {}", ranks.size(), kMostRanks);
      ranks.resize(kMostRanks);
    }
    std::set<std::size_t> iterating;
    for (std::size_t i = 0; i < workload_.iterations.size(); ++i) {
      iterating.insert(same_.find(numbers_.first_iteration + i));
    }
    std::stable_partition(ranks.begin(), ranks.end(), [&](std::size_t rank) { return iterating.contains(rank); });
    for (const std::size_t rank : ranks) {
      dimension.ranks.push_back(describe_rank(rank, members));
      dimension.iterates.push_back(iterating.contains(rank));
      const auto extent = multiply(dimension.extent, dimension.ranks.back().extent);
      dimension.extent = extent.value_or(INT64_MAX);
    }
    dimension.name = common_name(dimension.ranks);
    fill_sets(dimension, expansions, ranks);
    find_double_walks(dimension);
    return dimension;
  }

  /// The name that most of the rank's loops have, and the longest of them.
  Loop describe_rank(std::size_t rank, const std::vector<std::size_t>& members) {
    Loop result;
    std::map<std::string, std::size_t> counts;
    for (const std::size_t member : members) {
      if (member < numbers_.loops() && same_.find(member) == rank) {
        const Loop& loop = loop_at(member);
        ++counts[loop.name];
        result.extent = std::max(result.extent, loop.extent);
        result.name = result.name.empty() || counts[loop.name] > counts[result.name] ? loop.name : result.name;
      }
    }
    return result;
  }

  static std::string common_name(const std::vector<Loop>& ranks) {
    const auto stem = [](std::string name) {
      while (name.size() > 1 && name.back() >= '0' && name.back() <= '9') {
        name.pop_back();
      }
      return name;
    };
    const std::string first = ranks.front().name;
    const bool agree =
        std::all_of(ranks.begin(), ranks.end(), [&](const Loop& rank) { return stem(rank.name) == stem(first); });
    return ranks.size() > 1 && agree ? stem(first) : first;
  }

  void fill_sets(Dimension& dimension, const std::map<std::size_t, std::vector<std::size_t>>& expansions,
                 const std::vector<std::size_t>& ranks) {
    const auto set_of = [&](std::size_t number) {
      RankSet set = 0;
      const auto found = expansions.find(same_.find(number));
      for (std::size_t r = 0; found != expansions.end() && r < ranks.size(); ++r) {
        const bool has = std::find(found->second.begin(), found->second.end(), ranks[r]) != found->second.end();
        set |= has ? RankSet{1} << r : 0U;
      }
      return set;
    };
    for (std::size_t e = 0; e < workload_.einsums.size(); ++e) {
      std::vector<RankSet>& loops = dimension.loops.emplace_back();
      for (std::size_t i = 0; i < workload_.einsums[e].loops.size(); ++i) {
        loops.push_back(set_of(numbers_.first_loop[e] + i));
      }
    }
    for (std::size_t t = 0; t < workload_.tensors.size(); ++t) {
      std::vector<RankSet>& axes = dimension.axes.emplace_back();
      for (std::size_t a = 0; a < workload_.tensors[t].shape.size(); ++a) {
        axes.push_back(set_of(numbers_.first_axis[t] + a));
      }
    }
  }

  void find_double_walks(Dimension& dimension) const {
    for (std::size_t e = 0; e < dimension.loops.size(); ++e) {
      const std::vector<RankSet>& loops = dimension.loops[e];
      for (std::size_t i = 0; i < loops.size(); ++i) {
        for (std::size_t j = i + 1; j < loops.size(); ++j) {
          if ((loops[i] & loops[j]) != 0) {
            const Einsum& einsum = workload_.einsums[e];
            dimension.obstacle = fmt::format("einsum {} walks it twice, by {} and by {}", einsum.name,
                                             einsum.loops[i].name, einsum.loops[j].name);
          }
        }
      }
    }
  }

  static constexpr std::size_t kMostRanks = 8;

  const Workload& workload_;
  Numbering numbers_;
  UnionFind same_;    ///< what walks the same rank, or the same axis
  UnionFind joined_;  ///< what belongs to the same dimension
  std::set<std::size_t> crossed_;
  std::vector<Cut> cuts_;
};

RankSet all_of(const std::vector<RankSet>& sets) {
  return std::accumulate(sets.begin(), sets.end(), RankSet{0}, std::bit_or<>());
}

}  // namespace

RankSet Dimension::of_einsum(int einsum) const { return all_of(loops[static_cast<std::size_t>(einsum)]); }

RankSet Dimension::of_tensor(int tensor) const { return all_of(axes[static_cast<std::size_t>(tensor)]); }

std::vector<Dimension> find_dimensions(const Workload& workload) { return DimensionFinder{workload}.find(); }

}  // namespace cosearch::ir
