#include "spaces/program/order.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <numeric>

#include "spaces/base/rng.hpp"
#include "spaces/program/arena.hpp"
#include "spaces/program/program.hpp"
#include "tests/spaces/program/reference_networks.hpp"

namespace cosearch::program {
namespace {

std::vector<Operation> random_operations(std::uint64_t seed, std::size_t count) {
  RngStream rng(seed, Purpose::test, 0);
  std::vector<Operation> operations(count);
  for (std::size_t i = 0; i < count; ++i) {
    Operation& operation = operations[i];
    operation.bytes = static_cast<std::int64_t>(rng.below(20));
    operation.scratch_bytes = i > 0 && rng.below(3) == 0 ? static_cast<std::int64_t>(rng.below(10)) : 0;
    operation.kept = i + 1 == count || rng.below(8) == 0;
    const std::size_t inputs = i == 0 ? 0 : 1 + rng.below(2);
    for (std::size_t k = 0; k < inputs; ++k) {
      operation.inputs.push_back(static_cast<int>(rng.below(i)));
      if (rng.below(3) == 0) {
        operation.overwrites.push_back(operation.inputs.back());
      }
    }
  }
  return operations;
}

bool topological(const std::vector<Operation>& operations, const std::vector<int>& order) {
  std::vector<bool> done(operations.size(), false);
  for (const int next : order) {
    const Operation& operation = operations[static_cast<std::size_t>(next)];
    if (done[static_cast<std::size_t>(next)] ||
        !std::all_of(operation.inputs.begin(), operation.inputs.end(),
                     [&](int input) { return done[static_cast<std::size_t>(input)]; })) {
      return false;
    }
    done[static_cast<std::size_t>(next)] = true;
  }
  return order.size() == operations.size();
}

/// By the definition: for each position of the order, which tensors lie in memory, and which of them share bytes.
std::int64_t peak_by_definition(const std::vector<Operation>& operations, const std::vector<int>& order) {
  const std::size_t count = order.size();
  std::vector<std::size_t> position(count);
  for (std::size_t i = 0; i < count; ++i) {
    position[static_cast<std::size_t>(order[i])] = i;
  }
  std::vector<std::size_t> dies = position;  // position of the last operation that needs the tensor
  for (std::size_t i = 0; i < count; ++i) {
    for (const int input : operations[i].inputs) {
      const auto tensor = static_cast<std::size_t>(input);
      dies[tensor] = std::max(dies[tensor], position[i]);
    }
  }
  std::int64_t peak = 0;
  for (std::size_t step = 0; step < count; ++step) {
    const auto running = static_cast<std::size_t>(order[step]);
    std::int64_t bytes = operations[running].scratch_bytes;
    for (std::size_t tensor = 0; tensor < count; ++tensor) {
      const bool born = position[tensor] <= step;
      bytes += born && (operations[tensor].kept || dies[tensor] >= step) ? operations[tensor].bytes : 0;
    }
    std::int64_t shared = 0;
    for (const int input : operations[running].overwrites) {
      const auto tensor = static_cast<std::size_t>(input);
      if (!operations[tensor].kept && dies[tensor] == step) {
        shared = std::max(shared, std::min(operations[tensor].bytes, operations[running].bytes));
      }
    }
    peak = std::max(peak, bytes - shared);
  }
  return peak;
}

std::int64_t smallest_over_all_orders(const std::vector<Operation>& operations) {
  std::vector<int> order(operations.size());
  std::iota(order.begin(), order.end(), 0);
  std::int64_t best = peak_by_definition(operations, order);
  while (std::next_permutation(order.begin() + 1, order.end())) {  // the input is there from the start
    if (topological(operations, order)) {
      best = std::min(best, peak_by_definition(operations, order));
    }
  }
  return best;
}

TEST(Order, PeakEqualsItsDefinition) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const std::vector<Operation> operations = random_operations(seed, 2 + seed % 12);
    std::vector<int> order(operations.size());
    std::iota(order.begin(), order.end(), 0);
    EXPECT_EQ(peak_bytes(operations, order), peak_by_definition(operations, order)) << seed;
  }
}

TEST(Order, SmallestPeakEqualsBruteForceOverAllOrders) {
  int better = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const std::vector<Operation> operations = random_operations(500 + seed, 3 + seed % 6);
    const std::optional<std::vector<int>> order = smallest_peak_order(operations);
    ASSERT_TRUE(order.has_value());
    ASSERT_TRUE(topological(operations, *order));
    EXPECT_EQ(peak_by_definition(operations, *order), smallest_over_all_orders(operations)) << seed;
    std::vector<int> given(operations.size());
    std::iota(given.begin(), given.end(), 0);
    const std::int64_t before = peak_by_definition(operations, given);
    if (peak_by_definition(operations, *order) < before) {
      ++better;
    } else {
      EXPECT_EQ(*order, given) << "no reason to leave the given order";
    }
  }
  std::printf("another order is better in %d of 300 random graphs\n", better);
  EXPECT_GT(better, 30);
}

TEST(Order, GivesUpBeyondTheBoundOnStates) {
  // 0 -> eight branches of a large tensor and a small one -> one sum: branch by branch is best.
  std::vector<Operation> operations{{{}, 1}};
  Operation sum{{}, 1, 0, true};
  for (int branch = 0; branch < 8; ++branch) {
    operations.push_back({{0}, 100});
  }
  for (int branch = 0; branch < 8; ++branch) {
    operations.push_back({{branch + 1}, 2});
    sum.inputs.push_back(branch + 9);
  }
  operations.push_back(sum);
  const std::optional<std::vector<int>> order = smallest_peak_order(operations);
  ASSERT_TRUE(order.has_value());
  EXPECT_EQ(peak_bytes(operations, *order), 2 * 7 + 100 + 2);
  EXPECT_FALSE(smallest_peak_order(operations, 3).has_value());
}

/// A convolution of `kernel` x `kernel` with padding that keeps the size.
int conv(graph::Builder& builder, const std::string& name, int input, std::int64_t channels, std::int64_t kernel = 1) {
  graph::Conv2d op{channels, kernel, kernel, 1, graph::symmetric_padding(kernel)};
  return builder.add(name, op, {input});
}

/// Two levels down and up again, the skipped tensors narrowed just before they are joined; nodes level by level.
graph::NetworkGraph u_net() {
  graph::Builder builder("u_net", {16, 16, 2});
  const int top = conv(builder, "top", 0, 8, 3);
  const int down1 = builder.add("pool1", graph::Pool2d{}, {top});
  const int middle = conv(builder, "middle", down1, 16, 3);
  const int down2 = builder.add("pool2", graph::Pool2d{}, {middle});
  const int bottom = conv(builder, "bottom", down2, 32, 3);
  const int up2 = builder.add("up2", graph::Upsample{2}, {bottom});
  const int skip2 = conv(builder, "skip2", middle, 4);
  const int joined2 = builder.add("joined2", graph::Concat{}, {up2, skip2});
  const int back = conv(builder, "back", joined2, 8, 3);
  const int up1 = builder.add("up1", graph::Upsample{2}, {back});
  const int skip1 = conv(builder, "skip1", top, 2);
  const int joined1 = builder.add("joined1", graph::Concat{}, {up1, skip1});
  conv(builder, "logits", joined1, 3);
  return std::move(builder).finish();
}

/// Live bytes at the peak in node order (rules without scratch) and as our engine orders the calls.
std::pair<std::int64_t, std::int64_t> peaks(const graph::NetworkGraph& network) {
  LoweringOptions node_order = cosearch_options();
  node_order.scratch = ScratchRule::none;
  const std::int64_t before = peak_live_bytes(*lower_program(network, node_order));
  Program program = *lower_program(network, cosearch_options());
  for (Buffer& buffer : program.buffers) {
    buffer.bytes = buffer.role == BufferRole::scratch ? 0 : buffer.bytes;
  }
  const std::int64_t after = peak_live_bytes(program);
  std::printf("%-10s tensors alive at the peak: %lld bytes in node order, %lld in the best one\n", network.name.c_str(),
              static_cast<long long>(before), static_cast<long long>(after));
  return {before, after};
}

TEST(Order, UNetNarrowsWhatItSkipsBeforeItGoesDown) {
  const auto [before, after] = peaks(u_net());
  // At the peak up2 (8 x 8 x 32), skip2 (4) and joined2 (36) are alive. Beside them node order keeps what is skipped,
  // 16 x 16 x 8, and the best order what that was narrowed to, 2 channels.
  EXPECT_EQ(before, 8 * 8 * (32 + 4 + 36) + 16 * 16 * 8);
  EXPECT_EQ(after, 8 * 8 * (32 + 4 + 36) + 16 * 16 * 2);
  EXPECT_LT(after, before);
}

TEST(Order, ResNet8StaysInNodeOrder) {
  const auto [before, after] = peaks(testing::reference_network("resnet8"));
  EXPECT_EQ(after, before);
}

TEST(Order, CallsNameNodesOfTheGraphAndRunAfterTheirInputs) {
  const graph::NetworkGraph network = u_net();
  const Program program = *lower_program(network, cosearch_options());
  std::vector<bool> written(program.buffers.size(), false);
  for (const int input : program.inputs) {
    written[static_cast<std::size_t>(input)] = true;
  }
  std::vector<int> nodes;
  for (const KernelCall& call : program.calls) {
    EXPECT_EQ(network.nodes[static_cast<std::size_t>(call.nodes[0])].name, call.name);
    nodes.push_back(call.nodes[0]);
    for (const int input : call.inputs) {
      EXPECT_TRUE(written[static_cast<std::size_t>(input)]) << call.name;
    }
    written[static_cast<std::size_t>(call.output)] = true;
  }
  EXPECT_FALSE(std::is_sorted(nodes.begin(), nodes.end()));
  std::sort(nodes.begin(), nodes.end());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    EXPECT_EQ(nodes[i], static_cast<int>(i) + 1);  // node 0 is the input
  }
}

}  // namespace
}  // namespace cosearch::program
