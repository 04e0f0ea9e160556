#include "experiments/cli/arguments.hpp"

#include <CLI/CLI.hpp>
#include <optional>
#include <utility>

#include "experiments/cli/command_line.hpp"

namespace cosearch::cli {

Argument Argument::required() const { return Argument(*option_->required()); }
Argument Argument::needs(const Argument& other) const { return Argument(*option_->needs(other.option_)); }
Argument Argument::excludes(const Argument& other) const { return Argument(*option_->excludes(other.option_)); }
Argument Argument::in_integers(std::int64_t low, std::int64_t high) const {
  return Argument(*option_->check(CLI::Range(low, high)));
}
Argument Argument::in(double low, double high) const { return Argument(*option_->check(CLI::Range(low, high))); }
Argument Argument::positive() const { return Argument(*option_->check(CLI::PositiveNumber)); }
Argument Argument::one_of(const std::vector<std::string>& values) const {
  return Argument(*option_->check(CLI::IsMember(values)));
}
Argument Argument::existing_folder() const { return Argument(*option_->check(CLI::ExistingDirectory)); }
Argument Argument::or_environment(const std::string& variable) const { return Argument(*option_->envname(variable)); }
Argument Argument::several() const { return Argument(*option_->take_all()); }

Command Command::command(const std::string& name, const std::string& summary) const {
  return Command(*app_->add_subcommand(name, summary));
}

void Command::needs_command() const { app_->require_subcommand(1); }

template <class Value>
Argument Command::option(const std::string& name, Value& value, const std::string& help) const {
  return Argument(*app_->add_option(name, value, help));
}
template Argument Command::option(const std::string&, std::string&, const std::string&) const;
template Argument Command::option(const std::string&, int&, const std::string&) const;
template Argument Command::option(const std::string&, std::int64_t&, const std::string&) const;
template Argument Command::option(const std::string&, std::uint64_t&, const std::string&) const;
template Argument Command::option(const std::string&, double&, const std::string&) const;
template Argument Command::option(const std::string&, std::optional<int>&, const std::string&) const;
template Argument Command::option(const std::string&, std::optional<std::int64_t>&, const std::string&) const;
template Argument Command::option(const std::string&, std::optional<std::uint64_t>&, const std::string&) const;
template Argument Command::option(const std::string&, std::optional<double>&, const std::string&) const;
template Argument Command::option(const std::string&, std::vector<std::string>&, const std::string&) const;
template Argument Command::option(const std::string&, std::vector<std::int64_t>&, const std::string&) const;

Argument Command::flag(const std::string& name, bool& value, const std::string& help) const {
  return Argument(*app_->add_flag(name, value, help));
}

Argument Command::named(const std::string& name) const { return Argument(*app_->get_option(name)); }

void Command::runs(CommandLine& line, std::function<int()> action) const {
  app_->callback([&line, action = std::move(action)] { line.command = action; });
}

}  // namespace cosearch::cli
