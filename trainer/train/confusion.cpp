#include "trainer/train/confusion.hpp"

#include <algorithm>
#include <cmath>

#include "spaces/base/check.hpp"

namespace cosearch {
namespace {

std::size_t answer(std::span<const float> outputs) {
  if (std::any_of(outputs.begin(), outputs.end(), [](float value) { return std::isnan(value); })) {
    return outputs.size();
  }
  return static_cast<std::size_t>(std::max_element(outputs.begin(), outputs.end()) - outputs.begin());
}

}  // namespace

Confusion::Confusion(std::int64_t classes)
    : classes_(static_cast<std::size_t>(classes)), counts_(classes_ * (classes_ + 1), 0) {}

void Confusion::add(std::span<const float> outputs, std::span<const std::uint8_t> labels) {
  COSEARCH_CHECK(outputs.size() == labels.size() * classes_, "a row of outputs for each label");
  for (std::size_t i = 0; i < labels.size(); ++i) {
    COSEARCH_CHECK(labels[i] < classes_, "label out of range");
    ++counts_[labels[i] * (classes_ + 1) + answer(outputs.subspan(i * classes_, classes_))];
  }
}

double Confusion::accuracy() const {
  std::int64_t right = 0;
  std::int64_t all = 0;
  for (std::size_t label = 0; label < classes_; ++label) {
    right += at(label, label);
    for (std::size_t answer = 0; answer <= classes_; ++answer) {
      all += at(label, answer);
    }
  }
  return all == 0 ? 0.0 : static_cast<double>(right) / static_cast<double>(all);
}

double Confusion::mean_intersection_over_union() const {
  double sum = 0.0;
  int present = 0;
  for (std::size_t c = 1; c < classes_; ++c) {
    std::int64_t either = -at(c, c);  // it is in both of the sums below
    for (std::size_t other = 0; other <= classes_; ++other) {
      either += at(c, other);
    }
    for (std::size_t other = 0; other < classes_; ++other) {
      either += at(other, c);
    }
    if (either > 0) {
      sum += static_cast<double>(at(c, c)) / static_cast<double>(either);
      ++present;
    }
  }
  return present == 0 ? 0.0 : sum / present;
}

}  // namespace cosearch
