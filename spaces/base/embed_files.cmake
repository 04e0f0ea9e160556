# Writes ${OUTPUT}, C++ that defines `std::span<const EmbeddedFile> ${FUNCTION}()` in the namespace ${NAMESPACE}, as
# ${HEADER} declares it: the text of ${FILES} (a list separated by "|"), sorted by name.
string(REPLACE "|" ";" files "${FILES}")
list(SORT files)
set(entries "")
foreach(file IN LISTS files)
  get_filename_component(name "${file}" NAME_WE)
  file(READ "${file}" text)
  string(APPEND entries "    EmbeddedFile{\"${name}\", R\"data(${text})data\"},\n")
endforeach()
file(WRITE "${OUTPUT}.new" "#include \"${HEADER}\"

#include <array>

namespace ${NAMESPACE} {
namespace {
constexpr std::array kFiles{
${entries}};
}  // namespace
std::span<const EmbeddedFile> ${FUNCTION}() { return kFiles; }
}  // namespace ${NAMESPACE}
")
file(RENAME "${OUTPUT}.new" "${OUTPUT}")
