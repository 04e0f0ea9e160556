#include "hwmodels/attention/designs.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "hwmodels/data_files.hpp"
#include "spaces/base/hash.hpp"
#include "spaces/base/json_reader.hpp"
#include "spaces/cascade/library.hpp"
#include "spaces/ir/text_words.hpp"

namespace cosearch::attention {
namespace {

constexpr const char* kFile = "attention_designs";
constexpr std::int64_t kKib = 1024;
constexpr double kGib = 1024.0 * 1024.0 * 1024.0;
constexpr double kMega = 1e6;
constexpr ir::Words<Stationary, 3> kStationary{
    {{"input", Stationary::input}, {"output", Stationary::output}, {"weight", Stationary::weight}}};

std::vector<std::string> names_of(const std::map<std::string, PeKind>& kinds) {
  std::vector<std::string> names;
  for (const auto& entry : kinds) {
    names.push_back(entry.first);
  }
  return names;
}

Elements read_elements(const JsonReader& reader, const AttentionData& data) {
  reader.only({"array", "lane", "buffer", "priced_buffer_kib"});
  const std::vector<std::string> kinds = names_of(data.pe_kinds);
  Elements elements;
  elements.array = data.pe_kinds.at(reader.required("array", "a kind of element").name_of(kinds));
  elements.lane = data.pe_kinds.at(reader.required("lane", "a kind of element").name_of(kinds));
  std::vector<std::string> buffers;
  for (const auto& entry : data.buffers) {
    buffers.push_back(entry.first);
  }
  elements.buffer = reader.required("buffer", "a kind of buffer").name_of(buffers);
  elements.priced_buffer_bytes = kKib * reader.integer("priced_buffer_kib", 0, 0, std::int64_t{1} << 30);
  return elements;
}

FlatMapping read_flat_mapping(const JsonReader& reader) {
  reader.only({"head_dim", "tokens", "chunk_rows", "resident", "products", "fibers"});
  FlatMapping mapping;
  mapping.head_dim = reader.required("head_dim", "a size").integer(1);
  for (const JsonReader& tokens : reader.required("tokens", "an array of lengths").items()) {
    mapping.tokens.push_back(tokens.integer(1));
  }
  mapping.chunk_rows = reader.required("chunk_rows", "rows").integer(0);
  for (const JsonReader& name : reader.required("resident", "an array of tensors").items()) {
    mapping.resident.push_back(name.text());
  }
  for (const JsonReader& name : reader.required("products", "an array").items()) {
    mapping.products.push_back(*ir::value_of(kStationary, name.name_of(ir::all_words(kStationary))));
  }
  mapping.fibers_in_buffer = reader.required("fibers", "true or false").boolean();
  return mapping;
}

constexpr ir::Words<Fusion, 3> kFusions{{{"none", Fusion::none}, {"rows", Fusion::rows}, {"tiles", Fusion::tiles}}};

DesignGenes read_design(const JsonReader& reader) {
  reader.only({"elements", "cascade", "fusion", "softmax_on", "binding", "rows", "columns", "lanes", "buffer_kib",
               "dram_gib_s", "frequency_mhz"});
  constexpr std::int64_t kMost = 1 << 20;
  const auto size = [&](const char* key) { return reader.required(key, "a size").integer(1, kMost); };
  DesignGenes genes;
  genes.elements = reader.required("elements", "a name").text();
  genes.cascade = reader.required("cascade", "a name of the library").text();
  genes.fusion = *ir::value_of(kFusions, reader.required("fusion", "a fusion").name_of(ir::all_words(kFusions)));
  genes.softmax_on_array = reader.name_of("softmax_on", "lanes", {"array", "lanes"}) == "array";
  genes.binding = reader.text("binding", "interleaved");
  genes.rows = size("rows");
  genes.columns = size("columns");
  genes.lanes = size("lanes");
  genes.buffer_bytes = kKib * size("buffer_kib");
  genes.dram_bytes_per_second = kGib * static_cast<double>(size("dram_gib_s"));
  genes.frequency_hz = kMega * static_cast<double>(size("frequency_mhz"));
  return genes;
}

TransformerModel read_model(const JsonReader& reader) {
  reader.only({"name", "width", "head_dim", "heads", "mlp_width"});
  const auto size = [&](const char* key) { return reader.required(key, "a size").integer(1, 1 << 20); };
  return {reader.required("name", "a name").text(), size("width"), size("head_dim"), size("heads"), size("mlp_width")};
}

}  // namespace

std::optional<RowsMapping> PublishedDesigns::flat_mapping(const Profile& profile, std::int64_t head_dim,
                                                          const Shape& shape) const {
  const auto products =
      static_cast<std::size_t>(std::count_if(profile.works.begin(), profile.works.end(), [](const Work& work) {
        return work.product && work.extent == Extent::tile;
      }));
  for (const FlatMapping& mapping : flat_mappings) {
    const bool listed = std::find(mapping.tokens.begin(), mapping.tokens.end(), shape.keys) != mapping.tokens.end();
    if (mapping.head_dim != head_dim || !listed || shape.rows != shape.keys || products != mapping.products.size()) {
      continue;
    }
    RowsMapping result{mapping.chunk_rows, mapping.fibers_in_buffer, mapping.products, {}};
    for (const TensorUse& tensor : profile.tensors) {
      result.resident.push_back(std::find(mapping.resident.begin(), mapping.resident.end(), tensor.name) !=
                                mapping.resident.end());
    }
    return result;
  }
  return std::nullopt;
}

PublishedDesigns load_published_designs(const AttentionData& data, const std::string& data_directory) {
  const nlohmann::json json = load_data(kFile, data_directory);
  const JsonReader reader(json, "", data_file_name(kFile, data_directory));
  PublishedDesigns published;
  for (const auto& [name, elements] : reader.required("elements", "an object").members()) {
    published.elements.emplace(name, read_elements(elements, data));
  }
  for (const auto& [name, binding] : reader.required("bindings", "an object").members()) {
    published.bindings.emplace(name, binding.text());
  }
  for (const auto& [name, design] : reader.required("designs", "an object").members()) {
    published.designs.emplace(name, read_design(design));
  }
  for (const JsonReader& mapping : reader.required("flat_mappings", "an array").items()) {
    published.flat_mappings.push_back(read_flat_mapping(mapping));
  }
  for (const JsonReader& model : reader.required("models", "an array").items()) {
    published.models.push_back(read_model(model));
  }
  published.batch = reader.required("batch", "samples").integer(1, 1 << 20);
  for (const JsonReader& tokens : reader.required("tokens", "an array of lengths").items()) {
    published.tokens.push_back(tokens.integer(1));
  }
  published.fingerprint = hex(Hasher().add(json.dump()).value());
  return published;
}

DesignGenes with_array_size(DesignGenes genes, std::int64_t size, std::int64_t head_dim, const Shape& shape,
                            const AttentionData& data, const PublishedDesigns& published) {
  genes.rows = genes.columns = genes.lanes = size;
  constexpr std::int64_t kWords = 8;
  constexpr std::int64_t kMostBytes = std::int64_t{1} << 40;
  const ir::Workload cascade = cascade_of(genes, head_dim, head_dim);
  for (genes.buffer_bytes = kWords * size * head_dim * data.word_bytes; genes.buffer_bytes < kMostBytes;
       genes.buffer_bytes *= 2) {
    const Expected<Design, Infeasible> design = build_design(genes, cascade, {.even_chunks = true}, data, published);
    const Expected<AttentionCost, Infeasible> cost =
        design ? design->evaluate(shape) : Expected<AttentionCost, Infeasible>(Unexpected{design.error()});
    if (cost && cost->memory_seconds <= cost->lane_cycles / genes.frequency_hz) {
      break;
    }
  }
  return genes;
}

ProductCost linear_layers(const Design& design, const TransformerModel& model, std::int64_t tokens) {
  const std::int64_t heads_width = model.heads * model.head_dim;
  ProductCost sum;
  const auto add = [&](double times, std::int64_t inputs, std::int64_t outputs) {
    sum.add(product_cost(design, {1, tokens, inputs, outputs}), times);
  };
  add(3.0, model.width, heads_width);
  add(1.0, heads_width, model.width);
  add(1.0, model.width, model.mlp_width);
  add(1.0, model.mlp_width, model.width);
  return sum;
}

ir::Workload cascade_of(const DesignGenes& genes, std::int64_t query_dim, std::int64_t value_dim) {
  return cascade::cascade(genes.cascade, {{"E", query_dim}, {"F", value_dim}});
}

Expected<Design, Infeasible> build_design(const DesignGenes& genes, const ir::Workload& cascade,
                                          const DesignOptions& options, const AttentionData& data,
                                          const PublishedDesigns& published) {
  Expected<Profile, std::string> profile = make_profile(cascade);
  if (!profile) {
    return Unexpected{Infeasible{{}, profile.error()}};
  }
  return build_design(genes, *std::move(profile), options, data, published);
}

Expected<Design, Infeasible> build_design(const DesignGenes& genes, Profile profile, const DesignOptions& options,
                                          const AttentionData& data, const PublishedDesigns& published) {
  const Elements& elements = published.elements.at(genes.elements);
  Arch arch;
  arch.rows = genes.rows;
  arch.columns = genes.columns;
  arch.lanes = genes.lanes;
  arch.buffer_bytes = genes.buffer_bytes;
  arch.priced_buffer_bytes = elements.priced_buffer_bytes;
  arch.word_bytes = data.word_bytes;
  arch.dram_bytes_per_second = genes.dram_bytes_per_second;
  arch.frequency_hz = genes.frequency_hz;
  arch.array = elements.array;
  arch.lane = elements.lane;
  Choices choices;
  choices.fusion = genes.fusion;
  choices.softmax_on_array = genes.softmax_on_array;
  choices.even_chunks = options.even_chunks;
  choices.complete_energy = options.complete_energy;
  choices.timeloop_overflow = options.timeloop_overflow;
  choices.binding = genes.binding;
  if (const auto slots = published.bindings.find(genes.binding); slots != published.bindings.end()) {
    choices.binding = slots->second;
  }
  return Design::make(std::move(profile), arch, choices,
                      data.prices(options.energy_table, options.dram, elements.buffer));
}

}  // namespace cosearch::attention
