#pragma once

#include <cstdint>
#include <string>

#include "hwmodels/attention/design.hpp"
#include "hwmodels/attention/designs.hpp"

/// Small designs that the tests of hwmodels/attention share.
namespace cosearch::testing {

/// Embedded data and published designs, read once.
[[nodiscard]] const attention::AttentionData& attention_data();
[[nodiscard]] const attention::PublishedDesigns& published_designs();

/// The profile of a cascade of the library with these features of queries and keys, and of values.
[[nodiscard]] attention::Profile profile_of(const std::string& cascade, std::int64_t query_dim, std::int64_t value_dim);

/// rows x columns elements and lanes of FuseMax's kinds with registers for any binding, a byte of DRAM in each
/// cycle of a second, a buffer that holds all of a small layer.
[[nodiscard]] attention::Arch small_arch(std::int64_t rows, std::int64_t columns, std::int64_t lanes);

/// Design::make with the default prices.
[[nodiscard]] Expected<attention::Design, Infeasible> small_design(const attention::Profile& profile,
                                                                   const attention::Arch& arch,
                                                                   const attention::Choices& choices);

}  // namespace cosearch::testing
