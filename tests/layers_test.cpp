// The layer table of experiments/docs/architecture.md: a folder includes only what stands to its left, and clocks,
// logs and SQLite stay where they belong.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>

namespace {

namespace fs = std::filesystem;
using Names = std::set<std::string>;

const std::map<std::string, Names>& allowed_includes() {
  static const std::map<std::string, Names> kTable{
      {"spaces", {"spaces"}},
      {"hwmodels", {"spaces", "hwmodels"}},
      {"predictors", {"spaces", "predictors"}},
      {"trainer", {"spaces", "predictors", "trainer"}},
      {"search", {"spaces", "predictors", "search"}},
      {"experiments", {"spaces", "hwmodels", "predictors", "trainer", "search", "experiments"}},
  };
  return kTable;
}

/// What is wrong with one include of a file in `folder`, or an empty string.
std::string judge(const std::string& folder, const std::string& header, bool quoted) {
  static const std::regex kOnlyExperiments("chrono|spdlog/.*|SQLiteCpp/.*|sqlite3\\.h|CLI/.*|ctime|time\\.h|mpi\\.h");
  if (!quoted) {
    return folder != "experiments" && std::regex_match(header, kOnlyExperiments) ? "only experiments/ may" : "";
  }
  const std::string other = header.substr(0, header.find('/'));
  return allowed_includes().at(folder).contains(other) ? "" : "not in the table of allowed folders";
}

std::vector<std::string> violations(const fs::path& root, std::size_t& files) {
  static const std::regex kInclude(R"re(^\s*#\s*include\s*(<([^>]+)>|"([^"]+)"))re");
  std::vector<std::string> found;
  for (const auto& [folder, unused] : allowed_includes()) {
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      const auto extension = entry.path().extension();
      if (extension != ".cpp" && extension != ".hpp") {
        continue;
      }
      ++files;
      std::ifstream in(entry.path());
      std::string line;
      for (int number = 1; std::getline(in, line); ++number) {
        std::smatch match;
        if (!std::regex_search(line, match, kInclude)) {
          continue;
        }
        const bool quoted = match[3].matched;
        const std::string header = quoted ? match[3] : match[2];
        if (const std::string wrong = judge(folder, header, quoted); !wrong.empty()) {
          found.push_back(entry.path().string() + ":" + std::to_string(number) + ": " + header + ": " + wrong);
        }
      }
    }
  }
  return found;
}

TEST(Layers, NoFileIncludesAgainstTheTable) {
  std::size_t files = 0;
  const auto found = violations(COSEARCH_SOURCE_DIR, files);
  EXPECT_GT(files, 50U) << "the source tree was not found";
  for (const auto& line : found) {
    ADD_FAILURE() << line;
  }
}

TEST(Layers, AForbiddenIncludeIsFound) {
  EXPECT_NE(judge("search", "hwmodels/model.hpp", true), "");
  EXPECT_NE(judge("spaces", "trainer/train/train.hpp", true), "");
  EXPECT_NE(judge("trainer", "chrono", false), "");
  EXPECT_NE(judge("hwmodels", "spdlog/spdlog.h", false), "");
  EXPECT_EQ(judge("experiments", "hwmodels/model.hpp", true), "");
  EXPECT_EQ(judge("search", "spaces/space/genome.hpp", true), "");
  EXPECT_EQ(judge("experiments", "chrono", false), "");
}

}  // namespace
