#include "experiments/export/c/model_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <tuple>

#include "experiments/export/c/c_text.hpp"
#include "experiments/export/c/calls.hpp"
#include "experiments/export/c/constants.hpp"
#include "experiments/export/c/parameters.hpp"
#include "spaces/base/check.hpp"

namespace cosearch::c_export {
namespace {

using program::KernelKind;

std::size_t at(int index) { return static_cast<std::size_t>(index); }

const graph::NetworkGraph& graph_of(const Project& project) {
  return std::visit([](const auto* network) -> const graph::NetworkGraph& { return network->graph; }, project.network);
}

const graph::Shape& input_shape(const Project& project) {
  return std::get<graph::Input>(graph_of(project).nodes[0].op).shape;
}

std::int64_t output_elements(const Project& project, int buffer) {
  return project.program.buffers[at(buffer)].bytes / (is_float(project) ? 4 : 1);
}

/// Nodes whose values are the outputs, each once.
std::vector<int> output_nodes(const Project& project) {
  std::vector<int> nodes;
  for (const int node : graph_of(project).outputs) {
    if (std::find(nodes.begin(), nodes.end(), node) == nodes.end()) {
      nodes.push_back(node);
    }
  }
  return nodes;
}

/// `#define <prefix>_SCALE ...`: what the integers of a value mean.
std::string quantization_text(const std::string& prefix, const quantize::Quantization& q) {
  return fmt::format("#define {}_SCALE {:.9g}f\n#define {}_ZERO_POINT ({})\n", prefix, q.scale, prefix, q.zero_point);
}

/// Sizes of the input and how it is written.
std::string input_text(const Project& project) {
  const graph::Shape& shape = input_shape(project);
  std::string text = fmt::format("#define MODEL_INPUT_ELEMENTS {}\n", input_elements(project));
  if (shape.size() == 3) {
    text +=
        fmt::format("#define MODEL_INPUT_HEIGHT {}\n#define MODEL_INPUT_WIDTH {}\n#define MODEL_INPUT_CHANNELS {}\n",
                    shape[0], shape[1], shape[2]);
  }
  if (const auto* const network = std::get_if<const quantize::QuantizedNetwork*>(&project.network);
      network != nullptr && !graph::takes_token_ids(graph_of(project))) {
    text += "/* real = MODEL_INPUT_SCALE * (value - MODEL_INPUT_ZERO_POINT) */\n" +
            quantization_text("MODEL_INPUT", (*network)->values[0]);
  }
  return text + fmt::format("typedef {} model_input_value;\n", input_type(project));
}

std::string outputs_text(const Project& project) {
  std::string text = fmt::format("#define MODEL_OUTPUTS {}\n", project.program.outputs.size());
  const std::vector<int> nodes = output_nodes(project);
  COSEARCH_CHECK(nodes.size() == project.program.outputs.size(), "outputs of the graph and of the program differ");
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const std::string prefix = fmt::format("MODEL_OUTPUT{}", i);
    text +=
        fmt::format("#define {}_ELEMENTS {} /* {} */\n", prefix, output_elements(project, project.program.outputs[i]),
                    in_comment(graph_of(project).nodes[at(nodes[i])].name));
    if (const auto* const network = std::get_if<const quantize::QuantizedNetwork*>(&project.network)) {
      text += quantization_text(prefix, (*network)->values[at(nodes[i])]);
    }
  }
  return text + fmt::format("typedef {} model_output_value;\n", output_type(project));
}

constexpr std::string_view kStreamedRun =
    "/* Gives a part of the input: rows y to y + height and columns x to x + width of the image, row by row with the\n"
    "   channels of each pixel together. Returns 0, or anything else to stop. */\n"
    "typedef int (*model_reader)(void *context, int y, int x, int height, int width, model_input_value *out);\n\n"
    "/* One inference. The input is asked for part by part, parts may be asked for again. 0, or 1 where `read` failed. "
    "*/\n"
    "int model_run(model_reader read, void *context);\n";
constexpr std::string_view kWholeRun =
    "/* Where the caller puts MODEL_INPUT_ELEMENTS values, before each inference anew: it is part of the arena. */\n"
    "model_input_value *model_input(void);\n\n"
    "/* One inference; returns 0. */\n"
    "int model_run(void);\n";

std::string header_text(const Project& project) {
  std::string text = fmt::format(
      "/* {}: a network as a C function. */\n#ifndef MODEL_H\n#define MODEL_H\n\n"
      "#include <stdint.h>\n\n",
      in_comment(project.name));
  text += fmt::format(
      "/* RAM for inputs, outputs and everything between, and read-only data beside the code. */\n"
      "#define MODEL_ARENA_BYTES {}\n#define MODEL_CONSTANT_BYTES {}\n",
      project.plan.bytes, project.program.constant_bytes());
  text += fmt::format("#define MODEL_IS_FLOAT {:d}\n#define MODEL_STREAMS_INPUT {:d}\n\n", is_float(project),
                      streams_input(project));
  text += input_text(project) + "\n" + outputs_text(project) + "\n";
  text += "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n";
  text += streams_input(project) ? kStreamedRun : kWholeRun;
  text +=
      "\n/* Output `which` of the last inference; valid until the next one, or until an input is written. */\n"
      "const model_output_value *model_output(int which);\n"
      "int model_output_size(int which);\n\n"
      "/* The MODEL_ARENA_BYTES bytes of the arena, to measure how much of it is used. */\n"
      "unsigned char *model_arena(void);\n\n"
      "#ifdef __cplusplus\n}\n#endif\n\n#endif\n";
  return text;
}

/// Compile-time checks. With #error the compiler prints a sentence.
std::string budget_text(const Project& project) {
  return fmt::format(
      "#if defined(MODEL_SRAM_BUDGET) && MODEL_ARENA_BYTES > MODEL_SRAM_BUDGET\n"
      "#error \"SRAM budget exceeded: the arena takes {} bytes, most of them during {}\"\n#endif\n"
      "#if defined(MODEL_FLASH_BUDGET) && MODEL_CONSTANT_BYTES > MODEL_FLASH_BUDGET\n"
      "#error \"flash budget exceeded: weights and other constants take {} bytes, without the code\"\n#endif\n",
      project.plan.bytes, fullest_call(project), project.program.constant_bytes());
}

/// The plan: one line per buffer, by offset and then by birth.
std::string plan_text(const Project& project) {
  const std::vector<program::LiveRange> ranges = program::live_ranges(project.program);
  std::vector<int> order(project.program.buffers.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int a, int b) {
    return std::tuple(project.plan.offsets[at(a)], ranges[at(a)].first, a) <
           std::tuple(project.plan.offsets[at(b)], ranges[at(b)].first, b);
  });
  std::string text = fmt::format(
      "/* The arena: buffers that are not needed at the same time share bytes. Lives are from call to call, counted\n"
      "   from 0.\n\n   {:>8}  {:>8}  {:>11}  buffer\n",
      "offset", "bytes", "life");
  for (const int buffer : order) {
    text += fmt::format("   {:8}  {:8}  {:4} .. {:3}  {}\n", project.plan.offsets[at(buffer)],
                        project.program.buffers[at(buffer)].bytes, ranges[at(buffer)].first, ranges[at(buffer)].last,
                        in_comment(project.program.buffers[at(buffer)].name));
  }
  return text + "*/\n";
}

/// Reads a rectangle of the input; what lies outside of the image is the input's zero point.
std::string read_patch_text(const Project& project) {
  const auto* const network = std::get_if<const quantize::QuantizedNetwork*>(&project.network);
  return fmt::format(
      "/* A rectangle of the input. What lies outside of the image is zero. */\n"
      "static int read_patch(model_reader read, void *context, int y, int x, int height, int width,\n"
      "                      model_input_value *out) {{\n"
      "  if (y >= 0 && x >= 0 && y + height <= MODEL_INPUT_HEIGHT && x + width <= MODEL_INPUT_WIDTH) {{\n"
      "    return read(context, y, x, height, width, out);\n"
      "  }}\n"
      "  for (int i = 0; i < height * width * MODEL_INPUT_CHANNELS; ++i) {{\n"
      "    out[i] = {};\n"
      "  }}\n"
      "  const int left = x < 0 ? 0 : x;\n"
      "  const int right = x + width > MODEL_INPUT_WIDTH ? MODEL_INPUT_WIDTH : x + width;\n"
      "  for (int i = 0; i < height; ++i) {{\n"
      "    const int inside = y + i >= 0 && y + i < MODEL_INPUT_HEIGHT && left < right;\n"
      "    if (inside &&\n"
      "        read(context, y + i, left, 1, right - left, out + (i * width + left - x) * MODEL_INPUT_CHANNELS) != 0) "
      "{{\n"
      "      return 1;\n"
      "    }}\n"
      "  }}\n"
      "  return 0;\n}}\n\n",
      network != nullptr ? std::to_string((*network)->values[0].zero_point) : "0");
}

std::string accessors_text(const Project& project) {
  const auto address = [&](int buffer) { return project.plan.offsets[at(buffer)]; };
  std::string text;
  if (!streams_input(project)) {
    text +=
        fmt::format("model_input_value *model_input(void) {{ return (model_input_value *)(void *)(arena + {}); }}\n\n",
                    address(project.program.inputs[0]));
  }
  text += "const model_output_value *model_output(int which) {\n  static const int32_t offsets[] = {";
  std::string sizes;
  for (const int output : project.program.outputs) {
    text += fmt::format("{}, ", address(output));
    sizes += fmt::format("{}, ", output_elements(project, output));
  }
  text += "};\n  return (const model_output_value *)(const void *)(arena + offsets[which]);\n}\n\n";
  text += fmt::format(
      "int model_output_size(int which) {{\n  static const int32_t sizes[] = {{{}}};\n"
      "  return sizes[which];\n}}\n\n",
      sizes);
  return text + "unsigned char *model_arena(void) { return (unsigned char *)arena; }\n";
}

std::string source_text(const Project& project) {
  const Constants constants(project);
  Parameters parameters(project, constants);
  const std::string statements = Calls(project, constants, parameters).statements();
  std::string text =
      fmt::format("#include \"model.h\"\n\n#include <string.h>\n\n#include \"{}\"\n#include \"weights.h\"\n\n",
                  is_float(project) ? "cs_kernels_f32.h" : "cs_kernels.h");
  text += budget_text(project) + "\n" + plan_text(project);
  text +=
      "#ifdef __ELF__\n#define ARENA __attribute__((section(\".arena\"), aligned(16)))\n#else\n#define ARENA\n#endif\n"
      "static int8_t arena[MODEL_ARENA_BYTES] ARENA;\n\n";
  text += parameters.declarations() + "\n";
  if (streams_input(project)) {
    text += read_patch_text(project) + "int model_run(model_reader read, void *context) {\n";
  } else {
    text += "int model_run(void) {\n";
  }
  return text + statements + "  return 0;\n}\n\n" + accessors_text(project);
}

}  // namespace

ModelText model_text(const Project& project) {
  return {{"model.h", header_text(project)}, {"model.c", source_text(project)}};
}

const std::string& fullest_call(const Project& project) {
  const std::vector<program::LiveStep> steps = program::live_steps(project.program);
  const auto fullest =
      std::max_element(steps.begin(), steps.end(),
                       [](const program::LiveStep& a, const program::LiveStep& b) { return a.bytes < b.bytes; });
  return project.program.calls[static_cast<std::size_t>(fullest - steps.begin())].name;
}

std::int64_t input_elements(const Project& project) { return graph::elements(input_shape(project)); }

std::string input_type(const Project& project) {
  if (graph::takes_token_ids(graph_of(project))) {
    return "int32_t";
  }
  return output_type(project);
}

std::string output_type(const Project& project) { return is_float(project) ? "float" : "int8_t"; }

bool is_float(const Project& project) { return std::holds_alternative<const FloatNetwork*>(project.network); }

bool streams_input(const Project& project) { return project.program.inputs.empty(); }

}  // namespace cosearch::c_export
