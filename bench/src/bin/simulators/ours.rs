//! Our side: a trial with its default options but for the warm-up, which the other side has none of.

use std::error::Error;
use std::time::Duration;

use swimring_simulation::experiment::{Latency, TrialOptions, run};
use swimring_tooling::cpu::{of_this_thread, resident_bytes};

use crate::case::{DURATION_S, LATENCY_US, Run, Side};

pub fn play(members: u32, seed: u64) -> Result<Run, Box<dyn Error>> {
    let before = resident_bytes();
    let cpu = of_this_thread();
    let outcome = run(&TrialOptions {
        seed,
        members,
        warm_up: Duration::ZERO,
        duration: Duration::from_secs(DURATION_S),
        drain_max: Duration::ZERO,
        latency: Latency::Fixed(Duration::from_micros(LATENCY_US)),
        crashes: 1,
        ..TrialOptions::default()
    })?;
    let cpu_s = of_this_thread().saturating_sub(cpu).as_secs_f64();
    let crash = outcome.crashes.first();
    Ok(Run {
        side: Side::Swimring,
        members,
        seed,
        simulated_s: outcome.simulated_s,
        wall_s: outcome.wall.as_secs_f64(),
        cpu_s,
        happenings: outcome.happenings,
        datagrams: outcome.datagrams_sent,
        bytes: outcome.bytes_sent,
        first_s: crash.and_then(|crash| crash.first_s),
        all_s: crash.and_then(|crash| crash.all_s),
        memory_bytes: before.zip(peak_bytes()).map(|(before, peak)| peak.saturating_sub(before)),
    })
}

/// The most this process has had resident, in bytes.
pub fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
