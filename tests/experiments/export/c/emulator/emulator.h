#ifndef EMULATOR_H
#define EMULATOR_H

#include <stdint.h>

/* What a test program on the emulated microcontroller may use; its main's result is the emulator's exit code. Static
 * variables hold anything at the start. */
int main(void);
void print(const char* text);
void print_number(uint32_t number);
/* Instructions since the start, to the nearest one. */
uint32_t instructions_now(void);

#endif
