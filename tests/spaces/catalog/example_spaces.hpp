#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "spaces/catalog/registry.hpp"
#include "spaces/space/search_space.hpp"

/// Spaces for conformance: options with which every entry of the space registry can be made, and further ones.
namespace cosearch::testing {

/// A plain CNN with optional residual blocks and a string gene.
inline nlohmann::json custom_cnn() {
  return nlohmann::json::parse(R"json({
    "params": [
      {"name": "width", "choices": [8, 16, 32]},
      {"name": "depth", "min": 0, "max": 3},
      {"name": "kernel", "choices": [3, 5], "active_when": {"depth": [1, 2, 3]}},
      {"name": "activation", "choices": ["relu", "hard_swish"]}
    ],
    "template": [
      {"name": "stem", "op": "conv2d", "out_channels": "$width", "kernel_h": 3, "kernel_w": 3, "stride": 2,
       "padding": "same"},
      {"name": "stem.bn", "op": "batch_norm"},
      {"name": "stem.act", "op": "activation", "kind": "$activation"},
      {"repeat": "$depth", "index": "i", "nodes": [
        {"name": "blocks.{$i}.depthwise", "op": "conv2d", "out_channels": "$width", "kernel_h": "$kernel",
         "kernel_w": "$kernel", "groups": "$width", "padding": "symmetric"},
        {"name": "blocks.{$i}.pointwise", "op": "conv2d", "out_channels": "$width", "kernel_h": 1, "kernel_w": 1},
        {"name": "blocks.{$i}.bn", "op": "batch_norm"},
        {"name": "blocks.{$i}.add", "op": "add", "inputs": ["@previous", "@group"]},
        {"name": "blocks.{$i}.act", "op": "activation", "kind": "$activation"}
      ]},
      {"name": "pool", "op": "global_average_pool"},
      {"name": "classifier", "op": "linear", "out_factors": ["$classes"]}
    ]
  })json");
}

/// Shape that the networks of a space give: classes of the image, or of each of its pixels.
inline graph::Shape example_output(std::string_view space, const TaskShape& task) {
  return space == "unet" ? graph::Shape{task.sample[0], task.sample[1], task.classes} : graph::Shape{task.classes};
}

inline nlohmann::json example_options(const std::string& space) {
  return space == "custom" ? custom_cnn() : nlohmann::json::object();
}

/// A space with options.
struct SpaceExample {
  std::string name;  ///< for messages
  std::string space;
  nlohmann::json options;
};

/// Every entry of the registry, and those whose options give them other genes.
inline std::vector<SpaceExample> example_spaces() {
  std::vector<SpaceExample> examples;
  for (const SpaceEntry& entry : space_registry()) {
    const std::string name(entry.name);
    examples.push_back({name, name, example_options(name)});
  }
  const nlohmann::json mixed{{"weight_bits", "mixed"}};
  examples.push_back({"mcu_vit with mixed bits", "mcu_vit", mixed});
  examples.push_back({"mcunet with mixed bits", "mcunet", mixed});
  examples.push_back({"hybrid of four families",
                      "hybrid",
                      {{"families", {"mcu_vit", "cnn", "vit", "mcunet"}}, {"options", {{"mcunet", mixed}}}}});
  return examples;
}

}  // namespace cosearch::testing
