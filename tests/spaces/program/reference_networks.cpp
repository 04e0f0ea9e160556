#include "tests/spaces/program/reference_networks.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>

#include <nlohmann/json.hpp>

#include "spaces/base/check.hpp"

namespace cosearch::testing {
namespace {

using graph::ActivationKind;
using graph::Builder;

int conv(Builder& builder, const std::string& name, std::int64_t channels, std::int64_t kernel, std::int64_t stride,
         bool depthwise, bool activation, ActivationKind kind = ActivationKind::relu6) {
  graph::Conv2d op;
  op.out_channels = channels;
  op.kernel_h = op.kernel_w = kernel;
  op.stride = stride;
  op.padding = graph::symmetric_padding(kernel);
  op.groups = depthwise ? channels : 1;
  builder.then(name, op);
  builder.then(name + ".bn", graph::BatchNorm{});
  return activation ? builder.then(name + ".act", graph::Activation{kind}) : builder.last();
}

graph::NetworkGraph mcunet(const std::string& name, const nlohmann::json& spec) {
  const std::int64_t resolution = spec.at("resolution");
  Builder builder(name, {resolution, resolution, 3});
  conv(builder, "stem", spec.at("stem"), 3, 2, false, true);
  int index = 0;
  for (const nlohmann::json& block : spec.at("blocks")) {
    const std::int64_t kernel = block[0];
    const std::int64_t stride = block[1];
    const std::int64_t expanded = block[2];
    const std::int64_t out = block[3];
    const int input = builder.last();
    const std::string prefix = "blocks." + std::to_string(index++) + ".";
    if (expanded != builder.shape(input).back()) {
      conv(builder, prefix + "expand", expanded, 1, 1, false, true);
    }
    conv(builder, prefix + "depthwise", expanded, kernel, stride, true, true);
    const int last = conv(builder, prefix + "project", out, 1, 1, false, false);
    if (block[4] == 1) {
      builder.add(prefix + "add", graph::Add{}, {last, input});
    }
  }
  if (const std::int64_t channels = spec.at("feature_mix"); channels > 0) {
    conv(builder, "mix", channels, 1, 1, false, true);
  }
  builder.then("pool", graph::GlobalAveragePool{});
  builder.then("classifier", graph::Linear{{spec.at("classes").get<std::int64_t>()}, {}, true});
  return std::move(builder).finish();
}

/// TensorFlow's convolution: SAME padding, bias, ReLU.
int same_conv(Builder& builder, const std::string& name, int input, std::int64_t channels, std::int64_t kernel_h,
              std::int64_t kernel_w, std::int64_t stride, bool depthwise, bool relu) {
  const graph::Shape& in = builder.shape(input);
  graph::Conv2d op{channels, kernel_h, kernel_w, stride, {}, depthwise ? channels : 1, true};
  if (kernel_h * kernel_w > 1) {
    op.padding = graph::same_padding(in[0], in[1], kernel_h, kernel_w, stride);
  }
  const int last = builder.add(name, op, {input});
  return relu ? builder.add(name + ".act", graph::Activation{ActivationKind::relu}, {last}) : last;
}

graph::NetworkGraph resnet8() {
  Builder builder("resnet8", {32, 32, 3});
  same_conv(builder, "stem", 0, 16, 3, 3, 1, false, true);
  std::int64_t channels = 16;
  for (int stack = 0; stack < 3; ++stack, channels *= 2) {
    const int input = builder.last();
    const std::int64_t stride = stack == 0 ? 1 : 2;
    const std::string prefix = "stack" + std::to_string(stack) + ".";
    const int a = same_conv(builder, prefix + "a", input, channels, 3, 3, stride, false, true);
    const int b = same_conv(builder, prefix + "b", a, channels, 3, 3, 1, false, false);
    const int shortcut =
        stack == 0 ? input : same_conv(builder, prefix + "shortcut", input, channels, 1, 1, stride, false, false);
    const int sum = builder.add(prefix + "add", graph::Add{}, {b, shortcut});
    builder.add(prefix + "act", graph::Activation{ActivationKind::relu}, {sum});
  }
  builder.then("pool", graph::GlobalAveragePool{});
  builder.then("classifier", graph::Linear{{10}, {}, true});
  return std::move(builder).finish();
}

graph::NetworkGraph ds_cnn() {
  Builder builder("ds_cnn", {49, 10, 1});
  same_conv(builder, "stem", 0, 64, 10, 4, 2, false, true);
  for (int block = 0; block < 4; ++block) {
    const std::string prefix = "blocks." + std::to_string(block) + ".";
    same_conv(builder, prefix + "depthwise", builder.last(), 64, 3, 3, 1, true, true);
    same_conv(builder, prefix + "pointwise", builder.last(), 64, 1, 1, 1, false, true);
  }
  builder.then("pool", graph::GlobalAveragePool{});
  builder.then("classifier", graph::Linear{{12}, {}, true});
  return std::move(builder).finish();
}

graph::NetworkGraph mobilenet_v1() {
  struct Block {
    std::int64_t stride, channels;
  };
  const std::vector<Block> blocks{{1, 16},  {2, 32},  {1, 32},  {2, 64},  {1, 64},  {2, 128}, {1, 128},
                                  {1, 128}, {1, 128}, {1, 128}, {1, 128}, {2, 256}, {1, 256}};
  Builder builder("mobilenet_v1_0.25", {96, 96, 3});
  same_conv(builder, "stem", 0, 8, 3, 3, 2, false, true);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const std::string prefix = "blocks." + std::to_string(i) + ".";
    const std::int64_t in = builder.shape(builder.last()).back();
    same_conv(builder, prefix + "depthwise", builder.last(), in, 3, 3, blocks[i].stride, true, true);
    same_conv(builder, prefix + "pointwise", builder.last(), blocks[i].channels, 1, 1, 1, false, true);
  }
  builder.then("pool", graph::GlobalAveragePool{});
  builder.then("classifier", graph::Linear{{2}, {}, true});
  return std::move(builder).finish();
}

graph::NetworkGraph autoencoder() {
  Builder builder("autoencoder", {640});
  const std::vector<std::int64_t> widths{128, 128, 128, 128, 8, 128, 128, 128, 128, 640};
  for (std::size_t i = 0; i < widths.size(); ++i) {
    const std::string name = "fc" + std::to_string(i);
    builder.then(name, graph::Linear{{widths[i]}, {}, true});
    if (i + 1 < widths.size()) {
      builder.then(name + ".bn", graph::BatchNorm{});
      builder.then(name + ".act", graph::Activation{ActivationKind::relu});
    }
  }
  return std::move(builder).finish();
}

std::ifstream open_data(const std::string& name) {
  std::ifstream stream(std::string(COSEARCH_SOURCE_DIR) + "/tests/data/" + name);
  COSEARCH_CHECK(stream.good(), "a table below tests/data is missing");
  return stream;
}

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> cells;
  std::stringstream stream(line);
  for (std::string cell; std::getline(stream, cell, ',');) {
    cells.push_back(cell);
  }
  if (!line.empty() && line.back() == ',') {
    cells.emplace_back();
  }
  return cells;
}

}  // namespace

graph::NetworkGraph reference_network(const std::string& name) {
  if (name == "resnet8") {
    return resnet8();
  }
  if (name == "ds_cnn") {
    return ds_cnn();
  }
  if (name == "mobilenet_v1_0.25") {
    return mobilenet_v1();
  }
  if (name == "autoencoder") {
    return autoencoder();
  }
  std::ifstream stream = open_data("mcunet_networks.json");
  return mcunet(name, nlohmann::json::parse(stream).at("networks").at(name));
}

graph::NetworkGraph small_vit(std::int64_t image, std::int64_t patch, std::int64_t embed, std::int64_t heads,
                              std::int64_t depth) {
  Builder builder("vit", {image, image, 3});
  builder.then("patch", graph::PatchEmbed{patch, embed, 0});
  const std::int64_t grid = image / patch;
  builder.then("position", graph::PositionEmbed{grid, grid});
  for (std::int64_t i = 0; i < depth; ++i) {
    const std::string prefix = "blocks." + std::to_string(i) + ".";
    const int input = builder.last();
    builder.then(prefix + "norm1", graph::LayerNorm{});
    builder.then(prefix + "qkv", graph::Linear{{3, heads, embed / heads}, {}, true});
    builder.then(prefix + "attention", graph::MultiHeadAttention{heads});
    const int attention = builder.then(prefix + "proj", graph::Linear{{embed}, {}, true});
    const int middle = builder.add(prefix + "add1", graph::Add{}, {attention, input});
    builder.then(prefix + "norm2", graph::LayerNorm{});
    builder.then(prefix + "fc1", graph::Linear{{2 * embed}, {}, true});
    builder.then(prefix + "gelu", graph::Activation{ActivationKind::gelu});
    const int mlp = builder.then(prefix + "fc2", graph::Linear{{embed}, {}, true});
    builder.add(prefix + "add2", graph::Add{}, {mlp, middle});
  }
  builder.then("norm", graph::LayerNorm{});
  builder.then("pool", graph::GlobalAveragePool{});
  builder.then("head", graph::Linear{{10}, {}, true});
  return std::move(builder).finish();
}

const std::string& Table::cell(std::size_t row, const std::string& column) const {
  const auto found = std::find(columns.begin(), columns.end(), column);
  COSEARCH_CHECK(found != columns.end(), "a table lacks a column");
  return rows.at(row).at(static_cast<std::size_t>(found - columns.begin()));
}

double Table::number(std::size_t row, const std::string& column) const { return std::stod(cell(row, column)); }

Table read_table(const std::string& name) {
  std::ifstream stream = open_data(name);
  Table table;
  for (std::string line; std::getline(stream, line);) {
    if (line.empty() || line[0] == '#') {
      continue;
    }
    if (table.columns.empty()) {
      table.columns = split(line);
    } else {
      table.rows.push_back(split(line));
    }
  }
  return table;
}

}  // namespace cosearch::testing
