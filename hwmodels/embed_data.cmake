# Writes ${OUTPUT}, a C++ table of the text of ${FILES} (a list separated by "|"), sorted by name.
string(REPLACE "|" ";" files "${FILES}")
list(SORT files)
set(entries "")
foreach(file IN LISTS files)
  get_filename_component(name "${file}" NAME_WE)
  file(READ "${file}" text)
  string(APPEND entries "    EmbeddedFile{\"${name}\", R\"data(${text})data\"},\n")
endforeach()
file(WRITE "${OUTPUT}.new" "#include \"hwmodels/data_files.hpp\"

#include <array>

namespace cosearch {
namespace {
constexpr std::array kFiles{
${entries}};
}  // namespace
std::span<const EmbeddedFile> embedded_files() { return kFiles; }
}  // namespace cosearch
")
file(RENAME "${OUTPUT}.new" "${OUTPUT}")
