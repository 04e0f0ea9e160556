/* Start-up of QEMU's RISC-V machine `virt`, and what main.c needs of it. Text leaves by semihosting. */
#include "platform.h"

/* Of the linker script. */
extern uint32_t image_of_data[], data_begin[], data_end[], bss_begin[], bss_end[], stack_end[], stack_begin[];
int main(void);

/* Numbers of semihosting calls, as Arm's: "RISC-V Semihosting", section 1. */
#define SYS_WRITE0 0x04
#define SYS_EXIT_EXTENDED 0x20
#define APPLICATION_EXIT 0x20026u

static void semihosting(uint32_t call, const void *argument) {
  register uint32_t a0 __asm__("a0") = call;
  register const void *a1 __asm__("a1") = argument;
  /* The three instructions that are told apart from an ordinary breakpoint: uncompressed and within one page. */
  __asm__ volatile(
      ".option push\n\t.option norvc\n\t.balign 16\n\tslli x0, x0, 0x1f\n\tebreak\n\tsrai x0, x0, 7\n\t.option pop"
      : "+r"(a0)
      : "r"(a1)
      : "memory");
}

void platform_print(const char *text) { semihosting(SYS_WRITE0, text); }

static void leave(uint32_t exit_code) {
  const uint32_t block[2] = {APPLICATION_EXIT, exit_code};
  semihosting(SYS_EXIT_EXTENDED, block);
  for (;;) {
  }
}

/* With -icount, QEMU's instret is the number of executed instructions. */
static uint64_t instret(void) {
  uint32_t low, high, again;
  do {
    __asm__ volatile(
        ".option push\n\t.option arch, +zicsr\n\tcsrr %0, instreth\n\tcsrr %1, instret\n\tcsrr %2, instreth\n\t"
        ".option pop"
        : "=r"(high), "=r"(low), "=r"(again));
  } while (high != again);
  return (uint64_t)high << 32 | low;
}

static uint64_t first, of_nothing;

void platform_count_from_here(void) {
  first = instret();
  of_nothing = instret() - first;
  first = instret();
}

uint64_t platform_instructions(void) { return instret() - first - of_nothing; }

int platform_counts_instructions(void) { return 1; }

unsigned char *platform_stack_end(void) { return (unsigned char *)stack_end; }

__attribute__((used)) static void start(void) {
  const uint32_t *from = image_of_data;
  for (uint32_t *to = data_begin; to < data_end; ++to) {
    *to = *from++;
  }
  for (uint32_t *to = bss_begin; to < bss_end; ++to) {
    *to = 0;
  }
  leave((uint32_t)main());
}

/* A trap is a defect: its handler prints and leaves, the stack may be broken. */
__attribute__((used, aligned(4))) static void fault(void) {
  platform_print("fault\n");
  leave(99);
}

__attribute__((section(".reset"), naked, used)) void reset(void) {
  __asm__ volatile(
      ".option push\n\t.option norelax\n\tla gp, __global_pointer$\n\t.option pop\n\tla sp, stack_begin\n\t"
      ".option push\n\t.option arch, +zicsr\n\tla t0, fault\n\tcsrw mtvec, t0\n\t.option pop\n\tcall start");
}
