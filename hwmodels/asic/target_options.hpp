#pragma once

#include <memory>
#include <string>
#include <vector>

#include "hwmodels/asic/map_memo.hpp"
#include "hwmodels/asic/price.hpp"
#include "hwmodels/asic/walk.hpp"
#include "spaces/base/json_reader.hpp"

namespace cosearch::asic {

/// Options that all targets with a mapper share, see make_asic.
struct TargetOptions {
  PriceTable prices;
  RunOptions run;
  std::shared_ptr<MapMemo> memo;
  std::string fingerprint;  ///< of the data behind them
};
/// @throws ConfigError: wrong values; data, see load_data.
[[nodiscard]] TargetOptions read_target_options(const JsonReader& reader, const std::string& data_directory);

/// @throws ConfigError for keys that are neither shared options nor `own`.
void check_target_options(const JsonReader& reader, std::vector<std::string> own);

}  // namespace cosearch::asic
