#pragma once

#include <string>
#include <vector>

namespace cosearch::testing {

/// A row of tests/data/m3vit.csv.
struct PublishedRow {
  std::string table, model, data, metric;
  double value = 0.0;
};
[[nodiscard]] std::vector<PublishedRow> m3vit_rows();
/// The value of the one row; a failed expectation and 0 where there is not one.
[[nodiscard]] double m3vit_value(const std::string& table, const std::string& model, const std::string& data,
                                 const std::string& metric);

}  // namespace cosearch::testing
