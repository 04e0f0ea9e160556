#pragma once

#include <memory>

#include <nlohmann/json_fwd.hpp>

#include "search/algorithm.hpp"

namespace cosearch {

/// NASAIC's search (Yang et al., "Co-exploration of neural architectures and heterogeneous ASIC accelerator designs
/// targeting multiple tasks", DAC 2020): a `Controller` chooses the level (`level_counts`) of one parameter after the
/// other, inactive ones left out, and learns by REINFORCE (Williams 1992) from `Reward`.
///
/// Proposals come in episodes of 1 + `hardware_steps`: a joint proposal, then designs that keep its network's genes and
/// draw the hardware's anew. Where all genes are the network's, or a network has no fresh hardware left, a proposal is
/// joint instead. All of an episode come from one policy; the controller takes a step up the mean gradient over the
/// episode's trials when the last of them is told, so `ask` gives at most the rest of the episode and then waits.
/// A proposal that was known already is drawn again from a flatter distribution, in the end from a uniform one.
/// The initial designs come first and are learned from like others.
///
/// The gradient of a trial is the sum of `discount`^(T - t) * (reward - baseline) * grad log p(choice t) over its T
/// choices, in hardware-only designs those of the hardware. Joint and hardware-only rewards differ by the learned
/// objectives, so each kind has its own baseline, an exponential moving average.
///
/// An episode looks at one network, so the hardware-only steps pay where networks are dear to train; where they are
/// only costed, `hardware_steps` 0 sees more of them.
///
/// Options: `hardware_steps` (default 10), `hidden` (units of the controller, default 32), `learning_rate` (of Adam,
/// default 0.02), `discount` (default 1), `baseline_decay` (default 0.9), `penalty` (reward lost by a violation of 1,
/// default 10), `weights` (of the objectives, one number each, not all 0; default: 1 for learned ones and 0 for
/// the rest, which constraints bound; 1 for all where none is learned).
/// @throws ConfigError.
[[nodiscard]] std::unique_ptr<SearchAlgorithm> make_reinforce(const nlohmann::json& options,
                                                              const AlgorithmContext& context);

}  // namespace cosearch
