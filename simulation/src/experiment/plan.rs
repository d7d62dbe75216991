//! Who crashes and who says something, and when: decided before the trial, by the seed alone.
//!
//! As in the load generator, crashes and events fill the first two thirds of the measured time, one per equal
//! slot at a random place in it; the last third is left for them to be seen. Crashes can also be close together.

use std::time::Duration;

use super::options::TrialOptions;

/// One member vanishes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Crash {
    /// From the beginning of the measured time.
    pub(super) at: Duration,
    pub(super) member: u32,
}

/// One member sends a user event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PlannedEvent {
    /// From the beginning of the measured time.
    pub(super) at: Duration,
    pub(super) sender: u32,
}

/// Crashes and events of a trial, both in order of time.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    pub(super) crashes: Vec<Crash>,
    pub(super) events: Vec<PlannedEvent>,
    /// Members in the order in which impairments fall on them.
    pub(super) impaired: Vec<u32>,
}

impl Plan {
    pub(super) fn new(options: &TrialOptions) -> Plan {
        let mut random = fastrand::Rng::with_seed(options.seed ^ 0x706C_616E);
        let mut order: Vec<u32> = (0..options.members).collect();
        random.shuffle(&mut order);
        let (impaired, healthy) = order.split_at(options.impaired_members() as usize);
        let (victims, survivors) = healthy.split_at(options.crashes as usize);
        let window = options.duration / 3 * 2;
        let crash_times = spread(options.crashes_within.unwrap_or(window), victims.len(), &mut random);
        let crashes = crash_times.into_iter().zip(victims).map(|(at, member)| Crash { at, member: *member });
        let events = spread(window, event_count(window, options.events_per_second), &mut random);
        let mut sender = || survivors[random.usize(..survivors.len())];
        Plan {
            crashes: crashes.collect(),
            events: events.into_iter().map(|at| PlannedEvent { at, sender: sender() }).collect(),
            impaired: impaired.to_vec(),
        }
    }
}

/// Events that a rate means: at least one if any were asked for.
fn event_count(window: Duration, per_second: f64) -> usize {
    if per_second <= 0.0 {
        return 0;
    }
    // The small addition keeps 2/3 * 30 s * 1/s from becoming 19 by rounding.
    ((window.as_secs_f64() * per_second + 1e-6) as usize).max(1)
}

/// `count` instants in order: one in each of `count` equal slots of the window, anywhere in its slot.
fn spread(window: Duration, count: usize, random: &mut fastrand::Rng) -> Vec<Duration> {
    let slot = window.as_secs_f64() / count.max(1) as f64;
    (0..count)
        .map(|index| (index as f64 + random.f64()) * slot)
        // Whole microseconds, as all times of a trial.
        .map(|at| Duration::from_micros((at * 1e6) as u64).min(window))
        .collect()
}
