#include "emulator.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

namespace cosearch::testing_support {

namespace {

namespace fs = std::filesystem;

const std::string kTests = std::string(COSEARCH_SOURCE_DIR) + "/tests/experiments/export/c/";
const std::string kRuntime = std::string(COSEARCH_SOURCE_DIR) + "/experiments/export/c/runtime/";

bool runs(const std::string& command) { return std::system((command + " >/dev/null 2>&1").c_str()) == 0; }

std::string text_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

/// A directory of its own that goes with the object.
class Workplace {
 public:
  Workplace() {
    std::string name = (fs::temp_directory_path() / "cosearch-emulated-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;
  ~Workplace() { fs::remove_all(path_); }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

}  // namespace

std::optional<std::string> missing_emulator() {
  if (!runs("arm-none-eabi-gcc --version")) {
    return "no arm-none-eabi-gcc: packages gcc-arm-none-eabi, libnewlib-arm-none-eabi";
  }
  if (!runs("qemu-system-arm --version")) {
    return "no qemu-system-arm: package qemu-system-arm";
  }
  return std::nullopt;
}

std::vector<std::uint32_t> run_emulated(const EmulatedProgram& program) {
  const Workplace workplace;
  const std::string place = workplace.path().string() + "/";
  std::ofstream(place + "layers.h") << program.generated_header;
  std::string build = "arm-none-eabi-gcc -mthumb -std=c99 -Wall -Wextra -Wconversion -Wshadow -Werror -nostartfiles " +
                      program.flags + " -I" + place + " -I" + kRuntime + " -I" + kTests + " -T " + kTests +
                      "emulator/mps2.ld " + kTests + "emulator/start.c";
  for (const std::string& source : program.sources) {
    build += " " + (source.rfind("cs_", 0) == 0 ? kRuntime : kTests) + source;
  }
  build += " -o " + place + "program.elf >" + place + "build.txt 2>&1";
  if (std::system(build.c_str()) != 0) {
    ADD_FAILURE() << build << "\n" << text_of(place + "build.txt");
    return {};
  }
  const std::string run =
      "timeout 300 qemu-system-arm -M mps2-an386 -icount shift=6 -nographic -monitor none -serial none -chardev "
      "stdio,id=host -semihosting-config enable=on,target=native,chardev=host -kernel " +
      place + "program.elf </dev/null >" + place + "out.txt 2>&1";
  const int code = std::system(run.c_str());
  std::istringstream text(text_of(place + "out.txt"));
  if (code != 0) {
    ADD_FAILURE() << run << "\n" << text.str();
    return {};
  }
  std::vector<std::uint32_t> numbers;
  for (std::uint32_t number = 0; text >> number;) {
    numbers.push_back(number);
  }
  return numbers;
}

}  // namespace cosearch::testing_support
