#include "cs_kernels.h"
#include "emulator.h"
#include "layers.h" /* struct layer { kind, geometry } layers[]; written by the test from its table */

/* Prints the instructions of each layer, one line each. */

enum { MOST_BYTES = 512 * 1024, MOST_CHANNELS = 1024 };
static int8_t in[MOST_BYTES], out[MOST_BYTES], weight[MOST_BYTES], scratch[MOST_BYTES];
static int32_t requantization[2 * MOST_CHANNELS];

static void run(const struct layer* layer, const cs_linear* linear) {
  const cs_geometry* g = &layer->geometry;
  switch (layer->kind) {
    case CONV2D:
      cs_conv2d(g, linear, in, out, scratch);
      return;
    case POINTWISE:
      cs_pointwise_conv2d(g, linear, in, out);
      return;
    case DEPTHWISE:
      cs_depthwise_conv2d(g, linear, in, out);
      return;
    case FULLY_CONNECTED:
      cs_fully_connected(linear, 1, g->in_c, g->out_c, in, g->in_c, out, g->out_c);
      return;
  }
}

int main(void) {
  for (uint32_t i = 0; i < MOST_BYTES; ++i) {
    in[i] = (int8_t)(i * 37u);
    weight[i] = (int8_t)(i * 91u);
  }
  for (uint32_t i = 0; i < 2 * MOST_CHANNELS; i += 2) {
    requantization[i] = (int32_t)i;
    requantization[i + 1] = 0x40000000;
  }
  const cs_linear linear = {weight, requantization, 8, 40, -128, {0, -128, -128, 127}};
  for (uint32_t i = 0; i < sizeof(layers) / sizeof(layers[0]); ++i) {
    const uint32_t before = instructions_now();
    run(&layers[i], &linear);
    print_number(instructions_now() - before);
    print("\n");
  }
  return 0;
}
