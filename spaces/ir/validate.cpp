#include "spaces/ir/validate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "spaces/ir/checked.hpp"

namespace cosearch::ir {
namespace {

/// Operands that a combination takes; no upper bound for n-ary ones.
struct Arity {
  std::size_t least = 1;
  std::optional<std::size_t> most;
};

Arity arity(Combine combine) {
  switch (combine) {
    case Combine::add:
    case Combine::mul:
    case Combine::max:
    case Combine::min:
    case Combine::opaque:
      return {1, std::nullopt};
    case Combine::sub:
    case Combine::div:
    case Combine::exp_sub:
    case Combine::relu_grad:
    case Combine::relu6_grad:
    case Combine::hard_swish_grad:
    case Combine::gelu_grad:
      return {2, 2};
    case Combine::equal_select:
      return {3, 3};
    case Combine::copy:
    case Combine::exp:
    case Combine::sqrt:
    case Combine::rsqrt:
    case Combine::round:
    case Combine::relu:
    case Combine::relu6:
    case Combine::hard_swish:
    case Combine::gelu:
    case Combine::sigmoid:
    case Combine::tanh:
      return {1, 1};
  }
  return {1, 1};
}

std::optional<std::int64_t> product(const std::vector<std::int64_t>& extents) {
  std::optional<std::int64_t> value = 1;
  for (const std::int64_t extent : extents) {
    value = value ? multiply(*value, extent) : value;
  }
  return value;
}

bool is_written(const Workload& workload, int tensor) {
  return std::any_of(workload.einsums.begin(), workload.einsums.end(),
                     [&](const Einsum& einsum) { return einsum.output.tensor == tensor; });
}

/// Smallest and largest index of an axis over the whole nest fit in 64 bits.
bool index_fits(const AxisIndex& axis, const std::vector<std::int64_t>& extents) {
  std::optional<std::int64_t> lowest = axis.offset;
  std::optional<std::int64_t> highest = axis.offset;
  for (const Term& term : axis.terms) {
    const auto reach = multiply(term.coefficient, extents[static_cast<std::size_t>(term.loop)] - 1);
    auto& bound = term.coefficient < 0 ? lowest : highest;
    bound = reach && bound ? add(*bound, *reach) : std::nullopt;
  }
  return lowest && highest && add(*highest, 1) && *lowest > INT64_MIN / 2 && *highest < INT64_MAX / 2;
}

class EinsumChecker {
 public:
  EinsumChecker(const Workload& workload, std::size_t index, std::vector<Problem>& problems)
      : workload_(workload), einsum_(workload.einsums[index]), index_(index), problems_(problems) {}

  void check() {
    if (!loops_are_sound()) {
      return;  // everything else is told in terms of the loops
    }
    bool accesses_sound = access_is_sound(einsum_.output, "output");
    for (std::size_t i = 0; i < einsum_.operands.size(); ++i) {
      accesses_sound = operand_is_sound(i) && accesses_sound;
    }
    check_operand_count();
    check_numbers();
    check_opaque();
    check_iteration();
    if (accesses_sound) {
      check_written_once();
      check_gathered_index();
    }
  }

 private:
  template <class... Args>
  void report(fmt::format_string<Args...> format, Args&&... args) {
    problems_.push_back(
        {ProblemPlace::einsum, index_,
         fmt::format("einsum \"{}\": ", einsum_.name) + fmt::format(format, std::forward<Args>(args)...)});
  }

  bool loops_are_sound() {
    std::set<std::string> names;
    bool sound = true;
    for (const Loop& loop : einsum_.loops) {
      if (loop.name.empty() || !names.insert(loop.name).second) {
        report("loop names are not empty and different, read \"{}\"", loop.name);
        sound = false;
      }
      if (loop.extent < 1) {
        report("loop \"{}\" has extent {}, allowed: at least 1", loop.name, loop.extent);
        sound = false;
      }
      extents_.push_back(loop.extent);
    }
    if (sound && !product(extents_)) {
      report("its iterations do not fit in 64 bits");
      sound = false;
    }
    return sound;
  }

  bool access_is_sound(const Access& access, const std::string& what) {
    if (access.tensor < 0 || static_cast<std::size_t>(access.tensor) >= workload_.tensors.size()) {
      report("{} names tensor {} of {}", what, access.tensor, workload_.tensors.size());
      return false;
    }
    const Tensor& tensor = workload_.tensors[static_cast<std::size_t>(access.tensor)];
    if (access.axes.size() != tensor.shape.size()) {
      report("{} has {} indices, tensor \"{}\" has {} axes", what, access.axes.size(), tensor.name,
             tensor.shape.size());
      return false;
    }
    for (const AxisIndex& axis : access.axes) {
      for (const Term& term : axis.terms) {
        if (term.loop < 0 || static_cast<std::size_t>(term.loop) >= einsum_.loops.size()) {
          report("{} names loop {} of {}", what, term.loop, einsum_.loops.size());
          return false;
        }
      }
      if (!index_fits(axis, extents_)) {
        report("an index of {} does not fit in 62 bits", what);
        return false;
      }
    }
    return true;
  }

  bool operand_is_sound(std::size_t i) {
    const std::string what = fmt::format("operand {}", i + 1);
    const Operand& operand = einsum_.operands[i];
    if (const auto* literal = std::get_if<double>(&operand)) {
      if (std::isnan(*literal)) {
        report("{} is not a number", what);
        return false;
      }
      return true;
    }
    const auto& access = std::get<Access>(operand);
    if (!access_is_sound(access, what)) {
      return false;
    }
    if (!is_given(workload_, access.tensor) && !is_written(workload_, access.tensor)) {
      report("{} reads \"{}\", which is neither an input, a weight or a state nor written by an einsum", what,
             workload_.tensors[static_cast<std::size_t>(access.tensor)].name);
    }
    return true;
  }

  void check_operand_count() {
    Arity allowed = arity(einsum_.combine);
    if (einsum_.combine == Combine::opaque && einsum_.opaque) {
      if (einsum_.opaque->kind == "argmax" || einsum_.opaque->kind == "top_k") {
        allowed = {1, 1};
      } else if (einsum_.opaque->kind == "gather" || einsum_.opaque->kind == "scatter_add" ||
                 einsum_.opaque->kind == "queue") {
        allowed = {2, 2};
      }
    }
    const std::size_t count = einsum_.operands.size();
    if (count < allowed.least || (allowed.most && count > *allowed.most)) {
      report("has {} operands, allowed: {}{}", count, allowed.least, allowed.most ? "" : " or more");
    }
  }

  void check_numbers() {
    if (!std::isfinite(einsum_.scale)) {
      report("scale is not finite");
    }
    if (std::isnan(einsum_.padding)) {
      report("padding is not a number");
    }
    if (einsum_.accumulate && einsum_.reduce == Reduce::none) {
      report("accumulates, but does not reduce");
    }
  }

  void check_opaque() {
    if ((einsum_.combine == Combine::opaque) != einsum_.opaque.has_value()) {
      report("costs are stated by opaque einsums, and only by them");
    }
    if (!einsum_.opaque) {
      return;
    }
    const Opaque& opaque = *einsum_.opaque;
    if (opaque.kind.empty()) {
      report("an opaque einsum has a kind");
    }
    if (opaque.operations < 0 || opaque.read_elements < 0 || opaque.written_elements < 0) {
      report("stated costs are not negative");
    }
    const bool adds = opaque.kind == "scatter_add" && einsum_.accumulate && einsum_.reduce == Reduce::sum;
    if ((einsum_.reduce != Reduce::none && !adds) || einsum_.scale != 1.0) {
      report("an opaque einsum neither reduces nor scales; only a scatter_add may accumulate");
    }
  }

  void check_iteration() {
    if (einsum_.iteration == -1) {
      check_part();
      return;
    }
    if (einsum_.iteration < 0 || static_cast<std::size_t>(einsum_.iteration) >= workload_.iterations.size()) {
      report("names iteration {} of {}", einsum_.iteration, workload_.iterations.size());
      return;
    }
    if (einsum_.part != Part::body) {
      report("an einsum inside an iteration is part of its body");
    }
    const Iteration& iteration = workload_.iterations[static_cast<std::size_t>(einsum_.iteration)];
    const Loop needed{iteration.rank, iteration.extent};
    if (std::find(einsum_.loops.begin(), einsum_.loops.end(), needed) == einsum_.loops.end()) {
      report("has no loop \"{}\" of extent {}, the rank of its iteration", iteration.rank, iteration.extent);
    }
  }

  /// Initial einsums have an iteration after them, final ones have one before them.
  void check_part() {
    const auto iterates = [](const Einsum& einsum) { return einsum.iteration >= 0; };
    const auto here = workload_.einsums.begin() + static_cast<std::ptrdiff_t>(index_);
    if (einsum_.part == Part::initial && std::none_of(here, workload_.einsums.end(), iterates)) {
      report("is an initial part, but no iteration follows");
    }
    if (einsum_.part == Part::final && std::none_of(workload_.einsums.begin(), here, iterates)) {
      report("is a final part, but no iteration precedes");
    }
  }

  void check_written_once() {
    if (einsum_.reduce != Reduce::none || einsum_.combine == Combine::opaque) {
      return;
    }
    std::vector<std::int64_t> step = extents_;
    for (std::size_t i = 0; i < step.size(); ++i) {
      if (einsum_.iteration >= 0 && static_cast<std::size_t>(einsum_.iteration) < workload_.iterations.size() &&
          einsum_.loops[i].name == workload_.iterations[static_cast<std::size_t>(einsum_.iteration)].rank) {
        step[i] = 1;  // each step may write anew
      }
    }
    if (footprint(einsum_.output, step, FootprintKind::exact) != *product(step)) {
      report("writes elements more than once without reducing");
    }
  }

  /// The index of a gather is known before the search begins.
  void check_gathered_index() {
    if (!einsum_.opaque || einsum_.opaque->kind != "gather" || einsum_.operands.empty()) {
      return;
    }
    const auto* index = std::get_if<Access>(&einsum_.operands[0]);
    for (int loop = 0; loop < static_cast<int>(einsum_.loops.size()); ++loop) {
      if (index != nullptr && names_loop(*index, loop) && !names_loop(einsum_.output, loop)) {
        report("the index of a gather names loop \"{}\", which its output does not name",
               einsum_.loops[static_cast<std::size_t>(loop)].name);
      }
    }
  }

  const Workload& workload_;
  const Einsum& einsum_;
  std::size_t index_;
  std::vector<Problem>& problems_;
  std::vector<std::int64_t> extents_;
};

void check_tensors(const Workload& workload, std::vector<Problem>& problems) {
  std::set<std::string> names;
  for (std::size_t i = 0; i < workload.tensors.size(); ++i) {
    const Tensor& tensor = workload.tensors[i];
    const auto report = [&](const std::string& message) {
      problems.push_back({ProblemPlace::tensor, i, fmt::format("tensor \"{}\": {}", tensor.name, message)});
    };
    if (tensor.name.empty() || !names.insert(tensor.name).second) {
      report("names of tensors are not empty and different");
    }
    if (std::any_of(tensor.shape.begin(), tensor.shape.end(), [](std::int64_t extent) { return extent < 1; })) {
      report("every extent is at least 1");
    } else if (!product(tensor.shape)) {
      report("its elements do not fit in 64 bits");
    }
  }
}

void check_iterations(const Workload& workload, std::vector<Problem>& problems) {
  for (std::size_t i = 0; i < workload.iterations.size(); ++i) {
    const Iteration& iteration = workload.iterations[i];
    if (iteration.rank.empty() || iteration.extent < 1) {
      problems.push_back({ProblemPlace::iteration, i,
                          fmt::format("iteration \"{}\": has a name and an extent of at least 1, read {}",
                                      iteration.rank, iteration.extent)});
    }
  }
}

/// True when all indices are of tensors, so that einsums may be checked against them.
bool check_roles(const Workload& workload, std::vector<Problem>& problems) {
  bool sound = true;
  using Role = std::pair<std::string_view, const std::vector<int>*>;
  for (const auto& [role, tensors] : std::array{Role{"inputs", &workload.inputs}, Role{"outputs", &workload.outputs}}) {
    std::set<int> seen;
    for (const int tensor : *tensors) {
      if (tensor < 0 || static_cast<std::size_t>(tensor) >= workload.tensors.size()) {
        problems.push_back(
            {ProblemPlace::workload, 0, fmt::format("{} name tensor {} of {}", role, tensor, workload.tensors.size())});
        sound = false;
      } else if (!seen.insert(tensor).second) {
        problems.push_back({ProblemPlace::workload, 0,
                            fmt::format("{} name tensor \"{}\" twice", role,
                                        workload.tensors[static_cast<std::size_t>(tensor)].name)});
      }
    }
  }
  return sound;
}

void check_outputs(const Workload& workload, std::vector<Problem>& problems) {
  for (const int tensor : workload.outputs) {
    if (!is_written(workload, tensor) && !is_given(workload, tensor)) {
      problems.push_back({ProblemPlace::tensor, static_cast<std::size_t>(tensor),
                          fmt::format("tensor \"{}\": is an output, but no einsum writes it",
                                      workload.tensors[static_cast<std::size_t>(tensor)].name)});
    }
  }
}

}  // namespace

bool is_given(const Workload& workload, int tensor) {
  const TensorKind kind = workload.tensors[static_cast<std::size_t>(tensor)].kind;
  return kind == TensorKind::weight || kind == TensorKind::state ||
         std::find(workload.inputs.begin(), workload.inputs.end(), tensor) != workload.inputs.end();
}

bool names_loop(const Access& access, int loop) noexcept {
  return std::any_of(access.axes.begin(), access.axes.end(), [&](const AxisIndex& axis) {
    return std::any_of(axis.terms.begin(), axis.terms.end(),
                       [&](const Term& term) { return term.loop == loop && term.coefficient != 0; });
  });
}

std::vector<Problem> find_problems(const Workload& workload) {
  std::vector<Problem> problems;
  check_tensors(workload, problems);
  check_iterations(workload, problems);
  if (!check_roles(workload, problems)) {
    return problems;
  }
  std::set<std::string> names;
  for (std::size_t i = 0; i < workload.einsums.size(); ++i) {
    const std::string& name = workload.einsums[i].name;
    if (name.empty() || !names.insert(name).second) {
      problems.push_back(
          {ProblemPlace::einsum, i, fmt::format("einsum \"{}\": names of einsums are not empty and different", name)});
    }
    EinsumChecker{workload, i, problems}.check();
  }
  check_outputs(workload, problems);
  if (problems.empty()) {
    check_order(workload, problems);
  }
  return problems;
}

std::vector<std::string> validate(const Workload& workload) {
  std::vector<std::string> lines;
  for (Problem& problem : find_problems(workload)) {
    lines.push_back(std::move(problem.message));
  }
  return lines;
}

}  // namespace cosearch::ir
