//! Once a second while somebody looks: totals of all workers for the terminal, for Prometheus and for the
//! histogram log.
//!
//! Histograms are not copied on a worker's thread: an empty one goes there, and the one that was recorded
//! into comes back. So recording costs the same with and without readers, a worker allocates nothing,
//! and what was timed so far is kept here.

use std::time::Duration;

use swimring::net::Trains;
use swimring::worker::{Fleet, Host};
use swimring_tooling::cpu::{self, CpuTime};

use super::fleet_control::catch_up;
use super::snapshot::{Timings, WorkerSnapshot};
use super::tracker::{Tracker, Tracking};
use crate::progress::{Phase, Sample};

/// How often samples are taken.
pub const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// Shortest interval from which rates are computed: where a phase ends, two samples follow each other at once.
const RATES_LEAST: Duration = Duration::from_millis(100);

/// What travels to a worker and back.
#[derive(Debug, Default)]
struct Parcel {
    timings: Timings,
    /// By kill: how many observers have declared the victim dead.
    declared: Vec<u64>,
}

/// Progress of the plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Kills carried out.
    pub kills: usize,
    /// Events sent.
    pub events: usize,
}

/// Everything at one moment, over all workers.
#[derive(Clone, Debug)]
pub struct Totals {
    /// Phase of the run.
    pub phase: Phase,
    /// What was counted since the fleet's start.
    pub moment: WorkerSnapshot,
    /// CPU time of the process since its start.
    pub cpu: CpuTime,
    /// Resident bytes of the process.
    pub resident_bytes: Option<u64>,
    /// Progress of the plan.
    pub done: Done,
    /// Kills that every observer has noticed.
    pub kills_detected: u64,
    /// Members that are never killed.
    pub observers: u64,
}

/// Takes samples and remembers the last one, to tell rates from.
pub struct Sampler {
    at: Duration,
    cpu: CpuTime,
    datagrams: u64,
    /// Datagrams and CPU seconds per second in the last interval that was long enough.
    rates: (f64, f64),
    /// Timings of each worker up to the last sample.
    timed: Vec<Timings>,
    /// Parcel that goes to each worker next.
    parcels: Vec<Parcel>,
}

/// A sample: the totals, what was timed so far, and what was timed since the last one.
pub struct Taken {
    /// Totals.
    pub totals: Totals,
    /// Everything timed so far.
    pub timed: Timings,
    /// What was timed since the last sample.
    pub interval: Timings,
    /// Length of that interval.
    pub since: Duration,
    /// Datagrams sent per second in it.
    pub datagrams_per_second: f64,
    /// CPU seconds per second in it.
    pub cpu_cores: f64,
}

impl Sampler {
    /// For a fleet of `workers` with `kills` planned.
    pub fn new(workers: usize, kills: usize) -> Sampler {
        let parcel = || Parcel { timings: Timings::default(), declared: vec![0; kills] };
        Sampler {
            at: Duration::ZERO,
            cpu: CpuTime::of_process(),
            datagrams: 0,
            rates: (0.0, 0.0),
            timed: (0..workers).map(|_| Timings::default()).collect(),
            parcels: (0..workers).map(|_| parcel()).collect(),
        }
    }

    /// Whether a sample is due at `now`, counted from the fleet's start.
    pub fn is_due(&self, now: Duration) -> bool {
        now.saturating_sub(self.at) >= SAMPLE_EVERY
    }

    /// Intervals begin anew at `now`.
    pub fn begin(&mut self, now: Duration) {
        self.at = now;
        self.cpu = CpuTime::of_process();
    }

    /// Takes a sample.
    ///
    /// # Errors
    /// One line, if a worker has stopped.
    pub fn take<O: Tracking>(
        &mut self,
        fleet: &Fleet<O>,
        phase: Phase,
        done: Done,
        observers: u64,
    ) -> Result<Taken, String> {
        catch_up(fleet)?;
        let mut parcels = std::mem::take(&mut self.parcels).into_iter();
        let answers = fleet.ask_all(|_| {
            let mut parcel = parcels.next().unwrap_or_default();
            Box::new(move |host: &mut Host<O>, _: &mut Trains| {
                let tracker = host.observer.tracker_mut();
                std::mem::swap(&mut tracker.timings, &mut parcel.timings);
                for (kill, count) in parcel.declared.iter_mut().enumerate() {
                    *count = tracker.declared.count(kill);
                }
                (WorkerSnapshot::of(host), parcel)
            })
        });
        let answers = answers.map_err(|error| error.to_string())?;
        let mut moment = WorkerSnapshot::default();
        let mut interval = Timings::default();
        let mut declared = vec![0; done.kills];
        for (worker, (there, mut parcel)) in answers.into_iter().enumerate() {
            moment.add(&there);
            interval.add(&parcel.timings);
            self.timed[worker].add(&parcel.timings);
            parcel.timings.reset();
            declared.iter_mut().zip(&parcel.declared).for_each(|(sum, count)| *sum += count);
            self.parcels.push(parcel);
        }
        let kills_detected = declared.iter().filter(|count| **count >= observers).count() as u64;
        let totals = Totals {
            phase,
            moment,
            cpu: CpuTime::of_process(),
            resident_bytes: cpu::resident_bytes(),
            done,
            kills_detected,
            observers,
        };
        Ok(self.rates(fleet.elapsed(), totals, interval))
    }

    fn rates(&mut self, now: Duration, totals: Totals, interval: Timings) -> Taken {
        let since = now.saturating_sub(self.at);
        let seconds = since.as_secs_f64();
        let sent = totals.moment.traffic.sent;
        if since >= RATES_LEAST {
            let cpu = totals.cpu.since(self.cpu).total().as_secs_f64();
            self.rates = ((sent - self.datagrams) as f64 / seconds, cpu / seconds);
        }
        let (datagrams_per_second, cpu_cores) = self.rates;
        (self.at, self.cpu, self.datagrams) = (now, totals.cpu, sent);
        let mut timed = Timings::default();
        self.timed.iter().for_each(|worker| timed.add(worker));
        Taken { totals, timed, interval, since, datagrams_per_second, cpu_cores }
    }

    /// Everything timed, by worker, with what the trackers of the stopped fleet still hold.
    pub fn finish(mut self, trackers: &[Tracker]) -> Vec<Timings> {
        for (timed, tracker) in self.timed.iter_mut().zip(trackers) {
            timed.add(&tracker.timings);
        }
        self.timed
    }
}

impl Taken {
    /// What the line on the terminal shows of it.
    pub fn sample(&self, elapsed: Duration, total: Option<Duration>) -> Sample {
        let rtt = &self.timed.probe_rtt_us;
        let totals = &self.totals;
        let expected = totals.deliveries_expected();
        Sample {
            phase: totals.phase,
            elapsed,
            total,
            joins: None,
            members_alive: totals.moment.alive,
            datagrams_per_second: self.datagrams_per_second,
            cpu_cores: self.cpu_cores,
            probe_p99_us: (!rtt.is_empty()).then(|| rtt.value_at_quantile(0.99).min(rtt.max())),
            kills_detected: totals.kills_detected,
            kills: totals.done.kills as u64,
            events_delivered: (expected > 0).then(|| totals.moment.tally.delivered as f64 / expected as f64),
        }
    }
}

impl Totals {
    /// Deliveries it takes until every event sent so far, and not refused, is known to every observer but its sender.
    pub fn deliveries_expected(&self) -> u64 {
        let sent = (self.done.events as u64).saturating_sub(self.moment.tally.events_refused);
        sent * self.observers.saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_samples_at_once_do_not_make_a_rate() {
        let mut sampler = Sampler::new(1, 0);
        let mut sample = |at_ms: u64, sent: u64| {
            let mut moment = WorkerSnapshot::default();
            moment.traffic.sent = sent;
            let totals = Totals {
                phase: Phase::Measuring,
                moment,
                cpu: CpuTime::of_process(),
                resident_bytes: None,
                done: Done::default(),
                kills_detected: 0,
                observers: 2,
            };
            sampler.rates(Duration::from_millis(at_ms), totals, Timings::default()).datagrams_per_second
        };
        assert!((sample(1000, 50) - 50.0).abs() < 1e-9);
        assert!((sample(1001, 60) - 50.0).abs() < 1e-9, "a millisecond says nothing");
        assert!((sample(2001, 90) - 30.0).abs() < 1e-9);
    }
}
