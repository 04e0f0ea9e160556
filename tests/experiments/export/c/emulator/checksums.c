#include "emulator.h"
#include "kernel_cases.h"

/* Prints the checksum of each of the CASES random calls, one line each. */
int main(void) {
  for (uint32_t number = 0; number < CASES; ++number) {
    struct kernel_case call;
    make_case(number, &call);
    run_case(&call);
    print_number(checksum(&call));
    print("\n");
  }
  return 0;
}
