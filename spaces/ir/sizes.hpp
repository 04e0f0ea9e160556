#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "spaces/ir/line_reader.hpp"

/// Inside of spaces/ir: the named sizes of the text form.
namespace cosearch::ir {

/// Sizes in the order of their declarations. `overrides` stand in place of what the text says about plain sizes, those
/// that no other size decides.
class Sizes {
 public:
  explicit Sizes(const std::map<std::string, std::int64_t>& overrides) : overrides_(overrides) {}

  /// Reads `NAME value`, what follows the keyword `size`. @throws ConfigError: a name that is there already, an
  /// override of a derived size.
  void declare(LineReader& line);
  [[nodiscard]] std::optional<std::int64_t> find(const std::string& name) const;
  [[nodiscard]] std::vector<std::string> names() const;

  /// Reads a sum of products of integers and sizes. @throws ConfigError: unknown sizes, divisions by zero or with a
  /// remainder, results that do not fit in 64 bits.
  [[nodiscard]] std::int64_t value(LineReader& line, const std::string& what) const;

  /// @throws ConfigError when an override names no declared size.
  void check_overrides() const;

 private:
  struct Size {
    std::string name;
    std::int64_t value = 0;
    bool plain = true;
  };
  /// A value, and whether sizes were read on the way.
  struct Value {
    std::int64_t number = 0;
    bool derived = false;
  };

  [[nodiscard]] Value sum(LineReader& line, const std::string& what) const;
  [[nodiscard]] Value product(LineReader& line, const std::string& what) const;
  [[nodiscard]] Value factor(LineReader& line, const std::string& what) const;
  [[nodiscard]] std::vector<std::string> plain_names() const;

  const std::map<std::string, std::int64_t>& overrides_;
  std::vector<Size> sizes_;
};

}  // namespace cosearch::ir
