#include "spaces/program/patches.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "spaces/base/rng.hpp"
#include "tests/spaces/program/arena_oracle.hpp"
#include "tests/spaces/program/reference_networks.hpp"

namespace cosearch::program {
namespace {

using graph::Builder;
using testing::expect_valid_plan;
using testing::reference_network;

Program lowered(const graph::NetworkGraph& network, std::int64_t patches, bool streamed_input = false) {
  LoweringOptions options = cosearch_options();
  options.patches = patches;
  options.streamed_input = streamed_input;
  return *lower_program(network, options);
}

/// Convolutions of all kinds, pools, upsampling, concatenations and additions on an image, behind them a classifier.
graph::NetworkGraph random_image_network(std::uint64_t seed) {
  RngStream rng(seed, Purpose::test, 0);
  const auto draw = [&rng](std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(high - low + 1)));
  };
  Builder builder("random", {draw(12, 20), draw(12, 20), 2});
  const auto conv = [&](const std::string& name, int input, std::int64_t stride, std::int64_t out_channels) {
    graph::Conv2d op;
    op.kernel_h = 1 + 2 * draw(0, 2);
    op.kernel_w = 1 + 2 * draw(0, 2);
    op.stride = stride;
    op.padding = {(op.kernel_h - 1) / 2, (op.kernel_w - 1) / 2, op.kernel_h / 2, op.kernel_w / 2};
    const std::int64_t channels = builder.shape(input).back();
    op.out_channels = out_channels;
    op.groups = channels == out_channels && draw(0, 1) == 1 ? channels : 1;
    return builder.add(name, op, {input});
  };
  for (int i = 0; i < 5; ++i) {
    const std::string name = "n" + std::to_string(i);
    const int input = builder.last();
    switch (draw(0, 6)) {
      case 0:
        builder.then(name, graph::Pool2d{graph::PoolKind::max, 3, draw(1, 2), {1, 1, 1, 1}});
        break;
      case 1:
        builder.then(name, graph::Upsample{2});
        break;
      case 2:
        builder.add(name, graph::Concat{}, {conv(name + ".a", input, 1, 1), conv(name + ".b", input, 1, 2), input});
        break;
      case 3:
        builder.add(name, graph::Add{}, {conv(name + ".a", input, 1, 3), conv(name + ".b", input, 1, 3)});
        break;
      case 4: {
        const std::int64_t channels = builder.shape(input).back();
        builder.add(name, graph::Add{}, {conv(name + ".a", input, 1, channels), input});
        break;
      }
      default:
        conv(name, input, builder.shape(input)[0] > 6 && builder.shape(input)[1] > 6 ? draw(1, 2) : 1, draw(1, 4));
    }
  }
  builder.then("pool", graph::GlobalAveragePool{});
  builder.then("classifier", graph::Linear{{3}, {}, true});
  return std::move(builder).finish();
}

using Pixels = std::set<std::pair<std::int64_t, std::int64_t>>;  // (y, x)

/// Pixels of the input that one output pixel reads, straight from the loops of the kernel.
Pixels pixels_read(const KernelCall& call, std::int64_t y, std::int64_t x) {
  const Geometry& g = call.geometry;
  if (call.kind == KernelKind::upsample) {
    return {{y * g.in_h / g.out_h, x * g.in_w / g.out_w}};
  }
  Pixels pixels;
  for (std::int64_t ky = 0; ky < g.kernel_h; ++ky) {
    for (std::int64_t kx = 0; kx < g.kernel_w; ++kx) {
      const std::int64_t in_y = y * g.stride + ky - g.padding.top;
      const std::int64_t in_x = x * g.stride + kx - g.padding.left;
      if (in_y >= 0 && in_y < g.in_h && in_x >= 0 && in_x < g.in_w) {
        pixels.emplace(in_y, in_x);
      }
    }
  }
  return pixels;
}

/// The rectangle around pixels, filled.
Pixels rectangle_around(const Pixels& pixels) {
  std::int64_t low_x = pixels.begin()->second;
  std::int64_t high_x = low_x;
  for (const auto& [y, x] : pixels) {
    low_x = std::min(low_x, x);
    high_x = std::max(high_x, x);
  }
  Pixels filled;
  for (std::int64_t y = pixels.begin()->first; y <= pixels.rbegin()->first; ++y) {
    for (std::int64_t x = low_x; x <= high_x; ++x) {
      filled.emplace(y, x);
    }
  }
  return filled;
}

struct Counts {
  std::int64_t macs = 0, elementwise = 0, outputs = 0;
  bool operator==(const Counts&) const = default;
};

Counts counts_of(const Program& program) {
  Counts counts;
  for (const KernelCall& call : program.calls) {
    counts.macs += call.macs;
    counts.elementwise += call.elementwise;
    counts.outputs += call.outputs;
  }
  return counts;
}

/// What patches up to `end` must count: pixel by pixel backwards from each patch of the last tensor.
Counts counts_in_patches(const Program& program, std::int64_t patches, std::size_t end) {
  Counts counts;
  const auto add = [&counts](const KernelCall& call, std::int64_t pixels, std::int64_t of) {
    counts.macs += call.macs * pixels / of;
    counts.elementwise += call.elementwise * pixels / of;
    counts.outputs += call.outputs * pixels / of;
  };
  const Geometry& last = program.calls[end].geometry;
  for (std::int64_t patch = 0; patch < patches * patches; ++patch) {
    std::map<int, Pixels> pixels;
    for (std::int64_t y = 0; y < last.out_h; ++y) {
      for (std::int64_t x = 0; x < last.out_w; ++x) {
        // floor(H * row / patches) <= y < floor(H * (row + 1) / patches)
        const bool in_row = ((y + 1) * patches - 1) / last.out_h == patch / patches;
        const bool in_column = ((x + 1) * patches - 1) / last.out_w == patch % patches;
        if (in_row && in_column) {
          pixels[program.calls[end].output].emplace(y, x);
        }
      }
    }
    for (std::size_t i = end + 1; i-- > 0;) {
      const KernelCall& call = program.calls[i];
      if (pixels[call.output].empty()) {
        continue;
      }
      const Pixels region = rectangle_around(pixels[call.output]);
      add(call, static_cast<std::int64_t>(region.size()), call.geometry.out_h * call.geometry.out_w);
      for (const auto& [y, x] : region) {
        const Pixels read = pixels_read(call, y, x);
        for (const int input : call.inputs) {
          pixels[input].insert(read.begin(), read.end());
        }
      }
    }
  }
  for (std::size_t i = end + 1; i < program.calls.size(); ++i) {
    add(program.calls[i], 1, 1);
  }
  return counts;
}

/// Each call of a patch finds what it reads, writes what its buffer holds, and all patches together write the whole.
void expect_consistent(const Program& program, std::int64_t patches) {
  std::map<int, Pixels> whole;
  for (const KernelCall& call : program.calls) {
    if (!call.region) {
      continue;
    }
    const Buffer& output = program.buffers[static_cast<std::size_t>(call.output)];
    if (output.window) {
      EXPECT_EQ(*output.window, *call.region) << call.name;
    }
    for (std::int64_t y = call.region->y; y < call.region->y + call.region->h; ++y) {
      for (std::int64_t x = call.region->x; x < call.region->x + call.region->w; ++x) {
        if (!output.window) {
          EXPECT_TRUE(whole[call.output].emplace(y, x).second) << call.name << " writes a pixel again";
        }
        for (const auto& [in_y, in_x] : pixels_read(call, y, x)) {
          for (const int input : call.inputs) {
            const std::optional<Window>& held = program.buffers[static_cast<std::size_t>(input)].window;
            ASSERT_TRUE(!held ||
                        (in_y >= held->y && in_y < held->y + held->h && in_x >= held->x && in_x < held->x + held->w))
                << call.name;
          }
        }
      }
    }
  }
  ASSERT_EQ(whole.size(), patches > 1 ? 1U : 0U);
  for (const auto& [buffer, pixels] : whole) {
    const std::int64_t last = pixels.rbegin()->first + 1;
    EXPECT_EQ(program.buffers[static_cast<std::size_t>(buffer)].bytes % static_cast<std::int64_t>(pixels.size()), 0);
    EXPECT_EQ(static_cast<std::int64_t>(pixels.size()) % last, 0);
  }
}

TEST(Patches, CountTheHaloAndFindWhatTheyRead) {
  int compared = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const Program whole = lowered(random_image_network(seed), 1);
    LoweringOptions options = cosearch_options();
    options.patches = 2 + static_cast<std::int64_t>(seed % 2);
    options.streamed_input = seed % 3 == 0;
    for (const std::size_t end : patch_ends(whole, options.patches)) {
      const Program patched = in_patches_until(whole, options, end);
      Counts expected = counts_in_patches(whole, options.patches, end);
      for (const KernelCall& call : patched.calls) {
        if (call.kind == KernelKind::read_input) {
          const Buffer& part = patched.buffers[static_cast<std::size_t>(call.output)];
          EXPECT_EQ(part.bytes, call.outputs);
          expected.outputs += part.bytes;
          expected.elementwise += part.bytes;
        }
      }
      EXPECT_EQ(counts_of(patched), expected) << seed << " up to " << whole.calls[end].name;
      EXPECT_EQ(patched.constant_bytes(), whole.constant_bytes());
      expect_consistent(patched, options.patches);
      expect_valid_plan(patched, plan_arena(patched));
      ++compared;
    }
  }
  std::printf("%d pairs of network and end\n", compared);
  EXPECT_GT(compared, 150);
}

TEST(Patches, PeaksOfNetworksOfMobileKindFall) {
  for (const char* name : {"mcunet-in2", "mcunet-in4", "mbv2-w0.3-r64", "mobilenet_v1_0.25", "resnet8", "ds_cnn"}) {
    const graph::NetworkGraph network = reference_network(name);
    const Program whole = lowered(network, 1);
    const ArenaPlan plan = plan_arena(whole);
    std::printf("%-18s 1 patch: %6lld bytes", name, static_cast<long long>(plan.bytes));
    std::int64_t smallest = plan.bytes;
    for (const bool streamed : {false, true}) {
      for (std::int64_t patches = 2; patches <= 4; ++patches) {
        const Program patched = lowered(network, patches, streamed);
        const ArenaPlan patched_plan = plan_arena(patched);
        expect_valid_plan(patched, patched_plan);
        smallest = std::min(smallest, patched_plan.bytes);
        std::printf("  %lldx%lld%s %6lld%s, %.2fx macs", static_cast<long long>(patches),
                    static_cast<long long>(patches), streamed ? " streamed" : "",
                    static_cast<long long>(patched_plan.bytes),
                    patched_plan.bytes == patched_plan.lower_bound ? "" : "(!)",
                    static_cast<double>(counts_of(patched).macs) / static_cast<double>(counts_of(whole).macs));
      }
    }
    std::printf("\n");
    EXPECT_LT(smallest, plan.bytes) << name;
  }
}

TEST(Patches, OnePatchChangesNothing) {
  const Program whole = lowered(reference_network("resnet8"), 1);
  EXPECT_EQ(in_patches(whole, cosearch_options()), whole);
}

TEST(Patches, InputIsSharedUnlessItIsAskedFor) {
  const graph::NetworkGraph network = reference_network("mcunet-in2");
  const Program shared = lowered(network, 3);
  ASSERT_EQ(shared.inputs.size(), 1U);
  EXPECT_FALSE(shared.buffers[static_cast<std::size_t>(shared.inputs[0])].window.has_value());
  const Program streamed = lowered(network, 3, true);
  EXPECT_TRUE(streamed.inputs.empty());
  EXPECT_EQ(std::count_if(streamed.calls.begin(), streamed.calls.end(),
                          [](const KernelCall& call) { return call.kind == KernelKind::read_input; }),
            9);
}

}  // namespace
}  // namespace cosearch::program
