#include "trainer/net/executor.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "spaces/base/check.hpp"
#include "spaces/base/hash.hpp"
#include "trainer/kernels/kernels.hpp"
#include "trainer/net/parallel.hpp"

namespace cosearch {
namespace {

/// A chunk has 8 samples, or 4 where the largest tensor of 8 would not stay in the second-level cache beside another;
/// more than 16 chunks would cost more memory for gradients than they give parallelism.
constexpr std::int64_t kSamplesPerChunk = 8;
constexpr std::int64_t kChunkTensor = 192 * 1024;
constexpr std::int64_t kMaximumChunks = 16;
constexpr std::int64_t kInferenceChunk = 16;
constexpr std::int64_t kSumBlock = 16 * 1024;

std::size_t index(int i) { return static_cast<std::size_t>(i); }

/// A function of the network's and the batch's shape alone, because it decides the order of sums.
std::int64_t samples_per_chunk(const graph::NetworkGraph& graph, std::int64_t batch) {
  const auto shapes = graph::infer_shapes(graph);
  COSEARCH_CHECK(shapes.has_value(), "a malformed network reached the trainer");
  std::int64_t largest = 0;
  for (const graph::Shape& shape : *shapes) {
    largest = std::max(largest, graph::elements(shape));
  }
  const std::int64_t samples = kSamplesPerChunk * largest <= kChunkTensor ? kSamplesPerChunk : kSamplesPerChunk / 2;
  return std::max(samples, (batch + kMaximumChunks - 1) / kMaximumChunks);
}

float* buffer(const Schedule& schedule, const ChunkMemory& memory, int which) {
  if (which < 0) {
    return nullptr;
  }
  const Place& place = schedule.places[index(which)];
  return (place.kept ? memory.kept : memory.transient) + place.offset;
}

ops::Inputs<const float> input_pointers(const Schedule& schedule, const ChunkMemory& memory, const Action& action) {
  ops::Inputs<const float> pointers{};
  for (std::size_t i = 0; i < action.x.size(); ++i) {
    pointers.at(i) = buffer(schedule, memory, action.x[i]);
  }
  return pointers;
}

/// What only mixtures of experts take from, and give to, a forward call.
struct MixtureCall {
  std::optional<std::uint64_t> noise_seed = std::nullopt;
  double* added_loss = nullptr;
  std::int32_t* picks = nullptr;
  const ValueObserver* hidden_observer = nullptr;
};

const HiddenGrids* hidden_grids(const Simulation& simulation, int node) {
  return simulation.hidden.empty() || !simulation.hidden[index(node)] ? nullptr : &*simulation.hidden[index(node)];
}

/// Forward of one unit; fills the input's value from `input`.
void run_forward(const graph::NetworkGraph& graph, const Schedule& schedule, const RoundedWeights& weights,
                 const Simulation& simulation, const Action& action, std::int64_t first, std::int64_t samples,
                 const ChunkMemory& memory, const float* shared, const float* packed, const InputSource& input,
                 const MixtureCall& mixture) {
  const Unit& unit = schedule.units[index(action.unit)];
  const ops::Forward call{
      .samples = samples,
      .x = input_pointers(schedule, memory, action),
      .weights = weights.of_node(unit.node),
      .y = buffer(schedule, memory, action.y),
      .saved = buffer(schedule, memory, unit.saved),
      .scratch = memory.scratch,
      .shared = shared,
      .packed = packed,
      .first_sample = first,
      .noise_seed = mixture.noise_seed,
      .added_loss = mixture.added_loss,
      .picks = mixture.picks,
      .hidden_grids = hidden_grids(simulation, unit.node),
      .hidden_observer = mixture.hidden_observer,
      .hidden_value = mixture.hidden_observer != nullptr ? hidden_value(graph, unit.node) : 0,
  };
  if (unit.inputs.empty()) {
    input(first, samples, call.y);
  }
  std::visit([&](const auto& op) { ops::forward(op, unit.geometry, call); }, graph.nodes[index(unit.node)].op);
  if (unit.token_ids) {
    return;
  }
  const std::int64_t size = samples * graph::elements(unit.geometry.output);
  if (simulation.active()) {
    if (const std::optional<ValueGrid>& grid = simulation.grids[index(unit.node)]) {
      kernels::round_to_int8(size, grid->scale, grid->zero_point, call.y);
    }
  }
  unit.geometry.dense->round_to_storage(size, call.y);
}

std::vector<AlignedFloats> buffers_of_units(const Schedule& schedule, std::int64_t ops::Needs::*size) {
  std::vector<AlignedFloats> buffers;
  buffers.reserve(schedule.units.size());
  for (const Unit& unit : schedule.units) {
    buffers.emplace_back(unit.needs.*size);
  }
  return buffers;
}

void pack_weights(const graph::NetworkGraph& graph, const Schedule& schedule, const RoundedWeights& weights,
                  std::vector<AlignedFloats>& packed) {
  for_each_parallel(static_cast<std::int64_t>(schedule.units.size()), [&](std::int64_t u) {
    const Unit& unit = schedule.units[static_cast<std::size_t>(u)];
    if (unit.needs.packed > 0) {
      std::visit(
          [&](const auto& op) {
            ops::pack(op, unit.geometry, weights.of_node(unit.node)[0], packed[static_cast<std::size_t>(u)].data());
          },
          graph.nodes[index(unit.node)].op);
    }
  });
}

/// The sum over `rows` labels or numbers from `first` on; `gradient` is that of their share of the mean loss.
double loss_of(const Targets& targets, std::int64_t first, std::int64_t rows, std::int64_t classes,
               const float* outputs, float* gradient) {
  const auto smoothing = static_cast<float>(targets.label_smoothing);
  const float scale = static_cast<float>(targets.loss_scale) / static_cast<float>(targets.size());
  if (!targets.values.empty()) {
    const float* values = targets.values.data() + first;
    return targets.teacher.empty()
               ? kernels::regression_loss(targets.regression, rows, scale, outputs, values, gradient)
               : kernels::distillation_regression_loss(targets.regression, rows, targets.teacher_weight, scale, outputs,
                                                       values, targets.teacher.data() + first, gradient);
  }
  const std::uint8_t* labels = targets.labels.data() + first;
  const float* class_weights = targets.class_weights.empty() ? nullptr : targets.class_weights.data();
  if (!targets.teacher.empty()) {
    return kernels::distillation_cross_entropy(rows, classes, smoothing, targets.teacher_weight, scale, outputs, labels,
                                               class_weights, targets.teacher.data() + first * classes, gradient);
  }
  if (class_weights != nullptr) {
    return kernels::weighted_cross_entropy(rows, classes, smoothing, scale, outputs, labels, class_weights, gradient);
  }
  return kernels::softmax_cross_entropy(rows, classes, smoothing, scale, outputs, labels, gradient);
}

/// Every batch norm's factors from its running statistics.
void freeze_batch_norms(const graph::NetworkGraph& graph, const Schedule& schedule, const RoundedWeights& weights,
                        std::vector<AlignedFloats>& shared) {
  for (std::size_t u = 0; u < schedule.units.size(); ++u) {
    const Unit& unit = schedule.units[u];
    if (unit.batch_norm) {
      const auto own = weights.of_node(unit.node);
      ops::batch_norm_freeze(std::get<graph::BatchNorm>(graph.nodes[index(unit.node)].op), unit.geometry, own[0],
                             own[1], own[2], own[3], shared[u].data());
    }
  }
}

}  // namespace

std::uint64_t noise_seed(std::uint64_t training_seed, std::int64_t step) {
  return Hasher{}.add(training_seed).add(step).value();
}

TrainingExecutor::TrainingExecutor(const graph::NetworkGraph& graph, Parameters& parameters, std::int64_t batch,
                                   std::shared_ptr<TrainingMemory> memory, const Simulation& simulation)
    : TrainingExecutor(graph, parameters, batch, false, std::move(memory), simulation) {}

TrainingExecutor::TrainingExecutor(const graph::NetworkGraph& graph, Parameters& parameters, std::int64_t batch,
                                   bool calibrates, std::shared_ptr<TrainingMemory> memory,
                                   const Simulation& simulation)
    : graph_(graph),
      parameters_(parameters),
      batch_(batch),
      calibrates_(calibrates),
      simulation_(simulation),
      weights_(graph, parameters, simulation.active()),
      schedule_(calibrates ? make_calibration_schedule(graph, samples_per_chunk(graph, batch), parameters.precision())
                           : make_schedule(graph, samples_per_chunk(graph, batch), kernels::Use::training,
                                           parameters.precision(), simulation.active())),
      memory_(std::move(memory)),
      shared_(buffers_of_units(schedule_, &ops::Needs::shared)),
      packed_(buffers_of_units(schedule_, &ops::Needs::packed)),
      gradients_(calibrates ? 0 : parameters.trainable_size()) {
  COSEARCH_CHECK(batch > 0, "a batch has samples");
  for (std::int64_t first = 0; first < batch; first += schedule_.chunk) {
    chunk_first_.push_back(first);
    chunk_samples_.push_back(std::min(schedule_.chunk, batch - first));
  }
  memory_->reserve({.chunks = chunk_first_.size(),
                    .kept = schedule_.kept_size,
                    .worker = schedule_.transient_size + schedule_.scratch_size,
                    .gradients = calibrates ? 0 : parameters.chunked_size()});
  chunk_gradient_data_.resize(chunk_first_.size());
  chunk_loss_.resize(chunk_first_.size());
  added_loss_.resize(chunk_first_.size() * schedule_.units.size());
  for (const Unit& unit : schedule_.units) {
    const bool batch_norm = unit.needs.shared > 0;
    const std::int64_t partials = batch_norm ? ops::batch_norm_partials(unit.geometry) : 0;
    partials_.emplace_back(static_cast<std::size_t>(partials) * chunk_first_.size());
  }
}

double TrainingExecutor::step(const InputSource& input, std::span<const std::uint8_t> labels, double label_smoothing) {
  return step(input, Targets{.labels = labels, .label_smoothing = label_smoothing});
}

double TrainingExecutor::step(const InputSource& input, const Targets& targets) {
  const auto outputs = static_cast<std::size_t>(batch_ * graph::elements(schedule_.units.back().geometry.output));
  COSEARCH_CHECK(
      targets.size() > 0 && targets.size() % static_cast<std::size_t>(batch_) == 0 && outputs % targets.size() == 0,
      "equally many labels for each sample of the batch, equally many outputs for each label");
  COSEARCH_CHECK(targets.values.empty() || (targets.labels.empty() && targets.values.size() == outputs),
                 "one output for each number");
  COSEARCH_CHECK((targets.teacher.empty() || targets.teacher.size() == outputs) &&
                     (targets.predictions.empty() || targets.predictions.size() == outputs),
                 "one row of classes, or one number, for each label");
  run_regions({input, targets});
  sum_gradients();
  double loss = 0.0;
  for (const double chunk : chunk_loss_) {
    loss += chunk;
  }
  loss /= static_cast<double>(targets.size());
  const std::size_t units = schedule_.units.size();
  for (std::size_t i = 0; i < added_loss_.size(); ++i) {
    loss += added_loss_[i] * static_cast<double>(chunk_samples_[i / units]) / static_cast<double>(batch_);
  }
  return loss;
}

void TrainingExecutor::run_regions(const Batch& batch) {
  weights_.update();
  pack_weights(graph_, schedule_, weights_, packed_);
  if (simulation_.active()) {
    freeze_batch_norms(graph_, schedule_, weights_, shared_);
  }
  for (const Region& region : schedule_.regions) {
    run_region(region, batch);
    if (region.batch_norm >= 0) {
      combine(region);
    }
  }
}

void TrainingExecutor::run_region(const Region& region, const Batch& batch) {
  for_each_parallel(static_cast<std::int64_t>(chunk_first_.size()), [&](std::int64_t c) {
    const auto chunk = static_cast<std::size_t>(c);
    std::unique_ptr<AlignedFloats> worker = memory_->workers().take();
    const ChunkMemory memory{memory_->kept(chunk), worker->data(), worker->data() + schedule_.transient_size};
    for (const Action& action : region.actions) {
      run_action(action, chunk, memory, batch);
    }
    memory_->workers().give_back(std::move(worker));
  });
}

void TrainingExecutor::run_action(const Action& action, std::size_t chunk, const ChunkMemory& memory,
                                  const Batch& batch) {
  const std::size_t u = index(action.unit);
  const Unit& unit = schedule_.units[u];
  const std::int64_t samples = chunk_samples_[chunk];
  const auto at = [&](int which) { return buffer(schedule_, memory, which); };
  const auto partial = [&] {
    return partials_[u].data() + static_cast<std::int64_t>(chunk) * ops::batch_norm_partials(unit.geometry);
  };
  switch (action.kind) {
    case ActionKind::forward: {
      MixtureCall mixture;
      if (!calibrates_ && is_mixture(action.unit)) {
        mixture.added_loss = &added_loss_[chunk * schedule_.units.size() + u];
        if (batch.targets.noise_seed) {
          mixture.noise_seed = Hasher{}.add(*batch.targets.noise_seed).add(graph_.nodes[index(unit.node)].name).value();
        }
      }
      run_forward(graph_, schedule_, weights_, simulation_, action, chunk_first_[chunk], samples, memory,
                  shared_[u].data(), packed_[u].data(), batch.input, mixture);
      break;
    }
    case ActionKind::statistics:
      ops::batch_norm_statistics(unit.geometry, samples, at(action.x[0]), partial());
      break;
    case ActionKind::loss:
      run_loss(action, chunk, memory, batch.targets);
      break;
    case ActionKind::gradient_statistics:
      ops::batch_norm_gradient_statistics(unit.geometry, samples, at(action.x[0]), at(unit.gradient), shared_[u].data(),
                                          partial());
      break;
    case ActionKind::backward:
      run_backward(action, chunk, memory, batch.targets);
      break;
  }
}

void TrainingExecutor::run_loss(const Action& action, std::size_t chunk, const ChunkMemory& memory,
                                const Targets& targets) {
  const Unit& unit = schedule_.units[index(action.unit)];
  const auto labels_per_sample = static_cast<std::int64_t>(targets.size()) / batch_;
  const std::int64_t rows = chunk_samples_[chunk] * labels_per_sample;
  const std::int64_t classes = graph::elements(unit.geometry.output) / labels_per_sample;
  const std::int64_t first = chunk_first_[chunk] * labels_per_sample;
  const float* outputs = buffer(schedule_, memory, action.y);
  if (!targets.predictions.empty() && !targets.values.empty()) {
    std::copy_n(outputs, rows, targets.predictions.data() + first);
  } else if (!targets.predictions.empty()) {
    kernels::softmax(rows, classes, 1.0F, outputs, targets.predictions.data() + first * classes);
  }
  float* gradient = buffer(schedule_, memory, unit.gradient);
  chunk_loss_[chunk] = loss_of(targets, first, rows, classes, outputs, gradient);
  unit.geometry.dense->round_to_storage(rows * classes, gradient);
}

bool TrainingExecutor::is_mixture(int unit) const {
  return std::holds_alternative<graph::MoeFfn>(graph_.nodes[index(schedule_.units[index(unit)].node)].op);
}

void TrainingExecutor::run_backward(const Action& action, std::size_t chunk, const ChunkMemory& memory,
                                    const Targets& targets) {
  const Unit& unit = schedule_.units[index(action.unit)];
  const auto at = [&](int which) { return buffer(schedule_, memory, which); };
  ops::Backward call{
      .samples = chunk_samples_[chunk],
      .x = input_pointers(schedule_, memory, action),
      .weights = weights_.of_node(unit.node),
      .dy = at(unit.gradient),
      .saved = at(unit.saved),
      .shared = shared_[index(action.unit)].data(),
      .packed = packed_[index(action.unit)].data(),
      .scratch = memory.scratch,
      .noisy = targets.noise_seed.has_value(),
      .loss_share = targets.loss_scale * static_cast<double>(chunk_samples_[chunk]) / static_cast<double>(batch_)};
  ops::Inputs<float> target{};
  float* spare = memory.scratch + AlignedFloats::rounded_up(unit.needs.scratch);
  for (std::size_t i = 0; i < unit.inputs.size(); ++i) {
    target.at(i) = at(schedule_.units[index(unit.inputs[i])].gradient);
    call.dx.at(i) = target.at(i);
    if (unit.accumulates[i] && target.at(i) != nullptr) {
      call.dx.at(i) = spare;
      spare += AlignedFloats::rounded_up(schedule_.chunk * graph::elements(unit.geometry.inputs[i]));
    }
  }
  const std::span<const int> entries = parameters_.of_node(unit.node);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const Parameters::Entry& entry = parameters_.entries()[index(entries[i])];
    if (entry.offset < parameters_.chunked_size()) {
      call.dweights.at(i) = memory_->gradients(chunk) + entry.offset;
    }
  }
  std::visit([&](const auto& op) { ops::backward(op, unit.geometry, call); }, graph_.nodes[index(unit.node)].op);
  const kernels::Dense& dense = *unit.geometry.dense;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (call.dweights.at(i) != nullptr) {
      dense.round_to_storage(parameters_.entries()[index(entries[i])].size, call.dweights.at(i));
    }
  }
  for (std::size_t i = 0; i < unit.inputs.size(); ++i) {
    const std::int64_t size = call.samples * graph::elements(unit.geometry.inputs[i]);
    if (call.dx.at(i) != nullptr) {
      dense.round_to_storage(size, call.dx.at(i));
    }
    if (call.dx.at(i) != target.at(i)) {
      kernels::add(size, target.at(i), call.dx.at(i), target.at(i));
      dense.round_to_storage(size, target.at(i));
    }
  }
}

float* TrainingExecutor::weight(int node, std::size_t i) {
  return parameters_.values().data() + parameters_.entries()[index(parameters_.of_node(node)[i])].offset;
}

void TrainingExecutor::combine(const Region& region) {
  const std::size_t u = index(region.batch_norm);
  const Unit& unit = schedule_.units[u];
  if (region.of_gradients) {
    const std::span<const int> entries = parameters_.of_node(unit.node);
    ops::batch_norm_combine_gradients(unit.geometry, chunk_samples_, partials_[u].data(), simulation_.active(),
                                      shared_[u].data(),
                                      gradients_.data() + parameters_.entries()[index(entries[0])].offset,
                                      gradients_.data() + parameters_.entries()[index(entries[1])].offset);
    return;
  }
  graph::BatchNorm op = std::get<graph::BatchNorm>(graph_.nodes[index(unit.node)].op);
  if (calibrates_) {  // the running statistics are 0 before, and these after
    op.momentum = 1.0;
  }
  ops::batch_norm_combine(op, unit.geometry, chunk_samples_, partials_[u].data(), weight(unit.node, 0),
                          weight(unit.node, 1), weight(unit.node, 2), weight(unit.node, 3), shared_[u].data());
}

void TrainingExecutor::sum_gradients() {
  const kernels::Dense& dense = kernels::dense(parameters_.precision());
  const std::int64_t size = parameters_.chunked_size();
  for (std::size_t chunk = 0; chunk < chunk_gradient_data_.size(); ++chunk) {
    chunk_gradient_data_[chunk] = memory_->gradients(chunk);  // shared memory may have moved
  }
  for_each_parallel((size + kSumBlock - 1) / kSumBlock, [&](std::int64_t block) {
    const std::int64_t begin = block * kSumBlock;
    kernels::accumulate_in_order(dense, std::min(kSumBlock, size - begin),
                                 static_cast<std::int64_t>(chunk_gradient_data_.size()), chunk_gradient_data_.data(),
                                 begin, gradients_.data() + begin);
  });
  dense.round_to_storage(parameters_.trainable_size() - size, gradients_.data() + size);  // of batch norms
}

void calibrate_batch_norms(const graph::NetworkGraph& graph, Parameters& parameters, const InputSource& input,
                           std::int64_t samples, std::shared_ptr<TrainingMemory> memory) {
  TrainingExecutor executor(graph, parameters, samples, true, std::move(memory), {});
  for (const Parameters::Entry& entry : parameters.entries()) {
    if (!entry.spec.trainable) {
      std::fill_n(parameters.values().data() + entry.offset, entry.size, 0.0F);
    }
  }
  executor.run_regions({input, Targets{}});
}

InferenceExecutor::InferenceExecutor(const graph::NetworkGraph& graph, const Parameters& parameters,
                                     const Simulation& simulation, ValueObserver observer)
    : graph_(graph),
      simulation_(simulation),
      observer_(std::move(observer)),
      weights_(graph, parameters, simulation.active()),
      schedule_(make_schedule(graph, kInferenceChunk, kernels::Use::inference, parameters.precision(),
                              simulation.active() || observer_ != nullptr)),
      worker_blocks_(schedule_.transient_size + schedule_.scratch_size),
      shared_(buffers_of_units(schedule_, &ops::Needs::shared)),
      packed_(buffers_of_units(schedule_, &ops::Needs::packed)) {}

void InferenceExecutor::run(const InputSource& input, std::int64_t count, float* outputs) {
  run(input, count, outputs, {});
}

void InferenceExecutor::run(const InputSource& input, std::int64_t count, float* outputs, const PickTarget& picks) {
  weights_.update();
  pack_weights(graph_, schedule_, weights_, packed_);
  freeze_batch_norms(graph_, schedule_, weights_, shared_);
  const std::int64_t width = graph::elements(schedule_.units.back().geometry.output);
  for_each_parallel((count + kInferenceChunk - 1) / kInferenceChunk, [&](std::int64_t chunk) {
    const std::int64_t first = chunk * kInferenceChunk;
    run_chunk(input, first, std::min(kInferenceChunk, count - first), outputs + first * width, picks);
  });
}

void InferenceExecutor::run_chunk(const InputSource& input, std::int64_t first, std::int64_t count, float* outputs,
                                  const PickTarget& picks) {
  std::unique_ptr<AlignedFloats> worker = worker_blocks_.take();
  const ChunkMemory memory{nullptr, worker->data(), worker->data() + schedule_.transient_size};
  const std::vector<Action>& actions = schedule_.regions.front().actions;
  for (const Action& action : actions) {
    const Unit& unit = schedule_.units[index(action.unit)];
    const bool mixture = std::holds_alternative<graph::MoeFfn>(graph_.nodes[index(unit.node)].op);
    run_forward(graph_, schedule_, weights_, simulation_, action, first, count, memory,
                shared_[index(action.unit)].data(), packed_[index(action.unit)].data(), input,
                {.picks = picks && mixture ? picks(unit.node, first, count) : nullptr,
                 .hidden_observer = observer_ && mixture ? &observer_ : nullptr});
    if (observer_) {
      observer_(index(unit.node), {buffer(schedule_, memory, action.y),
                                   static_cast<std::size_t>(count * graph::elements(unit.geometry.output))});
    }
  }
  const std::int64_t width = graph::elements(schedule_.units.back().geometry.output);
  std::copy_n(buffer(schedule_, memory, actions.back().y), count * width, outputs);
  worker_blocks_.give_back(std::move(worker));
}

}  // namespace cosearch
