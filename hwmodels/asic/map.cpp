#include "hwmodels/asic/map.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>
#include <utility>

#include "hwmodels/asic/matmul.hpp"
#include "hwmodels/layers.hpp"

namespace cosearch::asic {
namespace {

// Partial sums are at least int32, whatever the output's type.
constexpr std::int64_t kPartialSumBytes = 4;

double as_double(std::int64_t value) { return static_cast<double>(value); }

/// Array tiles of a blocked extent: each block is cut to the array's size.
std::vector<Pieces> array_pieces(const Blocking& blocking, std::int64_t limit) {
  std::vector<Pieces> pieces;
  const auto add = [&](std::int64_t size, std::int64_t count) {
    if (count > 0) {
      for (const Pieces& piece : cut(size, limit)) {
        pieces.push_back({piece.size, piece.count * count});
      }
    }
  };
  add(blocking.size, blocking.blocks - blocking.rests);
  add(blocking.rest, blocking.rests);
  return pieces;
}

enum class Unit { array, vector };

/// Tries the blockings of one matrix product. What depends on one or two of the three blockings is computed once.
class ArrayMapper {
 public:
  ArrayMapper(const ir::Workload& workload, const ir::Einsum& einsum, const Resources& resources, MatrixProduct product)
      : workload_(workload), einsum_(einsum), resources_(resources), product_(std::move(product)) {
    const ArrayShape& array = resources.array;
    packed_ = std::min(
        {product_.groups.extent, array.rows / product_.reduction.extent, array.columns / product_.columns.extent});
    packed_ = std::max<std::int64_t>(packed_, 1);
    groups_ = cut(product_.groups.extent, packed_);
    const ir::ElementType streamed = tensor(*product_.streamed).type;
    const ir::ElementType stationary = tensor(*product_.stationary).type;
    operand_type_ = ir::size_bytes(stationary) >= ir::size_bytes(streamed) ? stationary : streamed;
    output_bytes_ = as_double(touched_elements(workload, einsum, einsum.output)) * type_bytes(einsum.output);
    rows_ = choices(product_.rows, std::numeric_limits<std::int64_t>::max());
    columns_ = choices(product_.columns, array.columns);
    reductions_ = choices(product_.reduction, array.rows);
    if (packed_ > 1) {  // products that share the array are small: they are not cut
      columns_.resize(1);
      reductions_.resize(1);
    }
    for (const Choice& k : reductions_) {
      for (const Choice& m : rows_) {
        streamed_bytes_.push_back(block_bytes(*product_.streamed, m, product_.rows, k));
      }
      for (const Choice& n : columns_) {
        stationary_bytes_.push_back(block_bytes(*product_.stationary, n, product_.columns, k));
      }
    }
  }

  [[nodiscard]] ir::ElementType operand_type() const noexcept { return operand_type_; }

  [[nodiscard]] std::optional<Mapping> best(Unit unit) const {
    std::optional<Mapping> best;
    for (std::size_t k = 0; k < reductions_.size(); ++k) {
      for (std::size_t m = 0; m < rows_.size(); ++m) {
        for (std::size_t n = 0; n < columns_.size(); ++n) {
          const std::optional<Mapping> mapping =
              map(unit, rows_[m], columns_[n], reductions_[k], streamed_bytes_[k * rows_.size() + m],
                  stationary_bytes_[k * columns_.size() + n]);
          if (mapping && (!best || better(*mapping, *best))) {
            best = mapping;
            best->tiles = tiles(rows_[m].blocking, columns_[n].blocking, reductions_[k].blocking);
          }
        }
      }
    }
    return best;
  }

 private:
  struct Choice {
    Blocking blocking;
    std::vector<Pieces> pieces;  ///< of the array's size
  };

  std::vector<Choice> choices(const LoopSet& set, std::int64_t limit) const {
    std::vector<Choice> list;
    for (Blocking& blocking : blockings(einsum_, set)) {
      std::vector<Pieces> pieces = array_pieces(blocking, std::min(limit, blocking.size));
      list.push_back({std::move(blocking), std::move(pieces)});
    }
    return list;
  }

  bool better(const Mapping& a, const Mapping& b) const {
    return std::tuple(a.cycles(resources_), a.dram_bytes(), a.sram_read_bytes + a.sram_write_bytes) <
           std::tuple(b.cycles(resources_), b.dram_bytes(), b.sram_read_bytes + b.sram_write_bytes);
  }

  const ir::Tensor& tensor(const ir::Access& access) const {
    return workload_.tensors[static_cast<std::size_t>(access.tensor)];
  }
  double type_bytes(const ir::Access& access) const { return as_double(ir::size_bytes(tensor(access).type)); }
  bool on_chip(const ir::Access& access) const { return resources_.on_chip[static_cast<std::size_t>(access.tensor)]; }

  /// Bytes of `access` that one block touches, for all products that share the array.
  std::int64_t block_bytes(const ir::Access& access, const Choice& a, const LoopSet& a_set, const Choice& k) const {
    std::vector<std::int64_t> tile(einsum_.loops.size(), 1);
    const auto fill = [&tile](const Blocking& blocking, const LoopSet& set) {
      for (std::size_t i = 0; i < set.loops.size(); ++i) {
        tile[static_cast<std::size_t>(set.loops[i])] = blocking.extents[i];
      }
    };
    fill(a.blocking, a_set);
    fill(k.blocking, product_.reduction);
    // A block in the middle has its whole halo; a single block only what lies inside the tensor.
    const std::vector<std::int64_t> origin(tile.size(), 0);
    const std::int64_t elements =
        a.blocking.blocks * k.blocking.blocks == 1
            ? ir::footprint_inside(access, tensor(access), origin, tile)
            : std::min(ir::footprint(access, tile, ir::FootprintKind::exact), tensor(access).elements());
    return elements * packed_ * ir::size_bytes(tensor(access).type);
  }

  std::optional<Mapping> map(Unit unit, const Choice& m, const Choice& n, const Choice& k, std::int64_t streamed,
                             std::int64_t stationary) const {
    const std::int64_t partial_sums = packed_ * m.blocking.size * n.blocking.size * kPartialSumBytes;
    Mapping mapping;
    mapping.on_array = unit == Unit::array;
    mapping.operand_type = operand_type_;
    mapping.buffer_bytes = (on_chip(*product_.streamed) ? 0 : 2 * streamed) +
                           (on_chip(*product_.stationary) ? 0 : 2 * stationary) + partial_sums;
    if (mapping.buffer_bytes > resources_.free_bytes) {
      return std::nullopt;
    }
    if (unit == Unit::array) {
      count_array(m, n, k, mapping);
    } else {
      count_vector_unit(mapping);
    }
    count_dram(m.blocking, n.blocking, k.blocking, as_double(streamed), as_double(stationary), mapping);
    return mapping;
  }

  void count_array(const Choice& m, const Choice& n, const Choice& k, Mapping& mapping) const {
    double streamed_elements = 0.0;
    double stationary_elements = 0.0;
    double sums_written = 0.0;
    for (const Pieces& g : groups_) {
      for (const Pieces& r : k.pieces) {
        for (const Pieces& c : n.pieces) {
          for (const Pieces& v : m.pieces) {
            const double passes = as_double(g.count * r.count) * as_double(c.count * v.count);
            const Pass pass{g.size * r.size, g.size * c.size, v.size};
            mapping.compute_cycles += passes * as_double(pass_cycles(resources_.array, pass));
            // Packed products lie on the diagonal: only their own weights are loaded.
            stationary_elements += passes * as_double(g.size * r.size * c.size);
            streamed_elements += passes * as_double(pass.rows * v.size);
            sums_written += passes * as_double(pass.columns * v.size * kPartialSumBytes);
          }
        }
      }
    }
    mapping.macs = as_double(ir::iterations(einsum_));
    mapping.weight_bytes_loaded = stationary_elements * type_bytes(*product_.stationary);
    // Every pass but the first of an output adds to sums that it reads back; the finished ones are read once more.
    mapping.sram_read_bytes =
        streamed_elements * type_bytes(*product_.streamed) + mapping.weight_bytes_loaded + sums_written;
    mapping.sram_write_bytes = sums_written;
  }

  /// One multiply-accumulate per lane and cycle, both operands from the buffer, sums in the lanes' registers.
  void count_vector_unit(Mapping& mapping) const {
    mapping.vector_operations = as_double(ir::iterations(einsum_));
    mapping.compute_cycles = std::ceil(mapping.vector_operations / as_double(resources_.array.columns));
    mapping.sram_read_bytes =
        mapping.vector_operations * (type_bytes(*product_.streamed) + type_bytes(*product_.stationary));
    mapping.sram_write_bytes = output_bytes_;
  }

  void count_dram(const Blocking& m, const Blocking& n, const Blocking& k, double streamed, double stationary,
                  Mapping& mapping) const {
    const double groups = as_double((product_.groups.extent + packed_ - 1) / packed_);
    const double streamed_once = on_chip(*product_.streamed) ? 0.0 : groups * streamed * as_double(m.blocks * k.blocks);
    const double stationary_once =
        on_chip(*product_.stationary) ? 0.0 : groups * stationary * as_double(n.blocks * k.blocks);
    // Rows outermost, and columns outermost. With a part of the reduction in a block, neither operand's block
    // survives until the next output block.
    const bool whole = k.blocks == 1;
    const double rows_outer = streamed_once * (whole ? 1.0 : as_double(n.blocks)) +
                              stationary_once * (whole && n.blocks == 1 ? 1.0 : as_double(m.blocks));
    const double columns_outer = stationary_once * (whole ? 1.0 : as_double(m.blocks)) +
                                 streamed_once * (whole && m.blocks == 1 ? 1.0 : as_double(n.blocks));
    mapping.dram_read_bytes = std::min(rows_outer, columns_outer);
    mapping.dram_write_bytes = on_chip(einsum_.output) ? 0.0 : output_bytes_;
    if (einsum_.accumulate) {
      mapping.dram_read_bytes += mapping.dram_write_bytes;
    }
    mapping.sram_write_bytes += mapping.dram_read_bytes;
  }

  std::string tiles(const Blocking& m, const Blocking& n, const Blocking& k) const {
    const auto part = [](const char* name, const Blocking& blocking, const LoopSet& set) {
      const std::string size = std::string(name) + " " + std::to_string(blocking.size);
      return blocking.size == set.extent ? size : size + "/" + std::to_string(set.extent);
    };
    return part("m", m, product_.rows) + ", " + part("n", n, product_.columns) + ", " +
           part("k", k, product_.reduction);
  }

  const ir::Workload& workload_;
  const ir::Einsum& einsum_;
  const Resources& resources_;
  MatrixProduct product_;
  std::int64_t packed_ = 1;  ///< products on the array at once
  ir::ElementType operand_type_ = ir::ElementType::int8;
  std::vector<Pieces> groups_;
  double output_bytes_ = 0.0;
  std::vector<Choice> rows_, columns_, reductions_;
  std::vector<std::int64_t> streamed_bytes_;    ///< [reduction][row] blocking
  std::vector<std::int64_t> stationary_bytes_;  ///< [reduction][column] blocking
};

/// One operation per lane and cycle; operands and results stream through the buffer.
Mapping map_to_vector_unit(const ir::Workload& workload, const ir::Einsum& einsum, const Resources& resources,
                           const EnergyTable& table) {
  const auto bytes_of = [&](const ir::Access& access) {
    const ir::Tensor& tensor = workload.tensors[static_cast<std::size_t>(access.tensor)];
    return as_double(touched_elements(workload, einsum, access)) * as_double(ir::size_bytes(tensor.type));
  };
  const auto on_chip = [&](const ir::Access& access) {
    return resources.on_chip[static_cast<std::size_t>(access.tensor)];
  };
  Mapping mapping;
  const ir::OperationCounts counts = ir::operation_counts(einsum);
  mapping.vector_operations =
      as_double(counts.macs) + as_double(counts.elementwise) * table.vector_operations.at(einsum.combine);
  const double lanes = as_double(resources.array.columns);
  mapping.compute_cycles = std::ceil(mapping.vector_operations / lanes);
  const double iterations = einsum.opaque ? as_double(einsum.opaque->operations) : as_double(ir::iterations(einsum));
  std::vector<int> seen;
  for (const ir::Operand& operand : einsum.operands) {
    const auto* access = std::get_if<ir::Access>(&operand);
    if (access == nullptr) {
      continue;
    }
    const ir::Tensor& tensor = workload.tensors[static_cast<std::size_t>(access->tensor)];
    mapping.sram_read_bytes += iterations * as_double(ir::size_bytes(tensor.type));
    if (!on_chip(*access) && std::find(seen.begin(), seen.end(), access->tensor) == seen.end()) {
      seen.push_back(access->tensor);
      mapping.dram_read_bytes += bytes_of(*access);
    }
  }
  const double output = bytes_of(einsum.output);
  mapping.dram_write_bytes = on_chip(einsum.output) ? 0.0 : output;
  if (einsum.accumulate) {
    mapping.dram_read_bytes += mapping.dram_write_bytes;
    mapping.sram_read_bytes += output;
  }
  mapping.sram_write_bytes = output + mapping.dram_read_bytes;
  // One element per lane of each operand and of the result, twice.
  mapping.buffer_bytes =
      2 * resources.array.columns * (static_cast<std::int64_t>(einsum.operands.size()) + 1) * kPartialSumBytes;
  mapping.tiles = "streamed";
  return mapping;
}

}  // namespace

double Mapping::cycles(const Resources& resources) const noexcept {
  return std::max(compute_cycles, dram_bytes() / resources.dram_bytes_per_cycle);
}

std::optional<Mapping> map_einsum(const ir::Workload& workload, const ir::Einsum& einsum, const Resources& resources,
                                  const EnergyTable& table) {
  std::optional<Mapping> best;
  const auto offer = [&](const std::optional<Mapping>& mapping) {
    if (mapping && mapping->buffer_bytes <= resources.free_bytes &&
        (!best || mapping->cycles(resources) < best->cycles(resources))) {
      best = mapping;
    }
  };
  std::vector<std::size_t> choices{1, 0};
  for (std::size_t i = 0; i < std::min<std::size_t>(2, einsum.operands.size()); ++i) {
    const auto* access = std::get_if<ir::Access>(&einsum.operands[i]);
    if (access != nullptr &&
        workload.tensors[static_cast<std::size_t>(access->tensor)].kind == ir::TensorKind::weight) {
      choices = {i};  // weights are what stays in a weight-stationary array
    }
  }
  bool is_product = false;
  for (const std::size_t stationary : choices) {
    std::optional<MatrixProduct> product = matrix_product(einsum, stationary);
    if (!product) {
      continue;
    }
    is_product = true;
    const ArrayMapper mapper(workload, einsum, resources, *std::move(product));
    if (table.mac.find(mapper.operand_type()) != table.mac.end()) {
      offer(mapper.best(Unit::array));
    }
    offer(mapper.best(Unit::vector));
  }
  if (!is_product) {
    offer(map_to_vector_unit(workload, einsum, resources, table));
  }
  return best;
}

std::int64_t minimum_buffer_bytes(const ArrayShape& array, std::int64_t weight_bytes, std::int64_t activation_bytes,
                                  std::int64_t accumulator_bytes) {
  return 2 * array.rows * array.columns * weight_bytes + 2 * array.rows * activation_bytes +
         array.columns * accumulator_bytes;
}

}  // namespace cosearch::asic
