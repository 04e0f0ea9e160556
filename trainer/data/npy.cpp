#include "trainer/data/npy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <optional>
#include <string_view>

#include "spaces/base/check.hpp"
#include "spaces/base/config_error.hpp"
#include "trainer/data/file_bytes.hpp"

namespace cosearch {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr const char* kTypes = "<f4, <f8, |u1, <i4, <i8";

std::size_t width_of(NpyType type) {
  switch (type) {
    case NpyType::u1:
      return 1;
    case NpyType::i4:
    case NpyType::f4:
      return 4;
    case NpyType::i8:
    case NpyType::f8:
      return 8;
  }
  COSEARCH_CHECK(false, "unknown element type");
}

/// The header is a Python dictionary literal of three keys: 'descr' a string, 'fortran_order' a truth value and
/// 'shape' a tuple of integers.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& source) : text_(text), source_(source) {}

  NpyArray parse() {
    expect('{');
    while (!skip('}')) {
      const std::string_view key = quoted();
      expect(':');
      if (key == "descr" && !type_) {
        type_ = type_named(quoted());
      } else if (key == "fortran_order" && !fortran_) {
        fortran_ = truth();
      } else if (key == "shape" && !shape_) {
        shape_ = tuple();
      } else {
        fail("expected the keys descr, fortran_order and shape, each once");
      }
      if (!skip(',')) {
        expect('}');
        break;
      }
    }
    blank();
    if (at_ != text_.size()) {
      fail("expected nothing after the dictionary");
    }
    if (!type_ || !fortran_ || !shape_) {
      fail("expected the keys descr, fortran_order and shape");
    }
    if (*fortran_) {
      fail("is in Fortran order, expected C order");
    }
    return {*type_, *shape_, {}};
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    throw ConfigError("", fmt::format("byte {} of its NPY header: {}", at_, message), source_);
  }

  void blank() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) {
      ++at_;
    }
  }

  bool skip(char wanted) {
    blank();
    if (at_ < text_.size() && text_[at_] == wanted) {
      ++at_;
      return true;
    }
    return false;
  }

  void expect(char wanted) {
    if (!skip(wanted)) {
      fail(fmt::format("expected '{}'", wanted));
    }
  }

  std::string_view quoted() {
    blank();
    const char quote = at_ < text_.size() ? text_[at_] : '\0';
    const std::size_t end = quote == '\'' || quote == '"' ? text_.find(quote, at_ + 1) : std::string_view::npos;
    if (end == std::string_view::npos) {
      fail("expected a string");
    }
    const std::string_view content = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return content;
  }

  [[nodiscard]] NpyType type_named(std::string_view name) const {
    const std::string_view kind = name.empty() ? name : name.substr(1);
    const bool ordered = !name.empty() && name.front() == '<';
    if (kind == "u1" && (ordered || name.front() == '|')) {
      return NpyType::u1;
    }
    if (ordered && kind == "i4") {
      return NpyType::i4;
    }
    if (ordered && kind == "i8") {
      return NpyType::i8;
    }
    if (ordered && kind == "f4") {
      return NpyType::f4;
    }
    if (ordered && kind == "f8") {
      return NpyType::f8;
    }
    const bool shown = name.size() <= 8 && std::all_of(name.begin(), name.end(), [](char c) { return c > ' '; });
    fail(fmt::format("element type {} is not read, known: {}", shown ? name : "of this name", kTypes));
  }

  bool truth() {
    blank();
    for (const auto& [word, value] : {std::pair{std::string_view("True"), true}, {std::string_view("False"), false}}) {
      if (text_.substr(at_, word.size()) == word) {
        at_ += word.size();
        return value;
      }
    }
    fail("expected True or False");
  }

  std::vector<std::int64_t> tuple() {
    constexpr std::size_t kMostDimensions = 32;
    std::vector<std::int64_t> extents;
    expect('(');
    while (!skip(')')) {
      extents.push_back(extent());
      if (extents.size() > kMostDimensions) {
        fail(fmt::format("expected at most {} dimensions", kMostDimensions));
      }
      if (!skip(',')) {
        expect(')');
        break;
      }
    }
    return extents;
  }

  std::int64_t extent() {
    constexpr std::int64_t kLargest = std::int64_t{1} << 40U;
    blank();
    const std::size_t first = at_;
    std::int64_t value = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9' && value <= kLargest; ++at_) {
      value = 10 * value + (text_[at_] - '0');
    }
    if (at_ == first || value < 1 || value > kLargest) {
      fail(fmt::format("expected a dimension from 1 to {}", kLargest));
    }
    return value;
  }

  std::string_view text_;
  const std::string& source_;
  std::size_t at_ = 0;
  std::optional<NpyType> type_;
  std::optional<bool> fortran_;
  std::optional<std::vector<std::int64_t>> shape_;
};

/// Bytes that the array needs, or nothing where they cannot be counted.
std::optional<std::uint64_t> needed_bytes(const NpyArray& array) {
  std::uint64_t bytes = width_of(array.type);
  for (const std::int64_t extent : array.shape) {
    const auto factor = static_cast<std::uint64_t>(extent);
    if (bytes > std::numeric_limits<std::uint64_t>::max() / factor) {
      return std::nullopt;
    }
    bytes *= factor;
  }
  return bytes;
}

}  // namespace

std::int64_t NpyArray::size() const { return static_cast<std::int64_t>(bytes.size() / width_of(type)); }

double NpyArray::value(std::int64_t i) const {
  const std::size_t at = static_cast<std::size_t>(i) * width_of(type);
  switch (type) {
    case NpyType::u1:
      return bytes[at];
    case NpyType::i4:
      return static_cast<std::int32_t>(little_endian_32(bytes, at));
    case NpyType::i8:
      return static_cast<double>(static_cast<std::int64_t>(little_endian_64(bytes, at)));
    case NpyType::f4:
      return std::bit_cast<float>(little_endian_32(bytes, at));
    case NpyType::f8:
      return std::bit_cast<double>(little_endian_64(bytes, at));
  }
  COSEARCH_CHECK(false, "unknown element type");
}

NpyArray parse_npy(std::span<const std::uint8_t> bytes, const std::string& source) {
  const auto fail = [&](const std::string& message) { throw ConfigError("", message, source); };
  if (bytes.size() < kMagic.size() || !std::equal(kMagic.begin(), kMagic.end(), bytes.begin(),
                                                  [](char a, auto b) { return static_cast<std::uint8_t>(a) == b; })) {
    fail("is no NPY file: expected the bytes \\x93NUMPY at its beginning");
  }
  const std::size_t version_end = kMagic.size() + 2;
  const unsigned major = bytes.size() < version_end ? 0 : bytes[kMagic.size()];
  if (major < 1 || major > 3) {
    fail(fmt::format("is of NPY version {}, expected 1, 2 or 3", major));
  }
  const std::size_t begin = version_end + (major == 1 ? 2 : 4);
  if (bytes.size() < begin) {
    fail(fmt::format("is truncated: holds {} bytes, expected an NPY header", bytes.size()));
  }
  const std::size_t length = major == 1 ? little_endian_16(bytes, version_end) : little_endian_32(bytes, version_end);
  if (bytes.size() - begin < length) {
    fail(fmt::format("is truncated: holds {} bytes, expected an NPY header of {}", bytes.size(), begin + length));
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + begin, length);
  NpyArray array = HeaderParser(text, source).parse();
  const auto body = bytes.subspan(begin + length);
  const std::optional<std::uint64_t> needed = needed_bytes(array);
  if (!needed || *needed != body.size()) {
    fail(fmt::format("holds {} bytes after its NPY header, expected {} for an array of shape ({})", body.size(),
                     needed ? fmt::format("{}", *needed) : "more than memory", fmt::join(array.shape, ", ")));
  }
  array.bytes.assign(body.begin(), body.end());
  return array;
}

}  // namespace cosearch
