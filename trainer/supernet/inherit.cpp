#include "trainer/supernet/inherit.hpp"

#include <Eigen/SVD>
#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "trainer/store/slice_map.hpp"

namespace cosearch {
namespace {

using graph::SliceRule;
using graph::WeightSpec;
using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// The factors of a low-rank layer, in the order of their product; the last one has the bias.
const std::vector<std::vector<std::string>>& forms() {
  static const std::vector<std::vector<std::string>> list{{".a", ".b"}, {".in", ".core", ".out"}};
  return list;
}

/// What two weights have in common, in the terms of `into`; resampled axes are `into`'s.
WeightSpec overlap(const WeightSpec& from, WeightSpec into) {
  for (std::size_t a = 0; a < into.axes.size(); ++a) {
    into.axes[a].resize(std::min(into.axes[a].size(), from.axes[a].size()));
    for (std::size_t s = 0; s < into.axes[a].size(); ++s) {
      for (std::size_t f = 0; f < into.axes[a][s].size(); ++f) {
        graph::AxisFactor& factor = into.axes[a][s][f];
        if (graph::interpolates(factor.rule)) {
          continue;
        }
        factor.extent = std::min(factor.extent, from.axes[a][s][f].extent);
        factor.selected.clear();  // stores hold the first entries of a selection
      }
    }
  }
  return into;
}

void copy_common(const StoredWeight& from, StoredWeight& into) {
  if (!can_share(from.spec, into.spec)) {
    return;
  }
  const WeightSpec common = overlap(from.spec, into.spec);
  std::vector<float> values(static_cast<std::size_t>(common.elements()));
  SliceMap(from.spec, common).gather(from.values, values);
  SliceMap(into.spec, common).scatter(values, into.values);
}

Matrix matrix(const StoredWeight& weight) {
  const auto rows = graph::extent(weight.spec.axes.front());
  return Eigen::Map<const Matrix>(weight.values.data(), rows, weight.spec.elements() / rows);
}

/// Names of the weights that a layer is the product of, in that order: of itself where it is dense. None where `store`
/// has no such layer.
std::vector<std::string> factors_of(const WeightStore& store, const std::string& layer) {
  if (store.contains(layer + ".weight")) {
    return {layer + ".weight"};
  }
  for (const std::vector<std::string>& form : forms()) {
    std::vector<std::string> names;
    for (const std::string& factor : form) {
      names.push_back(layer + factor + ".weight");
    }
    if (std::all_of(names.begin(), names.end(), [&](const std::string& name) {
          return store.contains(name) && store.at(name).spec.axes.size() == 2;
        })) {
      return names;
    }
  }
  return {};
}

/// The matrix that a layer applies, dense or as the product of its factors; nothing where `store` has neither.
std::optional<StoredWeight> dense_weight(const WeightStore& store, const std::string& layer) {
  const std::vector<std::string> names = factors_of(store, layer);
  if (names.empty()) {
    return std::nullopt;
  }
  StoredWeight dense = store.at(names.back());
  if (names.size() > 1) {
    dense.spec.name = layer + ".weight";
    dense.spec.axes.front() = store.at(names.front()).spec.axes.front();
    Matrix product = matrix(store.at(names.front()));
    for (std::size_t i = 1; i < names.size(); ++i) {
      product = (product * matrix(store.at(names[i]))).eval();
    }
    dense.values.assign(product.data(), product.data() + product.size());
  }
  return dense;
}

/// Puts the best approximation of what `from` has into the factors of `into`, which are several.
void factorize(const WeightStore& from, const std::string& layer, WeightStore& into) {
  const StoredWeight dense = dense_weight(from, layer).value();
  // Where the new layer is larger than the old one, its product begins as that of its own factors.
  StoredWeight target = dense_weight(into, layer).value();
  if (!can_share(dense.spec, target.spec)) {
    return;
  }
  copy_common(dense, target);
  const Matrix product = matrix(target);
  const Eigen::JacobiSVD<Matrix> svd(product, Eigen::ComputeThinU | Eigen::ComputeThinV);
  const std::vector<std::string> names = factors_of(into, layer);
  Matrix left = matrix(into.at(names.front()));
  // What the product lacks in rank: `left` stays random, the core lets it through, and `right` is 0 but can learn.
  Matrix core = Matrix::Identity(left.cols(), left.cols());
  Matrix right = Matrix::Zero(left.cols(), product.cols());
  const float negligible = svd.singularValues()(0) * 1e-6F;
  for (Eigen::Index i = 0; i < std::min<Eigen::Index>(left.cols(), svd.singularValues().size()); ++i) {
    const float value = svd.singularValues()(i);
    if (value <= negligible) {
      break;
    }
    const bool has_core = names.size() == 3;
    const float share = has_core ? 1.0F : std::sqrt(value);
    left.col(i) = svd.matrixU().col(i) * share;
    core(i, i) = value;
    right.row(i) = svd.matrixV().col(i).transpose() * share;
  }
  const auto put = [&](const std::string& name, const Matrix& values) {
    into.at(name).values.assign(values.data(), values.data() + values.size());
  };
  put(names.front(), left);
  put(names.back(), right);
  if (names.size() == 3) {
    put(names[1], core);
  }
}

/// `x` for `x` + ending.
std::optional<std::string> without(const std::string& name, const std::string& ending) {
  return name.ends_with(ending) ? std::optional(name.substr(0, name.size() - ending.size())) : std::nullopt;
}

/// The bias of a low-rank layer is its last factor's.
const std::vector<std::string>& bias_endings() {
  static const std::vector<std::string> endings = [] {
    std::vector<std::string> list;
    for (const std::vector<std::string>& form : forms()) {
      list.push_back(form.back() + ".bias");
    }
    list.emplace_back(".bias");  // the last: others end like it
    return list;
  }();
  return endings;
}

/// Copies a bias from the same layer in another form.
void copy_bias(const WeightStore& from, const std::string& name, WeightStore& into) {
  for (const std::string& ending : bias_endings()) {
    const std::optional<std::string> layer = without(name, ending);
    if (!layer) {
      continue;
    }
    for (const std::string& other : bias_endings()) {
      if (from.contains(*layer + other)) {
        copy_common(from.at(*layer + other), into.at(name));
        return;
      }
    }
  }
}

}  // namespace

void inherit(const WeightStore& from, WeightStore& into) {
  std::vector<std::string> names;
  std::vector<std::string> factored;
  for (const auto& [name, weight] : into.weights()) {
    names.push_back(name);
    for (const std::vector<std::string>& form : forms()) {
      const std::optional<std::string> layer = without(name, form.front() + ".weight");
      if (layer && factors_of(into, *layer).size() == form.size() && !factors_of(from, *layer).empty()) {
        factored.push_back(*layer);
      }
    }
  }
  for (const std::string& name : names) {
    if (from.contains(name)) {
      copy_common(from.at(name), into.at(name));
      continue;
    }
    copy_bias(from, name, into);
    if (const std::optional<std::string> layer = without(name, ".weight")) {
      if (const auto product = dense_weight(from, *layer)) {
        copy_common(*product, into.at(name));
      }
    }
  }
  for (const std::string& layer : factored) {
    factorize(from, layer, into);
  }
}

}  // namespace cosearch
