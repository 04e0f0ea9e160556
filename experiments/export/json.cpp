#include "experiments/export/json.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "experiments/config/json_file.hpp"

namespace cosearch {
namespace {

std::string read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file) {
    throw std::runtime_error(fmt::format("{}: cannot be read: {}", path, std::strerror(errno)));
  }
  return bytes;
}

}  // namespace

std::vector<std::string> write_json(const Design& design, const std::string& directory) {
  const std::string stem = fmt::format("trial_{:06}", design.trial);
  std::vector<std::string> files{stem + ".json"};
  std::string weights_file;
  if (!design.weights_path.empty()) {
    weights_file = stem + ".safetensors";
    write_file_atomically(directory + "/" + weights_file, read_bytes(design.weights_path));
    files.push_back(weights_file);
  }
  write_file_atomically(directory + "/" + files.front(), to_json(design, weights_file).dump(1) + "\n");
  return files;
}

}  // namespace cosearch
