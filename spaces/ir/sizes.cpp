#include "spaces/ir/sizes.hpp"

#include <algorithm>

#include "spaces/ir/checked.hpp"

namespace cosearch::ir {
namespace {

std::int64_t fitting(LineReader& line, const std::optional<std::int64_t>& value) {
  if (!value) {
    line.fail("the value does not fit in 64 bits");
  }
  return *value;
}

std::int64_t exact_quotient(LineReader& line, std::int64_t a, std::int64_t b) {
  if (b == 0) {
    line.fail(fmt::format("{} / 0: a division by zero", a));
  }
  if (b == -1) {
    return fitting(line, multiply(a, b));
  }
  if (a % b != 0) {
    line.fail(fmt::format("{} / {} leaves a remainder of {}, allowed: exact divisions", a, b, a % b));
  }
  return a / b;
}

}  // namespace

void Sizes::declare(LineReader& line) {
  const std::string name = line.size_name("the size's name");
  if (find(name)) {
    line.fail(fmt::format("size \"{}\" is already there, allowed: a new name", name));
  }
  const Value value = sum(line, "a number, a size or (");
  Size size{name, value.number, !value.derived};
  if (const auto found = overrides_.find(name); found != overrides_.end()) {
    if (!size.plain) {
      line.fail(fmt::format("size \"{}\" follows from others and cannot be set, allowed: {}", name,
                            fmt::join(plain_names(), ", ")));
    }
    size.value = found->second;
  }
  sizes_.push_back(std::move(size));
}

std::optional<std::int64_t> Sizes::find(const std::string& name) const {
  const auto found = std::find_if(sizes_.begin(), sizes_.end(), [&](const Size& size) { return size.name == name; });
  return found == sizes_.end() ? std::nullopt : std::optional(found->value);
}

std::vector<std::string> Sizes::names() const {
  std::vector<std::string> names;
  for (const Size& size : sizes_) {
    names.push_back(size.name);
  }
  return names;
}

std::vector<std::string> Sizes::plain_names() const {
  std::vector<std::string> names;
  for (const Size& size : sizes_) {
    if (size.plain) {
      names.push_back(size.name);
    }
  }
  return names;
}

std::int64_t Sizes::value(LineReader& line, const std::string& what) const { return sum(line, what).number; }

Sizes::Value Sizes::sum(LineReader& line, const std::string& what) const {
  Value left = product(line, what);
  while (line.peek() == '+' || line.peek() == '-') {
    const bool minus = !line.take("+") && line.take("-");
    const Value right = product(line, "a number, a size or (");
    const auto signed_right = minus ? multiply(right.number, -1) : right.number;
    left.number = fitting(line, add(left.number, fitting(line, signed_right)));
    left.derived = left.derived || right.derived;
  }
  return left;
}

Sizes::Value Sizes::product(LineReader& line, const std::string& what) const {
  Value left = factor(line, what);
  while (line.peek() == '*' || line.peek() == '/') {
    const bool divides = !line.take("*") && line.take("/");
    const Value right = factor(line, "a number, a size or (");
    left.number =
        divides ? exact_quotient(line, left.number, right.number) : fitting(line, multiply(left.number, right.number));
    left.derived = left.derived || right.derived;
  }
  return left;
}

Sizes::Value Sizes::factor(LineReader& line, const std::string& what) const {
  if (line.take("(")) {
    const Value inner = sum(line, "a number, a size or (");
    line.require(")");
    return inner;
  }
  // Without sizes a word is no more than a misplaced word.
  if (sizes_.empty() || !starts_name(line.peek())) {
    return {line.integer(what), false};
  }
  const std::string name = line.size_name(what);
  const auto value = find(name);
  if (!value) {
    line.fail("size: " + unknown_name(name, names()));
  }
  return {*value, true};
}

void Sizes::check_overrides() const {
  for (const auto& [name, value] : overrides_) {
    if (find(name)) {
      continue;
    }
    if (sizes_.empty()) {
      throw ConfigError{"size " + name, fmt::format("{} is given, but the workload declares no sizes", value)};
    }
    throw ConfigError{"size " + name, unknown_name(name, plain_names())};
  }
}

}  // namespace cosearch::ir
