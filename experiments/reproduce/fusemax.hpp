#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "hwmodels/attention/designs.hpp"

/// FuseMax (Nayak et al., MICRO 2024) re-enacted: its five designs on four models and six lengths, what each step
/// contributes, arrays of several sizes, what the energy table decides, and a search for a better design of equal area.
namespace cosearch::fusemax {

/// In the paper's order: each adds a step to the one before, `unfused` stands aside.
inline constexpr std::string_view kDesigns[] = {"unfused", "flat", "cascade", "architecture", "binding"};

/// One design on one layer of one model.
struct Result {
  std::string model;
  std::int64_t tokens = 0;
  std::string design;
  attention::AttentionCost attention;
  attention::ProductCost linear;  ///< its linear layers
};

/// Arithmetic means over models and lengths, as the paper's: time of `against` / time of the design, energy of the
/// design / energy of `against`.
struct Means {
  std::string design;
  std::string against;
  double attention_speedup = 0.0;
  double attention_energy = 0.0;
  double layer_speedup = 0.0;
  double layer_energy = 0.0;
};

/// An array of `size` x `size` in the paper's comparison of sizes.
struct Size {
  std::string model;
  std::int64_t size = 0;
  std::int64_t buffer_bytes = 0;
  double area_mm2 = 0.0;
  double seconds = 0.0;
};

/// The fastest design of at most the published one's area for one layer of BERT, by enumeration.
struct Better {
  std::int64_t tokens = 0;
  std::int64_t designs = 0;   ///< looked at
  std::int64_t feasible = 0;  ///< of these, and not larger
  attention::DesignGenes genes;
  double area_mm2 = 0.0;
  double published_area_mm2 = 0.0;
  double seconds = 0.0;
  double published_seconds = 0.0;
};

/// Everything is computed with the same options.
class Experiment {
 public:
  /// @throws ConfigError for an energy table or DRAM that the data do not have.
  Experiment(const attention::DesignOptions& options, const std::string& data_directory);

  [[nodiscard]] std::vector<Result> results() const;
  [[nodiscard]] std::vector<Size> sizes(std::int64_t tokens) const;
  [[nodiscard]] Better better_design(std::int64_t tokens) const;

 private:
  [[nodiscard]] Result result(const attention::TransformerModel& model, std::int64_t tokens,
                              const std::string& design) const;

  attention::AttentionData data_;
  attention::PublishedDesigns published_;
  attention::DesignOptions options_;
};

[[nodiscard]] Means means(const std::vector<Result>& results, const std::string& design, const std::string& against);
/// What the artifact's results give, and the paper prints. Nothing (zeros) for pairs that it does not compare.
[[nodiscard]] Means published_means(const std::string& design, const std::string& against);

/// The speed-ups over FLAT by steps, as bars (SVG).
[[nodiscard]] std::string contribution_svg(const std::vector<Result>& results, const std::string& model,
                                           std::int64_t tokens);
/// Time against area, both logarithmic (SVG).
[[nodiscard]] std::string sizes_svg(const std::vector<Size>& sizes);

}  // namespace cosearch::fusemax
