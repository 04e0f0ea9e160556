#include "experiments/cli/command_line.hpp"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>
#include <map>
#include <new>

#include "experiments/cli/arguments.hpp"
#include "experiments/store/store.hpp"
#include "spaces/base/config_error.hpp"

namespace cosearch::cli {
namespace {

enum ExitCode { kOk = 0, kRunFailed = 1, kUsage = 2, kNoFeasible = 3 };

void complain(std::string message) {
  std::replace(message.begin(), message.end(), '\n', ' ');
  message = "cosearch: error: " + message + "\n";
  // Nobody to tell when standard error is gone.
  static_cast<void>(!::write(STDERR_FILENO, message.data(), message.size()));
}

void add_global_options(const Command& program, CommandLine& line, std::string& format) {
  GlobalOptions& options = line.options;
  program.option("--db", options.database, "database file").or_environment("COSEARCH_DB");
  program.option("--name", options.campaign, "campaign; the newest one unless given");
  program.option("-f,--format", format, "table, json, jsonl or csv").one_of({"table", "json", "jsonl", "csv"});
  program.flag("-q,--quiet", options.quiet, "no progress and no information on standard error");
  program.option("--threads", options.threads, "worker threads; 0: all cores. Never changes a result").in(0, 1024);
  program.option("--data-dir", options.data_directory, "hardware data files that replace the built-in ones")
      .existing_folder();
}

void add_commands(const Command& program, CommandLine& line) {
  add_run_command(program, line);
  add_reproduce_command(program, line);
  add_resume_command(program, line);
  add_status_command(program, line);
  add_list_command(program, line);
  add_query_command(program, line);
  add_show_command(program, line);
  add_pareto_command(program, line);
  add_export_command(program, line);
  add_measure_command(program, line);
  add_estimate_command(program, line);
  add_calibrate_command(program, line);
  add_validate_command(program, line);
  add_selfcheck_command(program, line);
  add_catalogue_commands(program, line);
}

/// The innermost command that was named; the application itself when none was.
const CLI::App& named_command(const CLI::App& app) {
  const CLI::App* command = &app;
  while (!command->get_subcommands().empty()) {
    command = command->get_subcommands().front();
  }
  return *command;
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) {
    names.push_back(command->get_name());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* level = &app; level != nullptr; level = level->get_parent()) {
    for (const CLI::Option* option : level->get_options()) {
      for (const std::string& name : option->get_lnames()) {
        names.push_back("--" + name);
      }
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

/// What CLI11 says, with what is allowed where it says only what was read.
std::string usage_message(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& command = named_command(app);
  const std::vector<std::string> extras = app.remaining(true);
  const bool wants_command = !command_names(command).empty();
  if (!extras.empty() && extras.front().starts_with("-")) {
    return unknown_name(extras.front().substr(0, extras.front().find('=')), option_names(command));
  }
  if (wants_command) {
    const std::vector<std::string> names = command_names(command);
    return extras.empty() ? fmt::format("a command is needed; known: {}", fmt::join(names, ", "))
                          : unknown_name(extras.front(), names);
  }
  if (!extras.empty()) {
    return fmt::format("\"{}\" is one argument more than {} takes; see cosearch {} --help", extras.front(),
                       command.get_name(), command.get_name());
  }
  const std::string message = error.what();
  return message.starts_with("-") ? message : command.get_name() + ": " + message;
}

/// Runs `action`; what it throws becomes one line and an exit code.
template <class Action>
int guarded(Action&& action) {
  try {
    return action();
  } catch (const ClosedPipe&) {
    return kOk;
  } catch (const ConfigError& error) {
    complain(error.what());
    return kUsage;
  } catch (const NoFeasible& error) {
    complain(error.what());
    return kNoFeasible;
  } catch (const StoreError& error) {
    complain(error.what());
    return error.exit_code();
  } catch (const std::bad_alloc&) {
    complain("there is not enough memory for networks of this size");
    return kRunFailed;
  } catch (const std::exception& error) {
    complain(error.what());
    return kRunFailed;
  }
}

}  // namespace

const std::string& GlobalOptions::needed_database() const {
  if (database.empty()) {
    throw ConfigError("--db", "is missing; expected a database file here or in COSEARCH_DB");
  }
  return database;
}

int run_command_line(const std::vector<std::string>& arguments) {
  return guarded([&] {
    CommandLine line;
    std::string format = "table";
    CLI::App app{"cosearch searches neural networks and the hardware they run on, together.", "cosearch"};
    app.set_version_flag("--version", "cosearch " COSEARCH_VERSION);
    app.require_subcommand(1);
    app.fallthrough();
    add_global_options(Command(app), line, format);
    add_commands(Command(app), line);
    try {
      app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
    } catch (const CLI::ParseError& error) {
      if (error.get_exit_code() == 0) {
        return app.exit(error);  // --help, --version
      }
      complain(usage_message(app, error));
      return static_cast<int>(kUsage);
    }
    const std::map<std::string, Format> formats{
        {"table", Format::table}, {"json", Format::json}, {"jsonl", Format::jsonl}, {"csv", Format::csv}};
    line.options.format = formats.at(format);
    spdlog::set_default_logger(spdlog::stderr_color_mt("cosearch"));
    spdlog::set_level(line.options.quiet ? spdlog::level::warn : spdlog::level::info);
    const int code = line.command();
    line.out.flush();
    return code;
  });
}

}  // namespace cosearch::cli
