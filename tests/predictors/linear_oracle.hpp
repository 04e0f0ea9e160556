#pragma once

#include <cmath>
#include <utility>
#include <vector>

namespace cosearch::testing {

using Table = std::vector<std::vector<double>>;

/// The solution of a small square system by Gaussian elimination with row pivoting.
inline std::vector<double> solve_square(Table a, std::vector<double> b) {
  const std::size_t n = b.size();
  for (std::size_t c = 0; c < n; ++c) {
    std::size_t pivot = c;
    for (std::size_t r = c; r < n; ++r) {
      pivot = std::abs(a[r][c]) > std::abs(a[pivot][c]) ? r : pivot;
    }
    std::swap(a[c], a[pivot]);
    std::swap(b[c], b[pivot]);
    for (std::size_t r = c + 1; r < n; ++r) {
      const double factor = a[r][c] / a[c][c];
      for (std::size_t k = c; k < n; ++k) {
        a[r][k] -= factor * a[c][k];
      }
      b[r] -= factor * b[c];
    }
  }
  for (std::size_t c = n; c-- > 0;) {
    for (std::size_t k = c + 1; k < n; ++k) {
      b[c] -= a[c][k] * b[k];
    }
    b[c] /= a[c][c];
  }
  return b;
}

/// Minimises |rows x - targets|^2 + sum_j penalty[j] * x_j^2 through the normal equations.
inline std::vector<double> normal_equations(const Table& rows, const std::vector<double>& targets,
                                            const std::vector<double>& penalty) {
  const std::size_t n = penalty.size();
  Table gram(n, std::vector<double>(n, 0.0));
  std::vector<double> right(n, 0.0);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      right[j] += rows[i][j] * targets[i];
      for (std::size_t k = 0; k < n; ++k) {
        gram[j][k] += rows[i][j] * rows[i][k];
      }
    }
  }
  for (std::size_t j = 0; j < n; ++j) {
    gram[j][j] += penalty[j];
  }
  return solve_square(gram, right);
}

inline double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum += a[i] * b[i];
  }
  return sum;
}

template <class T>
std::vector<T> without(std::vector<T> list, std::size_t index) {
  list.erase(list.begin() + static_cast<std::ptrdiff_t>(index));
  return list;
}

}  // namespace cosearch::testing
