#include "tests/hwmodels/attention/designs_of_tests.hpp"

#include "spaces/cascade/library.hpp"

namespace cosearch::testing {

const attention::AttentionData& attention_data() {
  static const attention::AttentionData kData = attention::load_attention_data("");
  return kData;
}

const attention::PublishedDesigns& published_designs() {
  static const attention::PublishedDesigns kPublished = attention::load_published_designs(attention_data(), "");
  return kPublished;
}

attention::Profile profile_of(const std::string& cascade, std::int64_t query_dim, std::int64_t value_dim) {
  return attention::make_profile(cascade::cascade(cascade, {{"E", query_dim}, {"F", value_dim}})).value();
}

attention::Arch small_arch(std::int64_t rows, std::int64_t columns, std::int64_t lanes) {
  attention::Arch arch;
  arch.rows = rows;
  arch.columns = columns;
  arch.lanes = lanes;
  arch.buffer_bytes = 1 << 20;
  arch.dram_bytes_per_second = 1.0;
  arch.frequency_hz = 1.0;
  arch.array = attention_data().pe_kinds.at("fusemax_array");
  arch.lane = attention_data().pe_kinds.at("fusemax_lane");
  arch.array.registers = 1 << 10;
  return arch;
}

Expected<attention::Design, Infeasible> small_design(const attention::Profile& profile, const attention::Arch& arch,
                                                     const attention::Choices& choices) {
  return attention::Design::make(profile, arch, choices, attention_data().prices("aladdin_45nm", "hbm2", "banks_32"));
}

}  // namespace cosearch::testing
