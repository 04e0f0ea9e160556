#pragma once

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <cstdint>

namespace cosearch {

/// body(i) for i in [0, count) in parallel, in the calling thread's arena. Isolated: while this thread waits it must
/// not start other work of its arena, e.g. another candidate's training.
template <class Body>
void for_each_parallel(std::int64_t count, const Body& body) {
  tbb::this_task_arena::isolate([&] {
    tbb::parallel_for(
        tbb::blocked_range<std::int64_t>(0, count, 1),
        [&](const tbb::blocked_range<std::int64_t>& range) {
          for (std::int64_t i = range.begin(); i != range.end(); ++i) {
            body(i);
          }
        },
        tbb::simple_partitioner());
  });
}

}  // namespace cosearch
