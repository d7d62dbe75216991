//! From what the workers counted to the run's measurements.

use std::time::Duration;

use swimring::protocol::Time;
use swimring_tooling::cpu::CpuTime;

use super::sampling::Done;
use super::snapshot::{Timings, WorkerSnapshot};
use super::tracker::Tracker;
use crate::allocations;
use crate::measurements::{DelegationCounts, EventOutcome, KillOutcome, WorkerMeasurements};
use crate::schedule::Plan;

/// What was read at the two ends of the measured window.
pub struct Window {
    /// Its length.
    pub length: Duration,
    /// CPU time of the process in it.
    pub cpu: CpuTime,
    /// Resident bytes at its end.
    pub resident_bytes: Option<u64>,
    /// By worker, at its beginning.
    pub before: Vec<WorkerSnapshot>,
    /// By worker, at its end.
    pub after: Vec<WorkerSnapshot>,
    /// When it began, on the members' clock.
    pub origin: Time,
}

impl Window {
    /// What events cost: the window's CPU time above what the idle fleet took, `idle` in cores. Kills
    /// cost too, so only a window without them tells; a difference that drowns in noise tells nothing.
    pub fn event_cpu(&self, idle: Option<f64>, done: Done) -> Option<Duration> {
        let idle = idle.filter(|_| done.kills == 0 && done.events > 0)?;
        let above = self.cpu.total().as_secs_f64() - idle * self.length.as_secs_f64();
        (above > 0.0).then(|| Duration::from_secs_f64(above))
    }

    /// What worker `number` measured. Costs are those of the window; suspicions, deaths, delegations and copies of
    /// events are counted until `last`, the end of the run; so is what became of views.
    pub fn worker(&self, number: usize, last: &WorkerSnapshot, timed: Timings) -> WorkerMeasurements {
        let (before, after) = (&self.before[number], &self.after[number]);
        let traffic = after.traffic.since(&before.traffic);
        let told = last.protocol.since(&before.protocol);
        let crossed = last.traffic.since(&before.traffic);
        WorkerMeasurements {
            busy: after.busy - before.busy,
            datagrams_sent: traffic.sent,
            datagrams_received: traffic.received,
            datagrams_dropped: traffic.dropped,
            datagrams_lost_on_purpose: traffic.lost_on_purpose,
            packets_sent: traffic.packets_sent,
            bytes_sent: traffic.bytes_sent,
            system_calls: traffic.system_calls,
            allocations: allocations::counted().then(|| after.allocations - before.allocations),
            probe_rtt_us: timed.probe_rtt_us,
            schedule_lag_us: timed.schedule_lag_us,
            event_spread_us: timed.event_spread_us,
            event_copies: told.events_delivered + told.events_repeated,
            event_copies_crossed: crossed.zone_event_copies,
            events_refused: last.tally.events_refused,
            delegations_while_measuring: DelegationCounts::of(
                &after.protocol.since(&before.protocol),
                traffic.zone_copies,
            ),
            delegations: DelegationCounts::of(&told, crossed.zone_copies),
            false_suspicions: last.tally.false_suspicions,
            false_deaths: last.tally.false_deaths,
            bases_made: last.protocol.bases_made,
            views_rebased: last.protocol.views_rebased,
            sweep_us_max: last.sweep_us_max,
        }
    }

    /// The kills that were carried out.
    pub fn kills(&self, trackers: &[Tracker], done: Done, plan: &Plan, observers: u64) -> Vec<KillOutcome> {
        let outcome = |kill: usize| {
            let intended = self.origin + plan.kills[kill].at;
            let noticed = || trackers.iter().map(|tracker| tracker.noticed[kill]);
            KillOutcome {
                observers,
                declared: trackers.iter().map(|tracker| tracker.declared.count(kill)).sum(),
                first: noticed().filter_map(|at| at.first).min().map(|first| first.since(intended)),
                last: noticed().filter_map(|at| at.last).max().map(|last| last.since(intended)),
            }
        };
        (0..done.kills).map(outcome).collect()
    }
}

/// The events that were sent. Those that their senders refused are nowhere to be delivered.
pub fn events(trackers: &[Tracker], done: Done, observers: u64) -> Vec<EventOutcome> {
    let mut refused = vec![false; done.events];
    trackers.iter().flat_map(|tracker| &tracker.events_refused).for_each(|event| refused[*event] = true);
    let outcome = |event: usize| EventOutcome {
        expected: observers - 1,
        delivered: trackers.iter().map(|tracker| tracker.received.count(event)).sum(),
    };
    (0..done.events).filter(|event| !refused[*event]).map(outcome).collect()
}
