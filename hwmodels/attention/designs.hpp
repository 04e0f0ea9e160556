#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "hwmodels/attention/design.hpp"
#include "hwmodels/attention/product.hpp"

namespace cosearch::attention {

/// Elements and buffer that go together.
struct Elements {
  PeKind array;
  PeKind lane;
  std::string buffer;                    ///< of AttentionData::buffers
  std::int64_t priced_buffer_bytes = 0;  ///< see Arch
};

/// Where FLAT's optimiser put a layer: `resident` by name of the tensor, products in order.
struct FlatMapping {
  std::int64_t head_dim = 0;
  std::vector<std::int64_t> tokens;
  std::int64_t chunk_rows = 0;
  std::vector<std::string> resident;
  std::vector<Stationary> products;
  bool fibers_in_buffer = true;
};

/// Shape of a transformer's layers.
struct TransformerModel {
  std::string name;
  std::int64_t width = 0;
  std::int64_t head_dim = 0;
  std::int64_t heads = 0;
  std::int64_t mlp_width = 0;
};

/// One design of the parametric target: what its genes say.
struct DesignGenes {
  std::string elements;  ///< of PublishedDesigns::elements
  std::string cascade;   ///< of the library
  Fusion fusion = Fusion::tiles;
  bool softmax_on_array = true;
  std::string binding = "interleaved";  ///< as in Choices, or a name of PublishedDesigns::bindings
  std::int64_t rows = 256, columns = 256, lanes = 256;
  std::int64_t buffer_bytes = 0;
  double dram_bytes_per_second = 0.0;
  double frequency_hz = 0.0;
};

/// What is the same for all designs of a target.
struct DesignOptions {
  std::string energy_table = "aladdin_45nm";
  std::string dram = "hbm2";
  bool even_chunks = true;
  bool complete_energy = false;
  bool timeloop_overflow = false;
};

/// Published designs and what they were compared on, from hwmodels/data/attention_designs.json.
struct PublishedDesigns {
  std::map<std::string, Elements> elements;
  std::map<std::string, std::string> bindings;  ///< slots as text, by name
  std::map<std::string, DesignGenes> designs;   ///< by name: unfused, flat, cascade, architecture, binding
  std::vector<FlatMapping> flat_mappings;
  std::vector<TransformerModel> models;
  std::int64_t batch = 1;
  std::vector<std::int64_t> tokens;
  std::string fingerprint;

  /// FLAT's mapping of a layer with as many queries as keys; nothing where the artifact has none, or the cascade other
  /// products.
  [[nodiscard]] std::optional<RowsMapping> flat_mapping(const Profile& profile, std::int64_t head_dim,
                                                        const Shape& shape) const;
};
/// @throws ConfigError, see load_data.
[[nodiscard]] PublishedDesigns load_published_designs(const AttentionData& data, const std::string& data_directory);

/// The design of `genes` for a profile. @throws ConfigError as below.
[[nodiscard]] Expected<Design, Infeasible> build_design(const DesignGenes& genes, Profile profile,
                                                        const DesignOptions& options, const AttentionData& data,
                                                        const PublishedDesigns& published);
/// The design of `genes` for a cascade. @throws ConfigError for energy tables and DRAM that the data do not have.
[[nodiscard]] Expected<Design, Infeasible> build_design(const DesignGenes& genes, const ir::Workload& cascade,
                                                        const DesignOptions& options, const AttentionData& data,
                                                        const PublishedDesigns& published);
/// `genes` with arrays of `size` x `size` and `size` elements and the buffer that FuseMax's artifact gives them in its
/// comparison of sizes: eight words for each element of a tile of queries, doubled until the traffic of `shape` takes
/// no longer than its work on the lanes.
[[nodiscard]] DesignGenes with_array_size(DesignGenes genes, std::int64_t size, std::int64_t head_dim,
                                          const Shape& shape, const AttentionData& data,
                                          const PublishedDesigns& published);
/// Linear layers of one transformer layer: queries, keys, values, projection, two of the MLP.
[[nodiscard]] ProductCost linear_layers(const Design& design, const TransformerModel& model, std::int64_t tokens);

/// The cascade of the genes from the library with these head dimensions: of queries and keys, of values. Its sizes of
/// rows and streamed elements do not matter.
[[nodiscard]] ir::Workload cascade_of(const DesignGenes& genes, std::int64_t query_dim, std::int64_t value_dim);

}  // namespace cosearch::attention
