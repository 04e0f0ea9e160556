#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <cstring>
#include <utility>

#include "tests/trainer/data/file_damage.hpp"
#include "trainer/data/npy.hpp"
#include "trainer/data/zip.hpp"

namespace cosearch {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using testing::loading_error;
using testing::write_file;

template <class T>
std::string raw(const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

template <class T>
std::string little(T value) {
  return raw(std::vector<T>{value});
}

/// As numpy.lib.format writes it: the header padded with blanks to a multiple of 64 and ended by a newline.
std::string npy(const std::string& dictionary, const std::string& body, int version = 1) {
  const std::size_t prefix = version == 1 ? 10 : 12;
  std::string header = dictionary;
  header.append(63 - (prefix + header.size()) % 64, ' ');
  header += '\n';
  const std::string length = version == 1 ? little(static_cast<std::uint16_t>(header.size()))
                                          : little(static_cast<std::uint32_t>(header.size()));
  return std::string("\x93NUMPY") + static_cast<char>(version) + '\0' + length + header + body;
}

std::string npy_of(const std::string& type, const std::string& shape, const std::string& body, int version = 1) {
  return npy("{'descr': '" + type + "', 'fortran_order': False, 'shape': " + shape + ", }", body, version);
}

std::string deflated(const std::string& plain) {
  z_stream stream{};
  if (deflateInit2(&stream, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::runtime_error("deflateInit2");
  }
  std::string packed(deflateBound(&stream, plain.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

/// An archive with a 20-byte extra field in local headers, as numpy's writer leaves there, and none in its directory.
std::string zip(const std::vector<std::pair<std::string, std::string>>& members, std::uint16_t method) {
  std::string archive;
  std::string directory;
  for (const auto& [name, content] : members) {
    const std::string packed = method == 8 ? deflated(content) : content;
    const auto crc = static_cast<std::uint32_t>(
        crc32(0, reinterpret_cast<const Bytef*>(content.data()), static_cast<uInt>(content.size())));
    const std::string common = little<std::uint16_t>(0) + little(method) + little<std::uint32_t>(0) + little(crc) +
                               little(static_cast<std::uint32_t>(packed.size())) +
                               little(static_cast<std::uint32_t>(content.size())) +
                               little(static_cast<std::uint16_t>(name.size()));
    directory += std::string("PK\1\2") + little<std::uint16_t>(45) + little<std::uint16_t>(45) + common +
                 std::string(12, '\0') + little(static_cast<std::uint32_t>(archive.size())) + name;
    archive += std::string("PK\3\4") + little<std::uint16_t>(45) + common + little<std::uint16_t>(20) + name +
               std::string(20, '\0') + packed;
  }
  const auto count = static_cast<std::uint16_t>(members.size());
  const std::string end = std::string("PK\5\6") + std::string(4, '\0') + little(count) + little(count) +
                          little(static_cast<std::uint32_t>(directory.size())) +
                          little(static_cast<std::uint32_t>(archive.size())) + little<std::uint16_t>(0);
  return archive + directory + end;
}

std::vector<std::pair<std::string, std::string>> small_members() {
  std::string pixels;
  for (int i = 0; i < 8 * 6; ++i) {
    pixels.push_back(static_cast<char>(5 * i));
  }
  return {{"x_train.npy", npy_of("|u1", "(8, 2, 3)", pixels)},
          {"y_train.npy", npy_of("<i8", "(8,)", raw<std::int64_t>({0, 1, 0, 1, 0, 1, 0, 1}))},
          {"x_test.npy", npy_of("|u1", "(2, 2, 3, 1)", pixels.substr(0, 12), 2)},
          {"y_test.npy", npy_of("<i4", "(2, 1)", raw<std::int32_t>({1, 0}), 3)}};
}

class Npz : public ::testing::Test {
 protected:
  Npz() { config_ = {{"name", "npz"}, {"path", path_}, {"height", 2}, {"width", 3}, {"classes", 2}, {"search", 2}}; }
  testing::TemporaryDirectory directory_;
  std::string path_ = directory_.file("data.npz");
  json config_;
};

TEST_F(Npz, StoredDeflatedAndUnpackedArraysAreTheSame) {
  std::vector<std::uint64_t> hashes;
  for (const std::uint16_t method : std::initializer_list<std::uint16_t>{0, 8}) {
    write_file(path_, zip(small_members(), method));
    const TaskData data = load_task_data(config_);
    EXPECT_EQ(data.train.size(), 6);
    EXPECT_EQ(data.search.size(), 2);
    EXPECT_EQ(data.test.labels, (std::vector<std::uint8_t>{1, 0}));
    ASSERT_EQ(data.test.pixels.size(), 12U);
    for (std::size_t i = 0; i < 12; ++i) {
      EXPECT_EQ(data.test.pixels[i], 5 * i);
    }
    hashes.push_back(data.content_hash);
  }
  for (const auto& [name, bytes] : small_members()) {
    write_file(directory_.file(name), bytes);
  }
  config_["path"] = directory_.path();
  hashes.push_back(load_task_data(config_).content_hash);
  EXPECT_EQ(hashes[0], hashes[1]);
  EXPECT_EQ(hashes[0], hashes[2]);
}

TEST_F(Npz, RealNumbersAndChannelsFirstBecomeBytesWithChannelsLast) {
  auto members = small_members();
  std::vector<float> train(8 * 2 * 6, 0.0F);
  std::vector<double> test;
  for (int i = 0; i < 24; ++i) {
    test.push_back(-1.0 + 2.0 * i / 255.0);
  }
  members[0].second = npy_of("<f4", "(8, 2, 2, 3)", raw(train));
  members[2].second = npy_of("<f8", "(2, 2, 2, 3)", raw(test));
  write_file(path_, zip(members, 8));
  config_.update({{"layout", "nchw"}, {"channels", 2}, {"black", -1.0}, {"white", 1.0}});
  const TaskData data = load_task_data(config_);
  EXPECT_EQ(data.train.pixels.front(), 128);  // the middle, rounded away from zero
  for (std::size_t i = 0; i < 24; ++i) {      // (sample, pixel, channel)
    EXPECT_EQ(data.test.pixels[i], i / 12 * 12 + i % 2 * 6 + i % 12 / 2);
  }
}

TEST_F(Npz, BadArraysAreNamedWithWhatIsAllowed) {
  const std::string pixels(48, 'x');
  const std::string labels = raw<std::int64_t>({0, 1, 0, 1, 0, 1, 0, 1});
  struct Case {
    std::size_t member;
    std::string bytes;
    std::string message;
  };
  const std::vector<Case> cases{
      {0, npy_of("|u1", "(8, 3, 2)", pixels), "has shape (8, 3, 2), expected (8, 2, 3, 1)"},
      {0, npy_of("|u1", "(48,)", pixels), "has shape (48), expected (8, 2, 3, 1)"},
      {0, npy_of("|u1", "(8, 2, 3)", pixels + "x"), "holds 49 bytes after its NPY header, expected 48"},
      {0, npy_of("|u1", "(8, 0, 3)", ""), "expected a dimension from 1"},
      {0, npy_of("|u1", "(1099511627776, 1099511627776)", ""), "expected more than memory"},
      {0, npy_of(">f4", "(8, 2, 3)", pixels), "element type >f4 is not read, known: <f4, <f8, |u1, <i4, <i8"},
      {0, npy("{'descr': '|u1', 'fortran_order': True, 'shape': (8, 2, 3), }", pixels), "Fortran order, expected C"},
      {0, npy("{'descr': '|u1', 'shape': (8, 2, 3), }", pixels), "expected the keys descr, fortran_order and shape"},
      {0, npy("{'descr': '|u1', 'dtype': 1}", pixels), "expected the keys descr, fortran_order and shape, each once"},
      {0, npy_of("|u1", "(8, 2, 3)", pixels, 4), "is of NPY version 4, expected 1, 2 or 3"},
      {0, "P5 3 2 255", "is no NPY file"},
      {0, npy_of("<f4", "(8, 2, 3)", raw(std::vector<float>(48, NAN))), "element 0 is nan, expected 0 (\"black\")"},
      {0, npy_of("<i4", "(8, 2, 3)", raw(std::vector<std::int32_t>(48, 256))), "element 0 is 256, expected 0"},
      {1, npy_of("<i8", "(4, 2)", labels), "expected integer labels of shape (n) or (n, 1)"},
      {1, npy_of("<f8", "(8,)", labels), "holds real numbers of shape (8), expected integer labels"},
      {1, npy_of("<i8", "(8,)", raw<std::int64_t>({0, 1, 0, 2, 0, 1, 0, 1})), "label 2 of sample 3 is out of range"},
      {1, npy_of("<i8", "(8,)", raw<std::int64_t>({0, -1, 0, 1, 0, 1, 0, 1})), "label -1 of sample 1 is out of range"},
      {1, npy_of("<i8", "(8,)", std::string(64, '\0')), "has no training sample of class 1"},
  };
  for (const Case& bad : cases) {
    auto members = small_members();
    members[bad.member].second = bad.bytes;
    write_file(path_, zip(members, 0));
    EXPECT_THAT(loading_error(config_), HasSubstr(bad.message));
    EXPECT_THAT(loading_error(config_), HasSubstr(path_));
  }
  write_file(path_, zip(small_members(), 0));
  config_["images"] = "x_trian";
  EXPECT_THAT(loading_error(config_), HasSubstr("/images: array \"x_trian\" is not known; known: x_test, x_train"));
  config_["white"] = 0;
  EXPECT_THAT(loading_error(config_), HasSubstr("\"white\" is 0, expected more than \"black\", 0"));
}

TEST_F(Npz, BadArchivesAreNamed) {
  EXPECT_THAT(loading_error(config_), HasSubstr(path_ + ": cannot be read"));
  write_file(path_, "not an archive, but longer than the end record");
  EXPECT_THAT(loading_error(config_), HasSubstr("is no ZIP archive or truncated"));
  write_file(path_, zip(small_members(), 9));
  EXPECT_THAT(loading_error(config_), HasSubstr("is compressed by method 9, expected 0 (stored) or 8 (deflated)"));
  auto twice = small_members();
  twice.push_back(twice.front());
  write_file(path_, zip(twice, 0));
  EXPECT_THAT(loading_error(config_), HasSubstr("two members"));
  std::string bytes = zip(small_members(), 0);
  const std::size_t pixel = bytes.find("(8, 2, 3)") + 100;
  bytes[pixel] = static_cast<char>(bytes[pixel] ^ 1);
  write_file(path_, bytes);
  EXPECT_THAT(loading_error(config_), HasSubstr("member \"x_train.npy\" is damaged: its CRC-32"));
}

TEST_F(Npz, DamagedFilesAreRefusedOrRead) {
  const auto load = [&] { static_cast<void>(load_task_data(config_)); };
  const std::string stored = zip(small_members(), 0);
  EXPECT_GT(testing::count_refused_flips(path_, stored, 150, load), 100);
  const std::string packed = zip(small_members(), 8);
  testing::expect_truncations_refused(path_, packed, load);
  EXPECT_GT(testing::count_refused_flips(path_, packed, 150, load), 100);
  for (const auto& [name, bytes] : small_members()) {
    write_file(directory_.file(name), bytes);
  }
  config_["path"] = directory_.path();
  for (const auto& [name, bytes] : small_members()) {
    testing::expect_truncations_refused(directory_.file(name), bytes, load);
    EXPECT_GT(testing::count_refused_flips(directory_.file(name), bytes, 80, load), 12) << name;
  }
}

TEST(Npy, EveryTypeKeepsItsValues) {
  const auto values = [](const std::string& type, const std::string& body) {
    const std::string bytes = npy_of(type, "(2,)", body);
    const std::vector<std::uint8_t> view(bytes.begin(), bytes.end());
    const NpyArray array = parse_npy(view, "array");
    return std::vector<double>{array.value(0), array.value(1)};
  };
  EXPECT_EQ(values("|u1", raw<std::uint8_t>({0, 255})), (std::vector<double>{0, 255}));
  EXPECT_EQ(values("<i4", raw<std::int32_t>({-7, 1 << 30})), (std::vector<double>{-7, 1 << 30}));
  EXPECT_EQ(values("<i8", raw<std::int64_t>({-9, std::int64_t{1} << 50})), (std::vector<double>{-9, 1125899906842624}));
  EXPECT_EQ(values("<f4", raw<float>({0.25F, -3.5F})), (std::vector<double>{0.25, -3.5}));
  EXPECT_EQ(values("<f8", raw<double>({1e-300, 0.1})), (std::vector<double>{1e-300, 0.1}));
}

}  // namespace
}  // namespace cosearch
