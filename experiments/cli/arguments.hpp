#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace cosearch::cli {

struct CommandLine;

/// An option or a positional argument of a command, as a handle. What the functions say is checked while the line is
/// parsed; one line tells what is wrong.
///
/// This and `Command` stand before CLI11, which takes seconds to compile in each file that includes it: only
/// command_line.cpp and arguments.cpp do.
class Argument {
 public:
  explicit Argument(CLI::Option& option) : option_(&option) {}

  Argument required() const;
  Argument needs(const Argument& other) const;     ///< has no meaning without the other one
  Argument excludes(const Argument& other) const;  ///< not together with the other one
  /// Low to high, both allowed.
  Argument in(std::integral auto low, std::integral auto high) const {
    return in_integers(static_cast<std::int64_t>(low), static_cast<std::int64_t>(high));
  }
  Argument in(double low, double high) const;
  Argument positive() const;
  Argument one_of(const std::vector<std::string>& values) const;
  Argument existing_folder() const;
  Argument or_environment(const std::string& variable) const;  ///< where the line does not say it
  /// All values up to the next option, and those of each time that the option is given.
  Argument several() const;

 private:
  Argument in_integers(std::int64_t low, std::int64_t high) const;

  CLI::Option* option_;
};

/// A command, or the program with all of them, as a handle. What `value` and the like refer to outlives the parsing.
class Command {
 public:
  explicit Command(CLI::App& app) : app_(&app) {}

  /// A command below this one.
  [[nodiscard]] Command command(const std::string& name, const std::string& summary) const;
  /// One of the commands below it must be named.
  void needs_command() const;

  /// `name`: `--name`, `-n,--name`, or a bare word for a positional argument. `value` keeps what it has where the line
  /// does not say it. Instantiated in arguments.cpp.
  template <class Value>
  Argument option(const std::string& name, Value& value, const std::string& help) const;
  /// `!--name` sets false.
  Argument flag(const std::string& name, bool& value, const std::string& help) const;
  /// One that was declared before.
  [[nodiscard]] Argument named(const std::string& name) const;

  /// What the command does once the line is parsed, and its exit code.
  void runs(CommandLine& line, std::function<int()> action) const;

 private:
  CLI::App* app_;
};

}  // namespace cosearch::cli
