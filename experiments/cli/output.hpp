#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace cosearch::cli {

/// Version of everything that commands print as JSON, in its `schema_version`.
inline constexpr int kOutputVersion = 1;

enum class Format { table, json, jsonl, csv };

/// The reader of standard output has gone: no error, the command just ends.
struct ClosedPipe {};

/// Standard output with a buffer; the data of a command and nothing else.
class Output {
 public:
  /// @throws ClosedPipe, std::runtime_error when it cannot be written.
  void write(std::string_view text);
  void flush();

 private:
  std::string buffer_;
};

/// Rows of named values, the shape of most answers. Missing values are null.
struct Records {
  std::string kind;  ///< key of the list in JSON: `trials`, `campaigns`
  std::vector<std::string> columns;
  std::vector<std::vector<nlohmann::json>> rows;
};

/// table: aligned, `-` for null. json: {"schema_version", kind: [{column: value}]}. jsonl: one object a line, each with
/// its schema_version. csv: RFC 4180 with a header line, nothing for null.
void print(Output& out, Format format, const Records& records);

/// The rows as a list of objects {column: value}.
[[nodiscard]] nlohmann::ordered_json objects(const Records& records);

/// A number as JSON: an integer where it is one, so that counts have no `.0`.
[[nodiscard]] nlohmann::json json_number(double value);

/// {"schema_version": 1} to be filled; keys keep their order.
[[nodiscard]] nlohmann::ordered_json versioned();
/// Pretty with format json, on one line with jsonl.
void print(Output& out, Format format, const nlohmann::ordered_json& document);

}  // namespace cosearch::cli
