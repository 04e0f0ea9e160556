// Softmax of one row, every algorithm and instruction set, by the row's length.
// Usage: softmax_bench [--quick] [--csv FILE] [--svg FILE]
//   --quick  fewer lengths up to 64 MiB and fewer repeats; the ratios are then those of 64 MiB
//   --csv    all medians; --svg  a picture of them
// All variants take turns in every repeat; figures are medians over the repeats, ratios medians of the repeats' ratios,
// of the thread's CPU time. XNNPACK's figures come from tests/data/softmax_xnnpack_1t.csv.
#include <fmt/format.h>
#include <fmt/os.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "spaces/base/rng.hpp"
#include "tests/bench/line_chart.hpp"
#include "trainer/kernels/kernels.hpp"
#include "trainer/kernels/softmax/softmax_row.hpp"
#include "trainer/net/aligned_floats.hpp"

namespace {

using namespace cosearch;           // NOLINT(google-build-using-namespace): a program, not a header
using namespace cosearch::kernels;  // NOLINT(google-build-using-namespace)

struct Options {
  bool quick = false;
  std::string csv, svg;
};

std::optional<Options> parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--quick") {
      options.quick = true;
    } else if ((argument == "--csv" || argument == "--svg") && i + 1 < argc) {
      (argument == "--csv" ? options.csv : options.svg) = argv[++i];
    } else {
      fmt::print(stderr, "softmax_bench: \"{}\" is not known; known: --quick, --csv FILE, --svg FILE\n", argument);
      return std::nullopt;
    }
  }
  return options;
}

struct Variant {
  InstructionSet set;
  SoftmaxMethod method;

  [[nodiscard]] std::string name() const {
    return fmt::format("{}_{}{}", to_string(set), to_string(method.algorithm),
                       method.stores == Stores::non_temporal ? "_nt" : "");
  }
};

constexpr std::array kAlgorithms = {SoftmaxAlgorithm::three_pass_recompute, SoftmaxAlgorithm::three_pass_reload,
                                    SoftmaxAlgorithm::two_pass, SoftmaxAlgorithm::blocked_online};

/// Non-temporal stores of short rows wait for the memory at every row; they are measured from 256 KiB on.
std::vector<Variant> variants(std::int64_t n) {
  std::vector<Variant> all;
  for (const InstructionSet set : supported_instruction_sets()) {
    if (set == InstructionSet::portable) {
      continue;
    }
    for (const SoftmaxAlgorithm algorithm : kAlgorithms) {
      all.push_back({set, {algorithm, Stores::cached}});
      if (n >= 65536) {
        all.push_back({set, {algorithm, Stores::non_temporal}});
      }
    }
  }
  return all;
}

double thread_nanoseconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return 1e9 * static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec);
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

/// ns per element of every repeat, by length and variant.
using Measurements = std::map<std::int64_t, std::map<std::string, std::vector<double>>>;

Measurements sweep(const std::vector<std::int64_t>& lengths, int repeats) {
  const std::int64_t longest = lengths.back();
  AlignedFloats x(longest), y(longest);
  RngStream rng(1, Purpose::test, 0);
  std::generate_n(x.data(), longest, [&] { return static_cast<float>(20.0 * rng.uniform() - 10.0); });
  Measurements measured;
  for (const std::int64_t n : lengths) {
    const std::int64_t calls = std::max<std::int64_t>(1, (std::int64_t{1} << 21) / n);
    const std::vector<Variant> all = variants(n);
    for (int repeat = -1; repeat < repeats; ++repeat) {  // the first one warms up
      for (const Variant& variant : all) {
        const double start = thread_nanoseconds();
        for (std::int64_t call = 0; call < calls; ++call) {
          softmax_row(variant.method, variant.set, n, 1.0F, x.data(), y.data());
        }
        const double elapsed = thread_nanoseconds() - start;
        if (repeat >= 0) {
          measured[n][variant.name()].push_back(elapsed / static_cast<double>(n * calls));
        }
      }
    }
    fmt::print(stderr, "{} elements measured\n", n);
  }
  return measured;
}

void print_table(const Measurements& measured) {
  for (const auto& [n, by_variant] : measured) {
    fmt::print("\nns per element, {} elements\n", n);
    for (const auto& [name, times] : by_variant) {
      fmt::print("  {:36} {:.4f}\n", name, median(times));
    }
  }
}

void write_csv(const std::string& path, const Measurements& measured) {
  auto out = fmt::output_file(path);
  out.print("elements,bytes,variant,ns_per_element_median,ns_per_element_min\n");
  for (const auto& [n, by_variant] : measured) {
    for (const auto& [name, times] : by_variant) {
      out.print("{},{},{},{:.4f},{:.4f}\n", n, 4 * n, name, median(times),
                *std::min_element(times.begin(), times.end()));
    }
  }
}

void write_svg(const std::string& path, const Measurements& measured) {
  const std::array colours = {"#d62728", "#1f77b4", "#2ca02c", "#9467bd"};
  std::vector<bench::Panel> panels;
  for (const InstructionSet set : supported_instruction_sets()) {
    bench::Panel panel{std::string(to_string(set)), {}};
    for (const Stores stores : {Stores::cached, Stores::non_temporal}) {
      for (std::size_t a = 0; a < kAlgorithms.size(); ++a) {
        const std::string name = Variant{set, {kAlgorithms[a], stores}}.name();
        bench::Curve curve{name.substr(panel.title.size() + 1), colours[a], stores == Stores::non_temporal, {}};
        for (const auto& [n, by_variant] : measured) {
          if (const auto found = by_variant.find(name); found != by_variant.end()) {
            curve.points.emplace_back(static_cast<double>(4 * n), median(found->second));
          }
        }
        if (!curve.points.empty()) {
          panel.curves.push_back(std::move(curve));
        }
      }
    }
    if (!panel.curves.empty()) {
      panels.push_back(std::move(panel));
    }
  }
  fmt::output_file(path).print("{}", bench::line_chart(panels, "ns per element"));
}

/// XNNPACK's medians in ns per element by (length, XNNPACK's name of the variant).
std::map<std::pair<std::int64_t, std::string>, double> xnnpack_figures() {
  std::map<std::pair<std::int64_t, std::string>, double> figures;
  std::ifstream in(COSEARCH_SOURCE_DIR "/tests/data/softmax_xnnpack_1t.csv");
  for (std::string line; std::getline(in, line);) {
    std::vector<std::string> fields;
    std::istringstream split(line);
    for (std::string field; std::getline(split, field, ',');) {
      fields.push_back(field);
    }
    if (fields.size() >= 5 && fields[0] == "1") {
      figures[{std::stoll(fields[1]), fields[3]}] = std::stod(fields[4]);
    }
  }
  return figures;
}

/// Each algorithm's time beside XNNPACK's kernel of the same algorithm. A ratio of two algorithms falls when the slow
/// one is made faster; these lines tell which.
void print_same_algorithm(const Measurements& measured, std::int64_t n) {
  constexpr std::array<std::array<const char*, 2>, 10> kPairs{{
      {"avx512_three_pass_recompute", "avx512_3pass_recompute"},
      {"avx512_three_pass_recompute_nt", "avx512_3pass_recompute_NT"},
      {"avx512_three_pass_reload", "avx512_3pass_reload"},
      {"avx512_two_pass", "avx512_2pass"},
      {"avx512_two_pass_nt", "avx512_2pass_NT"},
      {"avx512_blocked_online", "avx512_blocked2pass"},
      {"avx512_blocked_online_nt", "avx512_blocked2pass_NT"},
      {"avx2_three_pass_recompute", "avx2_3pass_recompute"},
      {"avx2_three_pass_reload", "avx2_3pass_reload"},
      {"avx2_two_pass", "avx2_2pass"},
  }};
  const auto theirs = xnnpack_figures();
  for (const auto& [ours, xnnpack] : kPairs) {
    if (const auto found = measured.at(n).find(ours); found != measured.at(n).end()) {
      fmt::print("ns_per_element {}_{}MiB {:.3f} (XNNPACK's micro-kernels: {:.3f})\n", ours, n >> 18,
                 median(found->second), theirs.at({n, xnnpack}));
    }
  }
}

struct Ratio {
  std::string label, slow, fast;  // ours: variants
  std::string xnnpack_slow, xnnpack_fast;
};

void print_ratios(const Measurements& measured, std::int64_t n) {
  const std::vector<Ratio> ratios = {
      {"avx512_two_pass_vs_recompute", "avx512_three_pass_recompute", "avx512_two_pass", "avx512_3pass_recompute",
       "avx512_2pass"},
      {"avx512_two_pass_vs_reload", "avx512_three_pass_reload", "avx512_two_pass", "avx512_3pass_reload",
       "avx512_2pass"},
      {"avx512_two_pass_nt_vs_recompute", "avx512_three_pass_recompute", "avx512_two_pass_nt", "avx512_3pass_recompute",
       "avx512_2pass_NT"},
      {"avx512_blocked_online_vs_recompute", "avx512_three_pass_recompute", "avx512_blocked_online",
       "avx512_3pass_recompute", "avx512_blocked2pass"},
      {"avx2_two_pass_vs_recompute", "avx2_three_pass_recompute", "avx2_two_pass", "avx2_3pass_recompute",
       "avx2_2pass"},
      {"avx2_two_pass_vs_reload", "avx2_three_pass_reload", "avx2_two_pass", "avx2_3pass_reload", "avx2_2pass"},
  };
  const auto theirs = xnnpack_figures();
  const auto& ours = measured.at(n);
  for (const Ratio& ratio : ratios) {
    if (!ours.contains(ratio.slow)) {
      continue;  // the processor lacks the instruction set
    }
    std::vector<double> by_repeat;
    for (std::size_t i = 0; i < ours.at(ratio.slow).size(); ++i) {
      by_repeat.push_back(ours.at(ratio.slow)[i] / ours.at(ratio.fast)[i]);
    }
    fmt::print("ratio {}_{}MiB {:.2f} (XNNPACK's micro-kernels: {:.2f})\n", ratio.label, n >> 18, median(by_repeat),
               theirs.at({n, ratio.xnnpack_slow}) / theirs.at({n, ratio.xnnpack_fast}));
  }
}

/// The rows of attention of a batch of 64 with three heads and 65 tokens.
void print_short_rows(int repeats) {
  constexpr std::int64_t kRows = 12480, kColumns = 65;
  AlignedFloats x(kRows * kColumns), y(kRows * kColumns);
  RngStream rng(1, Purpose::test, 1);
  std::generate_n(x.data(), x.size(), [&] { return static_cast<float>(rng.normal()); });
  std::vector<double> times;
  for (int repeat = -1; repeat < repeats; ++repeat) {
    const double start = thread_nanoseconds();
    softmax(kRows, kColumns, 0.125F, x.data(), y.data());
    if (repeat >= 0) {
      times.push_back((thread_nanoseconds() - start) / static_cast<double>(x.size()));
    }
  }
  fmt::print("softmax_rows_65_ns_per_element {:.2f}\n", median(times));
}

}  // namespace

int main(int argc, char** argv) {
  const std::optional<Options> options = parse(argc, argv);
  if (!options) {
    return 2;
  }
  const int repeats = options->quick ? 5 : 9;
  std::vector<std::int64_t> lengths;
  const int last_power = options->quick ? 24 : 27;  // 64 MiB, 512 MiB
  for (int power = 6; power <= last_power; power += options->quick ? 3 : 1) {
    lengths.push_back(std::int64_t{1} << power);
  }
  const Measurements measured = sweep(lengths, repeats);
  print_table(measured);
  fmt::print("\n");
  for (const std::int64_t n : lengths) {
    if (n >= (options->quick ? 1 << 24 : 1 << 26)) {
      print_same_algorithm(measured, n);
      print_ratios(measured, n);
    }
  }
  print_short_rows(10 * repeats);
  if (!options->csv.empty()) {
    write_csv(options->csv, measured);
  }
  if (!options->svg.empty()) {
    write_svg(options->svg, measured);
  }
  return 0;
}
