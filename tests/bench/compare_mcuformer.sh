#!/usr/bin/env bash
# mcuformer beside nsga2 and random, costs only: the most multiply-accumulates of MCUFormer's small transformers in 8,000
# bytes of SRAM by its own accounting, ten seeds each. Prints for each algorithm and budget the mean of the best, and the
# mean number of points (patch, rank ratios) among the feasible candidates, each of which would need a supernet.
# usage: bash tests/bench/compare_mcuformer.sh [path of the program]
set -euo pipefail
program=$(realpath "${1:-build/release/cosearch}")
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
cd "$folder"

config() { # evaluations, search
  cat <<JSON
{
  "name": "compare", "task": {"sample": [28, 28, 1], "classes": 10},
  "space": {"name": "mcu_vit", "genes": {"factors": 3}},
  "target": {
    "name": "cortex_m", "accounting": "mcuformer",
    "genes": {"board": "f746", "engine": "tinyengine", "f746.clock_mhz": 216}
  },
  "objectives": [{"metric": "macs", "direction": "maximize"}],
  "constraints": [{"metric": "sram_bytes", "max": 8000}],
  "search": $2, "budget": {"evaluations": $1}
}
JSON
}

compare() { # evaluations, label, search
  config "$1" "$3" >config.json
  for seed in 1 2 3 4 5 6 7 8 9 10; do
    "$program" run config.json --db runs.db --quiet --seed "$seed" --name "$2-$1-$seed" >/dev/null
    "$program" query --db runs.db --name "$2-$1-$seed" --where "state='complete'" --sort=-macs --limit 10000 \
      --columns macs,patch,rank_attn,rank_mlp --format csv | sed 1d >rows.csv
    echo "$(head -n 1 rows.csv | cut -d, -f1),$(cut -d, -f2- rows.csv | sort -u | wc -l)"
  done | awk -F, -v label="$2" -v evaluations="$1" \
    '{ best += $1; points += $2 } END { printf "%-15s %4d  best %.2f MMAC  points %.1f\n", label, evaluations, best / NR / 1e6, points / NR }'
}

for evaluations in 200 600; do
  compare "$evaluations" mcuformer '{"algorithm": "mcuformer"}'
  compare "$evaluations" mcuformer_tied '{"algorithm": "mcuformer", "outer": ["patch", ["rank_attn", "rank_mlp"]]}'
  compare "$evaluations" nsga2 '{"algorithm": "nsga2"}'
  compare "$evaluations" random '{"algorithm": "random"}'
done
