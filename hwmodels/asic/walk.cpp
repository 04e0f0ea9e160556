#include "hwmodels/asic/walk.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "hwmodels/asic/einsum_steps.hpp"
#include "hwmodels/layers.hpp"
#include "spaces/base/check.hpp"

namespace cosearch::asic {
namespace {

constexpr double kBitsPerByte = 8.0;

std::int64_t resident_bits(const Chip& chip) {
  return chip.resident_level < 0 ? 8 : chip.arch.levels[static_cast<std::size_t>(chip.resident_level)].word_bits;
}

std::int64_t resident_capacity_bytes(const Chip& chip) {
  return chip.resident_level < 0 ? 0
                                 : *chip.halved.levels[static_cast<std::size_t>(chip.resident_level)].capacity_words *
                                       resident_bits(chip) / 8;
}

double cycles_at(const MemoryLevel& level, double read, double written) {
  const double reading = level.read_bandwidth ? std::ceil(read / *level.read_bandwidth) : 0.0;
  const double writing = level.write_bandwidth ? std::ceil(written / *level.write_bandwidth) : 0.0;
  return level.ports == 1 ? reading + writing : std::max(reading, writing);
}

/// Everything that adds up, `times` over.
void add(const LayerCost& once, double times, LayerCost& layer) {
  layer.macs += once.macs * static_cast<std::int64_t>(times);
  layer.cycles += once.cycles * times;
  layer.traffic_bytes += once.traffic_bytes * times;
  for (const auto& [name, value] : once.parts) {
    layer.parts[name] += value * times;
  }
}

}  // namespace

Walk::Walk(const Chip& chip, const ir::Workload& workload, std::span<const graph::QueuedEinsums> queues)
    : chip_(chip),
      workload_(workload),
      fused_(chip.options.fusion ? fused_with_next(workload) : std::vector<bool>(workload.einsums.size(), false)),
      residency_(workload, resident_capacity_bytes(chip), resident_bits(chip)),
      queues_(queues),
      path_(chip.options.expert_prefetch ? weight_path(chip.arch) : std::nullopt) {
  for (std::size_t i = 0; i < workload.einsums.size(); ++i) {
    if (workload.einsums[i].iteration >= 0) {
      steps_.emplace(i, one_step(workload, workload.einsums[i]));
    }
  }
}

const ir::Einsum& Walk::einsum(std::size_t index) const {
  const auto step = steps_.find(index);
  return step == steps_.end() ? workload_.einsums[index] : step->second;
}

void Walk::enter(std::size_t index) {
  if (chip_.resident_level >= 0 && chip_.options.residency) {
    residency_.enter(index, final_tensor(index));
  }
}

int Walk::final_tensor(std::size_t index) const {
  while (fused_[index]) {
    ++index;
  }
  return workload_.einsums[index].output.tensor;
}

Residents Walk::residents(std::size_t index, std::span<const EinsumTensor> tensors) const {
  Residents result;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const int tensor = tensors[i].role == Role::output ? final_tensor(index) : tensors[i].access->tensor;
    const bool keeps =
        chip_.resident_level >= 0 && chip_.arch.levels[static_cast<std::size_t>(chip_.resident_level)].keeps.at(
                                         static_cast<std::size_t>(tensors[i].role));
    result.tensors |= keeps && residency_.holds(tensor) ? std::uint32_t{1} << i : 0U;
  }
  result.halved = residency_.used_bytes() > 0;
  return result;
}

void Walk::add_cycles(double cycles, int bound_level, LayerCost& layer) const {
  layer.cycles += cycles;
  layer.parts["static_pj"] += chip_.pricing.static_pj(cycles);
  if (bound_level >= 0) {
    layer.parts[chip_.arch.levels[static_cast<std::size_t>(bound_level)].name + "_bound_cycles"] += cycles;
  }
}

template <class AddStep>
void Walk::for_all_steps(std::size_t index, LayerCost& layer, const AddStep& add_step) const {
  const std::int64_t steps = steps_of(workload_, workload_.einsums[index]);
  if (steps == 1) {
    add_step(layer);
    return;
  }
  LayerCost once;
  add_step(once);
  add(once, static_cast<double>(steps), layer);
}

void Walk::add_product(std::size_t index, const ProductCost& cost, LayerCost& layer, MemoryStep& memory) {
  for_all_steps(index, layer, [&](LayerCost& step) { add_product_step(index, cost, step, memory); });
}

void Walk::add_operation(std::size_t index, LayerCost& layer, MemoryStep& memory) {
  for_all_steps(index, layer, [&](LayerCost& step) { add_operation_step(index, step, memory); });
}

void Walk::add_product_step(std::size_t index, const ProductCost& cost, LayerCost& layer, MemoryStep& memory) {
  const Arch& arch = chip_.arch;
  for (std::size_t level = 0; level < arch.levels.size(); ++level) {
    layer.parts[arch.levels[level].name + "_pj"] += cost.level_pj[level];
  }
  layer.parts["mac_pj"] += cost.mac_pj;
  layer.parts["reduction_pj"] += cost.reduction_pj;
  layer.parts["network_pj"] += cost.network_pj;
  layer.parts["compute_cycles"] += cost.compute_cycles;
  layer.parts["fill_cycles"] += static_cast<double>(arch.fill_cycles);
  Outer outer{cost.outer_reads, cost.outer_writes, cost.bound_level, false};
  layer.traffic_bytes +=
      (outer.reads + outer.writes) * static_cast<double>(arch.levels.back().word_bits) / kBitsPerByte;
  const ir::Einsum& einsum = this->einsum(index);
  layer.macs += ir::operation_counts(einsum).macs;
  busy_ = {cost.compute_cycles, 0.0, cost.level_cycles, cost.cycles + static_cast<double>(arch.fill_cycles), 0.0};
  if (einsum.accumulate) {  // a nest starts from nothing: what is added to comes first
    Streams before;
    before.read = static_cast<double>(touched_elements(workload_, einsum, einsum.output));
    before.outer_read = residency_.holds(einsum.output.tensor) ? 0.0 : before.read;
    layer.traffic_bytes += before.outer_read * static_cast<double>(arch.levels.back().word_bits) / kBitsPerByte;
    Busy reading;
    move(before, reading, layer);
    int ignored = -1;
    busy_.cycles += reading.slowest(ignored);
    for (std::size_t level = 0; level < arch.levels.size(); ++level) {
      busy_.levels[level] += reading.levels[level];
    }
    outer.reads += before.outer_read;
  }
  add_cycles(busy_.cycles, cost.bound_level, layer);
  from_product_ = true;
  note_outer(index, outer);
  note_memory(index, cost.resident_words, memory);
}

Walk::Streams Walk::streams(std::size_t index) const {
  const ir::Einsum& einsum = this->einsum(index);
  Streams result;
  std::vector<int> seen;
  for (const ir::Operand& operand : einsum.operands) {
    const auto* access = std::get_if<ir::Access>(&operand);
    if (access == nullptr || (takes_over(index) && access->tensor == workload_.einsums[index - 1].output.tensor) ||
        std::find(seen.begin(), seen.end(), access->tensor) != seen.end()) {
      continue;
    }
    seen.push_back(access->tensor);
    const auto elements = static_cast<double>(touched_elements(workload_, einsum, *access));
    result.read += elements;
    result.outer_read += residency_.holds(access->tensor) ? 0.0 : elements;
  }
  const auto elements = static_cast<double>(touched_elements(workload_, einsum, einsum.output));
  if (einsum.accumulate) {
    result.read += elements;
    result.outer_read += residency_.holds(einsum.output.tensor) ? 0.0 : elements;
  }
  // The result of a chain behind a product was counted as the product's output, that of others leaves at the end.
  const bool counted = from_product_ && takes_over(index);
  if (!fused_[index] && !counted) {
    result.written = elements;
    result.outer_written = residency_.holds(einsum.output.tensor) ? 0.0 : elements;
  }
  return result;
}

double Walk::Busy::slowest(int& level, std::size_t memories) const {
  double most = std::max(computing, vector);
  for (std::size_t i = 0; i < memories; ++i) {
    if (levels[i] > most) {
      most = levels[i];
      level = static_cast<int>(i);
    }
  }
  return most;
}

void Walk::move(const Streams& streams, Busy& busy, LayerCost& layer) const {
  const Arch& arch = chip_.arch;
  const auto charge = [&](int at, double read, double written) {
    const MemoryLevel& level = arch.levels[static_cast<std::size_t>(at)];
    const MemoryPrice& price = chip_.pricing.memory(at);
    layer.parts[level.name + "_pj"] +=
        (read * price.read_pj + written * price.write_pj) / static_cast<double>(level.block_words);
    busy.levels[static_cast<std::size_t>(at)] += cycles_at(level, read, written);
  };
  charge(static_cast<int>(arch.levels.size()) - 1, streams.outer_read, streams.outer_written);
  if (chip_.resident_level >= 0) {
    // What comes from outside is written first, what goes there read once more.
    charge(chip_.resident_level, streams.read + streams.outer_written, streams.written + streams.outer_read);
  }
}

void Walk::add_operation_step(std::size_t index, LayerCost& layer, MemoryStep& memory) {
  const ir::Einsum& einsum = this->einsum(index);
  const ir::OperationCounts counts = ir::operation_counts(einsum);
  const double operations = static_cast<double>(counts.macs) +
                            static_cast<double>(counts.elementwise) * chip_.vector.vector_operations.at(einsum.combine);
  const Streams moved = streams(index);
  if (!takes_over(index)) {
    busy_ = {};
    from_product_ = false;
  }
  busy_.vector += std::ceil(operations / static_cast<double>(chip_.arch.vector_lanes));
  move(moved, busy_, layer);
  layer.macs += counts.macs;
  layer.parts["vector_pj"] += operations * chip_.vector.vector_lane.energy_pj;
  layer.traffic_bytes +=
      (moved.outer_read + moved.outer_written) * static_cast<double>(chip_.arch.levels.back().word_bits) / kBitsPerByte;
  // What is hidden behind what the lanes, the array and the memories have to do anyway takes no time.
  int bound_level = -1;
  const double cycles = std::max(0.0, busy_.slowest(bound_level) - busy_.cycles);
  busy_.cycles += cycles;
  layer.parts["vector_cycles"] += cycles;
  add_cycles(cycles, bound_level, layer);
  note_outer(index, {moved.outer_read, moved.outer_written, bound_level, true});
  note_memory(index, 0.0, memory);
}

void Walk::note_outer(std::size_t index, const Outer& outer) {
  busy_.outer_words += outer.reads + outer.writes;
  if (!fused_[index] && busy_.cycles > 0.0) {
    outer_rate_ = std::max(outer_rate_, busy_.outer_words / busy_.cycles);
  }
  if (path_ && queue_of(index) != nullptr) {
    note_expert(index, outer);
  }
}

double Walk::take_outer_rate() {
  const double bytes = outer_rate_ * static_cast<double>(chip_.arch.levels.back().word_bits) / kBitsPerByte;
  outer_rate_ = 0.0;
  return bytes * chip_.arch.frequency_hz / 1e9;
}

double Walk::weight_words(const ir::Einsum& einsum) const {
  double words = 0.0;
  for (const ir::Operand& operand : einsum.operands) {
    const auto* access = std::get_if<ir::Access>(&operand);
    const bool weight =
        access != nullptr && workload_.tensors[static_cast<std::size_t>(access->tensor)].kind == ir::TensorKind::weight;
    words += weight ? static_cast<double>(touched_elements(workload_, einsum, *access)) : 0.0;
  }
  return words;
}

const graph::QueuedEinsums* Walk::queue_of(std::size_t index) const {
  const auto found = std::find_if(queues_.begin(), queues_.end(), [&](const graph::QueuedEinsums& queued) {
    return index >= queued.ranges.front().first && index < queued.ranges.back().end;
  });
  return found == queues_.end() ? nullptr : &*found;
}

void Walk::note_expert(std::size_t index, const Outer& outer) {
  const graph::QueuedEinsums& queued = *queue_of(index);
  if (index == queued.ranges.front().first) {
    experts_.clear();
  }
  if (std::any_of(queued.ranges.begin(), queued.ranges.end(),
                  [&](const graph::QueuedEinsums::Range& range) { return range.first == index; })) {
    COSEARCH_CHECK(!takes_over(index), "an expert begins with a fetch of its own");
    experts_.emplace_back();
  }
  const MemoryLevel& memory = chip_.arch.levels.back();
  const double words = std::min(weight_words(einsum(index)), outer.reads);
  EinsumTime time;
  time.takes_over = takes_over(index);
  time.others = busy_.slowest(time.others_level, chip_.arch.levels.size() - 1);
  time.buffer = busy_.levels[static_cast<std::size_t>(path_->buffer_level)];
  time.reading = cycles_at(memory, outer.reads, 0.0);
  time.writing = cycles_at(memory, 0.0, outer.writes);
  time.weights = std::floor(words / *memory.read_bandwidth);
  time.cycles = busy_.cycles;
  time.bound_level = outer.bound_level;
  time.on_lanes = outer.on_lanes;
  experts_.back().einsums.push_back(time);
}

std::string Walk::finish_queue(std::size_t index, const std::function<LayerCost&(std::size_t)>& layer_of,
                               MemoryStep& memory) {
  const graph::QueuedEinsums* queued = path_ ? queue_of(index) : nullptr;
  if (queued == nullptr || index + 1 != queued->ranges.back().end) {
    return {};
  }
  const std::vector<Prefetched> prefetched = prefetch(queued->queue, experts_, *path_);
  for (std::size_t e = 0; e < experts_.size(); ++e) {
    const std::size_t first = queued->ranges[e].first;
    std::map<std::string, double>& parts = layer_of(first).parts;
    parts["prefetched_bytes"] += static_cast<double>(prefetched[e].ahead_bytes);
    parts["prefetch_lacking_bytes"] += static_cast<double>(prefetched[e].lacking_bytes);
    double before = 0.0;  // cycles of what works together, up to the einsum before
    double after = 0.0;
    for (std::size_t i = 0; i < experts_[e].einsums.size(); ++i) {
      const EinsumTime& was = experts_[e].einsums[i];
      const RetimedEinsum& now = prefetched[e].einsums[i];
      const double old_cycles = was.cycles - (was.takes_over ? before : 0.0);
      const double new_cycles = now.cycles - (was.takes_over ? after : 0.0);
      before = was.cycles;
      after = now.cycles;
      if (new_cycles != old_cycles) {
        LayerCost& layer = layer_of(first + i);
        add_cycles(-old_cycles, was.bound_level, layer);
        add_cycles(new_cycles, now.bound_level, layer);
        layer.parts["vector_cycles"] += was.on_lanes ? new_cycles - old_cycles : 0.0;
        layer.parts["prefetch_saved_cycles"] += old_cycles - new_cycles;
      }
    }
  }
  if (MemoryStep fullest = fullest_step(queued->queue, experts_, prefetched); fullest.live_bytes > memory.live_bytes) {
    memory.live_bytes = fullest.live_bytes;
    memory.buffers = std::move(fullest.buffers);
  }
  return fmt::format("queue of {}:\n", queued->node) + describe_queue(queued->queue, prefetched);
}

void Walk::note_memory(std::size_t index, double tile_words, MemoryStep& memory) {
  if (chip_.resident_level < 0) {
    return;
  }
  const bool twice = chip_.arch.levels[static_cast<std::size_t>(chip_.resident_level)].double_buffered;
  const auto tiles = static_cast<std::int64_t>(tile_words * static_cast<double>(resident_bits(chip_)) / kBitsPerByte) *
                     (twice ? 2 : 1);
  const std::int64_t live = residency_.used_bytes() + tiles;
  const auto keep_fullest = [&](MemoryStep& step) {
    if (live > step.live_bytes) {
      step.live_bytes = live;
      step.buffers = residency_.buffers();
      if (tiles > 0) {
        step.buffers.emplace_back("tiles of " + einsum(index).name, tiles);
      }
    }
  };
  keep_fullest(memory);
  if (path_ && queue_of(index) != nullptr) {
    keep_fullest(experts_.back().fullest);
  }
}

}  // namespace cosearch::asic
