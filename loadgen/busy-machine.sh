#!/bin/sh
# What becomes of a fleet while other programs use the machine, and afterwards.
#
#   loadgen/busy-machine.sh [PROGRAM] [MEMBERS]
#
# PROGRAM is swimring-loadgen (default: target/release/swimring-loadgen), MEMBERS is 10000. For each wire format and
# two priorities: a fleet runs; after 10 s a busy loop for each core begins, at nice 10 or nice 0, and ends after
# 30 s; 10 s later everything has to be as if nothing had happened:
#
#   missing     pairs of live members of which one does not hold the other live: 0
#   suspicions  begun in the 5 s after that: 0
#   lost        datagrams lost in full buffers in those 5 s: 0
#
# Prints a line for each and exits with 1 if one of them is otherwise. Takes five minutes; needs curl. WIRES, PRIORITIES
# and PORT (9190, of the metrics) may be set.
set -u
program=${1:-target/release/swimring-loadgen}
members=${2:-10000}
port=${PORT:-9190}
cores=$(nproc)
directory=$(mktemp -d)
failed=0
trap 'kill $fleet $loops 2>/dev/null; rm -rf "$directory"' EXIT
fleet= loops=

# The value of a metric now.
metric() {
    curl --silent --max-time 5 "http://127.0.0.1:$port/metrics" | awk -v name="$1" '$1 == name { print int($2) }'
}

printf '%-10s %4s | %-33s | %s\n' '' '' 'during 30 s of load' '10 s after its end'
printf '%-10s %4s | %9s %11s %11s | %8s %11s %8s\n' \
    wire nice lost suspicions 'held dead' missing suspicions lost
for wire in ${WIRES:-native memberlist}; do
    for nice in ${PRIORITIES:-10 0}; do
        timeout 120 "$program" run --wire $wire --members "$members" --kill 0 --events 1/s --warmup 5s \
            --duration 60s --metrics 127.0.0.1:$port >"$directory/report" 2>"$directory/errors" &
        fleet=$!
        tries=0
        until [ "$(metric 'swimring_phase{phase="measuring"}')" = 1 ]; do
            tries=$((tries + 1))
            if [ $tries -gt 60 ] || ! kill -0 $fleet 2>/dev/null; then
                cat "$directory/errors" >&2
                exit 1
            fi
            sleep 1
        done
        sleep 10
        lost=$(metric swimring_datagrams_dropped_total)
        suspicions=$(metric swimring_false_suspicions_total)
        deaths=$(metric swimring_false_deaths_total)
        loops=
        for core in $(seq "$cores"); do
            nice -n $nice timeout 30 sh -c 'while :; do :; done' &
            loops="$loops $!"
        done
        wait $loops
        loops=
        during=$(printf '%9s %11s %11s' \
            $(($(metric swimring_datagrams_dropped_total) - lost)) \
            $(($(metric swimring_false_suspicions_total) - suspicions)) \
            $(($(metric swimring_false_deaths_total) - deaths)))
        sleep 10
        missing=$(metric swimring_pairs_missing)
        suspicions=$(metric swimring_false_suspicions_total)
        lost=$(metric swimring_datagrams_dropped_total)
        sleep 5
        suspicions=$(($(metric swimring_false_suspicions_total) - suspicions))
        lost=$(($(metric swimring_datagrams_dropped_total) - lost))
        printf '%-10s %4s | %s | %8s %11s %8s\n' $wire $nice "$during" "$missing" $suspicions $lost
        [ "$missing" = 0 ] && [ $suspicions = 0 ] && [ $lost = 0 ] || failed=1
        # Ctrl-C's way: it ends early, and in order.
        kill -INT $fleet 2>/dev/null
        wait $fleet
        fleet=
    done
done
exit $failed
