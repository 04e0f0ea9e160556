#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "spaces/base/config_error.hpp"
#include "tests/trainer/store/axes.hpp"
#include "tests/trainer/temporary_directory.hpp"
#include "trainer/store/weight_store.hpp"

namespace cosearch {
namespace {

using graph::Initializer;
using graph::WeightSpec;
using nlohmann::json;
using testing::axis;
using ::testing::HasSubstr;
using testing::leading;
using ::testing::Not;
using testing::read_file;
using testing::TemporaryDirectory;
using testing::weight;
using testing::write_file;

std::vector<WeightSpec> specs() {
  std::vector<WeightSpec> list{
      weight("a.weight", {axis({leading(3)}), axis({leading(2)})}, Initializer::he_normal),
      weight("a.bias", {axis({leading(2)})}, Initializer::ones),
      weight("b.weight", {axis({leading(2)}), axis({leading(1)}), axis({leading(5)})}, Initializer::truncated_normal)};
  list[1].decay = false;
  return list;
}

std::string file_of(const std::string& header, const std::string& body) {
  const std::uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + body;
}

TEST(Safetensors, RoundTripKeepsValuesShapesAndMetadata) {
  const TemporaryDirectory directory;
  const std::string path = directory.file("net.safetensors");
  const WeightStore store = WeightStore::for_specs(specs(), 3);
  const std::map<std::string, std::string> metadata{{"network", "0123"}, {"note", "a \"quoted\" text"}};
  save_safetensors(store, metadata, path);
  std::map<std::string, std::string> read_metadata;
  const WeightStore read = load_safetensors(path, specs(), &read_metadata);
  EXPECT_EQ(read_metadata, metadata);
  ASSERT_EQ(read.weights().size(), 3U);
  for (const auto& [name, weight] : store.weights()) {
    EXPECT_EQ(read.at(name).values, weight.values);
    EXPECT_EQ(read.at(name).spec.shape(), weight.spec.shape());
    EXPECT_EQ(read.at(name).spec.decay, weight.spec.decay);
  }
}

TEST(Safetensors, FileFollowsThePublishedLayout) {
  const TemporaryDirectory directory;
  const std::string path = directory.file("net.safetensors");
  WeightStore store;
  store.insert({weight("w", {axis({leading(2)})}), {1.0F, -2.0F}});
  save_safetensors(store, {{"k", "v"}}, path);
  const std::string bytes = read_file(path);
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  EXPECT_EQ(length % 8, 0U);
  ASSERT_EQ(bytes.size(), 8 + length + 8);
  EXPECT_EQ(json::parse(bytes.substr(8, length)),
            json::parse(R"({"__metadata__":{"k":"v"},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})"));
  EXPECT_EQ(bytes.substr(8 + length), std::string("\x00\x00\x80\x3f\x00\x00\x00\xc0", 8));
}

TEST(Safetensors, SavingReplacesTheOldFileAndLeavesNoOther) {
  const TemporaryDirectory directory;
  const std::string path = directory.file("net.safetensors");
  save_safetensors(WeightStore::for_specs(specs(), 1), {}, path);
  const std::string first = read_file(path);
  save_safetensors(WeightStore::for_specs(specs(), 2), {}, path);
  EXPECT_NE(read_file(path), first);
  EXPECT_EQ(directory.count_files(), 1U);
}

TEST(Safetensors, SavingWhereNothingCanBeWrittenNamesThePath) {
  const TemporaryDirectory directory;
  const std::string path = directory.file("none/net.safetensors");
  try {
    save_safetensors(WeightStore::for_specs(specs(), 1), {}, path);
    ADD_FAILURE() << "no error";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr(path));
    EXPECT_THAT(error.what(), HasSubstr("No such file or directory"));
  }
  // The destination is a directory: the rename fails and the temporary file goes.
  EXPECT_THROW(save_safetensors(WeightStore::for_specs(specs(), 1), {}, directory.path()), std::runtime_error);
  EXPECT_EQ(directory.count_files(), 0U);
  EXPECT_FALSE(std::filesystem::exists(directory.path() + "." + std::to_string(getpid()) + ".0.tmp"));
}

TEST(Safetensors, ReadsFilesOfOtherWriters) {
  const TemporaryDirectory directory;
  const std::string path = directory.file("net.safetensors");
  // Tensors in another order than their names, a scalar, an empty tensor, no padding.
  const std::string header =
      R"({"z":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[],"data_offsets":[4,8]},)"
      R"("e":{"dtype":"F32","shape":[0,3],"data_offsets":[8,8]}})";
  write_file(path, file_of(header, std::string("\x00\x00\x80\x3f\x00\x00\x00\x40", 8)));
  const auto tensors = read_safetensors(path);
  ASSERT_EQ(tensors.size(), 3U);
  EXPECT_EQ(tensors.at("z").values, std::vector<float>{1.0F});
  EXPECT_EQ(tensors.at("a").values, std::vector<float>{2.0F});
  EXPECT_TRUE(tensors.at("a").shape.empty());
  EXPECT_TRUE(tensors.at("e").values.empty());
}

struct Corruption {
  std::string name;
  std::string content;
  std::string message;
};

std::vector<Corruption> corruptions(const std::string& good) {
  std::uint64_t length = 0;
  std::memcpy(&length, good.data(), 8);
  const json header = json::parse(good.substr(8, length));
  const std::string body = good.substr(8 + length);
  const auto changed = [&](const char* pointer, const json& value) {
    json copy = header;
    copy[json::json_pointer(pointer)] = value;
    return file_of(copy.dump(), body);
  };
  json missing = header;
  missing.erase("a.bias");
  return {
      {"empty", "", "holds 0 bytes"},
      {"short", good.substr(0, 7), "holds 7 bytes"},
      {"header_longer_than_file", good.substr(0, 20), "its header has"},
      {"header_length_absurd", std::string(8, '\xff') + good.substr(8), "its header has 18446744073709551615 bytes"},
      {"header_empty", std::string(8, '\0') + body, "its header has 0 bytes"},
      {"header_no_json", file_of(std::string(length, '{'), body), "its header is no JSON object"},
      {"header_array", file_of("[1,2]", body), "its header is no JSON object"},
      {"truncated", good.substr(0, good.size() - 1), "is truncated"},
      {"extra_bytes", good + "x", "bytes of tensors, its header describes 72"},
      {"hole", file_of(missing.dump(), body), "leave a gap at byte 0"},
      {"overlap", changed("/a.weight/data_offsets", {0, 24}), "overlap at byte 8"},
      {"backward", changed("/a.weight/data_offsets", {32, 8}), "expected two that are 24 bytes apart"},
      {"one_offset", changed("/a.weight/data_offsets", json::array({0})), "expected two that are 24 bytes apart"},
      {"negative_offset", changed("/a.weight/data_offsets", {-8, 16}), "its data_offsets holds -8"},
      {"offsets_beyond_file", changed("/b.weight/data_offsets", {1000, 1040}), "ends at byte 1040"},
      {"shape_beyond_file", changed("/b.weight/shape", {4294967296, 4294967296}), "its shape needs more than"},
      {"shape_text", changed("/b.weight/shape", "2,5"), "has no shape"},
      {"tensor_no_object", changed("/b.weight", 3), "has no shape"},
      {"element_type", changed("/b.weight/dtype", "F16"), "its element type is \"F16\", expected \"F32\""},
      {"metadata_number", changed("/__metadata__", {{"a", 1}}), "__metadata__ \"a\" is no string"},
      {"metadata_text", changed("/__metadata__", "text"), "__metadata__ is no object"},
  };
}

TEST(Safetensors, CorruptedFilesAreNamedErrors) {
  const TemporaryDirectory directory;
  const std::string good_path = directory.file("good");
  save_safetensors(WeightStore::for_specs(specs(), 3), {{"a", "b"}}, good_path);
  for (const Corruption& bad : corruptions(read_file(good_path))) {
    const std::string path = directory.file(bad.name);
    write_file(path, bad.content);
    std::map<std::string, std::string> metadata;
    try {
      static_cast<void>(read_safetensors(path, &metadata));
      ADD_FAILURE() << bad.name << " was accepted";
    } catch (const ConfigError& error) {
      EXPECT_EQ(error.file(), path);
      EXPECT_THAT(error.what(), HasSubstr(bad.message)) << bad.name;
      EXPECT_THAT(error.what(), Not(HasSubstr("\n"))) << bad.name;
    }
  }
  EXPECT_THROW(static_cast<void>(read_safetensors(directory.file("none"))), ConfigError);
  EXPECT_THROW(static_cast<void>(read_safetensors(directory.path())), ConfigError);
}

TEST(Safetensors, FilesOfAnotherNetworkAreNamedErrors) {
  const TemporaryDirectory directory;
  const std::string path = directory.file("net.safetensors");
  save_safetensors(WeightStore::for_specs(specs(), 3), {}, path);
  const auto message = [&](const std::vector<WeightSpec>& expected) -> std::string {
    try {
      static_cast<void>(load_safetensors(path, expected));
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "accepted";
  };
  std::vector<WeightSpec> more = specs();
  more.push_back(weight("c.weight", {axis({leading(1)})}));
  EXPECT_THAT(message(more), HasSubstr("has no tensor \"c.weight\""));
  std::vector<WeightSpec> fewer = specs();
  fewer.pop_back();
  EXPECT_THAT(message(fewer), HasSubstr("tensor \"b.weight\" does not belong to the network"));
  std::vector<WeightSpec> other = specs();
  std::swap(other[0].axes[0], other[0].axes[1]);
  EXPECT_THAT(message(other), HasSubstr("tensor \"a.weight\": its shape is [3, 2], the network needs [2, 3]"));
}

}  // namespace
}  // namespace cosearch
