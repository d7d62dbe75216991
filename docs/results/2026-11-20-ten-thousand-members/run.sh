#!/bin/sh
# The runs behind this folder: `sh docs/results/2026-11-20-ten-thousand-members/run.sh` from the repository's root, after
# `cargo build --release -p swimring-loadgen`. Takes about six minutes and wants an otherwise idle machine.
out=docs/results/2026-11-20-ten-thousand-members
run() {
  name=$1
  shift
  ./target/release/swimring-loadgen run --quiet "$@" --json "$out/$name.json" > "$out/$name.txt"
  echo "$name: exit $?"
}
run lan-10000 --members 10000 --duration 60s --kill 20 --events 1/s
run lan-10000-mmsg --members 10000 --duration 60s --kill 20 --events 1/s --driver mmsg
run lan-10000-loss --members 10000 --duration 60s --kill 20 --events 1/s --loss 2%
run cold-2000 --members 2000 --start cold --warmup 20s --duration 10s --kill 0 --events 0
run idle-300 --members 300 --duration 20s --kill 0 --events 0
run idle-10000 --members 10000 --duration 20s --kill 0 --events 0
