#include <array>
#include <string>

#include "hwmodels/asic/maestro/mapping.hpp"
#include "spaces/base/registry.hpp"

namespace cosearch::maestro {
namespace {

// Names and directives as in the experiments of MAESTRO (Kwon et al., MICRO 2019, table 3) and its mapping files. A
// depthwise layer has no K: its mapping is that of convolutions without K; where that leaves nothing to spread, C takes
// K's place. Matrix products keep the roles: M for rows and columns of the image, N for K, K for C.
constexpr std::array kTemplates{
    Template{"cp_nlr", "input channels in parallel, no local reuse",
             "TemporalMap(1,1) K; TemporalMap(Sz(R),1) Y; TemporalMap(Sz(S),1) X; TemporalMap(Sz(R),Sz(R)) R;"
             "TemporalMap(Sz(S),Sz(S)) S; SpatialMap(1,1) C;",
             "TemporalMap(Sz(R),1) Y; TemporalMap(Sz(S),1) X; TemporalMap(Sz(R),Sz(R)) R; TemporalMap(Sz(S),Sz(S)) S;"
             "SpatialMap(1,1) C;",
             "TemporalMap(1,1) N; TemporalMap(1,1) M; SpatialMap(1,1) K;"},
    Template{"kcp_ws", "NVDLA: output channels over clusters of 64 input channels, weight stationary",
             "SpatialMap(1,1) K; TemporalMap(64,64) C; TemporalMap(Sz(R),Sz(R)) R; TemporalMap(Sz(S),Sz(S)) S;"
             "TemporalMap(Sz(R),1) Y; TemporalMap(Sz(S),1) X; Cluster(64,P); SpatialMap(1,1) C;",
             "SpatialMap(1,1) C; TemporalMap(Sz(R),Sz(R)) R; TemporalMap(Sz(S),Sz(S)) S; TemporalMap(Sz(R),1) Y;"
             "TemporalMap(Sz(S),1) X;",
             "SpatialMap(1,1) N; TemporalMap(64,64) K; TemporalMap(1,1) M; Cluster(64,P); SpatialMap(1,1) K;"},
    Template{"rs_repo", "row stationary as MAESTRO's repository ships it for ResNet-50",
             "TemporalMap(2,2) K; TemporalMap(4,4) C; TemporalMap(Sz(R),Sz(R)) R; SpatialMap(Sz(R),1) Y;"
             "TemporalMap(Sz(S),1) X; Cluster(3,P); SpatialMap(1,1) X; SpatialMap(1,1) S; TemporalMap(Sz(S),Sz(S)) S;",
             "TemporalMap(4,4) C; TemporalMap(Sz(R),Sz(R)) R; SpatialMap(Sz(R),1) Y; TemporalMap(Sz(S),1) X;"
             "Cluster(3,P); SpatialMap(1,1) X; SpatialMap(1,1) S; TemporalMap(Sz(S),Sz(S)) S;",
             "TemporalMap(2,2) N; TemporalMap(4,4) K; SpatialMap(1,1) M; Cluster(3,P); SpatialMap(1,1) M;", false},
    Template{"xp_ws", "columns in parallel, weight stationary",
             "TemporalMap(1,1) K; TemporalMap(1,1) C; TemporalMap(Sz(R),Sz(R)) R; TemporalMap(Sz(S),Sz(S)) S;"
             "TemporalMap(Sz(R),1) Y; SpatialMap(Sz(S),1) X;",
             "TemporalMap(1,1) C; TemporalMap(Sz(R),Sz(R)) R; TemporalMap(Sz(S),Sz(S)) S; TemporalMap(Sz(R),1) Y;"
             "SpatialMap(Sz(S),1) X;",
             "TemporalMap(1,1) N; TemporalMap(1,1) K; SpatialMap(1,1) M;"},
    Template{"ykp_os", "rows over clusters of 16 output channels, output stationary",
             "TemporalMap(16,16) K; SpatialMap(Sz(R),1) Y; TemporalMap(Sz(S),1) X; TemporalMap(1,1) C;"
             "TemporalMap(Sz(R),Sz(R)) R; TemporalMap(Sz(S),Sz(S)) S; Cluster(16,P); SpatialMap(1,1) K;",
             "TemporalMap(16,16) C; SpatialMap(Sz(R),1) Y; TemporalMap(Sz(S),1) X; TemporalMap(Sz(R),Sz(R)) R;"
             "TemporalMap(Sz(S),Sz(S)) S; Cluster(16,P); SpatialMap(1,1) C;",
             "TemporalMap(16,16) N; SpatialMap(1,1) M; TemporalMap(1,1) K; Cluster(16,P); SpatialMap(1,1) N;"},
    Template{"yrp_rs", "Eyeriss: rows over clusters of kernel rows, row stationary",
             "TemporalMap(2,2) C; TemporalMap(2,2) K; SpatialMap(Sz(R),1) Y; TemporalMap(Sz(S),1) X;"
             "TemporalMap(Sz(R),Sz(R)) R; TemporalMap(Sz(S),Sz(S)) S; Cluster(Sz(R),P); SpatialMap(1,1) Y;"
             "SpatialMap(1,1) R; TemporalMap(Sz(S),Sz(S)) S;",
             "TemporalMap(2,2) C; SpatialMap(Sz(R),1) Y; TemporalMap(Sz(S),1) X; TemporalMap(Sz(R),Sz(R)) R;"
             "TemporalMap(Sz(S),Sz(S)) S; Cluster(Sz(R),P); SpatialMap(1,1) Y; SpatialMap(1,1) R;"
             "TemporalMap(Sz(S),Sz(S)) S;",
             "TemporalMap(2,2) K; TemporalMap(2,2) N; SpatialMap(1,1) M;"},
    Template{"yxp_os", "ShiDianNao: rows over clusters of 8 columns, output stationary",
             "TemporalMap(1,1) K; TemporalMap(1,1) C; SpatialMap(Sz(R),1) Y; TemporalMap(8+Sz(S)-1,8) X; Cluster(8,P);"
             "SpatialMap(Sz(S),1) X; TemporalMap(Sz(R),Sz(R)) R; TemporalMap(Sz(S),Sz(S)) S;",
             "TemporalMap(1,1) C; SpatialMap(Sz(R),1) Y; TemporalMap(8+Sz(S)-1,8) X; Cluster(8,P);"
             "SpatialMap(Sz(S),1) X; TemporalMap(Sz(R),Sz(R)) R; TemporalMap(Sz(S),Sz(S)) S;",
             "SpatialMap(1,1) M; TemporalMap(8,8) N; TemporalMap(1,1) K; Cluster(8,P); SpatialMap(1,1) N;"},
};

}  // namespace

std::string_view Template::text(LayerKind kind) const noexcept {
  switch (kind) {
    case LayerKind::depthwise:
      return depthwise;
    case LayerKind::gemm:
      return gemm;
    case LayerKind::convolution:
    case LayerKind::grouped:
      break;
  }
  return convolution;
}

std::span<const Template> templates() { return kTemplates; }

const Template& template_named(const std::string& name, const std::string& place) {
  return entry_named(kTemplates, name, place);
}

}  // namespace cosearch::maestro
