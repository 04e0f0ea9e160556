#include "experiments/config/json_file.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "spaces/base/config_error.hpp"
#include "tests/experiments/tiny_campaign.hpp"

namespace cosearch {
namespace {

using testing_support::TemporaryFolder;

std::string error_of(const std::string& text) {
  try {
    static_cast<void>(parse_json(text, "some.json"));
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

TEST(JsonFile, CommentsAreAllowed) {
  const nlohmann::json parsed = parse_json("// head\n{\"a\": /* one */ 1 // end\n}", "some.json");
  EXPECT_EQ(parsed, (nlohmann::json{{"a", 1}}));
}

TEST(JsonFile, SyntaxErrorsHaveLineAndColumn) {
  EXPECT_TRUE(error_of("{\n  \"a\": 1,\n  \"b\" 2\n}").starts_with("some.json: line 3, column 7: "))
      << error_of("{\n  \"a\": 1,\n  \"b\" 2\n}");
  EXPECT_TRUE(error_of("{\"a\": 1,}").starts_with("some.json: line 1, column 9: ")) << error_of("{\"a\": 1,}");
  EXPECT_TRUE(error_of("").starts_with("some.json: line 1, column 1: ")) << error_of("");
  EXPECT_TRUE(error_of("{\"a\": \n").starts_with("some.json: line 2, column 1: ")) << error_of("{\"a\": \n");
  EXPECT_NE(error_of("{\"a\": 1e999}").find("1e999"), std::string::npos);
}

TEST(JsonFile, EqualKeysInOneObjectAreRefused) {
  EXPECT_NE(error_of("{\"a\": {\"b\": 1}, \"c\": {\"b\": 1, \"b\": 2}}").find("\"b\" is there twice"),
            std::string::npos);
  EXPECT_EQ(error_of("{\"a\": {\"b\": 1}, \"b\": [{\"b\": 1}, {\"b\": 2}]}"), "no error");
}

TEST(JsonFile, MissingFilesAndFoldersAreNamed) {
  const TemporaryFolder folder;
  for (const std::string& path :
       {folder.file("none.json"), std::filesystem::path(folder.file("x")).parent_path().string()}) {
    try {
      static_cast<void>(read_json_file(path));
      ADD_FAILURE() << path;
    } catch (const ConfigError& error) {
      EXPECT_EQ(error.file(), path);
      EXPECT_NE(error.message().find("cannot be read"), std::string::npos);
    }
  }
}

TEST(JsonFile, WritesWholeFilesAndLeavesNoTemporaryOnes) {
  const TemporaryFolder folder;
  const std::string path = folder.file("out.json");
  write_file_atomically(path, "old");
  write_file_atomically(path, "new text");
  std::ifstream file(path);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "new text");
  const std::filesystem::directory_iterator files(std::filesystem::path(path).parent_path());
  EXPECT_EQ(std::distance(files, {}), 1);
  EXPECT_THROW(write_file_atomically(folder.file("no/such/folder"), "x"), std::runtime_error);
}

}  // namespace
}  // namespace cosearch
