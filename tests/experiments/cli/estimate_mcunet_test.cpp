#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/experiments/cli/process.hpp"
#include "tests/experiments/tiny_campaign.hpp"

namespace cosearch::testing_support {
namespace {

using nlohmann::json;

/// A file of MCUNet's model zoo, see tests/data/mcunet_cfg/SOURCE.md.
std::string published_file() {
  return std::string(COSEARCH_SOURCE_DIR) + "/tests/data/mcunet_cfg/mcunet-10fps_imagenet.json";
}

ProcessResult estimate(const std::string& network, const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments{"estimate",          "--network", network,      "--target",
                                     "cortex_m",          "--set",     "board=h743", "--set",
                                     "engine=tinyengine", "--format",  "json"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run_cosearch(arguments);
}

// published: 49 KiB of SRAM with TinyEngine, 6.36 MMAC at 48 x 48.
TEST(EstimateMcunet, TakesAPublishedFile) {
  const ProcessResult result = estimate(published_file());
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json shown = json::parse(result.out);
  EXPECT_EQ(shown.at("network"), "mcunet-10fps_imagenet");
  EXPECT_EQ(shown.at("hardware").at("genes").at("board"), "h743");
  EXPECT_NEAR(shown.at("metrics").at("macs").get<double>(), 6.36e6, 0.005e6);
  EXPECT_NEAR(shown.at("metrics").at("sram_bytes").get<double>() / 1024.0, 49.0, 0.5);
  EXPECT_EQ(shown.at("layers")[0].at("name"), "stem");
}

TEST(EstimateMcunet, ResolutionIsTheFilesOrTheFlags) {
  const TemporaryFolder folder;
  const std::string path = folder.file("bare.json");
  json bare = json::parse(read_bytes(published_file()));
  bare.erase("resolution");
  write_bytes(path, bare.dump());
  const auto macs = [](const ProcessResult& result) {
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return json::parse(result.out).at("metrics").at("macs");
  };
  EXPECT_EQ(macs(estimate(path, {"--resolution", "48"})), macs(estimate(published_file())));
  EXPECT_GT(macs(estimate(published_file(), {"--resolution", "96"})), macs(estimate(published_file())));
  const ProcessResult refused = estimate(path);
  EXPECT_EQ(refused.exit_code, 2);
  for (const char* part : {"bare.json: /resolution: is missing", "--resolution"}) {
    EXPECT_NE(refused.err.find(part), std::string::npos) << refused.err;
  }
}

TEST(EstimateMcunet, RefusesWhatItCannotReadWithFileAndPlace) {
  const TemporaryFolder folder;
  const std::string path = folder.file("changed.json");
  json changed = json::parse(read_bytes(published_file()));
  changed["blocks"][3]["name"] = "SkipOrMixBlock";
  write_bytes(path, changed.dump());
  const ProcessResult block = estimate(path);
  EXPECT_EQ(block.exit_code, 2);
  EXPECT_NE(block.err.find("changed.json: /blocks/3/name: \"SkipOrMixBlock\" is not known"), std::string::npos)
      << block.err;
  const ProcessResult other = estimate("resnet8", {"--resolution", "48"});
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_NE(other.err.find("--resolution: is for network descriptions of MCUNet"), std::string::npos) << other.err;
  EXPECT_EQ(estimate(published_file(), {"--resolution", "0"}).exit_code, 2);
}

}  // namespace
}  // namespace cosearch::testing_support
