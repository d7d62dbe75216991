//! The thread beside the protocol's: it does what may wait, so that the protocol never does. It writes
//! the log, publishes metrics once a second, and joins the seeds again while the member is alone.

#![allow(clippy::disallowed_methods, reason = "this is where a second passes")]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use super::join::{self, Join, JoinError, Seed, SeedError};
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
    pub(super) seeds: Vec<Seed>,
    pub(super) timeout: Duration,
    /// Zero: once.
    pub(super) interval: Duration,
}

/// See the module.
pub(super) struct Steward {
    shared: Arc<Shared>,
    events: Events,
    log: Log,
    publisher: Publisher,
    rejoin: Rejoin,
    join: Option<Join>,
    /// When the seeds may be tried next; nothing if they are not to be.
    next_join: Option<Instant>,
    /// How long to wait after a join that comes to nothing.
    retry: Duration,
    /// Whether they have been tried: from then on only while the member is alone.
    tried: bool,
    rng: fastrand::Rng,
}

impl Steward {
    pub(super) fn new(shared: Arc<Shared>, events: Events, rejoin: Rejoin, seed: u64) -> Steward {
        Steward {
            log: Log::new(Arc::clone(&shared.name)),
            publisher: Publisher::new(&shared.cluster, &shared.name),
            next_join: (!rejoin.seeds.is_empty()).then(Instant::now),
            shared,
            events,
            retry: FIRST_RETRY.min(rejoin.interval),
            rejoin,
            join: None,
            tried: false,
            rng: fastrand::Rng::with_seed(seed),
        }
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
        if let Some(result) = self.join.as_mut().and_then(Join::try_wait) {
            self.join = None;
            self.next_join = self.next(now, result.is_ok());
            self.join_ended(&result);
        }
        let due = self.next_join.is_some_and(|next| next <= now);
        let away = self.shared.stays_away.load(Ordering::SeqCst);
        if self.join.is_some() || !due || away || (self.tried && !self.is_alone()) {
            return;
        }
        self.tried = true;
        self.join = Some(join::start(&self.shared, self.rejoin.seeds.clone(), self.rejoin.timeout));
    }

    /// When the seeds may be tried again: a random bit later, so that members that were all parted at once
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

    fn is_alone(&self) -> bool {
        let live = self.shared.ask(|host, _| host.member(LOCAL).map(crate::swim::Member::live));
        matches!(live, Ok(Some(1)))
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
