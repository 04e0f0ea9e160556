#include "tests/hwmodels/temporary_data.hpp"

#include <fstream>

namespace cosearch::testing {

TemporaryData::TemporaryData() {
  const ::testing::TestInfo* test = ::testing::UnitTest::GetInstance()->current_test_info();
  path_ = std::filesystem::temp_directory_path() /
          (std::string("cosearch_") + test->test_suite_name() + "_" + test->name());
  std::filesystem::remove_all(path_);
  std::filesystem::create_directories(path_);
}

TemporaryData::~TemporaryData() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void TemporaryData::write(const std::string& name, const std::string& text) const {
  std::ofstream(path_ / name) << text;
}

}  // namespace cosearch::testing
