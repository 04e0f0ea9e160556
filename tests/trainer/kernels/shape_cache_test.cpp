#include "trainer/kernels/onednn/shape_cache.hpp"

#include <gtest/gtest.h>

namespace cosearch::kernels {
namespace {

TEST(ShapeCache, MakesEachValueOnce) {
  ShapeCache<int, int> cache;
  int made = 0;
  const auto make = [&](int shape) {
    ++made;
    return std::make_shared<const int>(10 * shape);
  };
  EXPECT_EQ(*cache.get(3, make), 30);
  EXPECT_EQ(*cache.get(3, make), 30);
  EXPECT_EQ(*cache.get(4, make), 40);
  EXPECT_EQ(made, 2);
}

TEST(ShapeCache, NothingIsAValueToo) {
  ShapeCache<int, int> cache;
  int made = 0;
  const auto make = [&](int) {
    ++made;
    return std::shared_ptr<const int>{};
  };
  EXPECT_EQ(cache.get(1, make), nullptr);
  EXPECT_EQ(cache.get(1, make), nullptr);
  EXPECT_EQ(made, 1);
}

TEST(ShapeCache, ValuesInUseOutliveTheCachesOwnCopies) {
  ShapeCache<int, int> cache;
  const auto make = [](int shape) { return std::make_shared<const int>(shape); };
  const std::shared_ptr<const int> first = cache.get(0, make);
  for (int shape = 1; shape < 3000; ++shape) {
    EXPECT_EQ(*cache.get(shape, make), shape);
  }
  EXPECT_EQ(*first, 0);
  EXPECT_EQ(first.use_count(), 1) << "a full cache starts again";
}

}  // namespace
}  // namespace cosearch::kernels
