#!/usr/bin/env bash
# From a bare Debian 12 to a Pareto front of networks and boards: installs, builds, runs the quickstart campaign
# (resumes it where it was interrupted), prints and exports the front. Safe to run again.
#   bash experiments/quickstart.sh --mcu   also exports the best final network as C, builds it for the core of its board
#                                          and runs it in an emulator
set -euo pipefail
cd "$(dirname "$0")/.."
. experiments/setup.sh

mcu=false
case "${1:-}" in
  "") ;;
  --mcu) mcu=true ;;
  *)
    echo "experiments/quickstart.sh: unknown option \"$1\"; known: --mcu" >&2
    exit 2
    ;;
esac

results=results/quickstart
database=$results/quickstart.db
cosearch=build/release/cosearch

# shellcheck disable=SC2086  # the lists are words
install_packages $build_packages
# shellcheck disable=SC2086
if [ "$mcu" = true ]; then install_packages $mcu_packages; fi
build app

mkdir -p "$results"
if [ -f "$database" ] && "$cosearch" list --db "$database" --format csv | grep -q '^quickstart,'; then
  say "the campaign is in $database already: going on with it"
  "$cosearch" resume --db "$database" --name quickstart
else
  say "running experiments/configs/quickstart.json"
  "$cosearch" run experiments/configs/quickstart.json --db "$database"
fi

say "Pareto front (measured candidates)"
"$cosearch" pareto --db "$database" --name quickstart
"$cosearch" export --db "$database" --name quickstart --pareto --to "$results/front" >/dev/null

say "final networks, trained longer and tested once"
"$cosearch" show --db "$database" --name quickstart --finals

if [ "$mcu" = true ]; then
  best=$("$cosearch" show --db "$database" --name quickstart --finals --format csv |
    tail -n +2 | sort -t, -k2,2 -gr | head -1 | cut -d, -f1)
  say "trial $best as C in $results/c; its integers in an emulator, compared bit by bit with the reference"
  "$cosearch" export --db "$database" --name quickstart --id "$best" --format c --to "$results/c" >/dev/null
  "$cosearch" measure --db "$database" --name quickstart --id "$best"
  "$cosearch" query --db "$database" --name quickstart --where "measured_instructions > 0" \
    --columns id,accuracy,sram_bytes,measured_arena_bytes,measured_instructions,measured_stack_bytes
fi

cat <<TEXT

The database is $database, the exported front (networks, weights, hardware, per-layer costs) $results/front.
Try next:
  $cosearch query --db $database --where "latency_ms < 20 and accuracy > 0.65" --sort -accuracy --limit 10
  $cosearch show --db $database 0                 # one candidate: genes, per-layer cost
  $cosearch pareto --db $database --knee          # one good compromise
  $cosearch resume --db $database --add-evals 100 # search on
  $cosearch estimate --network resnet8 --target cortex_m --set board=l4r5
  $cosearch run experiments/configs/asic_vit.json --db results/asic_vit.db
TEXT
