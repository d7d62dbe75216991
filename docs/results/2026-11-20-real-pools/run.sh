#!/bin/bash
# The runs behind this folder: `bash docs/results/2026-11-20-real-pools/run.sh [part]...` from the repository's root,
# after `cargo build --release -p swimring-loadgen` and `peers/build memberlist serf consul`. All of it takes about
# three quarters of an hour and wants an otherwise idle machine; `lossy` also wants root. Parts: fleet largest serf
# lossy consul.
set -u
out=docs/results/2026-11-20-real-pools
loadgen=./target/release/swimring-loadgen

# Only Swimring, on memberlist's wire, each member at its own address.
fleet() {
  $loadgen run --quiet --wire memberlist --members 10000 --duration 5m --kill 20 --events 1/s \
    --json "$out/fleet-10000.json" > "$out/fleet-10000.txt"
  echo "fleet-10000: exit $?"
}

# The largest such fleet that holds.
largest() {
  for members in 12000 14000 16000 20000; do
    $loadgen run --quiet --wire memberlist --members $members --duration 60s --kill 10 --events 1/s \
      --json "$out/fleet-$members.json" > "$out/fleet-$members.txt"
    echo "fleet-$members: exit $?"
  done
}

# 2,000 virtual members in a pool of three Serf agents.
serf() {
  local agents=()
  for agent in 1 2 3; do
    peers/bin/serf agent -node "serf-$agent" -bind "127.0.0.$agent:7946" -rpc-addr "127.0.0.$agent:7373" \
      -tag role=agent -log-level err $([ $agent = 1 ] || echo -join 127.0.0.1:7946) > /dev/null 2>&1 &
    agents+=($!)
    sleep 2
  done
  $loadgen attach --quiet --pool serf --join 127.0.0.1:7946,127.0.0.2:7946,127.0.0.3:7946 --members 2000 \
    --first-address 127.10.0.1 --ramp 20/s --duration 5m --events 1/s --kill 20 \
    --json "$out/serf-2000.json" > "$out/serf-2000.txt" &
  local attach=$!
  # What an agent says in the middle of it, and at the end.
  sleep 200
  peers/bin/serf members -rpc-addr 127.0.0.1:7373 | awk '{ print $3 }' | sort | uniq -c > "$out/serf-members.txt"
  wait $attach
  echo "serf-2000: exit $?"
  echo 'afterwards:' >> "$out/serf-members.txt"
  for agent in 1 2 3; do
    peers/bin/serf members -rpc-addr "127.0.0.$agent:7373" | awk '{ print $3 }' | sort | uniq -c |
      sed "s/$/ at serf-$agent/" >> "$out/serf-members.txt"
  done
  kill "${agents[@]}"
}

# Ten minutes of Go and Swimring members in one pool, with 2 % of all datagrams lost.
lossy() {
  SWIMRING_LOSSY_MINUTES=10 peers/interop lossy -- --nocapture 2>&1 | grep -v '^ *Compiling' > "$out/lossy.txt"
  tail -1 "$out/lossy.txt"
}

# Ten minutes of Swimring members in a Consul data centre, with and without encryption.
consul() {
  SWIMRING_CONSUL_MINUTES=10 peers/interop consul -- --nocapture 2>&1 | grep -v '^ *Compiling' > "$out/consul.txt"
  tail -1 "$out/consul.txt"
}

for part in "${@:-fleet largest serf lossy consul}"; do
  for one in $part; do $one; done
done
