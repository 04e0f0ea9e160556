#include "experiments/calibrate/terms.hpp"

#include <algorithm>

#include "spaces/base/config_error.hpp"

namespace cosearch::calibrate {
namespace {

struct Group {
  std::string name;
  std::vector<std::string> features;
};

/// Groups, and the features that measured networks can tell about: other kernels are priced by assumption. Those that
/// attention and patch embeddings are like follow them.
const std::vector<Group>& groups() {
  static const std::vector<Group> table{
      {"mac", {"conv2d.macs", "pointwise_conv2d.macs", "depthwise_conv2d.macs", "fully_connected.macs"}},
      {"dense_mac", {"conv2d.macs", "pointwise_conv2d.macs", "fully_connected.macs"}},
      {"convolution_mac", {"conv2d.macs", "pointwise_conv2d.macs"}},
      {"depthwise_mac", {"depthwise_conv2d.macs"}},
      {"output", {"conv2d.outputs", "pointwise_conv2d.outputs", "depthwise_conv2d.outputs", "fully_connected.outputs"}},
      {"dense_output", {"conv2d.outputs", "pointwise_conv2d.outputs", "fully_connected.outputs"}},
      {"depthwise_output", {"depthwise_conv2d.outputs"}},
      {"conv_output", {"conv2d.outputs"}},
      {"conv2d", {"conv2d.macs"}},
      {"pointwise", {"pointwise_conv2d.macs", "fully_connected.macs"}},
      {"depthwise", {"depthwise_conv2d.macs"}},
      {"conv2d.macs", {"conv2d.macs"}},
      {"conv2d.outputs", {"conv2d.outputs"}},
      {"pointwise_conv2d.macs", {"pointwise_conv2d.macs"}},
      {"pointwise_conv2d.outputs", {"pointwise_conv2d.outputs"}},
      {"depthwise_conv2d.macs", {"depthwise_conv2d.macs"}},
      {"depthwise_conv2d.outputs", {"depthwise_conv2d.outputs"}},
      {"fully_connected.macs", {"fully_connected.macs"}},
      {"fully_connected.outputs", {"fully_connected.outputs"}},
  };
  return table;
}

mcu::Term term_of(const std::string& name) {
  std::vector<std::string> known;
  for (const Group& group : groups()) {
    known.push_back(group.name);
    if (group.name == name) {
      mcu::Term term{name, {}, 0.0};
      for (const std::string& feature : group.features) {
        term.features[feature] = 1.0;
      }
      return term;
    }
  }
  throw ConfigError("--terms", unknown_name(name, known));
}

}  // namespace

const std::vector<std::string>& default_term_sets() {
  static const std::vector<std::string> sets{
      "mac",
      "mac+output",
      "mac+dense_output",
      "dense_mac+depthwise_mac",
      "conv2d+pointwise+depthwise",
      "dense_mac+depthwise_mac+output",
      "dense_mac+depthwise_mac+dense_output",
      "mac+depthwise_output+conv_output",
  };
  return sets;
}

const std::vector<std::string>& pooled_term_sets() {
  static const std::vector<std::string> sets{
      "mac",
      "mac+output",
      "dense_mac+depthwise_mac+output",
      "conv2d+pointwise+depthwise+output",
      "convolution_mac+depthwise_mac+fully_connected.macs+output",
  };
  return sets;
}

std::vector<mcu::Term> parse_terms(const std::string& text) {
  std::vector<mcu::Term> terms;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t plus = std::min(text.find('+', begin), text.size());
    mcu::Term term = term_of(text.substr(begin, plus - begin));
    for (const mcu::Term& other : terms) {
      if (other.features == term.features) {
        throw ConfigError("--terms", "\"" + other.name + "\" and \"" + term.name + "\" are the same; allowed: once");
      }
    }
    terms.push_back(std::move(term));
    begin = plus + 1;
  }
  return terms;
}

std::string unit(const mcu::Term& term) {
  return term.features.begin()->first.ends_with(".macs") ? "cycles per MAC" : "cycles per output";
}

}  // namespace cosearch::calibrate
