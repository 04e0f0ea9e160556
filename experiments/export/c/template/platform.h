/* What main.c needs of the machine that it runs on: one platform_*.c for each kind. A program of your own needs none of
   this, only model.h. */
#ifndef PLATFORM_H
#define PLATFORM_H

#include <stdint.h>

void platform_print(const char *text);

/* Begins to count; and instructions executed since then, exact to one in QEMU with the options of the Makefile. */
void platform_count_from_here(void);
uint64_t platform_instructions(void);
/* Whether platform_instructions() means anything. */
int platform_counts_instructions(void);

/* Lowest byte of the memory that is reserved for the stack; NULL where that is not known. */
unsigned char *platform_stack_end(void);

/* Where the stack is now filled down to. */
static inline unsigned char *platform_stack_pointer(void) {
  unsigned char *here = 0;
#if defined(__arm__)
  __asm__ volatile("mov %0, sp" : "=r"(here));
#elif defined(__riscv)
  __asm__ volatile("mv %0, sp" : "=r"(here));
#endif
  return here;
}

#endif
