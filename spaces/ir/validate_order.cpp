#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "spaces/ir/validate.hpp"

// Reads of what nothing has written yet, found without executing: by the order of the einsums and, inside an iteration,
// by the steps in which an element of the iterative rank is written and read.
namespace cosearch::ir {
namespace {

/// Steps of an iteration that are looked at: what is wrong is so in the first ones.
constexpr std::int64_t kMostSteps = 64;

/// Smallest and largest index of an axis over a whole nest.
struct Range {
  std::int64_t lowest = 0;
  std::int64_t highest = 0;
  [[nodiscard]] bool has(std::int64_t index) const { return lowest <= index && index <= highest; }
};

Range range(const AxisIndex& axis, const Einsum& einsum) {
  Range result{axis.offset, axis.offset};
  for (const Term& term : axis.terms) {
    const std::int64_t reach = term.coefficient * (einsum.loops[static_cast<std::size_t>(term.loop)].extent - 1);
    (reach < 0 ? result.lowest : result.highest) += reach;
  }
  return result;
}

/// An axis whose index is `coefficient` * step + `offset`; the coefficient is 0 where no loop is named.
struct StepIndex {
  std::int64_t coefficient = 0;
  std::int64_t offset = 0;
};

class OrderChecker {
 public:
  OrderChecker(const Workload& workload, std::vector<Problem>& problems) : workload_(workload), problems_(problems) {}

  void check() {
    for (std::size_t e = 0; e < workload_.einsums.size(); ++e) {
      find_block(e);
      const Einsum& einsum = workload_.einsums[e];
      for (const Operand& operand : einsum.operands) {
        if (const auto* access = std::get_if<Access>(&operand)) {
          check_read(e, *access);
        }
      }
      if (einsum.accumulate) {
        check_read(e, einsum.output);
      }
    }
  }

 private:
  /// The einsums that run step by step together with `e`; just `e` outside of iterations.
  void find_block(std::size_t e) {
    const int iteration = workload_.einsums[e].iteration;
    begin_ = e;
    end_ = e + 1;
    while (iteration >= 0 && begin_ > 0 && workload_.einsums[begin_ - 1].iteration == iteration) {
      --begin_;
    }
    while (iteration >= 0 && end_ < workload_.einsums.size() && workload_.einsums[end_].iteration == iteration) {
      ++end_;
    }
  }

  void report(std::size_t e, const std::string& message) {
    problems_.push_back(
        {ProblemPlace::einsum, e, fmt::format("einsum \"{}\": {}", workload_.einsums[e].name, message)});
  }

  [[nodiscard]] const std::string& tensor_name(const Access& access) const {
    return workload_.tensors[static_cast<std::size_t>(access.tensor)].name;
  }

  [[nodiscard]] bool writes(std::size_t e, const Access& access) const {
    return workload_.einsums[e].output.tensor == access.tensor;
  }

  /// The first einsum in [from, to) that writes the tensor.
  [[nodiscard]] std::optional<std::size_t> writer(const Access& access, std::size_t from, std::size_t to) const {
    for (std::size_t e = from; e < to; ++e) {
      if (writes(e, access)) {
        return e;
      }
    }
    return std::nullopt;
  }

  void check_read(std::size_t e, const Access& access) {
    if (is_given(workload_, access.tensor)) {
      return;
    }
    // Inside an iteration what a later einsum of the block writes may come from an earlier step.
    const bool iterates = workload_.einsums[e].iteration >= 0;
    if (!writer(access, 0, iterates ? end_ : e)) {
      const auto later = writer(access, e, workload_.einsums.size());
      report(e, fmt::format("reads \"{}\" before einsum \"{}\", the first one to write it", tensor_name(access),
                            workload_.einsums[*later].name));
    } else if (check_elements(e, access) && iterates && writer(access, begin_, end_)) {
      check_steps(e, access);
    }
  }

  /// False when an index that names no loop is one that no einsum up to the end of the block writes.
  bool check_elements(std::size_t e, const Access& access) {
    const Tensor& tensor = workload_.tensors[static_cast<std::size_t>(access.tensor)];
    for (std::size_t a = 0; a < access.axes.size(); ++a) {
      const std::int64_t index = access.axes[a].offset;
      if (!access.axes[a].terms.empty() || index < 0 || index >= tensor.shape[a]) {
        continue;
      }
      bool written = false;
      for (std::size_t w = 0; w < end_; ++w) {
        const Einsum& einsum = workload_.einsums[w];
        written = written || (writes(w, access) && range(einsum.output.axes[a], einsum).has(index));
      }
      if (!written) {
        report(e, fmt::format("reads index {} of axis {} of \"{}\", which nothing before it writes", index, a,
                              tensor.name));
        return false;
      }
    }
    return true;
  }

  [[nodiscard]] bool names_rank(const Einsum& einsum, const AxisIndex& axis) const {
    const std::string& rank = workload_.iterations[static_cast<std::size_t>(einsum.iteration)].rank;
    return std::any_of(axis.terms.begin(), axis.terms.end(), [&](const Term& term) {
      return einsum.loops[static_cast<std::size_t>(term.loop)].name == rank;
    });
  }

  /// How an axis of an access moves with the steps of the iteration; nothing where other loops move it too.
  [[nodiscard]] std::optional<StepIndex> step_index(const Einsum& einsum, const AxisIndex& axis) const {
    StepIndex index{0, axis.offset};
    const std::string& rank = workload_.iterations[static_cast<std::size_t>(einsum.iteration)].rank;
    for (const Term& term : axis.terms) {
      if (einsum.loops[static_cast<std::size_t>(term.loop)].name != rank) {
        return std::nullopt;
      }
      index.coefficient += term.coefficient;
    }
    return index;
  }

  /// Inside an iteration: each element is there before the step that reads it.
  void check_steps(std::size_t e, const Access& access) {
    const Einsum& einsum = workload_.einsums[e];
    const Tensor& tensor = workload_.tensors[static_cast<std::size_t>(access.tensor)];
    const std::int64_t extent = workload_.iterations[static_cast<std::size_t>(einsum.iteration)].extent;
    bool depends = false;  // which elements are read depends on the step
    for (std::size_t a = 0; a < access.axes.size(); ++a) {
      const auto read = step_index(einsum, access.axes[a]);
      depends = depends || names_rank(einsum, access.axes[a]);
      if (!read || read->coefficient == 0) {
        continue;
      }
      for (std::int64_t step = 0; step < std::min(extent, kMostSteps); ++step) {
        const std::int64_t index = read->coefficient * step + read->offset;
        if (index >= 0 && index < tensor.shape[a] && !check_step(e, access, a, step, index)) {
          return;
        }
      }
    }
    if (!depends && !writer(access, 0, e)) {
      const std::string& later = workload_.einsums[*writer(access, e, end_)].name;
      report(e, fmt::format("reads \"{}\" in the first step before einsum \"{}\" writes it: the iteration has no "
                            "initial element",
                            tensor.name, later));
    }
  }

  /// False when nothing has written `index` of the axis when `step` reads it.
  bool check_step(std::size_t e, const Access& access, std::size_t axis, std::int64_t step, std::int64_t index) {
    for (std::size_t w = 0; w < begin_; ++w) {
      const Einsum& einsum = workload_.einsums[w];
      if (writes(w, access) && range(einsum.output.axes[axis], einsum).has(index)) {
        return true;
      }
    }
    const std::int64_t extent = workload_.iterations[static_cast<std::size_t>(workload_.einsums[e].iteration)].extent;
    std::optional<std::pair<std::size_t, std::int64_t>> too_late;
    for (std::size_t w = begin_; w < end_; ++w) {
      if (!writes(w, access)) {
        continue;
      }
      const auto written = step_index(workload_.einsums[w], workload_.einsums[w].output.axes[axis]);
      std::int64_t when = 0;  // what other loops move as well may be written in the first step
      if (written && written->coefficient != 0) {
        if ((index - written->offset) % written->coefficient != 0) {
          continue;
        }
        when = (index - written->offset) / written->coefficient;
      } else if (written && written->offset != index) {
        continue;
      }
      if (when >= 0 && (when < step || (when == step && w < e))) {
        return true;
      }
      if (when >= step && when < extent) {
        too_late = {w, when};
      }
    }
    const std::string what =
        fmt::format("reads index {} of axis {} of \"{}\" in step {}", index, axis, tensor_name(access), step);
    if (too_late) {
      const std::string& late = workload_.einsums[too_late->first].name;
      report(e, too_late->second == step
                    ? fmt::format("{}, but einsum \"{}\" writes it only afterwards in that step", what, late)
                    : fmt::format("{}, but einsum \"{}\" writes it only in step {}", what, late, too_late->second));
    } else {
      report(e, what + ", which nothing has written: the iteration has no initial element");
    }
    return false;
  }

  const Workload& workload_;
  std::vector<Problem>& problems_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace

void check_order(const Workload& workload, std::vector<Problem>& problems) { OrderChecker{workload, problems}.check(); }

}  // namespace cosearch::ir
