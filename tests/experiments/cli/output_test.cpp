#include "experiments/cli/output.hpp"

#include <gtest/gtest.h>

namespace cosearch::cli {
namespace {

using nlohmann::json;

std::string printed(Format format, const Records& records) {
  ::testing::internal::CaptureStdout();
  Output out;
  print(out, format, records);
  out.flush();
  return ::testing::internal::GetCapturedStdout();
}

const Records kRecords{"trials", {"id", "note", "latency_ms"}, {{1, "a \"b\", c", 2.5}, {2, nullptr, nullptr}}};

TEST(Output, CsvFollowsRfc4180) {
  EXPECT_EQ(printed(Format::csv, kRecords), "id,note,latency_ms\r\n1,\"a \"\"b\"\", c\",2.5\r\n2,,\r\n");
}

TEST(Output, JsonHasTheVersionAndKeepsTheOrderOfColumns) {
  const std::string text = printed(Format::json, kRecords);
  const json parsed = json::parse(text);
  EXPECT_EQ(parsed.at("schema_version"), 1);
  EXPECT_EQ(parsed.at("trials")[0], (json{{"id", 1}, {"note", "a \"b\", c"}, {"latency_ms", 2.5}}));
  EXPECT_TRUE(parsed.at("trials")[1].at("note").is_null());
  EXPECT_LT(text.find("\"id\""), text.find("\"note\""));
}

TEST(Output, JsonlIsOneObjectALine) {
  EXPECT_EQ(printed(Format::jsonl, kRecords),
            "{\"schema_version\":1,\"id\":1,\"note\":\"a \\\"b\\\", c\",\"latency_ms\":2.5}\n"
            "{\"schema_version\":1,\"id\":2,\"note\":null,\"latency_ms\":null}\n");
}

TEST(Output, TableMarksMissingValues) {
  EXPECT_EQ(printed(Format::table, kRecords),
            "id  note      latency_ms\n 1  a \"b\", c         2.5\n 2  -                  -\n");
}

TEST(Output, NumbersThatAreIntegersHaveNoFraction) {
  EXPECT_EQ(json_number(12.0).dump(), "12");
  EXPECT_EQ(json_number(0.1).dump(), "0.1");
  EXPECT_EQ(json_number(1e300), json(1e300));
  EXPECT_TRUE(json_number(1.0 / 0.0).is_null());
}

TEST(Output, InvalidUtf8IsReplaced) {
  const Records records{"trials", {"note"}, {{std::string("\xff")}}};
  EXPECT_EQ(json::parse(printed(Format::json, records)).at("trials")[0].at("note"), "\xEF\xBF\xBD");
}

}  // namespace
}  // namespace cosearch::cli
