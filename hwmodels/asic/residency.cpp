#include "hwmodels/asic/residency.hpp"

#include <algorithm>

namespace cosearch::asic {
namespace {

/// What einsum `index` reads may be read until here: the last einsum of its iteration, which begins again.
std::size_t read_until(const ir::Workload& workload, std::size_t index) {
  const int iteration = workload.einsums[index].iteration;
  while (iteration >= 0 && index + 1 < workload.einsums.size() && workload.einsums[index + 1].iteration == iteration) {
    ++index;
  }
  return index;
}

/// Reads of each tensor by all einsums.
std::vector<int> reads_of(const ir::Workload& workload) {
  std::vector<int> reads(workload.tensors.size(), 0);
  for (const ir::Einsum& einsum : workload.einsums) {
    for (const ir::Operand& operand : einsum.operands) {
      if (const auto* access = std::get_if<ir::Access>(&operand)) {
        ++reads[static_cast<std::size_t>(access->tensor)];
      }
    }
  }
  return reads;
}

bool element_wise(const ir::Einsum& einsum) {
  return einsum.reduce == ir::Reduce::none && einsum.combine != ir::Combine::opaque && !einsum.accumulate;
}

/// Writes every element of its output, each once for good.
bool writes_all(const ir::Workload& workload, const ir::Einsum& einsum) {
  std::int64_t written = 1;
  for (const ir::AxisIndex& axis : einsum.output.axes) {
    if (axis.terms.size() > 1 || axis.offset != 0) {
      return false;
    }
    written *= axis.terms.empty() ? 1 : einsum.loops[static_cast<std::size_t>(axis.terms[0].loop)].extent;
  }
  return written == workload.tensors[static_cast<std::size_t>(einsum.output.tensor)].elements() && !einsum.accumulate;
}

}  // namespace

Residency::Residency(const ir::Workload& workload, std::int64_t capacity_bytes, std::int64_t element_bits)
    : workload_(workload),
      capacity_(capacity_bytes),
      element_bits_(element_bits),
      first_written_(workload.tensors.size(), workload.einsums.size()),
      last_read_(workload.tensors.size(), -1),
      resident_(workload.tensors.size(), false) {
  for (std::size_t i = 0; i < workload.einsums.size(); ++i) {
    const auto until = static_cast<std::int64_t>(read_until(workload, i));
    for (const ir::Operand& operand : workload.einsums[i].operands) {
      if (const auto* access = std::get_if<ir::Access>(&operand)) {
        last_read_[static_cast<std::size_t>(access->tensor)] = until;
      }
    }
    std::size_t& first = first_written_[static_cast<std::size_t>(workload.einsums[i].output.tensor)];
    first = std::min(first, i);
  }
  for (const int output : workload.outputs) {
    last_read_[static_cast<std::size_t>(output)] = -1;
  }
}

void Residency::enter(std::size_t index, int tensor) {
  const auto t = static_cast<std::size_t>(tensor);
  const std::int64_t bytes = bytes_of(t);
  if (first_written_[t] >= index && last_read_[t] > static_cast<std::int64_t>(index) && used_ + bytes <= capacity_ &&
      !resident_[t]) {
    resident_[t] = true;
    used_ += bytes;
  }
}

void Residency::leave(std::size_t index) {
  for (std::size_t tensor = 0; tensor < resident_.size(); ++tensor) {
    if (last_read_[tensor] <= static_cast<std::int64_t>(index)) {
      release(static_cast<int>(tensor));
    }
  }
}

void Residency::release(int tensor) {
  const auto t = static_cast<std::size_t>(tensor);
  if (resident_[t]) {
    resident_[t] = false;
    used_ -= bytes_of(t);
  }
}

std::vector<std::pair<std::string, std::int64_t>> Residency::buffers() const {
  std::vector<std::pair<std::string, std::int64_t>> list;
  for (std::size_t tensor = 0; tensor < resident_.size(); ++tensor) {
    if (resident_[tensor]) {
      list.emplace_back(workload_.tensors[tensor].name, bytes_of(tensor));
    }
  }
  return list;
}

std::int64_t Residency::bytes_of(std::size_t tensor) const {
  return (workload_.tensors[tensor].elements() * element_bits_ + 7) / 8;
}

std::vector<bool> fused_with_next(const ir::Workload& workload) {
  const std::vector<int> reads = reads_of(workload);
  std::vector<int> writers(workload.tensors.size(), 0);
  for (const ir::Einsum& einsum : workload.einsums) {
    ++writers[static_cast<std::size_t>(einsum.output.tensor)];
  }
  std::vector<bool> fused(workload.einsums.size(), false);
  for (std::size_t i = 0; i + 1 < workload.einsums.size(); ++i) {
    const ir::Einsum& producer = workload.einsums[i];
    const ir::Einsum& consumer = workload.einsums[i + 1];
    const auto tensor = static_cast<std::size_t>(producer.output.tensor);
    const bool wanted =
        std::find(workload.outputs.begin(), workload.outputs.end(), producer.output.tensor) != workload.outputs.end();
    if (wanted || reads[tensor] != 1 || writers[tensor] != 1 || !element_wise(consumer) ||
        producer.iteration != consumer.iteration || producer.part != consumer.part || !writes_all(workload, producer) ||
        !writes_all(workload, consumer)) {
      continue;
    }
    for (const ir::Operand& operand : consumer.operands) {
      const auto* access = std::get_if<ir::Access>(&operand);
      fused[i] = fused[i] || (access != nullptr && access->tensor == producer.output.tensor &&
                              access->axes == consumer.output.axes);
    }
  }
  return fused;
}

}  // namespace cosearch::asic
