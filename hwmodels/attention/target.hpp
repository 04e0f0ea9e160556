#pragma once

#include <memory>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "hwmodels/model.hpp"

namespace cosearch {

/// Attention accelerators: any cascade of the library on a 2-D array beside lanes. Genes `elements` (what the
/// processing elements can do), `cascade`, `fusion` (none, rows, tiles), `softmax_on` (array, lanes) and `binding` with
/// tiles, `rows`, `columns`, `lanes`, `buffer_kib`, `dram_gib_s`, `frequency_mhz`. Options:
///   energy_table     of hwmodels/data/attention.json; aladdin_45nm
///   dram             hbm2
///   complete_energy  false; true counts the registers of all elements
///   even_chunks      false; true divides the rows' tiles evenly, as the FuseMax artifact does
///   causal           false; true leaves out tiles behind the diagonal (fusion tiles; otherwise all are computed)
///   decode_keys      0; > 0: keys that every token attends to, for decoder steps
///   cascade_text     a cascade of the user as text, see ir::parse_workload; the gene `cascade` has then one value
///   slots            the user's binding as text, see attention::parse_binding
[[nodiscard]] std::unique_ptr<Target> make_attention(const nlohmann::json& options, const std::string& data_directory);

// Points of it, as the FuseMax artifact has them: the same genes with one value each.
/// Three passes through DRAM.
[[nodiscard]] std::unique_ptr<Target> make_attention_unfused(const nlohmann::json& options,
                                                             const std::string& data_directory);
/// FLAT: three passes over a chunk of rows.
[[nodiscard]] std::unique_ptr<Target> make_flat(const nlohmann::json& options, const std::string& data_directory);
/// FuseMax with its binding.
[[nodiscard]] std::unique_ptr<Target> make_fusemax(const nlohmann::json& options, const std::string& data_directory);

}  // namespace cosearch
