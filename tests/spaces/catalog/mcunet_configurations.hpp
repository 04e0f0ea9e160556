#pragma once

#include <string>

#include <nlohmann/json.hpp>

/// MCUNet's published network descriptions, see tests/data/mcunet_cfg/SOURCE.md.
namespace cosearch::testing {

/// A file of tests/data/mcunet_cfg as it is.
[[nodiscard]] nlohmann::json mcunet_file(const std::string& name);
/// A description of configurations.json, written in full as it was published.
[[nodiscard]] nlohmann::json mcunet_from_compact(const std::string& name);
/// `mcunet-256kb-1mb_imagenet`, ...: from its file or from the compact form.
[[nodiscard]] nlohmann::json mcunet_configuration(const std::string& name);

}  // namespace cosearch::testing
