#include "hwmodels/attention/binding.hpp"

#include <algorithm>
#include <optional>
#include <sstream>
#include <utility>

#include <fmt/format.h>

namespace cosearch::attention {
namespace {

/// Slot and place in it of every work, and the order of works on one array.
struct Places {
  std::vector<int> slot;
  std::vector<int> order;
};

Places places_of(const Binding& binding, std::size_t works) {
  Places places{std::vector<int>(works, -1), std::vector<int>(works, 0)};
  for (std::size_t slot = 0; slot < binding.slots.size(); ++slot) {
    for (const std::vector<int>* list : {&binding.slots[slot].array, &binding.slots[slot].lanes}) {
      for (std::size_t i = 0; i < list->size(); ++i) {
        places.slot[static_cast<std::size_t>((*list)[i])] = static_cast<int>(slot);
        places.order[static_cast<std::size_t>((*list)[i])] = static_cast<int>(i);
      }
    }
  }
  return places;
}

/// The smallest lags with which every operand is there in time; nothing where a recurrence takes longer than a tile. A
/// slot takes as long as its busier array only if neither waits for the other within it, so values cross between slots.
std::optional<std::vector<int>> find_lags(const Binding& binding, const Profile& profile,
                                          const std::vector<bool>& on_array) {
  const Places places = places_of(binding, profile.works.size());
  const auto slots = static_cast<int>(binding.slots.size());
  std::vector<int> lag(profile.works.size(), 0);
  const std::size_t rounds = profile.works.size() + 1;  // longest chain without a recurrence
  for (std::size_t round = 0; round <= rounds; ++round) {
    bool changed = false;
    for (const Dependence& edge : profile.dependences) {
      const auto before = static_cast<std::size_t>(edge.before);
      const auto after = static_cast<std::size_t>(edge.after);
      // In the same slot: an array's own results in order.
      const bool chained = on_array[before] == on_array[after] && places.order[before] < places.order[after];
      const int earliest = lag[before] * slots + places.slot[before] - edge.distance * slots + (chained ? 0 : 1);
      const int needed = (earliest - places.slot[after] + slots - 1 + slots * 1024) / slots - 1024;
      if (needed > lag[after]) {
        lag[after] = needed;
        changed = true;
      }
    }
    if (!changed) {
      return lag;
    }
  }
  return std::nullopt;
}

std::vector<int>& list_of(Slot& slot, bool array) { return array ? slot.array : slot.lanes; }

bool drains(const Work& work, bool on_array) { return on_array && work.reduces_tile && !work.product; }

Expected<Binding, std::string> with_lags(Binding binding, const Profile& profile, const std::vector<bool>& on_array) {
  std::optional<std::vector<int>> lags = find_lags(binding, profile, on_array);
  if (!lags) {
    return Unexpected{
        fmt::format("no lags satisfy the dependences under this binding: a recurrence of {} takes longer than a tile",
                    profile.name)};
  }
  binding.lag = *std::move(lags);
  return binding;
}

}  // namespace

Binding sequential_binding(const Profile& profile, const std::vector<bool>& on_array) {
  Binding binding{"sequential", {}, std::vector<int>(profile.works.size(), 0)};
  for (std::size_t work = 0; work < profile.works.size(); ++work) {
    Slot slot;
    list_of(slot, on_array[work]).push_back(static_cast<int>(work));
    if (drains(profile.works[work], on_array[work])) {
      slot.drains.push_back(static_cast<int>(work));
    }
    binding.slots.push_back(std::move(slot));
  }
  return binding;
}

Expected<Binding, std::string> interleaved_binding(const Profile& profile, const std::vector<bool>& on_array) {
  Binding binding{"interleaved", {Slot{}}, {}};
  for (std::size_t work = 0; work < profile.works.size(); ++work) {
    list_of(binding.slots[0], on_array[work]).push_back(static_cast<int>(work));
  }
  return with_lags(std::move(binding), profile, on_array);
}

Expected<Binding, std::string> pipelined_binding(const Profile& profile, const std::vector<bool>& on_array) {
  std::vector<int> slot(profile.works.size(), 0);
  int last = 0;
  for (std::size_t work = 0; work < profile.works.size(); ++work) {  // in the cascade's order: operands come first
    for (const Dependence& edge : profile.dependences) {
      if (edge.after != static_cast<int>(work) || edge.distance > 0) {
        continue;
      }
      const auto before = static_cast<std::size_t>(edge.before);
      const bool waits =
          on_array[before] != on_array[work] && (!on_array[before] || drains(profile.works[before], true));
      slot[work] = std::max(slot[work], slot[before] + (waits ? 1 : 0));
    }
    last = std::max(last, slot[work]);
  }
  Binding binding{"pipelined", std::vector<Slot>(static_cast<std::size_t>(last) + 1), {}};
  for (std::size_t work = 0; work < profile.works.size(); ++work) {
    Slot& there = binding.slots[static_cast<std::size_t>(slot[work])];
    list_of(there, on_array[work]).push_back(static_cast<int>(work));
    const bool waited_for =
        std::any_of(profile.dependences.begin(), profile.dependences.end(), [&](const Dependence& e) {
          return e.before == static_cast<int>(work) && e.distance == 0 &&
                 !on_array[static_cast<std::size_t>(e.after)] && slot[static_cast<std::size_t>(e.after)] > slot[work];
        });
    if (drains(profile.works[work], on_array[work]) && waited_for) {
      there.drains.push_back(static_cast<int>(work));
    }
  }
  return with_lags(std::move(binding), profile, on_array);
}

Expected<Binding, std::string> parse_binding(std::string_view text, const Profile& profile,
                                             const std::vector<bool>& on_array) {
  Binding binding{std::string(text), {Slot{}}, {}};
  std::vector<int> uses(profile.works.size(), 0);
  bool array = true;
  bool drain = false;
  std::istringstream words{std::string(text)};
  for (std::string word; words >> word;) {
    if (word == ";") {
      binding.slots.emplace_back();
      array = true;
      drain = false;
    } else if (word == "|") {
      array = false;
      drain = false;
    } else if (word == "drain") {
      drain = true;
    } else {
      const int work = profile.find_work(word);
      if (work < 0) {
        return Unexpected{fmt::format("the binding names \"{}\", which is none of {}'s einsums", word, profile.name)};
      }
      if (drain) {
        binding.slots.back().drains.push_back(work);
        continue;
      }
      if (on_array[static_cast<std::size_t>(work)] != array) {
        return Unexpected{fmt::format("the binding has {} on the {}, this design computes it on the {}", word,
                                      array ? "array" : "lanes", array ? "lanes" : "array")};
      }
      ++uses[static_cast<std::size_t>(work)];
      list_of(binding.slots.back(), array).push_back(work);
    }
  }
  for (std::size_t work = 0; work < uses.size(); ++work) {
    if (uses[work] != 1) {
      return Unexpected{
          fmt::format("the binding has {} {} times, allowed: once", profile.works[work].name, uses[work])};
    }
  }
  return with_lags(std::move(binding), profile, on_array);
}

std::string to_text(const Binding& binding, const Profile& profile) {
  std::string text;
  const auto append = [&](const std::vector<int>& works) {
    for (const int work : works) {
      text += profile.works[static_cast<std::size_t>(work)].name + " ";
    }
  };
  for (std::size_t i = 0; i < binding.slots.size(); ++i) {
    const Slot& slot = binding.slots[i];
    text += i > 0 ? "; " : "";
    append(slot.array);
    if (!slot.drains.empty()) {
      text += "drain ";
      append(slot.drains);
    }
    if (!slot.lanes.empty()) {
      text += "| ";
      append(slot.lanes);
    }
  }
  if (!text.empty()) {
    text.pop_back();
  }
  return text;
}

int tiles_in_flight(const Binding& binding, const Profile& profile, int work) {
  const Places places = places_of(binding, profile.works.size());
  const auto slots = static_cast<int>(binding.slots.size());
  const auto at = [&](int each) {
    return binding.lag[static_cast<std::size_t>(each)] * slots + places.slot[static_cast<std::size_t>(each)];
  };
  int last = at(work);
  for (const Dependence& edge : profile.dependences) {
    if (edge.before == work) {
      last = std::max(last, at(edge.after) + edge.distance * slots);
    }
  }
  return (last - at(work)) / slots + 1;
}

}  // namespace cosearch::attention
