#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "spaces/space/genome.hpp"

/// What the files of this folder share about the domain of one parameter.
namespace cosearch::domain {

/// @throws ConfigError (with `place`) for what the docs of Choices, IntegerRange and RealRange exclude.
void check(const Domain& domain, const std::string& place);

/// Number of values; nothing for a RealRange.
[[nodiscard]] std::optional<std::int64_t> cardinality(const Domain& domain);
/// Whether steps between neighbouring genes make sense.
[[nodiscard]] bool ordered(const Domain& domain);
/// Whether the gene is one of the domain's.
[[nodiscard]] bool contains(const Domain& domain, double gene);

[[nodiscard]] GeneValue value(const Domain& domain, double gene);
/// The gene with this meaning; numbers compare by value whatever their type.
[[nodiscard]] std::optional<double> gene(const Domain& domain, const GeneValue& value);
/// A number for the value: itself, or the gene for strings.
[[nodiscard]] double number(const Domain& domain, double gene);

/// The domain in words, for error messages: `16, 20, 24`, `1 to 8 in steps of 1`, `0.5 to 2`.
[[nodiscard]] std::string describe(const Domain& domain);
[[nodiscard]] std::string describe(const GeneValue& value);
[[nodiscard]] nlohmann::json to_json(const GeneValue& value);
/// A string or a number; nothing else.
[[nodiscard]] std::optional<GeneValue> value_from_json(const nlohmann::json& json);

[[nodiscard]] std::vector<std::string> names(const std::vector<Param>& params);

}  // namespace cosearch::domain
