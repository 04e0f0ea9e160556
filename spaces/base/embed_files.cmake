# Writes ${OUTPUT}, C++ that defines `std::span<const EmbeddedFile> ${FUNCTION}()` in the namespace ${NAMESPACE}, as
# ${HEADER} declares it: the text of ${FILES} (a list separated by "|"), sorted by name. Names are
# without extension, with FULL_NAMES as they are.
string(REPLACE "|" ";" files "${FILES}")
list(SORT files)
if(FULL_NAMES)
  set(NAME_PART NAME)
else()
  set(NAME_PART NAME_WE)
endif()
set(entries "")
foreach(file IN LISTS files)
  get_filename_component(name "${file}" ${NAME_PART})
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
