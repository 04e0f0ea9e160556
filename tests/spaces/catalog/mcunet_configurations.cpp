#include "tests/spaces/catalog/mcunet_configurations.hpp"

#include <filesystem>
#include <fstream>

#include "spaces/base/check.hpp"

namespace cosearch::testing {
namespace {

using nlohmann::json;

std::string path_of(const std::string& name) {
  return std::string(COSEARCH_SOURCE_DIR) + "/tests/data/mcunet_cfg/" + name + ".json";
}

/// The layer's keys, with other values for some.
json layer(const json& layers, const std::string& kind, const json& changes) {
  json full = layers.at(kind);
  full.update(changes);
  return full;
}

json block(const json& layers, const json& row, bool lists) {
  const bool zero = row.size() == 1;
  const auto channels = [&](const json& count) { return lists ? json::array({count}) : count; };
  json full = {{"name", "MobileInvertedResidualBlock"}, {"shortcut", nullptr}};
  full["mobile_inverted_conv"] = zero ? layers.at("ZeroLayer")
                                      : layer(layers, "MBInvertedConvLayer",
                                              {{"in_channels", row[0]},
                                               {"out_channels", row[1]},
                                               {"kernel_size", row[2]},
                                               {"stride", row[3]},
                                               {"expand_ratio", row[4]},
                                               {"mid_channels", row[5]}});
  if (zero || row[6] == 1) {
    full["shortcut"] = layer(layers, "IdentityLayer",
                             {{"in_channels", channels(row[0])}, {"out_channels", channels(row[zero ? 0 : 1])}});
  }
  return full;
}

}  // namespace

json mcunet_file(const std::string& name) {
  std::ifstream stream(path_of(name));
  COSEARCH_CHECK(stream.good(), "a file below tests/data/mcunet_cfg is missing");
  return json::parse(stream);
}

json mcunet_from_compact(const std::string& name) {
  const json all = mcunet_file("configurations");
  const json& layers = all.at("layers");
  const json& compact = all.at("networks").at(name);
  json full = {{"name", "ProxylessNASNets"}, {"bn", compact.at("bn")}, {"resolution", compact.at("resolution")}};
  full["first_conv"] = layer(layers, "ConvLayer", compact.at("first_conv"));
  const json& mix = compact.at("feature_mix_layer");
  full["feature_mix_layer"] = mix.is_null() ? mix : layer(layers, "ConvLayer", mix);
  full["classifier"] = layer(layers, "LinearLayer", compact.at("classifier"));
  full["blocks"] = json::array();
  for (const json& row : compact.at("blocks")) {
    full["blocks"].push_back(block(layers, row, compact.at("lists")));
  }
  return full;
}

json mcunet_configuration(const std::string& name) {
  return std::filesystem::exists(path_of(name)) ? mcunet_file(name) : mcunet_from_compact(name);
}

}  // namespace cosearch::testing
