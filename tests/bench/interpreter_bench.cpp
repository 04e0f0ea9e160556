// The int8 interpreter on one thread: milliseconds per image, by thread CPU time, for networks with random weights and
// for the ways of our own engine to need less memory. Usage: interpreter_bench [images] [network ...]
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "spaces/catalog/networks.hpp"
#include "tests/oracle/random_quantized.hpp"
#include "trainer/quantize/interpreter.hpp"

namespace {

using namespace cosearch;  // NOLINT(google-build-using-namespace): a program, not a header
using program::Streaming;

double thread_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

/// Median over the images.
double milliseconds(const graph::NetworkGraph& graph, Streaming streaming, int images) {
  const quantize::QuantizedNetwork network = oracle::random_quantized(graph, 1);
  program::LoweringOptions options = program::cosearch_options();
  options.streaming = streaming;
  const program::Program program = program::lower_program(graph, options).value();
  quantize::Interpreter interpreter(program, network);
  const std::vector<std::int8_t> input = oracle::input_bytes(graph, oracle::random_quantized_input(graph, 1));
  std::vector<double> seconds;
  for (int i = 0; i < images; ++i) {
    const double start = thread_seconds();
    static_cast<void>(interpreter.run(input));
    seconds.push_back(thread_seconds() - start);
  }
  std::nth_element(seconds.begin(), seconds.begin() + images / 2, seconds.end());
  return 1e3 * seconds[static_cast<std::size_t>(images / 2)];
}

}  // namespace

int main(int argc, char** argv) {
  const int images = argc > 1 ? std::atoi(argv[1]) : 21;
  std::vector<std::string> names(argv + std::min(argc, 2), argv + argc);
  if (names.empty()) {
    names = {"resnet8", "ds_cnn", "mobilenet_v1_025", "vit_tiny_28"};
  }
  for (const std::string& name : names) {
    const graph::NetworkGraph graph = make_network(name);
    const auto macs = static_cast<double>(graph::total_counts(graph).macs);
    for (const Streaming streaming : {Streaming::layers, Streaming::rows, Streaming::heads_recomputed}) {
      const double ms = milliseconds(graph, streaming, images);
      fmt::print("{:22} {:17} {:6.2f} MMAC {:8.3f} ms {:7.2f} GMAC/s\n", name, program::streaming_name(streaming),
                 1e-6 * macs, ms, 1e-6 * macs / ms);
    }
  }
}
