#include "hwmodels/attention/profile.hpp"

#include <algorithm>
#include <cctype>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "spaces/ir/passes.hpp"

namespace cosearch::attention {
namespace {

/// `m1` and `m0` are ranks of the dimension `m`.
std::string_view dimension_of(std::string_view rank) {
  while (!rank.empty() && std::isdigit(static_cast<unsigned char>(rank.back())) != 0) {
    rank.remove_suffix(1);
  }
  return rank;
}

constexpr std::string_view kStreamed = "m";
constexpr std::string_view kRows = "p";

/// Names of the streamed dimension's ranks in the workload.
std::set<std::string> streamed_ranks(const ir::Workload& cascade) {
  std::set<std::string> ranks;
  for (const ir::Einsum& einsum : cascade.einsums) {
    for (const ir::Loop& loop : einsum.loops) {
      if (dimension_of(loop.name) == kStreamed) {
        ranks.insert(loop.name);
      }
    }
  }
  return ranks;
}

Extent extent_of(std::size_t streamed, std::size_t all_streamed, bool rows) {
  if (streamed == 0) {
    return rows ? Extent::row : Extent::head;
  }
  if (streamed == all_streamed) {
    return rows ? Extent::tile : Extent::key;
  }
  return rows ? Extent::step : Extent::key_step;
}

class ProfileMaker {
 public:
  explicit ProfileMaker(const ir::Workload& cascade) : cascade_(cascade), streamed_(streamed_ranks(cascade)) {
    profile_.name = cascade.name;
  }

  Expected<Profile, std::string> make() {
    if (streamed_.empty()) {
      return Unexpected{fmt::format("{} names no rank of the streamed dimension `m`", cascade_.name)};
    }
    analysis_ = ir::analyze_passes(cascade_, *streamed_.begin());
    if (!analysis_.obstacle.empty()) {
      return Unexpected{fmt::format("{}: {}", cascade_.name, analysis_.obstacle)};
    }
    profile_.passes = std::max(analysis_.passes, 1);
    add_tensors();
    for (std::size_t i = 0; i < cascade_.einsums.size(); ++i) {
      if (auto reason = add_work(i)) {
        return Unexpected{*std::move(reason)};
      }
    }
    add_dependences();
    return std::move(profile_);
  }

 private:
  void add_tensors() {
    for (std::size_t i = 0; i < cascade_.tensors.size(); ++i) {
      TensorUse use;
      use.name = cascade_.tensors[i].name;
      const auto is_in = [&](const std::vector<int>& list) {
        return std::find(list.begin(), list.end(), static_cast<int>(i)) != list.end();
      };
      const auto written = std::any_of(cascade_.einsums.begin(), cascade_.einsums.end(), [&](const ir::Einsum& einsum) {
        return einsum.output.tensor == static_cast<int>(i);
      });
      use.input = is_in(cascade_.inputs) || !written;
      use.output = is_in(cascade_.outputs);
      use.whole_fiber = std::any_of(analysis_.live.begin(), analysis_.live.end(), [&](const ir::LiveFiber& fiber) {
        return fiber.tensor == static_cast<int>(i) && !fiber.blocks_only;
      });
      profile_.tensors.push_back(std::move(use));
    }
  }

  /// The ranks that index the tensor decide its extent; what is left of its shape is inner.
  void set_extent(const ir::Einsum& einsum, const ir::Access& access) {
    TensorUse& use = profile_.tensors[static_cast<std::size_t>(access.tensor)];
    const ir::Tensor& tensor = cascade_.tensors[static_cast<std::size_t>(access.tensor)];
    std::set<std::string> ranks;
    bool rows = false;
    std::int64_t inner = 1;
    for (std::size_t axis = 0; axis < access.axes.size(); ++axis) {
      bool outer = false;
      for (const ir::Term& term : access.axes[axis].terms) {
        const std::string& name = einsum.loops[static_cast<std::size_t>(term.loop)].name;
        if (streamed_.contains(name)) {
          ranks.insert(name);
          outer = true;
        } else if (dimension_of(name) == kRows) {
          rows = true;
          outer = true;
        }
      }
      const bool state_axis = access.axes[axis].terms.empty();  // one element of an iterative rank
      inner *= outer || state_axis ? 1 : tensor.shape[axis];
    }
    const Extent extent = extent_of(ranks.size(), streamed_.size(), rows);
    if (!seen_.insert(access.tensor).second && extent >= use.extent) {
      return;  // the access that names most ranks counts: others read a part, as the last state
    }
    use.extent = extent;
    use.inner_words = inner;
  }

  std::optional<std::string> add_work(std::size_t index) {
    const ir::Einsum& einsum = cascade_.einsums[index];
    Work work;
    work.name = einsum.name;
    work.writes = einsum.output.tensor;
    TensorUse& output = profile_.tensors[static_cast<std::size_t>(work.writes)];
    set_extent(einsum, einsum.output);
    int tensors = 0;
    for (const ir::Operand& operand : einsum.operands) {
      if (const auto* access = std::get_if<ir::Access>(&operand)) {
        ++tensors;
        set_extent(einsum, *access);
        if (std::find(work.reads.begin(), work.reads.end(), access->tensor) == work.reads.end()) {
          work.reads.push_back(access->tensor);
        }
      }
    }
    if (tensors == 0) {
      output.carried = output.carried || einsum.part == ir::Part::initial;
      return std::nullopt;
    }
    const std::optional<UnitCounts> operation = units_of(einsum);
    if (!operation) {
      return fmt::format("einsum {}: no element computes its operation", einsum.name);
    }
    work.operation = *operation;
    work.product = tensors > 1 && einsum.combine == ir::Combine::mul && einsum.reduce == ir::Reduce::sum;
    set_ranks(einsum, work);
    work.pass = std::max(analysis_.einsums[index].pass, 1);
    const int number = static_cast<int>(profile_.works.size());
    einsum_of_.push_back(index);
    for (const int tensor : work.reads) {
      profile_.tensors[static_cast<std::size_t>(tensor)].consumers.push_back(number);
    }
    output.producer = number;
    profile_.works.push_back(std::move(work));
    return std::nullopt;
  }

  void set_ranks(const ir::Einsum& einsum, Work& work) const {
    std::size_t streamed = 0;
    bool rows = false;
    for (std::size_t loop = 0; loop < einsum.loops.size(); ++loop) {
      const std::string& name = einsum.loops[loop].name;
      const bool reduced =
          std::none_of(einsum.output.axes.begin(), einsum.output.axes.end(), [&](const ir::AxisIndex& axis) {
            return std::any_of(axis.terms.begin(), axis.terms.end(),
                               [&](const ir::Term& term) { return term.loop == static_cast<int>(loop); });
          });
      if (streamed_.contains(name)) {
        ++streamed;
        work.reduces_tile = work.reduces_tile || reduced;
      } else if (dimension_of(name) == kRows) {
        rows = true;
      } else {
        work.inner.push_back(einsum.loops[loop].extent);
      }
    }
    work.extent = extent_of(streamed, streamed_.size(), rows);
  }

  /// Offset of the iteration in the access: what is written at i + 1 is read one step later at i.
  static std::int64_t iteration_offset(const ir::Einsum& einsum, const ir::Access& access, const std::string& rank) {
    for (const ir::AxisIndex& axis : access.axes) {
      for (const ir::Term& term : axis.terms) {
        if (einsum.loops[static_cast<std::size_t>(term.loop)].name == rank && axis.terms.size() == 1) {
          return axis.offset;
        }
      }
    }
    return 0;
  }

  void add_dependences() {
    for (std::size_t after = 0; after < profile_.works.size(); ++after) {
      const ir::Einsum& reader = cascade_.einsums[einsum_of_[after]];
      for (const ir::Operand& operand : reader.operands) {
        if (const auto* access = std::get_if<ir::Access>(&operand)) {
          add_dependences(after, *access);
        }
      }
      if (reader.accumulate) {
        add_dependences(after, reader.output);
      }
    }
  }

  /// Of a work on all that write the tensor before it, or in the iteration's step before.
  void add_dependences(std::size_t after, const ir::Access& access) {
    const ir::Einsum& reader = cascade_.einsums[einsum_of_[after]];
    for (std::size_t before = 0; before < profile_.works.size(); ++before) {
      const ir::Einsum& writer = cascade_.einsums[einsum_of_[before]];
      const bool iterates = reader.iteration >= 0 && reader.iteration == writer.iteration;
      if (writer.output.tensor != access.tensor || (before >= after && !iterates)) {
        continue;
      }
      std::int64_t distance = 0;
      if (iterates) {
        const std::string& rank = cascade_.iterations[static_cast<std::size_t>(reader.iteration)].rank;
        distance = iteration_offset(writer, writer.output, rank) - iteration_offset(reader, access, rank);
        // A state without the iteration's rank is overwritten: before its writer one reads the step before.
        distance = before >= after ? std::max<std::int64_t>(distance, 1) : distance;
      }
      profile_.dependences.push_back({static_cast<int>(before), static_cast<int>(after), static_cast<int>(distance)});
    }
  }

  const ir::Workload& cascade_;
  std::set<std::string> streamed_;
  ir::PassAnalysis analysis_;
  std::set<int> seen_;                  ///< tensors whose extent is known
  std::vector<std::size_t> einsum_of_;  ///< by work
  Profile profile_;
};

}  // namespace

std::int64_t Work::inner_points() const noexcept {
  std::int64_t points = 1;
  for (const std::int64_t size : inner) {
    points *= size;
  }
  return points;
}

int Profile::find_work(std::string_view work) const noexcept {
  const auto found = std::find_if(works.begin(), works.end(), [&](const Work& each) { return each.name == work; });
  return found == works.end() ? -1 : static_cast<int>(found - works.begin());
}

Expected<Profile, std::string> make_profile(const ir::Workload& cascade) { return ProfileMaker(cascade).make(); }

}  // namespace cosearch::attention
