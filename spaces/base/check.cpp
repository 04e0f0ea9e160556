#include "spaces/base/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace cosearch {

void check_failed(const char* file, int line, const char* expression, const char* message) {
  std::fprintf(stderr, "%s:%d: check failed: %s: %s\n", file, line, expression, message);
  std::fflush(stderr);
  std::abort();
}

}  // namespace cosearch
