#include "experiments/run/progress.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <string>

namespace cosearch {
namespace {

std::string text_of(std::FILE* file) {
  std::rewind(file);
  std::string text;
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) {
    text.push_back(static_cast<char>(c));
  }
  std::fclose(file);
  return text;
}

TEST(Progress, LineTellsBudgetsSharesRateAndTimeLeft) {
  SearchStatus status;
  status.batch = 12;
  status.evaluated = 1200;
  status.evaluations = 4000;
  EXPECT_EQ(status_line(status), "gen 12  1200/4000 evaluated  0% feasible  front 0");
  status.feasible_share = 0.71;
  status.trained = 34;
  status.front = 38;
  status.hypervolume = 0.8731;
  status.cache_use = {100, 9};
  status.evaluated_now = 246;
  status.seconds = 20.0;
  EXPECT_EQ(status_line(status),
            "gen 12  1200/4000 evaluated  12.3/s  ETA 3m48s  71% feasible  trained 34  front 38  HV 0.8731  cache 9%");
  status.evaluated = 4000;
  EXPECT_EQ(status_line(status).find("ETA"), std::string::npos) << "nothing is left";
  status.trainings = 60;
  EXPECT_NE(status_line(status).find("trained 34/60"), std::string::npos);
}

TEST(Progress, DurationsAreShort) {
  EXPECT_EQ(duration_text(0.2), "0s");
  EXPECT_EQ(duration_text(59.4), "59s");
  EXPECT_EQ(duration_text(61.0), "1m01s");
  EXPECT_EQ(duration_text(7500.0), "2h05m");
}

TEST(Progress, PlainLinesCarryNoControlCharactersAndShowRunningTrainings) {
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  {
    Progress progress(file, false, [] { return std::string("gen 1"); });
    progress.refresh();  // too early for another line
    progress.training(7, {20, 40, 0.5});
    progress.training(9, {1, 40, 2.25});
    progress.print();
    progress.trained(7);
    progress.print();
    progress.note("done");
  }
  EXPECT_EQ(text_of(file),
            "gen 1  #7 step 20/40 loss 0.500  #9 step 1/40 loss 2.250\n"
            "gen 1  #9 step 1/40 loss 2.250\n"
            "done\n");
}

TEST(Progress, QuietSaysNothing) {
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  {
    Progress progress(file, true, [] { return std::string("gen 1"); });
    progress.print();
    progress.note("done");
    progress.refresh();
  }
  EXPECT_EQ(text_of(file), "");
}

}  // namespace
}  // namespace cosearch
