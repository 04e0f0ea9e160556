/* Start-up of a Cortex-M, and what main.c needs of it. Text leaves by semihosting, which QEMU and debug probes answer. */
#include "platform.h"

/* Of the linker script. */
extern uint32_t image_of_data[], data_begin[], data_end[], bss_begin[], bss_end[], stack_end[], stack_begin[];
int main(void);

/* Numbers of semihosting calls, "Semihosting for AArch32 and AArch64" (Arm), chapter 4. */
#define SYS_WRITE0 0x04
#define SYS_EXIT_EXTENDED 0x20
#define APPLICATION_EXIT 0x20026u

static void semihosting(uint32_t call, const void *argument) {
  register uint32_t r0 __asm__("r0") = call;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
}

void platform_print(const char *text) { semihosting(SYS_WRITE0, text); }

static void leave(uint32_t exit_code) {
  const uint32_t block[2] = {APPLICATION_EXIT, exit_code};
  semihosting(SYS_EXIT_EXTENDED, block);
  for (;;) {
  }
}

/* QEMU runs one instruction in NANOSECONDS_PER_INSTRUCTION (-icount shift=6), and these timers are right about that
   time: they tick in COUNTER_PICOSECONDS. The cycle counter of a real core (DWT) reads 0 in QEMU. */
#define NANOSECONDS_PER_INSTRUCTION 64
#if defined(COUNTER_SSE)
/* The system counter of Arm's SSE-300: 64 bits, 32 MHz on the board AN547. */
#define COUNTER_PICOSECONDS 31250
#define COUNTER_CONTROL (*(volatile uint32_t *)0x58100000)
#define COUNTER_LOW (*(volatile uint32_t *)0x48101000)
#define COUNTER_HIGH (*(volatile uint32_t *)0x48101004)
static void start_counter(void) { COUNTER_CONTROL = 1; }
static uint64_t ticks(void) {
  const uint32_t low = COUNTER_LOW;
  return (uint64_t)COUNTER_HIGH << 32 | low;
}
#else
/* Timer 0 of Arm's CMSDK on the MPS2 boards: 32 bits downwards, 25 MHz; 2,684 million instructions long. */
#define COUNTER_PICOSECONDS 40000
#define TIMER_CONTROL (*(volatile uint32_t *)0x40000000)
#define TIMER_VALUE (*(volatile uint32_t *)0x40000004)
#define TIMER_RELOAD (*(volatile uint32_t *)0x40000008)
static void start_counter(void) {
  TIMER_RELOAD = 0xFFFFFFFFu;
  TIMER_VALUE = 0xFFFFFFFFu;
  TIMER_CONTROL = 1;
}
static uint64_t ticks(void) { return 0xFFFFFFFFu - TIMER_VALUE; }
#endif

static uint64_t first_tick, ticks_of_nothing;

static uint64_t ticks_since_first(void) { return ticks() - first_tick; }

void platform_count_from_here(void) {
  start_counter();
  first_tick = ticks();
  ticks_of_nothing = ticks_since_first();
  start_counter();
  first_tick = ticks();
}

uint64_t platform_instructions(void) {
  const uint64_t passed = ticks_since_first() - ticks_of_nothing;
  return (passed * COUNTER_PICOSECONDS + 500 * NANOSECONDS_PER_INSTRUCTION) / (1000 * NANOSECONDS_PER_INSTRUCTION);
}

int platform_counts_instructions(void) { return 1; }

unsigned char *platform_stack_end(void) { return (unsigned char *)stack_end; }

static void fault(void) {
  platform_print("fault\n");
  leave(99);
}

void reset(void);
void reset(void) {
  /* Full access to the coprocessors 10 and 11: the FPU and the vector extension. Without them the write is ignored. */
  *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20;
  __asm__ volatile("dsb\n\tisb" : : : "memory");
  const uint32_t *from = image_of_data;
  for (uint32_t *to = data_begin; to < data_end; ++to) {
    *to = *from++;
  }
  for (uint32_t *to = bss_begin; to < bss_end; ++to) {
    *to = 0;
  }
  leave((uint32_t)main());
}

/* Stack, reset, NMI, hard fault, memory, bus, usage, secure fault, reserved, supervisor call, debug, reserved, pend,
   tick. */
__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    stack_begin, (const void *)reset, (const void *)fault, (const void *)fault,
    (const void *)fault, (const void *)fault, (const void *)fault, (const void *)fault,
    0, 0, 0, (const void *)fault, (const void *)fault, 0, (const void *)fault, (const void *)fault};
