/* Runs the network on its test vectors, compares every output with what the reference computed, and prints, one line
   each, `name value`:
     mismatch     vector, index, read, expected; for each vector that differs, the first difference
     vectors      how many there are
     passed       how many came out right
     instructions of one inference, the most of all vectors
     arena_bytes  high-water mark of the arena: one past the highest byte that an inference writes
     stack_bytes  high-water mark of the stack below main
   Memory is painted before an inference, and what has changed behind it was written. A byte may be written with the
   paint's own value, so the first vector runs with two paints; no byte hides from both. */
#include <stddef.h>
#include <string.h>

#include "model.h"
#include "platform.h"
#include "test_vector.h"

#define PAINT 0xA5
#define OTHER_PAINT 0x5A

static void print_number(uint64_t value) {
  char digits[21];
  char *at = digits + sizeof digits - 1;
  *at = 0;
  do {
    *--at = (char)('0' + value % 10);
    value /= 10;
  } while (value != 0);
  platform_print(at);
}

static void print_line(const char *name, uint64_t value) {
  platform_print(name);
  platform_print(" ");
  print_number(value);
  platform_print("\n");
}

/* --- high-water marks --- */

static size_t arena_bytes, stack_bytes;

/* Leaves the bytes that it needs itself, which main needs too. */
static void paint_stack(unsigned char paint) {
  volatile unsigned char *at = platform_stack_end();
  const unsigned char *end = platform_stack_pointer();
  while (at != NULL && at < end) {
    *at++ = paint;
  }
}

static void find_marks(unsigned char paint, const unsigned char *stack_pointer) {
  const unsigned char *arena = model_arena();
  size_t top = MODEL_ARENA_BYTES;
  while (top > arena_bytes && arena[top - 1] == paint) {
    --top;
  }
  arena_bytes = top > arena_bytes ? top : arena_bytes;
  const unsigned char *low = platform_stack_end();
  while (low != NULL && low < stack_pointer && *low == paint) {
    ++low;
  }
  const size_t used = low == NULL ? 0 : (size_t)(stack_pointer - low);
  stack_bytes = used > stack_bytes ? used : stack_bytes;
}

/* --- inferences --- */

#if MODEL_STREAMS_INPUT
/* The test vector is the camera. */
static int read_window(void *context, int y, int x, int height, int width, model_input_value *out) {
  const model_input_value *image = (const model_input_value *)context;
  const size_t row = (size_t)width * MODEL_INPUT_CHANNELS;
  for (int i = 0; i < height; ++i) {
    memcpy(out + (size_t)i * row, image + ((size_t)(y + i) * MODEL_INPUT_WIDTH + (size_t)x) * MODEL_INPUT_CHANNELS,
           row * sizeof *out);
  }
  return 0;
}
#endif

static uint64_t instructions;

/* One inference on painted memory. */
static int infer(size_t vector, unsigned char paint) {
  const model_input_value *input = test_inputs[vector];
  memset(model_arena(), paint, MODEL_ARENA_BYTES);
#if !MODEL_STREAMS_INPUT
  memcpy(model_input(), input, sizeof test_inputs[vector]);
#endif
  paint_stack(paint);
  const unsigned char *stack_pointer = platform_stack_pointer();
  platform_count_from_here();
#if MODEL_STREAMS_INPUT
  const int failed = model_run(read_window, (void *)(uintptr_t)input);
#else
  const int failed = model_run();
#endif
  const uint64_t count = platform_instructions();
  instructions = count > instructions ? count : instructions;
  find_marks(paint, stack_pointer);
  return failed;
}

static int equals(model_output_value read, model_output_value expected) {
#if MODEL_IS_FLOAT
  /* Sums in another order than the reference's differ in the last bits. */
  const float size = expected < 0 ? -expected : expected;
  const float difference = read < expected ? expected - read : read - expected;
  return difference <= 1e-4f * (size > 1.0f ? size : 1.0f);
#else
  return read == expected;
#endif
}

static int check(size_t vector) {
  const model_output_value *expected = test_outputs[vector];
  for (int output = 0; output < MODEL_OUTPUTS; ++output) {
    const model_output_value *read = model_output(output);
    for (int i = 0; i < model_output_size(output); ++i) {
      if (!equals(read[i], expected[i])) {
        platform_print("mismatch vector ");
        print_number(vector);
        platform_print(" output ");
        print_number((uint64_t)output);
        print_line(" index", (uint64_t)i);
        return 0;
      }
    }
    expected += model_output_size(output);
  }
  return 1;
}

int main(void) {
  size_t passed = 0;
  for (size_t vector = 0; vector < TEST_VECTORS; ++vector) {
    int right = infer(vector, PAINT) == 0 && check(vector);
    if (vector == 0) {
      right = infer(vector, OTHER_PAINT) == 0 && check(vector) && right;
    }
    passed += (size_t)right;
  }
  print_line("vectors", TEST_VECTORS);
  print_line("passed", passed);
  if (platform_counts_instructions()) {
    print_line("instructions", instructions);
  }
  print_line("arena_bytes", arena_bytes);
  if (platform_stack_end() != NULL) {
    print_line("stack_bytes", stack_bytes);
  }
  return passed == TEST_VECTORS ? 0 : 1;
}
