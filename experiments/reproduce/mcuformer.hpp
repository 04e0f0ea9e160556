#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "spaces/base/embedded_file.hpp"
#include "spaces/catalog/families.hpp"
#include "spaces/graph/graph.hpp"
#include "spaces/program/program.hpp"

/// MCUFormer (Liang et al., "MCUFormer: deploying vision transformers on microcontrollers with limited memory", NeurIPS
/// 2023) re-enacted as far as its published code, its authors' log and its abstract allow: how it counts memory, what
/// its low-rank layers do, and what each technique of its engine gives under our own planner. Its engine and weights
/// were never released, and nothing of the tables in its body is used.
namespace cosearch::mcuformer {

/// Memory of the three boards that the paper names, by the parts' datasheets.
struct BoardLimits {
  std::string_view name;
  std::int64_t sram_bytes = 0;
  std::int64_t flash_bytes = 0;
};
inline constexpr std::array kBoards{BoardLimits{"STM32F427", 256 * 1024, 1024 * 1024},
                                    BoardLimits{"STM32F746", 320 * 1024, 1024 * 1024},
                                    BoardLimits{"STM32H743", 512 * 1024, 2048 * 1024}};

/// A transformer on 240 x 240 images with 1,000 classes and heads of 64 features, as MCUFormer's spaces have them, but
/// with the mean over the tokens in place of a class token.
struct Design {
  std::int64_t patch = 20;  ///< pixels
  std::int64_t embed_dim = 192;
  std::vector<catalog::TransformerBlock> blocks;
  int factors = 2;              ///< of qkv and MLP; 1: dense; with 3 the projection behind the heads has them too
  double rank_attn = 1.0;       ///< attention's rank over the width `rank_width`
  double rank_mlp = 1.0;        ///< the MLP's rank over embed_dim
  std::int64_t rank_width = 0;  ///< 0: embed_dim
};
[[nodiscard]] graph::NetworkGraph build(const Design& design);
/// Of twelve blocks of width 192 with four heads and an MLP ratio of 4, where the attention's rank is a share of the
/// supernet's width 256, as in the first code.
[[nodiscard]] Design published_size(std::int64_t patch, int factors, double rank_ratio);

/// A network that the authors' search sampled, with what it logged.
struct LoggedNetwork {
  Design design;
  std::int64_t parameters = 0;
  std::int64_t peak_bytes = 0;
};
/// The rows of tests/data/mcuformer_memory.csv (its head says where they are from), as they were at build time.
[[nodiscard]] std::vector<LoggedNetwork> logged_networks();
/// Internal: that file.
[[nodiscard]] std::span<const EmbeddedFile> embedded_log();

/// What the later code counts, from the numbers of a row as it does it: of the block that needs most, output, rank
/// intermediate and larger factor of qkv or of the MLP's first layer. Bytes.
[[nodiscard]] std::int64_t search_formula(const Design& design);
/// What the first code counts at the stage of supernets, with the largest MLP ratio: E * ((N + 1) * (1 + M) + E * M *
/// R), with the rank E * R as that code has it, a fraction; `whole_rank`: int(E * R). Bytes.
[[nodiscard]] double supernet_formula(const Design& design, bool whole_rank);

/// How the two accountings come out on the logged networks.
struct Accounting {
  std::int64_t networks = 0;
  std::int64_t formula_equal = 0;       ///< search_formula gives the logged bytes
  std::int64_t network_equal = 0;       ///< the accounting of the network that we build gives the logged bytes
  std::int64_t supernet_equal = 0;      ///< the network's accounting is supernet_formula of its whole rank, rounded up
  double supernet_largest_gap = 0.0;    ///< bytes by which that is below the formula of the rank as a fraction
  std::int64_t search_legal = 0;        ///< networks of at most 320 KB by the later accounting
  std::int64_t supernet_legal = 0;      ///< the same by the first
  std::int64_t arena_legal = 0;         ///< the same by our planner, weights in flash and the image by patches
  std::int64_t arena_copied_legal = 0;  ///< the same with weights copied to SRAM
  std::int64_t flash_legal = 0;         ///< networks whose int8 weights fit in 2 MB of flash
  std::int64_t least_parameters = 0, most_parameters = 0;    ///< as logged
  std::int64_t least_flash_bytes = 0, most_flash_bytes = 0;  ///< of our int8 programs: weights and their constants
};
[[nodiscard]] Accounting account(const std::vector<LoggedNetwork>& networks);

/// A network of `published_size` under one form of its layers.
struct LowRankRow {
  std::int64_t patch = 0;
  std::int64_t tokens = 0;
  int factors = 1;
  double rank_ratio = 1.0;
  std::int64_t macs = 0;           ///< of the blocks: their linear maps and attentions
  std::int64_t parameters = 0;     ///< weights of the blocks' linear maps
  double class_token_macs = 0;     ///< `macs` with the class token that the authors' networks have
  std::int64_t authors_bytes = 0;  ///< SRAM by the later accounting, see hwmodels/mcu/mcuformer_memory.hpp
  std::int64_t live_bytes = 0;     ///< of our programs: least that some schedule has in use at once, weights in flash
  std::int64_t copied_bytes = 0;   ///< the same with weights of each call copied to SRAM
  std::int64_t flash_bytes = 0;    ///< weights and constants of the whole int8 program
};
[[nodiscard]] std::vector<LowRankRow> low_rank_rows();

/// The rank below which a layer of factors has fewer weights than a dense one.
struct BreakEven {
  std::string layer;
  std::int64_t inputs = 0, outputs = 0;
  double two_factors = 0.0, three_factors = 0.0;  ///< ranks
};
/// Of the layers of a network of `published_size`.
[[nodiscard]] std::vector<BreakEven> break_even_ranks();

/// What our engine can do for a network's memory; each step keeps those before it.
struct Technique {
  std::string_view name;
  program::LoweringOptions options;
  /// Without operator integration: the int32 sums of linear maps are stored before they become int8.
  bool stores_sums = false;
};
[[nodiscard]] std::vector<Technique> techniques();
/// Whether some schedule of program::Streaming has no larger arena, with the image by patches.
[[nodiscard]] bool fits(const graph::NetworkGraph& network, bool weights_in_sram, std::int64_t sram_bytes);

/// The most live bytes while calls of a part of the network run, weights read in flash.
struct PartBytes {
  std::int64_t embedding = 0;  ///< image to tokens
  std::int64_t attention = 0;  ///< with its norm, its factors and the projection
  std::int64_t mlp = 0;        ///< with its norm
  std::int64_t rest = 0;       ///< additions, positions, head
};

struct TechniqueRow {
  std::int64_t patch = 0;
  std::string_view technique;
  std::int64_t arena_bytes = 0;   ///< weights read in flash
  std::int64_t copied_bytes = 0;  ///< weights of each call copied to SRAM
  PartBytes parts;
  std::int64_t operations = 0;  ///< multiply-accumulates and element operations
};
/// Each technique on two-factor networks of `published_size` with the rank ratio 0.9, for patches of 16, 20 and 24.
[[nodiscard]] std::vector<TechniqueRow> technique_rows();
inline constexpr double kTechniqueRank = 0.9;

/// What program::fit_program takes for a board.
struct FitRow {
  std::int64_t patch = 0;
  std::string_view board;
  bool weights_in_sram = false;
  bool fits = false;
  std::string schedule;  ///< empty: every layer runs as a whole
  std::int64_t arena_bytes = 0;
  std::int64_t operations = 0;
};
/// The same networks with the image by patches, on each board, weights in flash or copied to SRAM.
[[nodiscard]] std::vector<FitRow> fit_rows();

/// Arena bytes by technique for one patch size, with weights in flash and copied, beside the boards' SRAM (SVG).
[[nodiscard]] std::string techniques_svg(const std::vector<TechniqueRow>& rows, std::int64_t patch);

}  // namespace cosearch::mcuformer
