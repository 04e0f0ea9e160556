#include "spaces/ir/workload.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

namespace cosearch::ir {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

/// y[m,n] += a[m,k] * b[k,n], all of extent 2, 3, 4 (m, n, k).
Workload matmul() {
  Workload workload;
  workload.name = "matmul";
  workload.tensors = {{"a", {2, 4}}, {"b", {4, 3}, TensorKind::weight}, {"y", {2, 3}}};
  workload.inputs = {0};
  workload.outputs = {2};
  Einsum einsum;
  einsum.name = "product";
  einsum.loops = {{"m", 2}, {"n", 3}, {"k", 4}};
  einsum.output = {2, {{{{0, 1}}, 0}, {{{1, 1}}, 0}}};
  einsum.operands = {Access{0, {{{{0, 1}}, 0}, {{{2, 1}}, 0}}}, Access{1, {{{{2, 1}}, 0}, {{{1, 1}}, 0}}}};
  einsum.combine = Combine::mul;
  einsum.reduce = Reduce::sum;
  workload.einsums = {einsum};
  return workload;
}

TEST(Workload, ElementSizesAreThoseOfTheTypes) {
  EXPECT_EQ(size_bytes(ElementType::fp32), 4);
  EXPECT_EQ(size_bytes(ElementType::fp16), 2);
  EXPECT_EQ(size_bytes(ElementType::bf16), 2);
  EXPECT_EQ(size_bytes(ElementType::int32), 4);
  EXPECT_EQ(size_bytes(ElementType::int16), 2);
  EXPECT_EQ(size_bytes(ElementType::int8), 1);
}

TEST(Workload, IterationsAreTheProductOfExtents) {
  EXPECT_EQ(iterations(matmul().einsums[0]), 24);
  EXPECT_EQ(iterations(Einsum{}), 1);
}

TEST(Workload, CountsEqualAnExecutedNest) {
  const Einsum einsum = matmul().einsums[0];
  std::int64_t macs = 0;
  for (std::int64_t m = 0; m < 2; ++m) {
    for (std::int64_t n = 0; n < 3; ++n) {
      for (std::int64_t k = 0; k < 4; ++k) {
        ++macs;
      }
    }
  }
  EXPECT_EQ(operation_counts(einsum).macs, macs);
  EXPECT_EQ(operation_counts(einsum).elementwise, 0);
}

TEST(Workload, OnlySumsOfProductsOfTensorsAreMacs) {
  Einsum einsum = matmul().einsums[0];
  einsum.operands[1] = 0.5;  // a scaled sum has no second tensor
  EXPECT_EQ(operation_counts(einsum).macs, 0);
  EXPECT_EQ(operation_counts(einsum).elementwise, 24);
  einsum = matmul().einsums[0];
  einsum.reduce = Reduce::max;
  EXPECT_EQ(operation_counts(einsum).macs, 0);
  EXPECT_EQ(operation_counts(einsum).elementwise, 24);
}

TEST(Workload, OpaqueEinsumsStateTheirOperations) {
  Einsum einsum = matmul().einsums[0];
  einsum.combine = Combine::opaque;
  einsum.opaque = Opaque{"sort", 77, 1, 1};
  EXPECT_EQ(operation_counts(einsum).macs, 0);
  EXPECT_EQ(operation_counts(einsum).elementwise, 77);
}

TEST(WorkloadDeathTest, IterationsAndElementsAbortOnOverflow) {
  Einsum einsum;
  einsum.loops = {{"a", std::int64_t{1} << 40}, {"b", std::int64_t{1} << 40}};
  EXPECT_DEATH((void)iterations(einsum), "overflow");
  const Tensor tensor{"x", {std::int64_t{1} << 40, std::int64_t{1} << 40}};
  EXPECT_DEATH((void)tensor.elements(), "overflow");
}

TEST(Workload, AWellFormedWorkloadHasNoProblems) { EXPECT_THAT(validate(matmul()), IsEmpty()); }

struct Broken {
  const char* name;
  std::function<void(Workload&)> damage;
  const char* expected;
};

Opaque opaque(const char* kind) { return {kind, 1, 1, 1}; }

/// Turns the product into an opaque einsum over its operands.
void make_opaque(Workload& workload, const char* kind) {
  Einsum& einsum = workload.einsums[0];
  einsum.combine = Combine::opaque;
  einsum.reduce = Reduce::none;
  einsum.opaque = opaque(kind);
}

const std::vector<Broken> kBroken{
    {"EmptyTensorName", [](Workload& w) { w.tensors[0].name.clear(); }, "names of tensors"},
    {"EqualTensorNames", [](Workload& w) { w.tensors[0].name = "b"; }, "names of tensors"},
    {"EmptyTensor", [](Workload& w) { w.tensors[0].shape[0] = 0; }, "every extent is at least 1"},
    {"HugeTensor",
     [](Workload& w) {
       w.tensors[0].shape = {INT64_MAX, 2};
     },
     "do not fit in 64 bits"},
    {"DanglingInput", [](Workload& w) { w.inputs = {5}; }, "inputs name tensor 5 of 3"},
    {"NegativeOutput", [](Workload& w) { w.outputs = {-1}; }, "outputs name tensor -1 of 3"},
    {"RepeatedInput",
     [](Workload& w) {
       w.inputs = {0, 0};
     },
     "inputs name tensor \"a\" twice"},
    {"UnwrittenOutput",
     [](Workload& w) {
       w.tensors.push_back({"z", {1}});
       w.outputs.push_back(3);
     },
     "is an output, but no einsum writes it"},
    {"EmptyEinsumName", [](Workload& w) { w.einsums[0].name.clear(); }, "names of einsums"},
    {"EqualEinsumNames", [](Workload& w) { w.einsums.push_back(w.einsums[0]); }, "names of einsums"},
    {"EqualLoopNames", [](Workload& w) { w.einsums[0].loops[1].name = "m"; }, "loop names"},
    {"EmptyLoopName", [](Workload& w) { w.einsums[0].loops[1].name.clear(); }, "loop names"},
    {"EmptyLoop", [](Workload& w) { w.einsums[0].loops[1].extent = 0; }, "extent 0, allowed: at least 1"},
    {"HugeNest", [](Workload& w) { w.einsums[0].loops[1].extent = INT64_MAX; }, "iterations do not fit"},
    {"DanglingTensor", [](Workload& w) { w.einsums[0].output.tensor = 9; }, "output names tensor 9 of 3"},
    {"DanglingLoop", [](Workload& w) { w.einsums[0].output.axes[0].terms[0].loop = 3; }, "output names loop 3 of 3"},
    {"WrongRank", [](Workload& w) { w.einsums[0].output.axes.pop_back(); }, "has 1 indices, tensor \"y\" has 2 axes"},
    {"HugeIndex", [](Workload& w) { w.einsums[0].output.axes[0].terms[0].coefficient = INT64_MAX; }, "62 bits"},
    {"HugeOffset", [](Workload& w) { w.einsums[0].output.axes[0].offset = INT64_MIN; }, "62 bits"},
    {"UndefinedOperand", [](Workload& w) { w.inputs.clear(); }, "operand 1 reads \"a\", which is neither"},
    {"LiteralNan", [](Workload& w) { w.einsums[0].operands[1] = std::numeric_limits<double>::quiet_NaN(); },
     "operand 2 is not a number"},
    {"InfiniteScale", [](Workload& w) { w.einsums[0].scale = std::numeric_limits<double>::infinity(); },
     "scale is not finite"},
    {"NanPadding", [](Workload& w) { w.einsums[0].padding = std::numeric_limits<double>::quiet_NaN(); },
     "padding is not a number"},
    {"TooManyOperands", [](Workload& w) { w.einsums[0].combine = Combine::exp; }, "has 2 operands, allowed: 1"},
    {"TooFewOperands", [](Workload& w) { w.einsums[0].combine = Combine::equal_select; }, "allowed: 3"},
    {"NoOperands", [](Workload& w) { w.einsums[0].operands.clear(); }, "has 0 operands, allowed: 1 or more"},
    {"AccumulateWithoutReducing",
     [](Workload& w) {
       w.einsums[0].reduce = Reduce::none;
       w.einsums[0].accumulate = true;
     },
     "accumulates, but does not reduce"},
    {"WrittenTwice", [](Workload& w) { w.einsums[0].reduce = Reduce::none; }, "writes elements more than once"},
    {"CollidingWrites",
     [](Workload& w) {
       Einsum& e = w.einsums[0];
       e.reduce = Reduce::none;
       e.output = {2, {{{{0, 1}, {1, 1}}, 0}, {{{2, 1}}, 0}}};  // y[m+n,k]
     },
     "writes elements more than once"},
    {"OpaqueWithoutCosts", [](Workload& w) { w.einsums[0].combine = Combine::opaque; }, "costs are stated"},
    {"CostsWithoutOpaque", [](Workload& w) { w.einsums[0].opaque = opaque("sort"); }, "costs are stated"},
    {"OpaqueWithoutKind", [](Workload& w) { make_opaque(w, ""); }, "has a kind"},
    {"NegativeCosts",
     [](Workload& w) {
       make_opaque(w, "sort");
       w.einsums[0].opaque->operations = -1;
     },
     "not negative"},
    {"OpaqueReduces",
     [](Workload& w) {
       make_opaque(w, "sort");
       w.einsums[0].reduce = Reduce::sum;
     },
     "neither reduces nor scales"},
    {"ArgmaxOfTwo", [](Workload& w) { make_opaque(w, "argmax"); }, "has 2 operands, allowed: 1"},
    {"ScatterAddOfOne",
     [](Workload& w) {
       make_opaque(w, "scatter_add");
       w.einsums[0].operands.pop_back();
     },
     "has 1 operands, allowed: 2"},
    {"GatherBySearchedLoop", [](Workload& w) { make_opaque(w, "gather"); }, "index of a gather names loop \"k\""},
    {"DanglingIteration", [](Workload& w) { w.einsums[0].iteration = 0; }, "names iteration 0 of 0"},
    {"EmptyIteration",
     [](Workload& w) {
       w.iterations = {{"k", 0}};
     },
     "extent of at least 1"},
    {"IterationWithoutLoop",
     [](Workload& w) {
       w.iterations = {{"k", 5}};
       w.einsums[0].iteration = 0;
     },
     "no loop \"k\" of extent 5"},
    {"InitialInsideIteration",
     [](Workload& w) {
       w.iterations = {{"k", 4}};
       w.einsums[0].iteration = 0;
       w.einsums[0].part = Part::initial;
     },
     "part of its body"},
    {"InitialWithoutIteration", [](Workload& w) { w.einsums[0].part = Part::initial; }, "no iteration follows"},
    {"FinalWithoutIteration", [](Workload& w) { w.einsums[0].part = Part::final; }, "no iteration precedes"},
};

class Problems : public testing::TestWithParam<Broken> {};

TEST_P(Problems, AreTold) {
  Workload workload = matmul();
  GetParam().damage(workload);
  const auto problems = validate(workload);
  ASSERT_FALSE(problems.empty());
  EXPECT_THAT(problems.front(), HasSubstr(GetParam().expected));
}

INSTANTIATE_TEST_SUITE_P(Workload, Problems, testing::ValuesIn(kBroken),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(Workload, AStepOfAnIterationMayWriteWhatAnEarlierOneWrote) {
  Workload workload = matmul();
  workload.iterations = {{"k", 4}};
  Einsum& einsum = workload.einsums[0];
  einsum.reduce = Reduce::none;
  einsum.iteration = 0;
  EXPECT_THAT(validate(workload), IsEmpty());
}

TEST(Workload, AllProblemsAreListed) {
  Workload workload = matmul();
  workload.einsums[0].scale = std::numeric_limits<double>::infinity();
  workload.einsums[0].operands.pop_back();
  workload.einsums[0].combine = Combine::sub;
  workload.tensors[1].shape[0] = 0;
  EXPECT_EQ(validate(workload).size(), 3U);
}

}  // namespace
}  // namespace cosearch::ir
