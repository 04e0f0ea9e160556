#include "experiments/cli/output.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "experiments/cli/table.hpp"
#include "spaces/base/check.hpp"

namespace cosearch::cli {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::size_t kBufferBytes = 1U << 16U;

template <class Json>
std::string dump(const Json& value, int indent) {
  // Reasons may quote bytes of a user's file; output is UTF-8 whatever they are.
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

std::string cell_text(const json& value) {
  if (value.is_null()) {
    return "-";
  }
  if (value.is_string()) {
    return value.get<std::string>();
  }
  return value.is_number() ? format_number(value.get<double>()) : dump(value, -1);
}

std::string csv_field(const json& value) {
  if (value.is_null()) {
    return {};
  }
  std::string text = value.is_string() ? value.get<std::string>() : dump(value, -1);
  if (text.find_first_of("\",\r\n") == std::string::npos) {
    return text;
  }
  std::string quoted = "\"";
  for (const char c : text) {
    quoted += c == '"' ? "\"\"" : std::string(1, c);
  }
  return quoted + "\"";
}

ordered_json to_object(const Records& records, const std::vector<json>& row, ordered_json object) {
  for (std::size_t i = 0; i < row.size(); ++i) {
    object[records.columns[i]] = row[i];
  }
  return object;
}

void print_table(Output& out, const Records& records) {
  Table table(records.columns);
  for (const std::vector<json>& row : records.rows) {
    std::vector<std::string> cells;
    cells.reserve(row.size());
    for (const json& value : row) {
      cells.push_back(cell_text(value));
    }
    table.add_row(std::move(cells));
  }
  out.write(table.text());
}

void print_csv(Output& out, const Records& records) {
  const auto line = [&out](const auto& values) {
    std::string text;
    for (std::size_t i = 0; i < values.size(); ++i) {
      text += (i == 0 ? "" : ",") + csv_field(values[i]);
    }
    out.write(text + "\r\n");
  };
  line(records.columns);
  for (const std::vector<json>& row : records.rows) {
    line(row);
  }
}

}  // namespace

void Output::write(std::string_view text) {
  buffer_ += text;
  if (buffer_.size() >= kBufferBytes) {
    flush();
  }
}

void Output::flush() {
  std::string_view rest = buffer_;
  while (!rest.empty()) {
    const ssize_t count = ::write(STDOUT_FILENO, rest.data(), rest.size());
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      buffer_.clear();
      if (errno == EPIPE) {
        throw ClosedPipe{};
      }
      throw std::runtime_error(fmt::format("standard output cannot be written: {}", std::strerror(errno)));
    }
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
  buffer_.clear();
}

void print(Output& out, Format format, const Records& records) {
  switch (format) {
    case Format::table:
      print_table(out, records);
      return;
    case Format::csv:
      print_csv(out, records);
      return;
    case Format::jsonl:
      for (const std::vector<json>& row : records.rows) {
        out.write(dump(to_object(records, row, versioned()), -1) + "\n");
      }
      return;
    case Format::json: {
      ordered_json document = versioned();
      document[records.kind] = objects(records);
      print(out, format, document);
      return;
    }
  }
}

ordered_json objects(const Records& records) {
  ordered_json list = ordered_json::array();
  for (const std::vector<json>& row : records.rows) {
    list.push_back(to_object(records, row, ordered_json::object()));
  }
  return list;
}

json json_number(double value) {
  constexpr double kExactIntegers = 9007199254740992.0;  // 2^53
  if (!std::isfinite(value)) {
    return nullptr;
  }
  if (value == std::floor(value) && std::abs(value) < kExactIntegers) {
    return static_cast<std::int64_t>(value);
  }
  return value;
}

ordered_json versioned() { return {{"schema_version", kOutputVersion}}; }

void print(Output& out, Format format, const ordered_json& document) {
  out.write(dump(document, format == Format::jsonl ? -1 : 2) + "\n");
}

}  // namespace cosearch::cli
