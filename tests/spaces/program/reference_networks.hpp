#pragma once

#include <string>
#include <vector>

#include "spaces/graph/graph.hpp"

/// Networks whose memory and latency others published, built from tests/data/mcunet_networks.json and from the MLPerf
/// Tiny reference models (mlcommons/tiny, Apache-2.0).
namespace cosearch::testing {

/// `mcunet-in0`, ..., `mbv2-w0.3-r64`, `resnet8`, `ds_cnn`, `mobilenet_v1_0.25`, `autoencoder`. Aborts on other names.
[[nodiscard]] graph::NetworkGraph reference_network(const std::string& name);

/// A small vision transformer with all its operators.
[[nodiscard]] graph::NetworkGraph small_vit(std::int64_t image, std::int64_t patch, std::int64_t embed,
                                            std::int64_t heads, std::int64_t depth);

/// Rows of a table below tests/data, comments and header dropped; cells by column name.
struct Table {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
  [[nodiscard]] const std::string& cell(std::size_t row, const std::string& column) const;
  [[nodiscard]] double number(std::size_t row, const std::string& column) const;
};
[[nodiscard]] Table read_table(const std::string& name);

}  // namespace cosearch::testing
