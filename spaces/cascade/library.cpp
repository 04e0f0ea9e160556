#include "spaces/cascade/library.hpp"

#include "spaces/base/registry.hpp"

namespace cosearch::cascade {
namespace {

/// The comment of the first line.
std::string_view summary_of(std::string_view text) {
  constexpr std::string_view kMark = "# ";
  return text.substr(0, text.find('\n')).substr(kMark.size());
}

std::vector<CascadeEntry> read_registry() {
  std::vector<CascadeEntry> entries;
  for (const EmbeddedFile& file : library_files()) {
    entries.push_back({file.name, summary_of(file.text), file.text});
  }
  return entries;
}

}  // namespace

const std::vector<CascadeEntry>& cascade_registry() {
  static const std::vector<CascadeEntry> kRegistry = read_registry();
  return kRegistry;
}

ir::Workload cascade(const std::string& name, const std::map<std::string, std::int64_t>& sizes) {
  const CascadeEntry& entry = entry_named(cascade_registry(), name, "cascade");
  try {
    return ir::parse_workload(std::string(entry.text), sizes);
  } catch (const ConfigError& error) {
    throw error.in_file("cascade:" + name);
  }
}

}  // namespace cosearch::cascade
