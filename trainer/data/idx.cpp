#include "trainer/data/idx.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>

#include "spaces/base/config_error.hpp"

namespace cosearch {
namespace {

constexpr std::uint32_t kImagesMagic = 0x00000803;  // unsigned byte, three dimensions
constexpr std::uint32_t kLabelsMagic = 0x00000801;  // unsigned byte, one dimension
// A header of nonsense must not make us allocate; the data sets of this family hold some 50 MB.
constexpr std::int64_t kLargestBody = std::int64_t{1} << 32U;

struct CloseGz {
  void operator()(gzFile_s* file) const { gzclose(file); }
};

/// A plain or gzip-compressed file, read from front to back.
class ByteReader {
 public:
  explicit ByteReader(const std::string& path) : path_(path) {
    errno = 0;
    file_.reset(gzopen(path.c_str(), "rb"));
    if (!file_) {
      throw error(fmt::format("cannot be opened: {}", std::strerror(errno != 0 ? errno : ENOMEM)));
    }
  }

  [[nodiscard]] ConfigError error(const std::string& message) const { return {"", message, path_}; }

  /// Fills `out` as far as the file goes and returns how far that is.
  std::size_t read(std::uint8_t* out, std::size_t size) {
    constexpr std::size_t kChunk = std::size_t{1} << 24U;
    std::size_t done = 0;
    while (done < size) {
      const int got = gzread(file_.get(), out + done, static_cast<unsigned>(std::min(kChunk, size - done)));
      if (got < 0) {
        int code = Z_OK;
        const std::string_view reason = gzerror(file_.get(), &code);
        throw error(code == Z_ERRNO ? fmt::format("cannot be read: {}", std::strerror(errno))
                                    : fmt::format("is damaged: {} after {} bytes", reason, done));
      }
      if (got == 0) {
        // The end of a gzip stream that misses its trailer is reported only by gzerror.
        int code = Z_OK;
        gzerror(file_.get(), &code);
        truncated_ = truncated_ || code == Z_BUF_ERROR;
        break;
      }
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

  /// Whether the compressed stream ended before its own end.
  [[nodiscard]] bool truncated() const noexcept { return truncated_; }

 private:
  std::string path_;
  std::unique_ptr<gzFile_s, CloseGz> file_;
  bool truncated_ = false;
};

/// The sizes of an IDX file's dimensions, after its magic number was found right.
template <std::size_t N>
std::array<std::int64_t, N> read_header(ByteReader& reader, std::uint32_t magic, std::string_view what) {
  std::array<std::uint8_t, 4 * (N + 1)> bytes{};
  const std::size_t got = reader.read(bytes.data(), bytes.size());
  if (got < bytes.size()) {
    throw reader.error(fmt::format("holds {} bytes, expected an IDX header of {}", got, bytes.size()));
  }
  const auto word = [&](std::size_t i) {
    return (std::uint32_t{bytes[4 * i]} << 24U) | (std::uint32_t{bytes[4 * i + 1]} << 16U) |
           (std::uint32_t{bytes[4 * i + 2]} << 8U) | std::uint32_t{bytes[4 * i + 3]};
  };
  if (word(0) != magic) {
    throw reader.error(fmt::format("begins with the number {}, expected {} (IDX {})", word(0), magic, what));
  }
  std::array<std::int64_t, N> extents{};
  std::int64_t product = 1;
  for (std::size_t i = 0; i < N; ++i) {
    extents[i] = word(i + 1);
    if (extents[i] == 0 || extents[i] > kLargestBody / product) {
      throw reader.error(fmt::format("dimension {} of its header is {}, expected 1 or more and at most {} bytes in all",
                                     i, extents[i], kLargestBody));
    }
    product *= extents[i];
  }
  return extents;
}

std::vector<std::uint8_t> read_body(ByteReader& reader, std::int64_t size, const std::string& layout) {
  // In steps, so that a header that announces too much does not make us allocate it.
  constexpr std::int64_t kStep = std::int64_t{1} << 24U;
  std::vector<std::uint8_t> body;
  for (std::int64_t got = 0; got < size;) {
    const std::int64_t step = std::min(kStep, size - got);
    body.resize(static_cast<std::size_t>(got + step));
    const auto came = static_cast<std::int64_t>(reader.read(body.data() + got, static_cast<std::size_t>(step)));
    got += came;
    if (came < step) {
      throw reader.error(
          fmt::format("is truncated: holds {} bytes after its header, expected {} ({})", got, size, layout));
    }
  }
  std::uint8_t extra = 0;
  if (reader.read(&extra, 1) != 0) {
    throw reader.error(
        fmt::format("holds more than the {} bytes after its header that it announces ({})", size, layout));
  }
  if (reader.truncated()) {
    throw reader.error("is truncated: its compressed stream ends without a checksum");
  }
  return body;
}

}  // namespace

IdxImages read_idx_images(const std::string& path) {
  ByteReader reader(path);
  const auto [count, height, width] = read_header<3>(reader, kImagesMagic, "images");
  IdxImages images{count, height, width, {}};
  images.pixels = read_body(reader, count * height * width, fmt::format("{} images of {} x {}", count, height, width));
  return images;
}

std::vector<std::uint8_t> read_idx_labels(const std::string& path, std::int64_t classes) {
  ByteReader reader(path);
  const auto [count] = read_header<1>(reader, kLabelsMagic, "labels");
  std::vector<std::uint8_t> labels = read_body(reader, count, fmt::format("{} labels", count));
  const auto wrong = std::find_if(labels.begin(), labels.end(), [&](std::uint8_t label) { return label >= classes; });
  if (wrong != labels.end()) {
    throw reader.error(fmt::format("label {} of image {} is out of range, expected 0 to {}", *wrong,
                                   wrong - labels.begin(), classes - 1));
  }
  return labels;
}

}  // namespace cosearch
