#include "hwmodels/asic/schedule/gantt.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string_view>
#include <tuple>
#include <vector>

#include "hwmodels/text.hpp"
#include "spaces/base/svg.hpp"

namespace cosearch::schedule {
namespace {

// Pixels.
constexpr double kLeft = 150.0, kTop = 48.0, kWidth = 900.0, kRight = 40.0;
constexpr double kRow = 46.0, kBar = 30.0, kAxis = 64.0;
constexpr double kLetter = 6.2;  // of a small sans-serif font, rather too wide

std::string_view colour(int network) { return svg::colour(static_cast<std::size_t>(network)); }

std::string text(double x, double y, std::string_view anchor, const std::string& words) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor,
                     svg::escaped(words));
}

std::string vertical(double x, double bottom, std::string_view style) {
  return fmt::format("<line x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{0:.1f}\" y2=\"{2:.1f}\" {3}/>\n", x, kTop, bottom,
                     style);
}

const std::string& network_of(const Problem& problem, const Task& task) {
  return problem.networks[static_cast<std::size_t>(task.network)];
}

/// Cycles in which a unit runs something.
std::int64_t busy(const Schedule& schedule, std::size_t unit) {
  std::int64_t cycles = 0;
  for (const Placement& placement : schedule.placements) {
    cycles += placement.unit == static_cast<int>(unit) ? placement.end - placement.start : 0;
  }
  return cycles;
}

double idle_percent(const Schedule& schedule, std::size_t unit) {
  const auto makespan = static_cast<double>(schedule.makespan);
  return makespan > 0.0 ? 100.0 * (1.0 - static_cast<double>(busy(schedule, unit)) / makespan) : 0.0;
}

double energy_of(const Task& task, const Placement& placement) {
  return task.on[static_cast<std::size_t>(placement.unit)]->energy;
}

std::string verdict(const Problem& problem, const Schedule& schedule) {
  if (!problem.deadline) {
    return "no deadline";
  }
  const std::int64_t slack = *problem.deadline - schedule.makespan;
  return fmt::format("deadline {} {}", grouped(*problem.deadline),
                     slack >= 0 ? "met, " + grouped(slack) + " to spare" : "missed by " + grouped(-slack));
}

struct Axis {
  std::int64_t span;
  [[nodiscard]] double x(std::int64_t cycle) const {
    return kLeft + kWidth * static_cast<double>(cycle) / static_cast<double>(span);
  }
};

std::string grid(const Axis& axis, double bottom) {
  std::string svg;
  const std::int64_t tick = svg::tick_of(axis.span);
  for (std::int64_t cycle = 0; cycle <= axis.span; cycle += tick) {
    svg +=
        vertical(axis.x(cycle), bottom, "stroke=\"#ddd\"") + text(axis.x(cycle), bottom + 16, "middle", grouped(cycle));
  }
  return svg + text(kLeft + kWidth / 2, bottom + 34, "middle", "cycles");
}

std::string bar(const Problem& problem, const Axis& axis, std::size_t index, const Placement& placement) {
  const Task& task = problem.tasks[index];
  const double x = axis.x(placement.start);
  const double width = axis.x(placement.end) - x;
  const double y = kTop + kRow * placement.unit + (kRow - kBar) / 2;
  std::string svg = fmt::format(
      "<g><title>{} ({}): {} to {}, {} cycles, energy {:.6g}</title><rect x=\"{:.2f}\" y=\"{:.1f}\" width=\"{:.2f}\" "
      "height=\"{:.0f}\" fill=\"{}\" stroke=\"white\" stroke-width=\"0.5\"/>\n",
      svg::escaped(task.name), svg::escaped(network_of(problem, task)), grouped(placement.start),
      grouped(placement.end), grouped(placement.end - placement.start), energy_of(task, placement), x, y, width, kBar,
      colour(task.network));
  if (kLetter * static_cast<double>(task.name.size()) < width) {
    svg += text(x + width / 2, y + kBar / 2 + 4, "middle", task.name);
  }
  return svg + "</g>\n";
}

std::string legend(const Problem& problem) {
  std::string svg;
  double x = kLeft;
  for (std::size_t network = 0; network < problem.networks.size(); ++network) {
    const std::string& name = problem.networks[network];
    svg += fmt::format("<rect x=\"{:.1f}\" y=\"26\" width=\"12\" height=\"12\" fill=\"{}\"/>\n", x,
                       colour(static_cast<int>(network))) +
           text(x + 17, 36, "start", name);
    x += 40.0 + kLetter * static_cast<double>(name.size());
  }
  return svg;
}

}  // namespace

std::string gantt_svg(const Problem& problem, const Schedule& schedule) {
  const Axis axis{std::max<std::int64_t>({schedule.makespan, problem.deadline.value_or(0), 1})};
  const double bottom = kTop + kRow * static_cast<double>(problem.units.size());
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" font-family=\"sans-serif\" "
      "font-size=\"11\">\n<rect width=\"{0:.0f}\" height=\"{1:.0f}\" fill=\"white\"/>\n",
      kLeft + kWidth + kRight, bottom + kAxis);
  svg += text(kLeft, 16, "start",
              fmt::format("makespan {} cycles, energy {:.6g}, {}", grouped(schedule.makespan), schedule.energy,
                          verdict(problem, schedule)));
  svg += legend(problem) + grid(axis, bottom);
  for (std::size_t unit = 0; unit < problem.units.size(); ++unit) {
    const double middle = kTop + kRow * (static_cast<double>(unit) + 0.5);
    svg += text(kLeft - 8, middle - 2, "end", problem.units[unit]) +
           text(kLeft - 8, middle + 12, "end", fmt::format("{:.1f} % idle", idle_percent(schedule, unit)));
  }
  for (std::size_t task = 0; task < schedule.placements.size(); ++task) {
    svg += bar(problem, axis, task, schedule.placements[task]);
  }
  if (problem.deadline) {
    const double x = axis.x(*problem.deadline);
    svg += vertical(x, bottom, "stroke=\"#c00\" stroke-width=\"1.5\" stroke-dasharray=\"6 4\"") +
           text(x, bottom + 50, x > kLeft + kWidth / 2 ? "end" : "start", "deadline " + grouped(*problem.deadline));
  }
  return svg + "</svg>\n";
}

std::string schedule_table(const Problem& problem, const Schedule& schedule) {
  std::vector<std::size_t> tasks(schedule.placements.size());
  std::iota(tasks.begin(), tasks.end(), std::size_t{0});
  const auto key = [&](std::size_t task) {
    const Placement& placement = schedule.placements[task];
    return std::tuple{placement.unit, placement.start, placement.end, task};
  };
  std::sort(tasks.begin(), tasks.end(), [&](std::size_t a, std::size_t b) { return key(a) < key(b); });
  std::size_t unit_width = 4;
  std::size_t network_width = 7;
  std::size_t task_width = 4;
  for (const std::string& unit : problem.units) {
    unit_width = std::max(unit_width, unit.size());
  }
  for (const Task& task : problem.tasks) {
    network_width = std::max(network_width, network_of(problem, task).size());
    task_width = std::max(task_width, task.name.size());
  }
  std::string table = fmt::format("{:<{}}  {:<{}}  {:<{}} {:>14} {:>14} {:>14} {:>14}\n", "unit", unit_width, "network",
                                  network_width, "task", task_width, "start", "end", "cycles", "energy");
  for (const std::size_t index : tasks) {
    const Placement& placement = schedule.placements[index];
    const Task& task = problem.tasks[index];
    table += fmt::format("{:<{}}  {:<{}}  {:<{}} {:>14} {:>14} {:>14} {:>14.6g}\n",
                         problem.units[static_cast<std::size_t>(placement.unit)], unit_width, network_of(problem, task),
                         network_width, task.name, task_width, grouped(placement.start), grouped(placement.end),
                         grouped(placement.end - placement.start), energy_of(task, placement));
  }
  for (std::size_t unit = 0; unit < problem.units.size(); ++unit) {
    table += fmt::format("{:<{}}  busy {} cycles, {:.1f} % idle\n", problem.units[unit], unit_width,
                         grouped(busy(schedule, unit)), idle_percent(schedule, unit));
  }
  return table + fmt::format("makespan {} cycles, energy {:.6g}, {}\n", grouped(schedule.makespan), schedule.energy,
                             verdict(problem, schedule));
}

}  // namespace cosearch::schedule
