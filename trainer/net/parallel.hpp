#pragma once

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

#include <cstdint>

/// All parallel loops of trainer and experiments.
namespace cosearch {

/// What oneTBB promises of a loop, for the thread sanitizer, which cannot see it in a library that is not built for it:
/// what comes before the loop happens before each body, and each body before what comes behind. Nothing otherwise.
class LoopOrder {
 public:
  void pass() {
#ifdef __SANITIZE_THREAD__
    __tsan_acquire(this);
    __tsan_release(this);
#endif
  }
};

/// body(i) for i in [0, count) in parallel, in the calling thread's arena. While this thread waits it may start other
/// work of its arena.
template <class Body>
void for_each_helping(std::int64_t count, const Body& body) {
  LoopOrder order;
  order.pass();
  tbb::parallel_for(
      tbb::blocked_range<std::int64_t>(0, count, 1),
      [&](const tbb::blocked_range<std::int64_t>& range) {
        order.pass();
        for (std::int64_t i = range.begin(); i != range.end(); ++i) {
          body(i);
        }
        order.pass();
      },
      tbb::simple_partitioner());
  order.pass();
}

/// The same, isolated: while this thread waits it must not start other work of its arena, e.g. another candidate's
/// training.
template <class Body>
void for_each_parallel(std::int64_t count, const Body& body) {
  tbb::this_task_arena::isolate([&] { for_each_helping(count, body); });
}

/// Trainings, body(i) each: a thread that waits inside one must not begin another one on top of it, but one that has
/// none left helps with the loops inside of the others.
template <class Body>
void for_each_training(std::int64_t count, const Body& body) {
  for_each_helping(count, [&](std::int64_t i) { tbb::this_task_arena::isolate([&] { body(i); }); });
}

}  // namespace cosearch
