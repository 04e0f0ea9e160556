#include "experiments/cli/table.hpp"

#include <gtest/gtest.h>

namespace cosearch::cli {
namespace {

TEST(FormatNumber, GivesSensibleDigits) {
  EXPECT_EQ(format_number(0.0), "0");
  EXPECT_EQ(format_number(12.0), "12");
  EXPECT_EQ(format_number(1234567.0), "1234567");
  EXPECT_EQ(format_number(12345.678), "12346");
  EXPECT_EQ(format_number(3.14159), "3.142");
  EXPECT_EQ(format_number(0.25), "0.25");
  EXPECT_EQ(format_number(-0.000123456), "-0.0001235");
  EXPECT_EQ(format_number(1e-9), "1e-09");
  EXPECT_EQ(format_number(1e300), "1e+300");
}

TEST(Table, AlignsNumbersRightAndTextLeft) {
  Table table({"name", "latency [ms]", "board"});
  table.add_row({"a", "1.5", "f746"});
  table.add_row({"longer", "-", "h7"});
  table.add_row({"x", "120", ""});
  EXPECT_EQ(table.text(),
            "name    latency [ms]  board\n"
            "a                1.5  f746\n"
            "longer             -  h7\n"
            "x                120\n");
}

TEST(Table, CountsCharactersNotBytes) {
  Table table({"unit", "x"});
  table.add_row({"\xC2\xB5J", "1"});
  table.add_row({"mm", "2"});
  EXPECT_EQ(table.text(), "unit  x\n\xC2\xB5J    1\nmm    2\n");
}

TEST(Table, WithoutRowsIsItsHeader) {
  const Table table({"a", "b"});
  EXPECT_TRUE(table.empty());
  EXPECT_EQ(table.text(), "a  b\n");
}

}  // namespace
}  // namespace cosearch::cli
