#!/bin/sh
# Plain and encrypted members by turns. LOADGEN is the program, release build.
LOADGEN=${LOADGEN:-target/release/swimring-loadgen}
for round in 1 2; do
  "$LOADGEN" run --members 10000 --duration 15s --warmup 3s --kill 0 --events 0 --quiet --json plain-$round.json
  "$LOADGEN" run --members 10000 --duration 15s --warmup 3s --kill 0 --events 0 --quiet --json encrypted-$round.json --encrypt-file key.txt
done
