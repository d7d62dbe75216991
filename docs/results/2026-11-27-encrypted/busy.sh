#!/bin/sh
# With members that are killed and events.
LOADGEN=${LOADGEN:-target/release/swimring-loadgen}
"$LOADGEN" run --members 10000 --duration 30s --warmup 3s --kill 10 --events 1/s --quiet --json busy-plain.json
"$LOADGEN" run --members 10000 --duration 30s --warmup 3s --kill 10 --events 1/s --quiet --json busy-encrypted.json --encrypt-file key.txt
