#!/bin/sh
# 10,000 members in three zones, 40 ms apart, and an event a second: told by zone first, by id alone, and by gossip.
# Usage: run.sh LOADGEN [OUT]
set -eu
loadgen=$1 out=${2:-.}
common="--members 10000 --duration 30s --warmup 8s --kill 0 --events 1/s --zones 3 --zone-rtt-ms 40 --quiet"
$loadgen run $common --dissemination delegated --json "$out/by-zone.json"
$loadgen run $common --dissemination delegated --zones-untold --json "$out/by-id.json"
$loadgen run $common --dissemination gossip --json "$out/gossip.json"
