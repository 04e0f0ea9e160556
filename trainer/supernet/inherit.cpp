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

constexpr const char* kLeft = ".a.weight";
constexpr const char* kRight = ".b.weight";

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

bool is_pair(const WeightStore& store, const std::string& layer) {
  return store.contains(layer + kLeft) && store.contains(layer + kRight) &&
         store.at(layer + kLeft).spec.axes.size() == 2 && store.at(layer + kRight).spec.axes.size() == 2;
}

/// The matrix that a layer applies, dense or as the product of its factors; nothing where `store` has neither.
std::optional<StoredWeight> dense_weight(const WeightStore& store, const std::string& layer) {
  const std::string name = layer + ".weight";
  if (store.contains(name)) {
    return store.at(name);
  }
  if (!is_pair(store, layer)) {
    return std::nullopt;
  }
  const StoredWeight& left = store.at(layer + kLeft);
  const StoredWeight& right = store.at(layer + kRight);
  StoredWeight dense{right.spec, {}};
  dense.spec.name = name;
  dense.spec.axes.front() = left.spec.axes.front();
  const Matrix product = matrix(left) * matrix(right);
  dense.values.assign(product.data(), product.data() + product.size());
  return dense;
}

void factorize(const WeightStore& from, const std::string& layer, WeightStore& into) {
  const std::optional<StoredWeight> dense = dense_weight(from, layer);
  if (!dense) {
    return;
  }
  StoredWeight& left = into.at(layer + kLeft);
  StoredWeight& right = into.at(layer + kRight);
  // Where the new layer is larger than the old one, its product begins as that of its own factors.
  StoredWeight target = dense_weight(into, layer).value();
  if (!can_share(dense->spec, target.spec)) {
    return;
  }
  copy_common(*dense, target);
  const Matrix product = matrix(target);
  const Eigen::JacobiSVD<Matrix> svd(product, Eigen::ComputeThinU | Eigen::ComputeThinV);
  Matrix a = matrix(left);
  Matrix b = Matrix::Zero(a.cols(), product.cols());
  const float negligible = svd.singularValues()(0) * 1e-6F;
  for (Eigen::Index i = 0; i < std::min<Eigen::Index>(a.cols(), svd.singularValues().size()); ++i) {
    const float value = svd.singularValues()(i);
    if (value <= negligible) {
      break;
    }
    a.col(i) = svd.matrixU().col(i) * std::sqrt(value);
    b.row(i) = svd.matrixV().col(i).transpose() * std::sqrt(value);
  }
  left.values.assign(a.data(), a.data() + a.size());
  right.values.assign(b.data(), b.data() + b.size());
}

/// `x` for the weight `x.a.weight`.
std::optional<std::string> layer_of_left(const std::string& name) {
  const std::string suffix = kLeft;
  return name.ends_with(suffix) ? std::optional(name.substr(0, name.size() - suffix.size())) : std::nullopt;
}

}  // namespace

void inherit(const WeightStore& from, WeightStore& into) {
  std::vector<std::string> names;
  std::vector<std::string> pairs;
  for (const auto& [name, weight] : into.weights()) {
    names.push_back(name);
    const std::optional<std::string> layer = layer_of_left(name);
    if (layer && is_pair(into, *layer) && dense_weight(from, *layer)) {
      pairs.push_back(*layer);
    }
  }
  for (const std::string& name : names) {
    if (from.contains(name)) {
      copy_common(from.at(name), into.at(name));
      continue;
    }
    const auto copy_as = [&](const std::string& suffix, const std::string& other) {
      if (name.ends_with(suffix) && from.contains(name.substr(0, name.size() - suffix.size()) + other)) {
        copy_common(from.at(name.substr(0, name.size() - suffix.size()) + other), into.at(name));
      }
    };
    copy_as(".b.bias", ".bias");  // the bias of a low-rank layer is its second factor's
    copy_as(".bias", ".b.bias");
    if (const std::string suffix = ".weight"; name.ends_with(suffix)) {
      if (const auto product = dense_weight(from, name.substr(0, name.size() - suffix.size()))) {
        copy_common(*product, into.at(name));
      }
    }
  }
  for (const std::string& layer : pairs) {
    factorize(from, layer, into);
  }
}

}  // namespace cosearch
