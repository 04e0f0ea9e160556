#include "experiments/export/c/project.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "experiments/config/json_file.hpp"
#include "experiments/export/c/c_text.hpp"
#include "experiments/export/c/constants.hpp"
#include "experiments/export/c/embedded.hpp"
#include "experiments/export/c/kernel_files.hpp"
#include "experiments/export/c/model_text.hpp"
#include "spaces/base/check.hpp"

namespace cosearch::c_export {
namespace {

// The MPS2 boards have 4 MB for code and constants; what is larger goes to their external memory.
constexpr std::int64_t kMostConstantsInFlash = 3 << 20;

template <class T>
std::string values_text(const std::vector<std::int8_t>& bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return list(std::span<const T>(values));
}

std::string values_text(const std::string& type, const std::vector<std::int8_t>& bytes) {
  return type == "int8_t"    ? values_text<std::int8_t>(bytes)
         : type == "int32_t" ? values_text<std::int32_t>(bytes)
                             : values_text<float>(bytes);
}

File test_vector(const Project& project) {
  const std::size_t input_size = input_type(project) == "int8_t" ? 1 : 4;
  const std::size_t output_size = is_float(project) ? 4 : 1;
  std::string inputs, outputs;
  for (const TestVector& vector : project.test_vectors) {
    COSEARCH_CHECK(vector.input.size() == input_size * static_cast<std::size_t>(input_elements(project)),
                   "a test vector of another size than the network's input");
    inputs += fmt::format("{{\n{}\n}},\n", values_text(input_type(project), vector.input));
    outputs += fmt::format("{{\n{}\n}},\n", values_text(output_type(project), vector.output));
  }
  const std::size_t count = project.test_vectors.size();
  return {"test_vector.h",
          fmt::format("/* Inputs, and outputs as the reference computes them. */\n"
                      "#define TEST_VECTORS {0}\n"
                      "#ifdef __ELF__\n#define IN_TEST_MEMORY __attribute__((section(\".test_vector\")))\n#else\n"
                      "#define IN_TEST_MEMORY\n#endif\n\n"
                      "static const model_input_value test_inputs[{0}][{1}] IN_TEST_MEMORY = {{\n{2}}};\n\n"
                      "static const model_output_value test_outputs[{0}][{3}] IN_TEST_MEMORY = {{\n{4}}};\n",
                      count, input_elements(project), inputs, project.test_vectors[0].output.size() / output_size,
                      outputs)};
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    text += " " + word;
  }
  return text;
}

bool is_float_header(std::string_view name) { return name == "cs_float.h" || name.ends_with("_f32.h"); }

/// What the Makefile includes.
File make_variables(const Project& project, const std::vector<std::string>& kernels,
                    const std::vector<std::string>& headers) {
  std::string text = "# Of this network, for the Makefile.\n";
  text += fmt::format("PROJECT = {}\nKERNELS ={}\nKERNEL_HEADERS ={}\n", identifier(project.name), joined(kernels),
                      joined(headers));
  text += is_float(project) ? "LIBRARIES = -lm\n" : "LIBRARIES =\n";
  if (project.program.constant_bytes() > kMostConstantsInFlash) {
    text += "WEIGHTS_IN_EXTRA ?= 1\n";
  }
  const auto budget = [&text](const char* name, const std::optional<std::int64_t>& bytes) {
    if (bytes) {
      text += fmt::format("{} ?= {}\n", name, *bytes);
    }
  };
  budget("SRAM_BUDGET", project.budget.sram_bytes);
  budget("FLASH_BUDGET", project.budget.flash_bytes);
  return {"model.mk", std::move(text)};
}

File readme(const Project& project) {
  std::string text = fmt::format(
      "{}\n\nA neural network in C99 ({}), exported by cosearch. It needs no other file, no operating system and no\n"
      "allocation.\n\n"
      "arena      {:9} bytes of RAM: inputs, outputs and everything between\n"
      "constants  {:9} bytes of flash: weights and tables, without the code\n\n",
      project.name, is_float(project) ? "fp32" : "int8", project.plan.bytes, project.program.constant_bytes());
  text +=
      "Use\n"
      "  Compile model.c, weights.c and the kernels cs_*.c into your program (any C99 compiler; with -mcpu=... of a\n"
      "  Cortex-M with the DSP extension the kernels take its instructions); model.h is the interface. The memory plan "
      "is\n"
      "  the comment in model.c. -DMODEL_SRAM_BUDGET=... and -DMODEL_FLASH_BUDGET=... make the compiler refuse what "
      "does\n"
      "  not fit.\n\n"
      "Try\n"
      "  make run                     the test vectors on this machine\n"
      "  make run CPU=cortex-m4       the same in QEMU; also cortex-m0plus, -m3, -m7, -m55, riscv32\n"
      "  make CPU=cortex-m33          build only\n"
      "  make size CPU=cortex-m4      sizes of code (.text), weights, static data and arena\n"
      "  On Debian: gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm, for riscv32 gcc-riscv64-unknown-elf\n"
      "  picolibc-riscv64-unknown-elf qemu-system-misc.\n\n"
      "  The program prints how many test vectors came out right, the instructions of one inference, and the "
      "high-water\n"
      "  marks of arena and stack (see main.c). A board of your own: give FLASH_BASE, FLASH_SIZE, RAM_BASE, RAM_SIZE "
      "and\n"
      "  EXTRA_SIZE=0 to make, see the Makefile.\n";
  return {"README.txt", std::move(text)};
}

}  // namespace

std::vector<File> project_files(const Project& project) {
  COSEARCH_CHECK(!project.test_vectors.empty(), "a project without test vectors");
  const std::vector<std::string> kernels = kernel_files(project);
  std::vector<std::string> headers;
  for (const EmbeddedFile& file : runtime_files()) {
    if (file.name.ends_with(".h") && (is_float(project) || !is_float_header(file.name))) {
      headers.emplace_back(file.name);
    }
  }
  const Constants constants(project);
  ModelText model = model_text(project);
  std::vector<File> files{readme(project),         make_variables(project, kernels, headers),
                          std::move(model.header), std::move(model.source),
                          constants.header(),      constants.source(),
                          test_vector(project)};
  for (const EmbeddedFile& file : template_files()) {
    files.push_back({std::string(file.name), std::string(file.text)});
  }
  for (const EmbeddedFile& file : runtime_files()) {
    const auto wanted = [&file](const std::vector<std::string>& names) {
      return std::find(names.begin(), names.end(), file.name) != names.end();
    };
    if (wanted(kernels) || wanted(headers)) {
      files.push_back({std::string(file.name), std::string(file.text)});
    }
  }
  return files;
}

std::vector<std::string> write_project(const Project& project, const std::string& directory) {
  std::vector<std::string> names;
  for (const File& file : project_files(project)) {
    write_file_atomically(directory + "/" + file.name, file.text);
    names.push_back(file.name);
  }
  return names;
}

}  // namespace cosearch::c_export
