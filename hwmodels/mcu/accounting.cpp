#include "hwmodels/mcu/accounting.hpp"

#include <algorithm>
#include <array>

#include "spaces/base/registry.hpp"

namespace cosearch::mcu {
namespace {

struct NamedAccounting {
  Accounting accounting;
  const char* name;
  const char* note;
};
constexpr std::array kAccountings{
    NamedAccounting{Accounting::mcuformer, "mcuformer",
                    "sram_bytes is MCUFormer's accounting in place of the static plan: output, rank intermediate and "
                    "largest factor of qkv or of the MLP's first layer, with a class token; left out: image, tokens "
                    "read, attention scores, int32 sums, all other layers, stack"},
    NamedAccounting{Accounting::mcuformer_supernet, "mcuformer_supernet",
                    "sram_bytes is the accounting of MCUFormer's supernet stage in place of the static plan: tokens, "
                    "hidden ones and last factor of the widest MLP's first layer, with a class token; left out: image, "
                    "attention, int32 sums, all other layers, stack"},
    NamedAccounting{Accounting::ours, "ours", ""},
    NamedAccounting{Accounting::tinyengine, "tinyengine",
                    "sram_bytes is the static plan under TinyEngine's buffer rules, whatever the engine"},
};

const NamedAccounting& named(Accounting accounting) {
  return *std::find_if(kAccountings.begin(), kAccountings.end(),
                       [&](const NamedAccounting& a) { return a.accounting == accounting; });
}

}  // namespace

Accounting read_accounting(const JsonReader& options) {
  const auto accounting = options.find("accounting");
  return accounting ? entry_named(kAccountings, accounting->text(), accounting->pointer()).accounting
                    : Accounting::ours;
}

std::string name_of(Accounting accounting) { return named(accounting).name; }
std::string note_of(Accounting accounting) { return named(accounting).note; }

}  // namespace cosearch::mcu
