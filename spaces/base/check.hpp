#pragma once

namespace cosearch {

/// Prints `file:line: check failed: expression: message` and aborts. Never returns.
[[noreturn]] void check_failed(const char* file, int line, const char* expression, const char* message);

}  // namespace cosearch

/// An invariant of our own code: a failure is our defect, so it aborts, also in release builds.
/// Users' mistakes throw `ConfigError`; bad candidates are `Infeasible` values.
#define COSEARCH_CHECK(condition, message)                               \
  do {                                                                   \
    if (!(condition)) {                                                  \
      ::cosearch::check_failed(__FILE__, __LINE__, #condition, message); \
    }                                                                    \
  } while (false)
