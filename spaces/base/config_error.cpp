#include "spaces/base/config_error.hpp"

#include <algorithm>
#include <numeric>

namespace cosearch {
namespace {

std::string one_line(const std::string& file, const std::string& place, const std::string& message) {
  std::string line;
  for (const std::string& part : {file, place}) {
    if (!part.empty()) {
      line += part + ": ";
    }
  }
  line += message;
  // Text that was read may hold line breaks; an error stays one line.
  std::replace(line.begin(), line.end(), '\n', ' ');
  std::replace(line.begin(), line.end(), '\r', ' ');
  return line;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0U : 1U);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, replaced});
    }
  }
  return row.back();
}

}  // namespace

ConfigError::ConfigError(std::string place, std::string message, std::string file)
    : std::runtime_error(one_line(file, place, message)),
      file_(std::move(file)),
      place_(std::move(place)),
      message_(std::move(message)) {}

ConfigError ConfigError::in_file(const std::string& file) const { return {place_, message_, file}; }

ConfigError ConfigError::below(const std::string& prefix) const { return {prefix + place_, message_, file_}; }

std::string unknown_name(std::string_view read, const std::vector<std::string>& known) {
  std::string text = "\"" + std::string(read) + "\" is not known; known:" + (known.empty() ? " none" : "");
  std::string nearest;
  std::size_t nearest_distance = std::max<std::size_t>(2, read.size() / 3) + 1;
  for (std::size_t i = 0; i < known.size(); ++i) {
    text += (i == 0 ? " " : ", ") + known[i];
    const std::size_t distance = edit_distance(read, known[i]);
    if (distance < nearest_distance) {
      nearest_distance = distance;
      nearest = known[i];
    }
  }
  if (!nearest.empty()) {
    text += "; did you mean \"" + nearest + "\"?";
  }
  return text;
}

}  // namespace cosearch
