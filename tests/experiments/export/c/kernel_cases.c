#include "kernel_cases.h"

#include <string.h>

static int32_t in_words[CASE_BYTES / 4], other_words[CASE_BYTES / 4], out_words[CASE_BYTES / 4],
    scratch_words[CASE_BYTES / 4];
static int8_t weight[CASE_BYTES], table[256];
static int32_t requantization[2 * CASE_CHANNELS], words[CASE_CHANNELS];
static uint32_t state;

/* xorshift of Marsaglia, "Xorshift RNGs", 2003. */
static uint32_t draw(void) {
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state;
}
/* low to high, inclusive. */
static int32_t between(int32_t low, int32_t high) { return low + (int32_t)(draw() % (uint32_t)(high - low + 1)); }
static int one_in(int32_t n) { return between(1, n) == 1; }

/* Most buffers are uniform, some of extremes. */
static void fill(int8_t* bytes, int32_t count) {
  const int32_t kind = between(0, 5);
  for (int32_t i = 0; i < count; ++i) {
    const uint32_t random = draw();
    bytes[i] = kind > 1 ? (int8_t)(random >> 8) : kind == 1 ? (int8_t)-128 : (random & 64u) != 0 ? 127 : -128;
  }
}

/* Such that multiplier / 2^shift is about 2^-smaller, where it fits in 32 bits. */
static int32_t draw_multiplier(int32_t shift, int32_t smaller) {
  const int32_t bits = shift - smaller;
  const int32_t size = bits <= 0 ? 1 : bits >= 31 ? INT32_MAX : (int32_t)(1u << bits);
  const int32_t value = size / 2 + (int32_t)(draw() % (uint32_t)(size / 2 + 1));
  return one_in(8) ? -value : value;
}

static void draw_output(cs_output* output) {
  memset(output, 0, sizeof *output);
  output->zero_point = between(-128, 127);
  output->low = -128;
  output->high = 127;
  const int32_t kind = between(0, 3);
  if (kind == 0) {
    fill(table, 256);
    output->table = table;
  } else if (kind == 1) {
    output->low = between(-128, 0);
    output->high = between(1, 127);
  }
}

static void draw_requantization(int32_t channels, int32_t shift, int32_t smaller, int32_t bias) {
  for (int32_t c = 0; c < channels; ++c) {
    requantization[2 * c] = between(-bias, bias);
    requantization[2 * c + 1] = draw_multiplier(shift, smaller);
  }
}

/* Shifts are mostly such as have the quick way of rounding. */
static int32_t draw_products(int32_t channels, int32_t* shift) {
  const int32_t smaller = between(6, 12);
  *shift = one_in(4) ? between(smaller, 34) : one_in(8) ? between(50, 60) : between(33, 31 + smaller);
  draw_requantization(channels, *shift, smaller, 4096);
  return smaller;
}

static void draw_linear(struct kernel_case* call, int32_t weights) {
  cs_linear* linear = &call->linear;
  linear->weight = weight;
  linear->requantization = requantization;
  linear->weight_bits = one_in(3) ? 4 : 8;
  linear->in_zero_point = between(-128, 127);
  draw_output(&linear->out);
  fill(weight, call->geometry.out_c * weights);
  draw_products(call->geometry.out_c, &linear->shift);
}

/* A window of an image, or the whole: rows may have bytes behind them. `partly`: outputs that lie outside. */
static void draw_image(struct kernel_case* call, int partly) {
  cs_geometry* g = &call->geometry;
  g->in_h = between(1, 9);
  g->in_w = between(1, 9);
  g->kernel_h = one_in(2) ? 3 : between(1, 8);
  g->kernel_w = one_in(2) ? g->kernel_h : between(1, 8);
  g->stride = between(1, 3);
  g->pad_top = between(0, g->kernel_h - 1);
  g->pad_left = between(0, g->kernel_w - 1);
  g->out_h = (g->in_h + g->pad_top - 1) / g->stride + 1;
  g->out_w = (g->in_w + g->pad_left - 1) / g->stride + 1;
  if (partly && one_in(4)) {
    g->pad_top = between(-3, g->kernel_h + 2);
    g->pad_left = between(-3, g->kernel_w + 2);
    g->out_h = between(1, 7);
    g->out_w = between(1, 7);
  }
}

/* Up to so many groups, and channels of each. (Draws stand in statements of their own: compilers differ in the order in
 * which they evaluate arguments.) */
static void draw_channels(cs_geometry* g, int32_t groups, int32_t in_c, int32_t out_c) {
  g->groups = groups;
  g->in_c = groups * between(1, in_c);
  g->out_c = groups * between(1, out_c);
  g->in_row = g->in_w * g->in_c + (one_in(3) ? between(1, 5) : 0);
  g->out_row = g->out_w * g->out_c + (one_in(3) ? between(1, 5) : 0);
}

static void make_convolution(struct kernel_case* call) {
  cs_geometry* g = &call->geometry;
  draw_image(call, call->kernel != DEPTHWISE_IN_PLACE);
  const int32_t groups = one_in(2) ? 1 : between(2, 3), channels = between(2, 21);
  switch (call->kernel) {
    case CONV2D:
      draw_channels(g, groups, 9, 7);
      call->scratch_bytes = 2 * g->kernel_h * g->kernel_w * g->in_c / g->groups;
      break;
    case POINTWISE:
      g->kernel_h = g->kernel_w = 1;
      g->pad_top = -between(0, g->in_h - 1);
      g->pad_left = -between(0, g->in_w - 1);
      g->out_h = (g->in_h + g->pad_top - 1) / g->stride + 1;
      g->out_w = (g->in_w + g->pad_left - 1) / g->stride + 1;
      draw_channels(g, 1, 40, 12);
      break;
    case DEPTHWISE:
      draw_channels(g, channels, 1, groups);
      break;
    case DEPTHWISE_IN_PLACE:
      g->out_h = g->out_h < g->in_h ? g->out_h : g->in_h;
      g->out_w = g->out_w < g->in_w ? g->out_w : g->in_w;
      draw_channels(g, channels, 1, 1);
      g->in_row = g->in_w * g->in_c;
      g->out_row = g->out_w * g->out_c;
      call->scratch_bytes = g->kernel_h * g->in_row;
      break;
    default: /* patch embeddings */
      g->kernel_h = g->kernel_w = g->stride = between(1, 5);
      draw_channels(g, 1, 4, 9);
      call->index = between(0, g->out_h * g->out_w - 1);
      call->scratch_bytes = g->kernel_h * g->kernel_w * g->in_c;
      break;
  }
  draw_linear(call, g->kernel_h * g->kernel_w * g->in_c / g->groups);
}

static void make_fully_connected(struct kernel_case* call) {
  cs_geometry* g = &call->geometry;
  call->rows = between(1, 5);
  g->in_c = between(1, 90);
  g->out_c = between(1, 40);
  g->in_row = g->in_c + between(0, 9);
  g->out_row = g->out_c + between(0, 9);
  draw_linear(call, g->in_c);
}

/* From differences of scores to exponents. */
static void draw_softmax(int32_t* multiplier, int32_t* shift) {
  *shift = between(14, 40);
  const int32_t softer = between(2, 10);
  const int32_t value = draw_multiplier(*shift, softer);
  *multiplier = value < 0 ? -value : value;
}

static void make_attention(struct kernel_case* call) {
  cs_geometry* g = &call->geometry;
  cs_attention* attention = &call->attention;
  call->rows = between(1, 70); /* tokens */
  g->in_c = between(1, 66);    /* of the head */
  g->in_row = g->in_c + between(0, 90);
  attention->shift = one_in(4) ? between(16, 32) : between(33, 47);
  attention->multiplier = draw_multiplier(attention->shift, 16);
  call->other[0] = 127; /* the largest score's weight */
  draw_softmax(&attention->softmax_multiplier, &attention->softmax_shift);
  draw_output(&attention->out);
  attention->out.table = 0;
  const int32_t size = one_in(3) ? 1 << 20 : between(1, 60000);
  int32_t* scores = (int32_t*)(void*)call->in;
  for (int32_t j = 0; call->kernel == SOFTMAX && j < call->rows; ++j) {
    scores[j] = between(-size, size);
  }
}

static void make_mixture(struct kernel_case* call) {
  cs_geometry* g = &call->geometry;
  cs_mixture* m = &call->mixture;
  call->rows = between(1, 4);
  call->index = between(0, 1);
  g->in_c = g->out_c = between(1, 20);
  g->in_row = g->in_c + between(0, 9);
  g->out_row = call->index != 0 ? g->in_row : g->out_c + between(0, 9);
  m->experts = between(1, 9);
  m->top_k = between(1, m->experts);
  m->hidden = between(1, 24);
  draw_softmax(&m->softmax_multiplier, &m->softmax_shift);
  const int32_t routers = m->experts * g->in_c, products = routers * m->hidden;
  fill(weight, routers + 2 * products);
  m->router = weight;
  m->w1 = weight + routers;
  m->w2 = m->w1 + products;
  const int ties = one_in(3);
  for (int32_t i = 0; i < CASE_CHANNELS; ++i) {
    words[i] = ties && i < m->experts ? 0 : between(-4096, 4096);
  }
  for (int32_t i = g->in_c; ties && i < routers; ++i) {
    weight[i] = weight[i - g->in_c];
  }
  m->router_bias = words;
  m->b2 = words + m->experts;
  m->multiplier2 = m->b2 + routers;
  m->requantization1 = requantization;
  const int32_t smaller = draw_products(m->experts * m->hidden, &m->shift1);
  m->shift2 = between(smaller, 50);
  for (int32_t c = 0; c < g->out_c; ++c) {
    words[m->experts + routers + c] = draw_multiplier(m->shift2, smaller);
  }
  draw_output(&m->out);
  m->out.table = 0;
  fill(table, 256);
  m->hidden_out = (cs_output){table, between(-128, 127), -128, 127};
  call->scratch_bytes = 4 * m->experts + (m->hidden + 3) / 4 * 4 + 4 * g->out_c;
}

static void make_norm(struct kernel_case* call) {
  cs_geometry* g = &call->geometry;
  const int layer = call->kernel == LAYER_NORM;
  call->rows = between(1, 4);
  g->in_c = one_in(3) ? between(1, 3) : between(4, 200);
  g->in_row = g->in_c + (layer ? between(0, 5) : 0);
  g->out_row = g->in_c + (layer ? between(0, 5) : 0);
  call->norm.requantization = requantization;
  call->norm.epsilon = one_in(2) ? between(0, 100) : between(0, INT32_MAX - 1);
  call->norm.shift = layer ? between(14, 38) : between(4, 20);
  call->norm.in_zero_point = between(-128, 127);
  draw_output(&call->norm.out);
  draw_requantization(g->in_c, call->norm.shift, layer ? 7 : 0, 4096);
}

static void make_elementwise(struct kernel_case* call) {
  cs_geometry* g = &call->geometry;
  call->rows = between(1, 9);
  g->in_c = between(1, 40);
  g->in_row = g->in_c + between(0, 5);
  g->out_row = g->in_c + between(0, 5);
  cs_addition* addition = &call->addition;
  addition->shift = between(2, 20);
  cs_rescaling* rescaling = &call->rescaling;
  rescaling->shift = call->kernel == CONCAT_INPUT ? between(2, 20) : between(10, 42);
  rescaling->multiplier = draw_multiplier(rescaling->shift, call->kernel == CONCAT_INPUT ? 0 : 5);
  rescaling->in_zero_point = between(-128, 127);
  for (int32_t i = 0; i < 2; ++i) {
    addition->zero_point[i] = between(-128, 127);
    addition->multiplier[i] = draw_multiplier(addition->shift, 0);
  }
  draw_output(&addition->out);
  rescaling->out = addition->out;
}

static void make_image_without_weights(struct kernel_case* call) {
  make_elementwise(call);
  draw_image(call, 0);
  call->index = between(1, 4);
  draw_channels(&call->geometry, 1, 9, 1);
  cs_geometry* g = &call->geometry;
  g->out_c = g->in_c;
  g->out_row += g->out_w * (g->in_c - 1);
  if (call->kernel == TOKEN_EMBED) {
    int32_t* ids = (int32_t*)(void*)call->in;
    for (int32_t t = 0; t < call->rows; ++t) {
      ids[t] = between(0, 99);
    }
  }
}

void make_case(uint32_t number, struct kernel_case* call) {
  memset(call, 0, sizeof *call);
  state = number * 2654435761u + 1u;
  for (int i = 0; i < 4; ++i) {
    draw();
  }
  call->kernel = (enum kernel)(number % KERNELS);
  call->in = (int8_t*)in_words;
  call->other = (int8_t*)other_words;
  call->out = (int8_t*)out_words;
  call->scratch = (int8_t*)scratch_words;
  fill(call->in, CASE_BYTES);
  fill(call->other, CASE_BYTES);
  memset(call->out, 99, CASE_BYTES);
  memset(call->scratch, 0, CASE_BYTES);
  if (call->kernel <= PATCH_EMBED_TOKEN) {
    make_convolution(call);
  } else if (call->kernel == FULLY_CONNECTED) {
    make_fully_connected(call);
  } else if (call->kernel <= CONTEXT) {
    make_attention(call);
  } else if (call->kernel == MIXTURE) {
    make_mixture(call);
  } else if (call->kernel <= LAYER_NORM) {
    make_norm(call);
  } else if (call->kernel <= CONCAT_INPUT) {
    make_elementwise(call);
  } else {
    make_image_without_weights(call);
  }
  if (call->kernel == DEPTHWISE_IN_PLACE || (call->kernel == MIXTURE && call->index != 0)) {
    memcpy(call->out, call->in, CASE_BYTES);
  }
}

static void run_image(struct kernel_case* call) {
  const cs_geometry* g = &call->geometry;
  switch (call->kernel) {
    case CONV2D:
      cs_conv2d(g, &call->linear, call->in, call->out, call->scratch);
      return;
    case POINTWISE:
      cs_pointwise_conv2d(g, &call->linear, call->in, call->out);
      return;
    case DEPTHWISE:
      cs_depthwise_conv2d(g, &call->linear, call->in, call->out);
      return;
    case DEPTHWISE_IN_PLACE:
      cs_depthwise_conv2d_in_place(g, &call->linear, call->out, call->scratch);
      return;
    case PATCH_EMBED:
      cs_patch_embed(g, &call->linear, call->in, call->out, call->scratch);
      return;
    case PATCH_EMBED_TOKEN:
      cs_patch_embed_token(g, &call->linear, call->index, call->in, call->out, call->scratch);
      return;
    case MAX_POOL:
      cs_max_pool(g, call->in, call->out);
      return;
    case AVERAGE_POOL:
      cs_average_pool(g, &call->rescaling, call->in, call->out);
      return;
    case GLOBAL_AVERAGE_POOL:
      cs_global_average_pool(&call->rescaling, g->in_h * g->in_w, g->in_c, call->in, call->out);
      return;
    default:
      cs_upsample(g->in_h, g->in_w, g->in_c, call->index, call->in, call->out);
      return;
  }
}

void run_case(struct kernel_case* call) {
  const cs_geometry* g = &call->geometry;
  const int32_t rows = call->rows;
  switch (call->kernel) {
    case FULLY_CONNECTED:
      cs_fully_connected(&call->linear, rows, g->in_c, g->out_c, call->in, g->in_row, call->out, g->out_row);
      return;
    case SCORES:
      cs_attention_scores(rows, g->in_c, call->other, call->in, g->in_row, (int32_t*)(void*)call->out);
      return;
    case SOFTMAX: /* in place */
      memcpy(call->out, call->in, CASE_BYTES);
      cs_softmax(&call->attention, rows, (int32_t*)(void*)call->out, call->out);
      memset(call->out + rows, 0, CASE_BYTES - (uint32_t)rows); /* what is left of the scores */
      return;
    case CONTEXT:
      cs_attention_context(&call->attention, rows, g->in_c, call->other, call->in, g->in_row, call->out);
      return;
    case MIXTURE:
      cs_moe(&call->mixture, rows, g->in_c, call->index != 0 ? call->out : call->in, g->in_row, call->out, g->out_row,
             call->scratch);
      return;
    case BATCH_NORM:
      cs_batch_norm(&call->norm, rows, g->in_c, call->in, call->out);
      return;
    case LAYER_NORM:
      cs_layer_norm(&call->norm, rows, g->in_c, call->in, g->in_row, call->out, g->out_row);
      return;
    case ADD:
      cs_add(&call->addition, rows * g->in_c, call->in, call->other, call->out);
      return;
    case ACTIVATION:
      cs_activation(&call->addition.out, rows * g->in_c, call->in, call->out);
      return;
    case CONCAT_INPUT:
      cs_concat_input(&call->rescaling, rows, g->in_c, call->in, g->in_row, call->out, g->out_row);
      return;
    case TOKEN_EMBED:
      cs_token_embed(rows, g->in_c, call->other, (const int32_t*)(const void*)call->in, call->out);
      return;
    default:
      run_image(call);
      return;
  }
}

/* FNV-1a. */
uint32_t checksum(const struct kernel_case* call) {
  uint32_t hash = 2166136261u;
  for (int32_t i = 0; i < CASE_BYTES; ++i) {
    hash = (hash ^ (uint8_t)call->out[i]) * 16777619u;
  }
  return hash;
}
