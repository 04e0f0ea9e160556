#pragma once

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "experiments/cli/output.hpp"

namespace cosearch::cli {

class Command;

/// What every command understands.
struct GlobalOptions {
  std::string database;
  std::string campaign;  ///< empty: the only or newest one
  Format format = Format::table;
  bool quiet = false;
  int threads = 0;  ///< 0: all cores
  std::string data_directory;

  /// @throws ConfigError when neither --db nor COSEARCH_DB says where it is.
  [[nodiscard]] const std::string& needed_database() const;
};

/// There is no feasible candidate: exit code 3. The message says why.
class NoFeasible : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// One run of the program: what was asked, where the answer goes. The command that was named sets `command`
/// (Command::runs); it runs after the whole line was parsed and returns the exit code.
struct CommandLine {
  GlobalOptions options;
  Output out;
  std::function<int()> command;
};

// One function per command adds it to the application.
void add_calibrate_command(const Command& program, CommandLine& line);
void add_catalogue_commands(const Command& program,
                            CommandLine& line);  ///< spaces, targets, algorithms, cascades, networks
void add_estimate_command(const Command& program, CommandLine& line);
void add_export_command(const Command& program, CommandLine& line);
void add_list_command(const Command& program, CommandLine& line);
void add_measure_command(const Command& program, CommandLine& line);
void add_pareto_command(const Command& program, CommandLine& line);
void add_query_command(const Command& program, CommandLine& line);
void add_reproduce_command(const Command& program, CommandLine& line);
void add_resume_command(const Command& program, CommandLine& line);
void add_run_command(const Command& program, CommandLine& line);
void add_selfcheck_command(const Command& program, CommandLine& line);
void add_show_command(const Command& program, CommandLine& line);
void add_status_command(const Command& program, CommandLine& line);
void add_validate_command(const Command& program, CommandLine& line);

/// Parses and runs a command line (without the program's name). Data goes to standard output, one line per error to
/// standard error. Exit codes: 0 ok, 1 run failed, 2 usage or config, 3 no feasible candidate, 4 not found, 5 store
/// locked or unreachable, 6 schema or replay mismatch, 130/143 stopped by SIGINT/SIGTERM.
[[nodiscard]] int run_command_line(const std::vector<std::string>& arguments);

}  // namespace cosearch::cli
