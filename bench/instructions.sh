#!/bin/sh
# Instructions that the hot paths take, each run once under callgrind: compare before and after a change.
#   bench/instructions.sh            every path
#   bench/instructions.sh ping news  some of them
# Needs valgrind.
set -eu
cd "$(dirname "$0")/.."
cargo build --quiet --release -p swimring-bench --bin instructions
times=200
for path in ${*:-alive troubled introductions ping event news probe gossip ack-with-news}; do
    out=$(mktemp)
    valgrind --quiet --tool=callgrind --callgrind-out-file="$out" --collect-atstart=no \
        --toggle-collect='instructions::measured' target/release/instructions "$path" $times 2>/dev/null
    total=$(sed -n 's/^\(summary\|totals\): //p' "$out" | tail -n 1)
    rm -f "$out"
    printf '%-16s %6d instructions\n' "$path" $((total / times))
done
