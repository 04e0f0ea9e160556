/* The machine that the compiler runs on. Neither instructions nor the stack are counted here. */
#include <stddef.h>
#include <stdio.h>

#include "platform.h"

void platform_print(const char *text) { fputs(text, stdout); }
void platform_count_from_here(void) {}
uint64_t platform_instructions(void) { return 0; }
int platform_counts_instructions(void) { return 0; }
unsigned char *platform_stack_end(void) { return NULL; }
