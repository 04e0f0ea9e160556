#pragma once

#include "spaces/space/genome.hpp"

namespace cosearch::testing_support {

/// Patch sizes and rank ratios as MCUFormer publishes them, and three inner genes, one of them conditional.
inline const ParamSet& published_outer_space() {
  static const ParamSet space = [] {
    Choices ranks;
    for (int hundredths = 40; hundredths <= 95; hundredths += 5) {
      ranks.values.emplace_back(hundredths / 100.0);
    }
    return ParamSet{{{"patch", IntegerRange{16, 32, 4}, {}},
                     {"rank_attn", ranks, {}},
                     {"rank_mlp", ranks, {}},
                     {"depth", IntegerRange{1, 8, 1}, {}},
                     {"width", IntegerRange{1, 16, 1}, {}},
                     {"last.heads", IntegerRange{1, 4, 1}, {"depth", {4, 5, 6, 7}}}}};
  }();
  return space;
}

}  // namespace cosearch::testing_support
