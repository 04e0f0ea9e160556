#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <limits>

#include "spaces/base/config_error.hpp"
#include "spaces/base/rng.hpp"
#include "spaces/ir/workload.hpp"

namespace cosearch::ir {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::int64_t between(RngStream& rng, std::int64_t low, std::int64_t high) {
  return low + static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(high - low + 1)));
}

/// A unique name, often one that needs quotes or looks like a keyword or a number.
std::string random_name(RngStream& rng, int index) {
  static const std::vector<std::string> kStems{
      "x",     "blocks.3/attn", "from", "over",  "inf",    "with space", "q\"uo\\te", "#c",  "line\nbreak",
      "a-b+c", "7seven",        "_",    "grüße", "einsum", "final",      "tab\t",     "n<3", "max="};
  return kStems[rng.below(kStems.size())] + std::to_string(index);
}

double random_number(RngStream& rng) {
  switch (rng.below(5)) {
    case 0:
      return static_cast<double>(between(rng, -3, 3));
    case 1:
      return rng.below(2) == 0 ? kInfinity : -kInfinity;
    case 2:
      return std::numeric_limits<double>::denorm_min();
    default:
      break;
  }
  const double number = std::bit_cast<double>(rng.next_u64());
  return number == number ? number : 0.1;
}

double random_scale(RngStream& rng) {
  const double number = random_number(rng);
  return number == kInfinity || number == -kInfinity ? 1.0 : number;
}

Access random_access(RngStream& rng, int tensor, const Workload& workload, const Einsum& einsum) {
  Access access{tensor, {}};
  for (std::size_t a = 0; a < workload.tensors[static_cast<std::size_t>(tensor)].shape.size(); ++a) {
    AxisIndex axis;
    axis.offset = between(rng, -2, 2);
    for (std::int64_t term = between(rng, 0, 3); term > 0 && !einsum.loops.empty(); --term) {
      axis.terms.push_back({static_cast<int>(rng.below(einsum.loops.size())), between(rng, -3, 3)});
    }
    access.axes.push_back(axis);
  }
  return access;
}

void add_random_operands(RngStream& rng, const Workload& workload, Einsum& einsum) {
  const std::array<std::pair<Combine, int>, 7> combines{{{Combine::copy, 1},
                                                         {Combine::add, 3},
                                                         {Combine::mul, 2},
                                                         {Combine::exp_sub, 2},
                                                         {Combine::hard_swish_grad, 2},
                                                         {Combine::equal_select, 3},
                                                         {Combine::opaque, 2}}};
  const auto [combine, operands] = combines[rng.below(combines.size())];
  einsum.combine = combine;
  for (int i = 0; i < operands; ++i) {
    if (rng.below(3) == 0) {
      einsum.operands.emplace_back(random_number(rng));
    } else {
      const auto tensor = static_cast<int>(rng.below(workload.tensors.size()));
      einsum.operands.emplace_back(random_access(rng, tensor, workload, einsum));
    }
  }
  if (combine == Combine::opaque) {
    einsum.opaque = Opaque{random_name(rng, 0), between(rng, 0, 1000), between(rng, 0, 9), between(rng, 0, 9)};
  } else {
    einsum.reduce = static_cast<Reduce>(between(rng, 1, 3));
    einsum.accumulate = rng.below(2) == 0;
    einsum.scale = rng.below(2) == 0 ? 1.0 : random_scale(rng);
  }
}

Einsum random_einsum(RngStream& rng, int index, const Workload& workload) {
  Einsum einsum;
  einsum.name = random_name(rng, index);
  einsum.source = rng.below(2) == 0 ? "" : random_name(rng, index);
  einsum.iteration = index == 1 ? static_cast<int>(rng.below(workload.iterations.size())) : -1;
  if (index != 1) {
    const std::array<Part, 2> parts{Part::body, index == 0 ? Part::initial : Part::final};
    einsum.part = parts[rng.below(2)];
  } else {
    const Iteration& iteration = workload.iterations[static_cast<std::size_t>(einsum.iteration)];
    einsum.loops.push_back({iteration.rank, iteration.extent});
  }
  for (std::int64_t i = between(rng, 0, 4); i > 0; --i) {
    einsum.loops.push_back({random_name(rng, static_cast<int>(i) + 20), between(rng, 1, 9)});
  }
  einsum.output = random_access(rng, static_cast<int>(rng.below(workload.tensors.size())), workload, einsum);
  add_random_operands(rng, workload, einsum);
  einsum.padding = rng.below(2) == 0 ? 0.0 : random_number(rng);
  return einsum;
}

Workload random_workload(std::uint64_t index) {
  RngStream rng{21, Purpose::test, index};
  Workload workload;
  workload.name = rng.below(8) == 0 ? "" : random_name(rng, 0);
  for (std::int64_t i = between(rng, 1, 5); i > 0; --i) {
    Tensor tensor{
        random_name(rng, static_cast<int>(i)), {}, TensorKind::weight, static_cast<ElementType>(between(rng, 0, 5))};
    tensor.kind = rng.below(2) == 0 ? TensorKind::weight : TensorKind::state;
    for (std::int64_t axis = between(rng, 0, 3); axis > 0; --axis) {
      tensor.shape.push_back(between(rng, 1, 9));
    }
    workload.tensors.push_back(tensor);
  }
  std::vector<int> order(workload.tensors.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    order[i] = static_cast<int>(i);
  }
  const auto half = static_cast<std::ptrdiff_t>(order.size() / 2);
  if (rng.below(2) == 0) {  // roles that keywords can tell
    workload.inputs.assign(order.begin(), order.begin() + half);
    workload.outputs.assign(order.begin() + half, order.end());
    for (const int input : workload.inputs) {
      workload.tensors[static_cast<std::size_t>(input)].kind = static_cast<TensorKind>(between(rng, 0, 4));
    }
  } else {
    rng.shuffle(order);
    workload.inputs.assign(order.begin(), order.begin() + half);
    rng.shuffle(order);
    workload.outputs.assign(order.begin(), order.begin() + half);
  }
  for (std::int64_t i = between(rng, 1, 3); i > 0; --i) {  // several iterations may have the same rank
    workload.iterations.push_back({"step" + std::to_string(rng.below(2)), between(rng, 1, 9)});
  }
  for (int i = 0; i < 3; ++i) {
    workload.einsums.push_back(random_einsum(rng, i, workload));
  }
  return workload;
}

TEST(WorkloadText, IsTheDocumentedForm) {
  const std::string text = R"(workload conv
input x activation int8 [1,8,8,3]
tensor w weight int8 [3,3,3,16]
output y accumulator int32 [1,8,8,16]
einsum conv1 from stem.conv n<1 oy<8 ox<8 k<16 ky<3 kx<3 c<3 : y[n,oy,ox,k] += mul(x[n,oy+ky-1,ox+kx-1,c], w[ky,kx,c,k])
)";
  EXPECT_EQ(to_text(parse_workload(text)), text);
}

TEST(WorkloadText, PrintsEveryFeature) {
  const std::string text = R"(workload "two words"
tensor a state fp16 []
tensor blocks.0/x gradient bf16 [4]
inputs blocks.0/x a
outputs a
iteration m<2
iteration m<3
einsum start initial : a[] = copy(-inf)
einsum step from attn over m@1 m<3 i<4 : a[] max= 0.5 * max(blocks.0/x[-m+2*i-1], 1e-06) padding -inf accumulate
einsum last final : a[] = opaque sort(a[], inf) operations 5 reads 2 writes 1
)";
  const Workload workload = parse_workload(text);
  EXPECT_EQ(to_text(workload), text);
  EXPECT_EQ(workload.name, "two words");
  EXPECT_EQ(workload.inputs, (std::vector<int>{1, 0}));
  EXPECT_EQ(workload.outputs, (std::vector<int>{0}));
  EXPECT_EQ(workload.einsums[0].part, Part::initial);
  EXPECT_EQ(workload.einsums[0].operands[0], Operand{-kInfinity});
  const Einsum& step = workload.einsums[1];
  EXPECT_EQ(step.source, "attn");
  EXPECT_EQ(step.iteration, 1);
  EXPECT_EQ(step.scale, 0.5);
  EXPECT_EQ(step.padding, -kInfinity);
  EXPECT_TRUE(step.accumulate);
  EXPECT_EQ(step.reduce, Reduce::max);
  EXPECT_EQ(std::get<Access>(step.operands[0]).axes[0], (AxisIndex{{{0, -1}, {1, 2}}, -1}));
  EXPECT_EQ(workload.einsums[2].opaque, (Opaque{"sort", 5, 2, 1}));
}

TEST(WorkloadText, RoundTripsRandomWorkloads) {
  for (std::uint64_t i = 0; i < 2000; ++i) {
    const Workload workload = random_workload(i);
    ASSERT_THAT(validate(workload), IsEmpty()) << "case " << i;
    const std::string text = to_text(workload);
    ASSERT_EQ(parse_workload(text), workload) << text;
  }
}

TEST(WorkloadText, IgnoresCommentsBlanksAndLineEnds) {
  const Workload workload = parse_workload(
      "# a comment\r\n\n   workload  w # the name\r\n\toutput y activation fp32 [ 2 ]\n\n"
      "einsum e i < 2 : y[ i ] = copy( 3 )# done");
  EXPECT_EQ(to_text(workload), "workload w\noutput y activation fp32 [2]\neinsum e i<2 : y[i] = copy(3)\n");
}

struct Wrong {
  const char* name;
  const char* statements;  ///< below the four lines of `kGood`
  const char* place;
  const char* expected;
};

constexpr const char* kGood = R"(workload w
input x activation fp32 [4]
output y activation fp32 [4]
einsum copy i<4 : y[i] = copy(x[i])
)";

const std::vector<Wrong> kWrong{
    {"UnknownStatement", "tensors z", "line 5", "read \"tensors z\", allowed: input, output, tensor, size"},
    {"UnknownKind", "tensor z weigth fp32 [1]", "line 5", "did you mean \"weight\"?"},
    {"UnknownType", "tensor z weight fp8 [1]", "line 5", "known: fp32, fp16, bf16, int32, int16, int8"},
    {"MissingType", "tensor z weight", "line 5", "read the end of the line, allowed: element type: fp32"},
    {"OpenShape", "tensor z weight fp32 [1,2", "line 5", "read the end of the line, allowed: \",\""},
    {"WordAsExtent", "tensor z weight fp32 [a]", "line 5", "read \"a]\", allowed: an extent, or ]"},
    {"HugeExtent", "tensor z weight fp32 [99999999999999999999]", "line 5", "that fits in 64 bits"},
    {"EmptyTensor", "tensor z weight fp32 [0]", "line 5", "every extent is at least 1"},
    {"RepeatedTensor", "tensor x weight fp32 [1]", "line 5", "tensor \"x\" is already there, allowed: a new name"},
    {"TrailingText", "tensor z weight fp32 [1] [2]", "line 5", "read \"[2]\", allowed: the end of the line"},
    {"NumberAsName", "tensor 3 weight fp32 [1]", "line 5", "read \"3 weight fp32 [1]\", allowed: the tensor's name"},
    {"OpenQuote", "tensor \"z weight fp32 [1]", "line 5", "no closing \""},
    {"WrongEscape", "tensor \"z\\n\" weight fp32 [1]", "line 5", "in quotes: allowed after \\"},
    {"RolesTwice", "inputs y", "line 5", "inputs are already known"},
    {"IterationWithoutExtent", "iteration m", "line 5", "allowed: \"<\""},
    {"EmptyIteration", "iteration m<0", "line 5", "an extent of at least 1, read 0"},
    {"NoColon", "einsum e i<4", "line 5", "read the end of the line, allowed: LOOP<EXTENT, from SOURCE"},
    {"UnknownHead", "einsum e of i<4 : y[i] = copy(1)", "line 5", "read \"of i<4 : y[i] = copy(1)\", allowed: LOOP"},
    {"UnknownOutput", "einsum e i<4 : z[i] = copy(1)", "line 5", "tensor: \"z\" is not known; known: x, y"},
    {"UnknownLoop", "einsum e i<4 : y[j] = copy(1)", "line 5", "loop: \"j\" is not known; known: i"},
    {"UnknownRank", "einsum e over m i<4 : y[i] = copy(1)", "line 5", "iteration: \"m\" is not known"},
    {"AmbiguousRank", "iteration m<4\niteration m<2\neinsum e over m m<4 : y[m] = copy(1)", "line 7",
     "names 2 iterations, allowed: m@INDEX"},
    {"WrongRankIndex", "iteration m<4\niteration n<2\neinsum e over m@1 m<4 : y[m] = copy(1)", "line 7",
     "iteration 1 is not of rank \"m\", allowed: 0"},
    {"TooFewIndices", "einsum e i<4 : y[] = copy(1)", "line 5", "read 0 indices of tensor \"y\", allowed: 1"},
    {"TooManyIndices", "einsum e i<4 : y[i,i] = copy(1)", "line 5", "read 2 indices of tensor \"y\", allowed: 1"},
    {"OpenIndex", "einsum e i<4 : y[i", "line 5", "allowed: +, -, \",\" or \"]\""},
    {"DanglingPlus", "einsum e i<4 : y[i+] = copy(1)", "line 5", "read \"] = copy(1)\", allowed: a number or a loop"},
    {"WrongSign", "einsum e i<4 : y[i] -= copy(1)", "line 5", "read \"-= copy(1)\", allowed: =, +=, max=, min="},
    {"UnknownCombine", "einsum e i<4 : y[i] = exq(1)", "line 5", "did you mean \"exp\"?"},
    {"NoParenthesis", "einsum e i<4 : y[i] = copy 1", "line 5", "read \"1\", allowed: \"(\""},
    {"UnknownOperand", "einsum e i<4 : y[i] = copy(xx[i])", "line 5", "did you mean \"x\"?"},
    {"OperandWithoutIndex", "einsum e i<4 : y[i] = copy(x)", "line 5", "allowed: TENSOR[INDEX,...], a number"},
    {"NanLiteral", "einsum e i<4 : y[i] = copy(-nan)", "line 5", "allowed: TENSOR[INDEX,...], a number, inf or -inf"},
    {"OperandsWithoutComma", "einsum e i<4 : y[i] = add(1 2)", "line 5", "read \"2)\", allowed: \",\""},
    {"ScaleWithoutStar", "einsum e i<4 : y[i] = 2 copy(1)", "line 5", "allowed: \"*\""},
    {"WrongOperandCount", "einsum e i<4 : y[i] = sub(1)", "line 5", "has 1 operands, allowed: 2"},
    {"OpaqueWithoutCosts", "einsum e i<4 : y[i] = opaque sort(x[i])", "line 5",
     "allowed: operations NUMBER reads NUMBER writes NUMBER"},
    {"UnknownTail", "einsum e i<4 : y[i] += copy(1) pad 2", "line 5", "allowed: padding NUMBER, accumulate"},
    {"WrongPadding", "einsum e i<4 : y[i] += copy(1) padding x", "line 5", "allowed: a number, inf or -inf"},
    {"WrittenTwice", "einsum e i<4 j<2 : y[i] = copy(1)\n\neinsum f i<4 : y[i] = copy(1)", "line 5",
     "writes elements more than once"},
    {"RepeatedEinsum", "\neinsum copy i<4 : y[i] = copy(1)", "line 6", "names of einsums"},
    {"UndefinedTensor", "tensor z activation fp32 [4]\neinsum e i<4 : y[i] = copy(z[i])", "line 6", "neither an input"},
    {"HugeOffset", "einsum e i<4 : y[i+9223372036854775807+1] = copy(1)", "line 5", "offset does not fit"},
};

class ParseError : public testing::TestWithParam<Wrong> {};

TEST_P(ParseError, NamesTheLineAndWhatIsAllowed) {
  try {
    (void)parse_workload(std::string(kGood) + GetParam().statements + "\n");
    FAIL() << "parsed";
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.place(), GetParam().place);
    EXPECT_THAT(error.message(), HasSubstr(GetParam().expected));
  }
}

INSTANTIATE_TEST_SUITE_P(WorkloadText, ParseError, testing::ValuesIn(kWrong),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(WorkloadText, BeginsWithTheWorkload) {
  const auto message = [](const char* text) {
    try {
      (void)parse_workload(text);
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string("parsed");
  };
  EXPECT_EQ(message(""), "line 1: read the end of the text, allowed: workload NAME first");
  EXPECT_EQ(message("\n# nothing\n"), "line 3: read the end of the text, allowed: workload NAME first");
  EXPECT_EQ(message("\ntensor x weight fp32 [1]"),
            "line 2: read \"tensor x weight fp32 [1]\", allowed: workload NAME first");
}

}  // namespace
}  // namespace cosearch::ir
