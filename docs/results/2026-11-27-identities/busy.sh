#!/bin/sh
# 10,000 members from complete views, ten kills and an event a second, plain and with identities.
set -e
"$LOADGEN" run --members 10000 --duration 20s --warmup 3s --kill 10 --events 1/s --quiet --json busy-plain.json
"$LOADGEN" run --members 10000 --duration 20s --warmup 3s --kill 10 --events 1/s --quiet --json busy-identities.json --identities
