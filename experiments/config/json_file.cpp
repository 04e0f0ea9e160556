#include "experiments/config/json_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <stdexcept>
#include <vector>

#include "spaces/base/config_error.hpp"

namespace cosearch {
namespace {

using nlohmann::json;

class FileDescriptor {
 public:
  FileDescriptor(const std::string& path, int flags) : descriptor_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() { close(); }

  [[nodiscard]] int get() const noexcept { return descriptor_; }
  bool close() noexcept {
    const int descriptor = descriptor_;
    descriptor_ = -1;
    return descriptor < 0 || ::close(descriptor) == 0;
  }

 private:
  int descriptor_;
};

std::string place_in_text(std::string_view text, std::size_t byte) {
  const std::string_view before = text.substr(0, std::min(byte, text.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t line_start = before.find_last_of('\n') + 1;  // npos + 1 is 0
  return fmt::format("line {}, column {}", line, before.size() - line_start + 1);
}

/// nlohmann's text without its own tag and position.
std::string syntax_message(std::string message) {
  for (const std::string_view head : {"syntax error ", "parse error ", "number overflow "}) {
    const std::size_t found = message.find(head);
    if (found != std::string::npos) {
      message.erase(0, found);
      break;
    }
  }
  return message;
}

/// Sees every key while the parser reads, because the finished object keeps only the last of two equal ones.
class DuplicateKeys {
 public:
  bool operator()(int, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start) {
      open_.emplace_back();
    } else if (event == json::parse_event_t::object_end) {
      open_.pop_back();
    } else if (event == json::parse_event_t::key && !open_.back().insert(parsed.get<std::string>()).second &&
               duplicate_.empty()) {
      duplicate_ = parsed.get<std::string>();
    }
    return true;
  }
  [[nodiscard]] const std::string& duplicate() const noexcept { return duplicate_; }

 private:
  std::vector<std::set<std::string>> open_;
  std::string duplicate_;
};

[[noreturn]] void cannot_write(const std::string& path) {
  throw std::runtime_error(fmt::format("{}: cannot be written: {}", path, std::strerror(errno)));
}

}  // namespace

json parse_json(std::string_view text, const std::string& file) {
  DuplicateKeys keys;
  json parsed;
  try {
    parsed = json::parse(
        text.begin(), text.end(),
        [&keys](int depth, json::parse_event_t event, json& value) { return keys(depth, event, value); }, true, true);
  } catch (const json::parse_error& error) {
    // The parser reports the number of bytes it has taken, the wrong one included.
    throw ConfigError(place_in_text(text, error.byte > 0 ? error.byte - 1 : 0), syntax_message(error.what()), file);
  } catch (const json::out_of_range& error) {
    throw ConfigError("", syntax_message(error.what()), file);  // a number like 1e999; no position is known
  }
  if (!keys.duplicate().empty()) {
    throw ConfigError("", fmt::format("the key \"{}\" is there twice in one object; allowed: once", keys.duplicate()),
                      file);
  }
  return parsed;
}

json read_json_file(const std::string& path) {
  const FileDescriptor file(path, O_RDONLY);
  std::string text;
  std::vector<char> block(1U << 16U);
  ssize_t count = file.get() < 0 ? -1 : 0;
  while (file.get() >= 0 && (count = ::read(file.get(), block.data(), block.size())) > 0) {
    text.append(block.data(), static_cast<std::size_t>(count));
  }
  if (count < 0) {
    throw ConfigError("", fmt::format("cannot be read: {}; expected a JSON file", std::strerror(errno)), path);
  }
  return parse_json(text, path);
}

std::string read_text_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file || !file.good()) {
    throw ConfigError("", "cannot be read", path);
  }
  return text.str();
}

void write_file_atomically(const std::string& path, std::string_view text) {
  const std::string temporary = path + ".tmp";
  FileDescriptor file(temporary, O_WRONLY | O_CREAT | O_TRUNC);
  if (file.get() < 0) {
    cannot_write(temporary);
  }
  while (!text.empty()) {
    const ssize_t count = ::write(file.get(), text.data(), text.size());
    if (count < 0) {
      cannot_write(temporary);
    }
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  if (::fsync(file.get()) != 0 || !file.close() || std::rename(temporary.c_str(), path.c_str()) != 0) {
    cannot_write(path);
  }
}

}  // namespace cosearch
