#!/bin/sh
# Cold starts of 2,000 members, plain and with identities by turns; then 10,000 from complete views. $LOADGEN is the program.
set -e
for round in 1 2 3; do
  "$LOADGEN" run --members 2000 --start cold --seeds 8 --duration 5s --warmup 1s --kill 0 --events 0 --quiet --json cold-plain-$round.json
  "$LOADGEN" run --members 2000 --start cold --seeds 8 --duration 5s --warmup 1s --kill 0 --events 0 --quiet --json cold-identities-$round.json --identities
done
