#!/bin/sh
# Idle members that encrypt, by the crates in Rust and by ring, in turns. RUST and RING are the two programs, release builds.
for round in 1 2; do
  for backend in rust ring; do
    program=$([ $backend = rust ] && echo "${RUST:?}" || echo "${RING:?}")
    "$program" run --members 10000 --duration 15s --warmup 3s --kill 0 --events 0 --quiet --json $backend-$round.json --encrypt-file key.txt
  done
done
