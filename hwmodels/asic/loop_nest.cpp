#include "hwmodels/asic/loop_nest.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "spaces/base/check.hpp"
#include "spaces/base/config_error.hpp"

namespace cosearch::asic {
namespace {

/// Loops with a coefficient other than 0, repeated ones once.
std::vector<int> loops_of(const ir::AxisIndex& axis) {
  std::vector<int> loops;
  for (const ir::Term& term : axis.terms) {
    if (std::find(loops.begin(), loops.end(), term.loop) == loops.end()) {
      loops.push_back(term.loop);
    }
  }
  return loops;
}

std::optional<std::string> access_error(const ir::Einsum& einsum, const EinsumTensor& tensor) {
  std::vector<int> used;
  for (const ir::AxisIndex& axis : tensor.access->axes) {
    const std::vector<int> loops = loops_of(axis);
    if (loops.size() > 2) {
      return fmt::format("an axis of {} adds {} loops; a nest can be counted for at most 2", tensor.name, loops.size());
    }
    for (const int loop : loops) {
      if (std::find(used.begin(), used.end(), loop) != used.end()) {
        return fmt::format("{} uses loop {} in several axes; a nest can be counted for one", tensor.name,
                           einsum.loops[static_cast<std::size_t>(loop)].name);
      }
      used.push_back(loop);
    }
    const bool plain = axis.terms.empty() || (axis.terms.size() == 1 && std::abs(axis.terms[0].coefficient) == 1);
    if (tensor.role == Role::output && !plain) {
      return fmt::format("an output axis of {} is not one plain loop", tensor.name);
    }
  }
  return std::nullopt;
}

std::optional<std::string> level_error(const LevelNest& level, const std::string& name, const ir::Einsum& einsum,
                                       std::array<std::int64_t, kMaxDims>& covered, int& steps) {
  std::array<std::int64_t, kMaxDims> spatial_extent{};
  std::array<std::int64_t, kMaxDims> spatial_step{};
  bool temporal_seen = false;
  for (std::size_t i = level.size; i-- > 0;) {
    const NestLoop& loop = level.storage[i];
    if (loop.dim < 0 || static_cast<std::size_t>(loop.dim) >= einsum.loops.size()) {
      return fmt::format("{} has a loop that the einsum does not have", name);
    }
    const auto dim = static_cast<std::size_t>(loop.dim);
    const std::string& loop_name = einsum.loops[dim].name;
    if (loop.extent < covered[dim]) {
      return fmt::format("{} covers {} values of {}, what lies inside of it {}", name, loop.extent, loop_name,
                         covered[dim]);
    }
    temporal_seen = temporal_seen || loop.kind == LoopKind::temporal;
    if (loop.kind != LoopKind::temporal) {
      if (temporal_seen) {
        return fmt::format("{} has a spatial loop outside of a temporal one", name);
      }
      if (spatial_extent[dim] > 0 && spatial_extent[dim] % spatial_step[dim] != 0) {
        return fmt::format("{} splits {} over x and y, and the inner part has a shorter last step", name, loop_name);
      }
      spatial_step[dim] = spatial_extent[dim] > 0 ? spatial_step[dim] : covered[dim];
      spatial_extent[dim] = loop.extent;
    }
    steps += loop.extent > covered[dim] ? 1 : 0;
    covered[dim] = loop.extent;
  }
  return std::nullopt;
}

}  // namespace

void LevelNest::add(int dim, LoopKind kind, std::int64_t extent) {
  COSEARCH_CHECK(size < kMaxNestLoops, "too many loops in a level of a nest");
  storage[size] = {dim, kind, extent};
  ++size;
}

void LevelNest::keep(int tensor, bool value) noexcept {
  const std::uint32_t bit = std::uint32_t{1} << static_cast<unsigned>(tensor);
  kept = value ? kept | bit : kept & ~bit;
}

bool LevelNest::operator==(const LevelNest& other) const {
  const auto mine = loops();
  const auto theirs = other.loops();
  return kept == other.kept && std::equal(mine.begin(), mine.end(), theirs.begin(), theirs.end());
}

Expected<std::vector<EinsumTensor>, std::string> find_einsum_tensors(const ir::Workload& workload,
                                                                     const ir::Einsum& einsum) {
  const auto refuse = [](std::string reason) { return Unexpected{std::move(reason)}; };
  if (einsum.combine != ir::Combine::mul || einsum.reduce != ir::Reduce::sum) {
    return refuse("is not a multiply-accumulate; only `+= mul(...)` can be mapped to a nest");
  }
  if (einsum.loops.size() > kMaxDims) {
    return refuse(fmt::format("has {} loops; a nest has at most {}", einsum.loops.size(), kMaxDims));
  }
  std::vector<EinsumTensor> tensors;
  bool has_weight = false;
  const auto tensor_of = [&](const ir::Access& access) -> const ir::Tensor& {
    return workload.tensors[static_cast<std::size_t>(access.tensor)];
  };
  for (const ir::Operand& operand : einsum.operands) {
    if (const auto* access = std::get_if<ir::Access>(&operand)) {
      const bool weight = tensor_of(*access).kind == ir::TensorKind::weight;
      has_weight = has_weight || weight;
      tensors.push_back({access, tensor_of(*access).name, weight ? Role::weight : Role::input});
    }
  }
  if (tensors.empty() || tensors.size() >= kMaxTensors) {
    return refuse(fmt::format("has {} tensor operands; a nest has 1 to {}", tensors.size(), kMaxTensors - 1));
  }
  if (!has_weight && tensors.size() > 1) {
    tensors.back().role = Role::weight;
  }
  tensors.push_back({&einsum.output, tensor_of(einsum.output).name, Role::output});
  for (const EinsumTensor& tensor : tensors) {
    if (auto error = access_error(einsum, tensor)) {
      return refuse(*std::move(error));
    }
  }
  return tensors;
}

std::vector<EinsumTensor> einsum_tensors(const ir::Workload& workload, const ir::Einsum& einsum) {
  auto tensors = find_einsum_tensors(workload, einsum);
  if (!tensors) {
    throw ConfigError(fmt::format("einsum {}", einsum.name), tensors.error());
  }
  return *std::move(tensors);
}

std::optional<std::string> structure_error(const LoopNest& nest, const ir::Einsum& einsum, const Arch& arch,
                                           int tensors) {
  std::array<std::int64_t, kMaxDims> covered{};
  covered.fill(1);
  int steps = 0;
  for (std::size_t level = 0; level < arch.levels.size(); ++level) {
    if (auto error = level_error(nest.levels[level], arch.levels[level].name, einsum, covered, steps)) {
      return error;
    }
  }
  if (steps > kMaxSteps) {
    return fmt::format("the nest has {} loops of several steps, at most {} are counted", steps, kMaxSteps);
  }
  for (std::size_t dim = 0; dim < einsum.loops.size(); ++dim) {
    if (covered[dim] != einsum.loops[dim].extent) {
      return fmt::format("the nest covers {} values of {}, the einsum has {}", covered[dim], einsum.loops[dim].name,
                         einsum.loops[dim].extent);
    }
  }
  for (int tensor = 0; tensor < tensors; ++tensor) {
    if (!nest.levels[arch.levels.size() - 1].keeps(tensor)) {
      return fmt::format("{} does not keep every tensor", arch.levels.back().name);
    }
  }
  return std::nullopt;
}

}  // namespace cosearch::asic
