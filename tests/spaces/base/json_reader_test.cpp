#include "spaces/base/json_reader.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "spaces/base/config_error.hpp"

namespace cosearch {
namespace {

using nlohmann::json;

template <class Read>
std::string error_of(const Read& read) {
  try {
    static_cast<void>(read());
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

TEST(JsonReader, ReadsWhatIsThereAndFallsBackWhereNothingIs) {
  const json document = json::parse(R"({"n": 3, "x": 0.5, "on": true, "name": "b", "list": [1, 2], "deep": {"n": 4}})");
  const JsonReader root(document);
  EXPECT_EQ(root.at("n").integer(1, 3), 3);
  EXPECT_EQ(root.integer("n", 7, 1, 3), 3);
  EXPECT_EQ(root.integer("m", 7, 1, 3), 7);
  EXPECT_EQ(root.at("n").number(), 3.0) << "an integer is a number";
  EXPECT_EQ(root.number("x", 2.0, kUnitInterval), 0.5);
  EXPECT_EQ(root.number("y", 2.0, kUnitInterval), 2.0);
  EXPECT_TRUE(root.boolean("on", false));
  EXPECT_FALSE(root.boolean("off", false));
  EXPECT_EQ(root.text("name", "c"), "b");
  EXPECT_EQ(root.text("title", "c"), "c");
  EXPECT_EQ(root.name_of("name", "a", {"a", "b"}), "b");
  EXPECT_EQ(root.name_of("title", "a", {"a", "b"}), "a");
  EXPECT_EQ(root.at("list").items().at(1).integer(0), 2);
  EXPECT_EQ(root.section("deep").at("n").integer(0), 4);
  EXPECT_EQ(root.section("missing").value(), json::object());
  EXPECT_TRUE(root.has("n"));
  EXPECT_FALSE(root.find("m").has_value());
  EXPECT_EQ(root.members().size(), document.size());
  EXPECT_EQ(root.section("deep").without({"n"}), json::object());
}

TEST(JsonReader, ErrorsHaveOneWordingWithFileAndPlace) {
  const json document = json::parse(R"({"a/b~c": {"n": "many"}, "list": [1, -2], "x": 1, "name": "random_serach"})");
  const JsonReader root(document, "/part", "file.json");
  EXPECT_EQ(error_of([&] { return root.at("a/b~c").at("n").integer(1, 8); }),
            "file.json: /part/a~1b~0c/n: expected an integer from 1 to 8, read \"many\"");
  EXPECT_EQ(error_of([&] { return root.at("list").items()[1].integer(0, 5); }),
            "file.json: /part/list/1: expected an integer from 0 to 5, read -2");
  EXPECT_EQ(error_of([&] { return root.at("x").text(); }), "file.json: /part/x: expected a string, read 1");
  EXPECT_EQ(error_of([&] { return root.at("x").boolean(); }), "file.json: /part/x: expected true or false, read 1");
  EXPECT_EQ(error_of([&] { return root.at("x").items(); }), "file.json: /part/x: expected an array, read 1");
  EXPECT_EQ(error_of([&] { return root.at("x").at("y"); }), "file.json: /part/x: expected an object, read 1");
  EXPECT_EQ(error_of([&] {
              return root.at("x").name_of({"a", "b"});
            }),
            "file.json: /part/x: expected one of a, b, read 1");
  EXPECT_EQ(error_of([&] { return root.at("name").name_of({"random_search"}); }),
            "file.json: /part/name: \"random_serach\" is not known; known: random_search; did you mean "
            "\"random_search\"?");
  EXPECT_EQ(error_of([&] { return root.at("y").integer(1, 8); }),
            "file.json: /part/y: is missing; expected an integer from 1 to 8");
  EXPECT_EQ(error_of([&] { return root.required("y", "a colour"); }),
            "file.json: /part/y: is missing; expected a colour");
}

TEST(JsonReader, IntegersNeitherWrapNorRound) {
  for (const char* text :
       {"9223372036854775808", "18446744073709551615", "-9223372036854775808", "1e3", "2.0", "null"}) {
    const json value = json::parse(text);
    EXPECT_NE(error_of([&] { return JsonReader(value).integer(-5, INT64_MAX); }), "no error") << text;
  }
  const json largest = INT64_MAX;
  EXPECT_EQ(JsonReader(largest).integer(0, INT64_MAX), INT64_MAX);
  EXPECT_NE(error_of([&] { return JsonReader(largest).integer(0); }), "no error") << "no double holds it";
  const json smallest = INT64_MIN;
  EXPECT_EQ(JsonReader(smallest).integer(INT64_MIN, 0), INT64_MIN);
}

TEST(JsonReader, IntervalsAreOpenWhereTheySaySo) {
  const auto error = [](double number, const Interval& interval) {
    const json value = number;
    return error_of([&] { return JsonReader(value).number(interval); });
  };
  EXPECT_EQ(error(0.0, kPositive), "expected a number above 0, read 0.0");
  EXPECT_EQ(error(-0.5, kNonNegative), "expected a number of at least 0, read -0.5");
  EXPECT_EQ(error(0.0, kNonNegative), "no error");
  EXPECT_EQ(error(1.5, kUnitInterval), "expected a number from 0 to 1, read 1.5");
  EXPECT_EQ(error(1.0, kUnitInterval), "no error");
  const Interval below_one{.lower = 0.0, .upper = 1.0, .open_upper = true};
  EXPECT_EQ(error(1.0, below_one), "expected a number of at least 0 and below 1, read 1.0");
  const Interval share{.lower = 0.0, .upper = 1.0, .open_lower = true};
  EXPECT_EQ(error(0.0, share), "expected a number above 0 and of at most 1, read 0.0");
  EXPECT_EQ(error(1e300, {}), "no error");
  EXPECT_NE(error(std::nan(""), {}), "no error");
  EXPECT_NE(error(std::numeric_limits<double>::infinity(), {}), "no error");
}

TEST(JsonReader, UnknownKeysAreRefusedWithTheNearest) {
  const json document = {{"populaton", 3}};
  const JsonReader root(document);
  EXPECT_EQ(error_of([&] {
              return root.only({"crossover", "population"}), 0;
            }),
            "/populaton: \"populaton\" is not known; known: crossover, population; did you mean \"population\"?");
  EXPECT_EQ(error_of([&] { return root.only({}), 0; }), "/populaton: \"populaton\" is not known; known: none");
  EXPECT_EQ(error_of([&] { return root.only({"populaton"}), 0; }), "no error");
}

TEST(JsonReader, NullStandsForNoOptionsOnlyWhereOptionsAreRead) {
  const json null;
  EXPECT_FALSE(JsonReader::of_options(null, "/search").has("population"));
  EXPECT_EQ(error_of([&] { return JsonReader(null, "/search").has("population"); }),
            "/search: expected an object, read null");
  const json list = json::array({1});
  EXPECT_EQ(error_of([&] { return JsonReader::of_options(list, "/search").has("population"); }),
            "/search: expected an object, read [1]");
}

TEST(JsonReader, LongValuesAreCutBetweenCharacters) {
  std::string text;
  for (int i = 0; i < 50; ++i) {
    text += "\u00e4";  // two bytes each
  }
  const json value = text;
  const std::string error = error_of([&] { return JsonReader(value).integer(0); });
  const std::string read = error.substr(error.find("read ") + 5);
  EXPECT_LE(read.size(), 63U);
  EXPECT_TRUE(read.ends_with("\u00e4...")) << read;
  const json broken = "\xff";
  EXPECT_EQ(error_of([&] { return JsonReader(broken).integer(0, 1); }),
            "expected an integer from 0 to 1, read \"\uFFFD\"");
}

}  // namespace
}  // namespace cosearch
