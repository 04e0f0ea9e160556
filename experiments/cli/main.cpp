#include <csignal>
#include <string>
#include <vector>

#include "experiments/cli/command_line.hpp"

int main(int argc, char** argv) {
  // A closed pipe then shows as EPIPE where we write, and is no error.
  std::signal(SIGPIPE, SIG_IGN);
  return cosearch::cli::run_command_line(std::vector<std::string>(argv + 1, argv + argc));
}
