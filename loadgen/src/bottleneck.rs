//! Whether the generator itself was what the run measured.
//!
//! A worker without time to spare, timers that fire late, datagrams this machine shed: each changes what the
//! members see of each other, so suspicions and latencies say something about the machine and nothing about
//! the protocol. Such a run is reported, marked invalid, and exits with 98.

use std::time::Duration;

use swimring_tooling::text::{microseconds, percent, thousands};

use crate::measurements::Measurements;

/// A worker this busy has no room for a burst: queueing theory's knee, where waiting grows tenfold.
pub const BUSY_RATIO_MAX: f64 = 0.9;
/// A worker less busy than this is not what makes its timers late: the machine has others to run.
const IDLE_RATIO: f64 = 0.5;
/// Timers' p99 lateness as a share of the probe timeout: later than this, a timeout is no longer the
/// network's doing.
pub const LAG_SHARE_MAX: f64 = 0.1;
/// Share of datagrams this machine may shed: one in ten thousand changes no probe's outcome in a run, since
/// a probe fails only with its indirect probes.
pub const DROPPED_SHARE_MAX: f64 = 0.000_1;

/// Why the run is invalid, one line each; empty for a valid run.
pub fn reasons(measurements: &Measurements, probe_timeout: Duration) -> Vec<String> {
    let total = measurements.total();
    let mut reasons = Vec::new();
    for (index, busy) in measurements.busy_ratios().into_iter().enumerate() {
        if busy > BUSY_RATIO_MAX {
            let most = percent(BUSY_RATIO_MAX);
            reasons.push(format!("worker {index} was busy {} of the time (at most {most})", percent(busy)));
        }
    }
    let lag_max_us = probe_timeout.as_micros() as f64 * LAG_SHARE_MAX;
    let lag_us = total.schedule_lag_us.value_at_quantile(0.99) as f64;
    if lag_us > lag_max_us {
        let (lag, most) = (microseconds(lag_us), microseconds(lag_max_us));
        let busiest = measurements.busy_ratios().into_iter().fold(0.0, f64::max);
        let others = if busiest < IDLE_RATIO { "; workers were not busy: other programs were" } else { "" };
        reasons.push(format!(
            "timers fired late: p99 {lag} (at most {most}, a tenth of the probe timeout){others}"
        ));
    }
    let moved = total.datagrams_received + total.datagrams_dropped;
    let dropped = total.datagrams_dropped as f64 / (moved.max(1)) as f64;
    if dropped > DROPPED_SHARE_MAX {
        let (count, most) = (thousands(total.datagrams_dropped), percent(DROPPED_SHARE_MAX));
        reasons.push(format!("this machine shed {count} datagrams, {} (at most {most})", percent(dropped)));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measurements::{WorkerMeasurements, record};

    const TIMEOUT: Duration = Duration::from_millis(500);

    fn run(worker: WorkerMeasurements) -> Vec<String> {
        let measured = Duration::from_secs(10);
        reasons(&Measurements { measured, workers: vec![worker], ..Measurements::default() }, TIMEOUT)
    }

    #[test]
    fn a_run_with_room_to_spare_is_valid() {
        let mut worker = WorkerMeasurements {
            busy: Duration::from_secs(9),
            datagrams_received: 1_000_000,
            datagrams_dropped: 100,
            datagrams_lost_on_purpose: 20_000,
            ..WorkerMeasurements::default()
        };
        record(&mut worker.schedule_lag_us, Duration::from_millis(49));
        assert_eq!(run(worker), Vec::<String>::new());
    }

    #[test]
    fn each_bottleneck_is_named() {
        let busy = WorkerMeasurements { busy: Duration::from_millis(9500), ..WorkerMeasurements::default() };
        assert_eq!(run(busy), ["worker 0 was busy 95 % of the time (at most 90 %)"]);

        let mut late = WorkerMeasurements { busy: Duration::from_secs(6), ..WorkerMeasurements::default() };
        record(&mut late.schedule_lag_us, Duration::from_millis(80));
        let told = "timers fired late: p99 80.1 ms (at most 50.0 ms, a tenth of the probe timeout)";
        assert_eq!(run(late.clone()), [told]);
        late.busy = Duration::from_secs(1);
        assert_eq!(run(late), [format!("{told}; workers were not busy: other programs were")]);

        let shedding = WorkerMeasurements {
            datagrams_received: 999_000,
            datagrams_dropped: 1000,
            ..WorkerMeasurements::default()
        };
        assert_eq!(run(shedding), ["this machine shed 1,000 datagrams, 0.1 % (at most 0.01 %)"]);
    }
}
