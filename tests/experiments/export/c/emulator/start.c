#include "emulator.h"

/* Start-up and host access of test programs on QEMU's mps2-an386 with `-icount shift=6`: there every instruction takes
 * 64 ns of virtual time, and a tick of the board's timer is 40 ns. */

#define TIMER ((volatile uint32_t*)0x40000000u)

extern uint32_t stack_top;
void reset(void);

static void call_host(int32_t operation, const void* argument) {
  register int32_t r0 __asm__("r0") = operation;
  register const void* r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

void print(const char* text) { call_host(0x04, text); /* SYS_WRITE0 */ }

static void stop(uint32_t code) {
  const uint32_t arguments[2] = {0x20026u, code}; /* ADP_Stopped_ApplicationExit */
  call_host(0x20, arguments);                     /* SYS_EXIT_EXTENDED */
  for (;;) {
  }
}

void print_number(uint32_t number) {
  char digits[12];
  char* at = digits + 11;
  *at = '\0';
  do {
    *--at = (char)('0' + number % 10u);
    number /= 10u;
  } while (number != 0);
  print(at);
}

uint32_t instructions_now(void) { return (uint32_t)((uint64_t)(0xffffffffu - TIMER[1]) * 40u / 64u); }

void reset(void) {
  *(volatile uint32_t*)0xe000ed88u |= 0xfu << 20; /* access to the floating-point unit */
  __asm__ volatile("dsb\nisb");
  TIMER[2] = 0xffffffffu; /* reload */
  TIMER[1] = 0xffffffffu; /* value, counts down */
  TIMER[0] = 1;           /* enable */
  stop((uint32_t)main());
}

static void fault(void) {
  print("fault\n");
  stop(99);
}

__attribute__((section(".vectors"), used)) static const void* const vectors[16] = {
    &stack_top,         (const void*)reset, (const void*)fault, (const void*)fault,
    (const void*)fault, (const void*)fault, (const void*)fault};
