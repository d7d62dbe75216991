#!/usr/bin/env python3
"""Runs a fleet and prints, once a second, what its metrics say: watch.py PROGRAM MEMBERS EVENTS_PER_SECOND DURATION
[COUNTER...]: with what the named counters of the protocol (docs/METRICS.md) counted in each second, as well."""
import subprocess
import sys
import time
import urllib.request

PORT = 9191
LAG = 'swimring_schedule_lag_seconds{quantile="0.99"}'

program, members, rate, duration = sys.argv[1:5]
counters = sys.argv[5:]
fleet = subprocess.Popen([program, "run", "--members", members, "--duration", duration, "--events", rate + "/s", "--kill", "0",
                          "--warmup", "5s", "--metrics", f"127.0.0.1:{PORT}", "--quiet"])


def metrics():
    try:
        text = urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=5).read().decode()
    except OSError:
        return {}
    lines = (line.rpartition(" ") for line in text.splitlines() if line and line[0] != "#")
    return {name: float(value) for name, _, value in lines}


def processor_s():
    fields = open(f"/proc/{fleet.pid}/stat").read().split()
    return (int(fields[13]) + int(fields[14])) / 100


last, began = None, None
print("     t phase acked/s deliveries/s sent/s dropped/s suspicions deaths missing suspected cores lag99",
      *counters, flush=True)
while fleet.poll() is None:
    now, read = time.time(), metrics()
    if read:
        used = processor_s()
        phase = next((name[22:26] for name in read if name.startswith("swimring_phase") and read[name] == 1), "?")
        if phase == "meas" and began is None:
            began = now
        if last:
            each = lambda name: (read.get(name, 0) - last[1].get(name, 0)) / (now - last[0])
            print(f"{now - (began or now):6.1f} {phase} {each('swimring_protocol_probes_acked_total'):8.0f} "
                  f"{each('swimring_event_deliveries_total'):10.0f} {each('swimring_events_sent_total'):6.0f} "
                  f"{each('swimring_datagrams_dropped_total'):8.0f} {read.get('swimring_false_suspicions_total', 0):6.0f} "
                  f"{read.get('swimring_false_deaths_total', 0):6.0f} {read.get('swimring_pairs_missing', 0):8.0f} "
                  f"{read.get('swimring_pairs_suspected', 0):6.0f} {(used - last[2]) / (now - last[0]):5.2f} {read.get(LAG, 0):.3f}",
                  *(f"{each(f'swimring_protocol_{name}_total'):{len(name)}.0f}" for name in counters), flush=True)
        last = (now, read, used)
    time.sleep(max(0.0, 1 - (time.time() - now)))
