#include "hwmodels/asic/array_arch.hpp"

#include <algorithm>

namespace cosearch::asic {
namespace {

bool is_float(ir::ElementType type) {
  return type == ir::ElementType::fp32 || type == ir::ElementType::fp16 || type == ir::ElementType::bf16;
}

constexpr std::array<bool, kRoles> kEverything{true, true, true};

}  // namespace

Arch array_arch(const ArrayKnobs& knobs, ir::ElementType type) {
  const std::int64_t bits = 8 * ir::size_bytes(type);
  Arch arch;
  arch.name = "asic";
  arch.frequency_hz = knobs.frequency_hz;
  arch.mac_type = type;
  arch.macs = {knobs.columns, knobs.rows};
  arch.vector_lanes = knobs.columns;
  MemoryLevel registers;
  registers.name = "Registers";
  registers.capacity_words = knobs.register_words;
  registers.word_bits = bits;
  registers.read_bandwidth = 2.0;
  registers.write_bandwidth = 2.0;
  registers.instances = arch.macs;
  registers.keeps = kEverything;
  MemoryLevel buffer;
  buffer.name = "Buffer";
  buffer.capacity_words = knobs.buffer_bytes * 8 / bits;
  buffer.word_bits = bits;
  buffer.block_words = 64 / bits;
  buffer.read_bandwidth = knobs.buffer_bytes_per_cycle > 0.0
                              ? knobs.buffer_bytes_per_cycle * 8.0 / static_cast<double>(bits)
                              : static_cast<double>(knobs.rows + knobs.columns);
  buffer.write_bandwidth = static_cast<double>(knobs.columns);
  buffer.double_buffered = true;
  buffer.keeps = kEverything;
  MemoryLevel dram;
  dram.name = "DRAM";
  dram.word_bits = bits;
  dram.read_bandwidth = knobs.bytes_per_second / knobs.frequency_hz * 8.0 / static_cast<double>(bits);
  dram.write_bandwidth = dram.read_bandwidth;
  dram.ports = 1;
  dram.keeps = kEverything;
  dram.dram = knobs.dram;
  arch.levels = {registers, buffer, dram};
  return arch;
}

ir::ElementType widest_operand(const Job& job) {
  std::vector<ir::ElementType> types{job.types.activation, job.types.weight};
  if (job.phase == graph::Phase::training) {
    types.push_back(job.types.gradient);
  }
  return *std::max_element(types.begin(), types.end(), [](ir::ElementType a, ir::ElementType b) {
    return std::pair(is_float(a), ir::size_bytes(a)) < std::pair(is_float(b), ir::size_bytes(b));
  });
}

bool can_multiply(ir::ElementType multiplier, ir::ElementType operand) {
  return is_float(multiplier) == is_float(operand) && ir::size_bytes(multiplier) >= ir::size_bytes(operand);
}

}  // namespace cosearch::asic
