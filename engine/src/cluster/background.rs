//! The thread beside the protocol's: it does what may wait, so that the protocol never does. It writes
//! the log, publishes metrics once a second, and joins seeds again: all while the member is alone, and now and
//! then those that are not in its view.

#![allow(clippy::disallowed_methods, reason = "this is where a second passes")]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use super::join::{self, Join, JoinError, SeedError, Whom};
use super::log::Log;
use super::metrics::Publisher;
use super::shared::{LOCAL, Shared};
use super::subscription::Events;

/// Between two looks at the counters.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);
/// After the first join that came to nothing; twice as long after each further one, up to the interval
/// that was set. Services that are started together find each other soon.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// Between two looks at a join under way.
const JOIN_POLL: Duration = Duration::from_millis(100);

/// Joining in the background.
pub(super) struct Rejoin {
    /// How long one may take.
    pub(super) timeout: Duration,
    /// See [`ClusterOptions::rejoin_interval`](super::ClusterOptions::rejoin_interval).
    pub(super) interval: Duration,
}

/// A join under way.
#[derive(Debug)]
struct UnderWay {
    join: Join,
    whom: Whom,
    /// Live members when it began.
    live: usize,
}

/// See the module.
pub(super) struct Background {
    shared: Arc<Shared>,
    events: Events,
    log: Log,
    publisher: Publisher,
    rejoin: Rejoin,
    join: Option<UnderWay>,
    /// When the seeds may be tried next while the member is alone; nothing if they are not to be.
    next_join: Option<Instant>,
    /// When those that are not in the view are tried next; nothing if they are not to be.
    next_look: Option<Instant>,
    /// How long to wait after a join that comes to nothing.
    retry: Duration,
    /// Whether those of the settings have been tried, as they are at the start in any case.
    tried: bool,
    rng: fastrand::Rng,
}

impl Background {
    pub(super) fn new(shared: Arc<Shared>, events: Events, rejoin: Rejoin) -> Background {
        let tried = shared.remembered().all().is_empty();
        let mut background = Background {
            log: Log::new(Arc::clone(&shared.name)),
            publisher: Publisher::new(&shared.cluster, &shared.name),
            next_join: (!tried || !rejoin.interval.is_zero()).then(Instant::now),
            next_look: None,
            rng: shared.fork_rng(),
            shared,
            events,
            retry: FIRST_RETRY.min(rejoin.interval),
            rejoin,
            join: None,
            tried,
        };
        background.next_look = background.look_after(Instant::now());
        background
    }

    /// Works until the member's thread has ended.
    pub(super) fn run(mut self) {
        self.publisher.describe();
        let mut next_sample = Instant::now();
        loop {
            let now = Instant::now();
            if now >= next_sample {
                next_sample = now + SAMPLE_INTERVAL;
                self.log.tick();
                self.publisher.publish(&self.shared);
                self.look_after_joins(now);
            } else if self.join.is_some() {
                self.look_after_joins(now);
            }
            let mut wait = next_sample.saturating_duration_since(now);
            if self.join.is_some() {
                wait = wait.min(JOIN_POLL);
            }
            match self.events.recv_timeout(wait) {
                Ok(event) => self.log.event(&event),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.ended(),
            }
        }
    }

    fn ended(&self) {
        self.publisher.publish_end();
        if !self.shared.is_closing() {
            tracing::error!(
                local = &*self.shared.name,
                "the member's thread has ended: start the cluster anew"
            );
        }
    }

    fn look_after_joins(&mut self, now: Instant) {
        if let Some(under_way) = &mut self.join {
            let Some(result) = under_way.join.try_wait() else { return };
            let (whom, before) = (under_way.whom, under_way.live);
            self.join = None;
            self.next_look = self.look_after(now);
            if whom == Whom::All {
                self.next_join = self.next(now, result.is_ok());
                self.join_ended(&result);
            } else {
                self.look_ended(&result, before);
            }
        }
        let is_due = |due: Option<Instant>| due.is_some_and(|due| due <= now);
        // In this order: a leave after the first is seen by the join, one before it by the second.
        let leaves = self.shared.leaves();
        let away = self.shared.stays_away.load(Ordering::SeqCst);
        if away || !(is_due(self.next_join) || is_due(self.next_look)) {
            return;
        }
        let live = self.live();
        let whom = match live {
            _ if !self.tried => Whom::All,
            1 if is_due(self.next_join) => Whom::All,
            2.. if is_due(self.next_look) => Whom::Missing,
            _ => return,
        };
        let seeds = self.shared.remembered().all();
        if seeds.is_empty() {
            return;
        }
        self.tried = true;
        let join = join::start_in_the_background(&self.shared, seeds, whom, leaves, self.rejoin.timeout);
        self.join = Some(UnderWay { join, whom, live });
    }

    /// When seeds that are not in the view are to be tried.
    fn look_after(&mut self, now: Instant) -> Option<Instant> {
        let interval = self.rejoin.interval;
        (!interval.is_zero()).then(|| now + until_look(interval, &mut self.rng))
    }

    /// When the seeds may be tried again by a member that is alone: a random bit later, so that members that were all parted at once
    /// do not all come at once.
    fn next(&mut self, now: Instant, joined: bool) -> Option<Instant> {
        let interval = self.rejoin.interval;
        if interval.is_zero() {
            return None;
        }
        let wait = if joined { FIRST_RETRY.min(interval) } else { self.retry };
        self.retry = if joined { wait } else { (wait * 2).min(interval) };
        Some(now + wait + wait.mul_f64(self.rng.f64() / 4.0))
    }

    /// Live members, this one among them; none if it cannot be asked.
    fn live(&self) -> usize {
        let live = self.shared.ask(|host, _| host.member(LOCAL).map(crate::protocol::Member::live));
        live.wait().ok().flatten().unwrap_or(0)
    }

    /// Says what came of looking for seeds that were not in the view, of which there were `before` members.
    fn look_ended(&self, result: &Result<super::JoinReport, JoinError>, before: usize) {
        let local = &*self.shared.name;
        match result {
            Ok(report) if report.answered() > 0 => {
                let live = self.live();
                if live > before {
                    tracing::info!(local, before, live, seeds = %report, "members found that were not in the view");
                } else {
                    tracing::debug!(local, seeds = %report, "seeds under other addresses than in the view");
                }
            }
            Ok(_) | Err(JoinError::Cancelled | JoinError::Stopped) => {}
            // A seed that is gone is no news every minute.
            Err(error) => tracing::debug!(local, "seeds that are not in the view: {error}"),
        }
    }

    fn join_ended(&self, result: &Result<super::JoinReport, JoinError>) {
        let local = &*self.shared.name;
        match result {
            Ok(report) => tracing::info!(local, answered = report.answered(), "joined through the seeds"),
            Err(JoinError::Cancelled | JoinError::Stopped) => {}
            // The first member of a cluster is mostly a seed of its own.
            Err(JoinError::NoneAnswered(report))
                if report.failures().all(|(_, e)| *e == SeedError::Itself) =>
            {
                tracing::debug!(local, "no other seed than this member itself");
            }
            Err(error) => tracing::warn!(local, retry = self.next_join.is_some(), "{error}"),
        }
    }
}

/// Until the next look at seeds that are not in the view: one interval to two, so that the members of a pool do
/// not ask the same name or the same seed at the same time for ever.
fn until_look(interval: Duration, rng: &mut fastrand::Rng) -> Duration {
    interval + interval.mul_f64(rng.f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_at_the_seeds_are_one_interval_to_two_apart_and_spread() {
        let (interval, mut rng) = (Duration::from_secs(30), fastrand::Rng::with_seed(1));
        let waits: Vec<_> = (0..1000).map(|_| until_look(interval, &mut rng)).collect();
        assert!(waits.iter().all(|wait| (interval..=interval * 2).contains(wait)));
        for quarter in 0..4 {
            let from = interval + interval * quarter / 4;
            let within = waits.iter().filter(|wait| (from..from + interval / 4).contains(wait)).count();
            assert!(within > 200, "{within} of 1000 in quarter {quarter}");
        }
    }
}
