#include "experiments/reproduce/fusemax.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "spaces/base/check.hpp"

namespace cosearch::fusemax {
namespace {

using attention::AttentionCost;
using attention::Design;
using attention::DesignGenes;
using attention::Fusion;
using attention::Shape;
using attention::TransformerModel;

constexpr std::int64_t kKib = 1024;

/// Of the artifact's CSV files: arithmetic means over its four models and six lengths.
const std::vector<Means>& published() {
  static const std::vector<Means> rows{
      {"flat", "unfused", 1.50666, 0.97471, 1.42906, 0.98495},
      {"cascade", "unfused", 1.35830, 0.88524, 1.31837, 0.91764},
      {"architecture", "unfused", 3.26990, 0.76738, 2.87068, 0.82099},
      {"binding", "unfused", 10.05195, 0.76738, 7.60215, 0.82099},
      {"cascade", "flat", 0.90702, 0.90820, 0.92553, 0.93161},
      {"architecture", "flat", 2.18276, 0.78746, 2.00483, 0.83349},
      {"binding", "flat", 6.72263, 0.78746, 5.30168, 0.83349},
  };
  return rows;
}

const Result& find(const std::vector<Result>& results, const Result& like, const std::string& design) {
  const auto found = std::find_if(results.begin(), results.end(), [&](const Result& each) {
    return each.model == like.model && each.tokens == like.tokens && each.design == design;
  });
  COSEARCH_CHECK(found != results.end(), "every design on every layer");
  return *found;
}

Shape shape_of(const TransformerModel& model, std::int64_t batch, std::int64_t tokens) {
  return {batch * model.heads, tokens, tokens, false};
}

/// Sizes that the search tries, around the published ones.
struct Grid {
  std::vector<std::int64_t> rows, columns, lanes, buffers_kib;
};

Grid grid() {
  Grid result;
  for (std::int64_t size = 128; size <= 512; size += 16) {
    result.rows.push_back(size);
    result.columns.push_back(size);
  }
  for (std::int64_t lanes = 128; lanes <= 1024; lanes += 64) {
    result.lanes.push_back(lanes);
  }
  for (std::int64_t kib = 512; kib <= 32768; kib *= 2) {
    result.buffers_kib.push_back(kib);
  }
  return result;
}

}  // namespace

Experiment::Experiment(const attention::DesignOptions& options, const std::string& data_directory)
    : data_(attention::load_attention_data(data_directory)),
      published_(attention::load_published_designs(data_, data_directory)),
      options_(options) {
  (void)data_.prices(options.energy_table, options.dram, "banks_32");
}

Result Experiment::result(const TransformerModel& model, std::int64_t tokens, const std::string& name) const {
  const DesignGenes& genes = published_.designs.at(name);
  const Expected<Design, Infeasible> design = attention::build_design(
      genes, attention::cascade_of(genes, model.head_dim, model.head_dim), options_, data_, published_);
  COSEARCH_CHECK(design.has_value(), "published designs are possible");
  const Shape shape = shape_of(model, published_.batch, tokens);
  const auto mapping =
      genes.fusion == Fusion::rows ? published_.flat_mapping(design->profile(), model.head_dim, shape) : std::nullopt;
  Expected<AttentionCost, Infeasible> cost = mapping ? design->evaluate(shape, *mapping) : design->evaluate(shape);
  COSEARCH_CHECK(cost.has_value(), "published layers fit");
  // FuseMax's steps on FLAT's hardware run their linear layers there too.
  return {model.name, tokens, name, *std::move(cost),
          attention::linear_layers(*design, model, published_.batch * tokens)};
}

std::vector<Result> Experiment::results() const {
  std::vector<Result> all;
  for (const TransformerModel& model : published_.models) {
    for (const std::int64_t tokens : published_.tokens) {
      for (const std::string_view design : kDesigns) {
        all.push_back(result(model, tokens, std::string(design)));
      }
    }
  }
  return all;
}

std::vector<Size> Experiment::sizes(std::int64_t tokens) const {
  std::vector<Size> all;
  for (const TransformerModel& model : published_.models) {
    for (std::int64_t size = 16; size <= 512; size *= 2) {
      const Shape shape = shape_of(model, published_.batch, tokens);
      const DesignGenes genes =
          attention::with_array_size(published_.designs.at("binding"), size, model.head_dim, shape, data_, published_);
      const Expected<Design, Infeasible> design = attention::build_design(
          genes, attention::cascade_of(genes, model.head_dim, model.head_dim), options_, data_, published_);
      COSEARCH_CHECK(design.has_value(), "arrays of every size are possible");
      all.push_back(
          {model.name, size, genes.buffer_bytes, design->area_um2() * 1e-6, design->evaluate(shape).value().seconds});
    }
  }
  return all;
}

Better Experiment::better_design(std::int64_t tokens) const {
  const TransformerModel& bert = published_.models.front();
  const Shape shape = shape_of(bert, published_.batch, tokens);
  const DesignGenes& fusemax = published_.designs.at("binding");
  const auto profile_of = [&](const char* cascade) {
    DesignGenes genes = fusemax;
    genes.cascade = cascade;
    return attention::make_profile(attention::cascade_of(genes, bert.head_dim, bert.head_dim)).value();
  };
  const attention::Profile one_pass = profile_of("attention_one_pass");
  const Design published = attention::build_design(fusemax, one_pass, options_, data_, published_).value();
  attention::DesignOptions options = options_;
  options.even_chunks = false;
  Better best;
  best.tokens = tokens;
  best.published_area_mm2 = published.area_um2() * 1e-6;
  best.published_seconds = published.evaluate(shape).value().seconds;
  best.seconds = std::numeric_limits<double>::infinity();
  const Grid sizes = grid();
  DesignGenes genes = fusemax;
  genes.binding = "interleaved";
  for (const bool on_array : {true, false}) {
    genes.softmax_on_array = on_array;
    for (const std::int64_t rows : sizes.rows) {
      for (const std::int64_t columns : sizes.columns) {
        for (const std::int64_t lanes : sizes.lanes) {
          for (const std::int64_t kib : sizes.buffers_kib) {
            genes.rows = rows;
            genes.columns = columns;
            genes.lanes = lanes;
            genes.buffer_bytes = kib * kKib;
            ++best.designs;
            const auto design = attention::build_design(genes, one_pass, options, data_, published_);
            if (!design || design->area_um2() > published.area_um2()) {
              continue;
            }
            const auto cost = design->evaluate(shape);
            best.feasible += cost ? 1 : 0;
            if (cost && cost->seconds < best.seconds) {
              best.seconds = cost->seconds;
              best.area_mm2 = design->area_um2() * 1e-6;
              best.genes = genes;
            }
          }
        }
      }
    }
  }
  return best;
}

Means means(const std::vector<Result>& results, const std::string& design, const std::string& against) {
  Means mean{design, against};
  double count = 0.0;
  for (const Result& each : results) {
    if (each.design != design) {
      continue;
    }
    const Result& other = find(results, each, against);
    const double seconds = each.attention.seconds + each.linear.seconds;
    const double energy = each.attention.energy.total() + each.linear.energy.total();
    mean.attention_speedup += other.attention.seconds / each.attention.seconds;
    mean.attention_energy += each.attention.energy.total() / other.attention.energy.total();
    mean.layer_speedup += (other.attention.seconds + other.linear.seconds) / seconds;
    mean.layer_energy += energy / (other.attention.energy.total() + other.linear.energy.total());
    count += 1.0;
  }
  for (double* figure : {&mean.attention_speedup, &mean.attention_energy, &mean.layer_speedup, &mean.layer_energy}) {
    *figure /= std::max(count, 1.0);
  }
  return mean;
}

Means published_means(const std::string& design, const std::string& against) {
  for (const Means& row : published()) {
    if (row.design == design && row.against == against) {
      return row;
    }
  }
  return {design, against};
}

}  // namespace cosearch::fusemax
