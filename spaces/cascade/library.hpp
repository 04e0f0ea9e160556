#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "spaces/base/embedded_file.hpp"
#include "spaces/ir/workload.hpp"

/// Well-known cascades of einsums: softmax attention in the orders of passes that FuseMax (MICRO'24) compares,
/// attention without a softmax, softmax and layer norm by rows, and the small examples of passes.
///
/// Each is a text of spaces/ir, a file of spaces/cascade/library whose first line is a comment: its summary. Of one
/// head and one sample; masks are no part of a cascade. All tensors are fp16 activations. Names:
///   m        the streamed dimension, of size M. Where it is cut into blocks of M0, the ranks m1 < M1 and m0 < M0 with
///            m = M0 * m1 + m0 and M1 = M / M0
///   p        rows, of size P: each has a softmax or a mean of its own
///   e, f     of sizes E and F: features of queries and keys, and of values
///   tensors  attention: q[p,e], k[m,e], v[m,f] -> av[p,f], without the factor 1 / sqrt(E), which belongs into q;
///            softmax and layer norm: x[p,m] -> y[p,m]; examples: a[m], b[m] -> z[]
///   between  qk scores, gm maximum, sn numerators, sd denominator, a shares, snv sum of sn * v; a leading l is of one
///            block (lm, sln, sld, slnv), r runs over the blocks (rm, rd, rnv), p corrects (prm, plm), sp what is
///            corrected so far (spd, spnv)
namespace cosearch::cascade {

struct CascadeEntry {
  std::string_view name;
  std::string_view summary;
  std::string_view text;
};

/// Sorted by name.
[[nodiscard]] const std::vector<CascadeEntry>& cascade_registry();

/// The cascade `name` with these sizes in place of its own, see ir::parse_workload. @throws ConfigError for an unknown
/// name (the place is `cascade`) and sizes that it does not have or that do not divide (naming the cascade).
[[nodiscard]] ir::Workload cascade(const std::string& name, const std::map<std::string, std::int64_t>& sizes = {});

/// The files of spaces/cascade/library, sorted by name.
[[nodiscard]] std::span<const EmbeddedFile> library_files();

}  // namespace cosearch::cascade
