//! The thread beside the protocol's: it does what may wait, so that the protocol never does. It carries out joins,
//! keeps the time limits of leaves, shuts the member down, writes the log, publishes metrics once a second, and
//! joins seeds again: all while the member is alone, and now and then those that are not in its view.
//!
//! It waits in one place, for an order, an event, or the next moment that something is due. Nothing that it does in
//! between waits for the network: joins are told what they hear, and names are resolved on threads of their own. So
//! what holds it up is a turn of the member's loop, and the log and the recorder that the application has installed.

#![allow(clippy::disallowed_methods, reason = "this is where a second passes")]

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::Stream;

use super::error::ClusterError;
use super::join::{
    Attempt, JoinError, JoinId, JoinReport, NewJoin, Remembered, Seed, SeedError, WaitingJoin, Whom,
};
use super::leave::PendingLeave;
use super::log::Log;
use super::lossy_channel::Sender;
use super::mailbox::{Inbox, Order};
use super::metrics::Publisher;
use super::shared::{LOCAL, Shared};
use super::subscription::Events;
use super::waiting::thread_waker;
use crate::protocol::Member;

/// Between two looks at the counters.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);
/// After the first join that failed; twice as long after each further one, up to the interval that was set. Services
/// that are started together find each other soon.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// Events logged before joins are looked at again.
const EVENTS_AT_ONCE: usize = 64;

/// Joining in the background.
pub(super) struct Rejoin {
    /// How long one may take.
    pub(super) timeout: Duration,
    /// See [`ClusterOptions::rejoin_interval`](super::ClusterOptions::rejoin_interval).
    pub(super) interval: Duration,
}

/// The side that asked for a join.
enum Asker {
    /// The application, which waits for it.
    Application { waiting: WaitingJoin, leaves: u32 },
    /// This thread; with the live members when it began.
    Background { whom: Whom, live: usize },
}

/// A join under way.
struct Running {
    id: JoinId,
    attempt: Attempt,
    /// When it wants to be called again.
    due: Instant,
    asker: Asker,
}

/// See the module.
pub(super) struct Background {
    shared: Arc<Shared>,
    inbox: Inbox,
    events: Events,
    log: Log,
    publisher: Publisher,
    rejoin: Rejoin,
    joins: Vec<Running>,
    next_id: JoinId,
    /// Leaves under way, with the end of their time.
    leaves: Vec<(Option<Instant>, PendingLeave)>,
    /// Those that wait for the member to have stopped.
    shutdowns: Vec<Sender<Infallible>>,
    /// When the seeds may be tried next while the member is alone; nothing if they are not to be.
    next_join: Option<Instant>,
    /// When those that are not in the view are tried next; nothing if they are not to be.
    next_look: Option<Instant>,
    /// How long to wait after a join that fails.
    retry: Duration,
    /// Whether those of the settings have been tried, as they are at the start in any case.
    tried: bool,
    rng: fastrand::Rng,
}

/// How far the events have been followed.
#[derive(PartialEq, Eq)]
enum Followed {
    /// All events that waited have been logged.
    All,
    /// More wait.
    Some,
    /// There are no more to come.
    Ended,
}

impl Background {
    pub(super) fn new(shared: Arc<Shared>, inbox: Inbox, events: Events, rejoin: Rejoin) -> Background {
        let tried = shared.remembered().all().is_empty();
        let mut background = Background {
            log: Log::new(Arc::clone(&shared.name)),
            publisher: Publisher::new(&shared.cluster, &shared.name),
            next_join: (!tried || !rejoin.interval.is_zero()).then(Instant::now),
            next_look: None,
            rng: shared.fork_rng(),
            shared,
            inbox,
            events,
            retry: FIRST_RETRY.min(rejoin.interval),
            rejoin,
            joins: Vec::new(),
            next_id: 0,
            leaves: Vec::new(),
            shutdowns: Vec::new(),
            tried,
        };
        background.next_look = background.look_after(Instant::now());
        background
    }

    /// Works until the member is shut down or its thread has ended.
    pub(super) fn run(mut self) {
        self.publisher.describe();
        let waker = thread_waker();
        let mut next_sample = Instant::now();
        while !self.shared.is_closing() {
            // Before anything is looked at, so that what comes later ends the wait.
            self.inbox.register(&waker);
            self.take_orders();
            let now = Instant::now();
            if now >= next_sample {
                next_sample = now + SAMPLE_INTERVAL;
                self.log.tick();
                self.publisher.publish(&self.shared);
                self.rejoin(now);
            }
            self.advance_joins();
            self.end_leaves(now);
            match self.follow_events(&mut Context::from_waker(&waker)) {
                Followed::Ended => break,
                Followed::Some => {}
                Followed::All if self.shared.is_closing() => {}
                Followed::All => {
                    let due = self.next_due().map_or(next_sample, |due| due.min(next_sample));
                    std::thread::park_timeout(due.saturating_duration_since(Instant::now()));
                }
            }
        }
        self.end();
    }

    /// Stops the member, and has everyone know who waits for something.
    fn end(mut self) {
        if !self.shared.is_closing() {
            tracing::error!(
                local = &*self.shared.name,
                "the member's thread has ended: start the cluster anew"
            );
        }
        self.take_orders();
        for running in self.joins.drain(..) {
            if let Asker::Application { waiting, .. } = running.asker {
                waiting.end(Err(JoinError::Stopped));
            }
        }
        for (_, leave) in self.leaves.drain(..) {
            leave.outcome.say(Err(ClusterError::Stopped));
        }
        if let Some(snapshot) = &self.shared.snapshot {
            snapshot.end();
        }
        self.shared.stop();
        // What happened until then is logged, too.
        while let Ok(event) = self.events.try_recv() {
            self.log.event(&event);
        }
        self.publisher.publish_end();
        self.shutdowns.clear();
    }

    fn take_orders(&mut self) {
        while let Some(order) = self.inbox.take() {
            match order {
                Order::Join(join) => self.begin_join(*join),
                Order::Progress { join, progress } => {
                    // It may have ended.
                    if let Some(running) = self.joins.iter_mut().find(|running| running.id == join) {
                        running.attempt.hear(progress);
                        running.due = Instant::now();
                    }
                }
                Order::Leave(leave) => {
                    // A time that is out of the clock's reach is no limit.
                    self.leaves.push((Instant::now().checked_add(leave.timeout), leave));
                }
                Order::Shutdown(sender) => self.shutdowns.push(sender),
            }
        }
    }

    /// Writes the log of events that wait.
    fn follow_events(&mut self, cx: &mut Context<'_>) -> Followed {
        for _ in 0..EVENTS_AT_ONCE {
            match Pin::new(&mut self.events).poll_next(cx) {
                Poll::Ready(Some(event)) => self.log.event(&event),
                Poll::Ready(None) => return Followed::Ended,
                Poll::Pending => return Followed::All,
            }
        }
        Followed::Some
    }

    /// When a join or a leave is to be looked at.
    fn next_due(&self) -> Option<Instant> {
        let joins = self.joins.iter().map(|running| running.due);
        joins.chain(self.leaves.iter().filter_map(|(limit, _)| *limit)).min()
    }

    fn end_leaves(&mut self, now: Instant) {
        self.leaves.retain(|(limit, leave)| {
            if limit.is_some_and(|limit| limit <= now) {
                leave.outcome.say(Err(ClusterError::LeaveTimedOut(leave.timeout)));
            }
            !leave.outcome.is_said()
        });
    }

    fn begin_join(&mut self, join: NewJoin) {
        let NewJoin { seeds, leaves, timeout, waiting } = join;
        self.start_join(seeds, Whom::All, leaves, timeout, Asker::Application { waiting, leaves });
    }

    fn start_join(&mut self, seeds: Vec<Seed>, whom: Whom, leaves: u32, timeout: Duration, asker: Asker) {
        let id = self.next_id;
        self.next_id += 1;
        let attempt = Attempt::new(&self.shared, id, seeds, whom, leaves, timeout);
        self.joins.push(Running { id, attempt, due: Instant::now(), asker });
    }

    /// Lets joins go on that are due, and ends those that are over.
    fn advance_joins(&mut self) {
        let mut at = 0;
        while let Some(running) = self.joins.get_mut(at) {
            let cancelled =
                matches!(&running.asker, Asker::Application { waiting, .. } if waiting.is_cancelled());
            let now = Instant::now();
            let due = if running.due > now { Some(running.due) } else { running.attempt.advance(now) };
            if let Some(due) = due.filter(|_| !cancelled) {
                running.due = due;
                at += 1;
                continue;
            }
            let Running { attempt, asker, .. } = self.joins.swap_remove(at);
            let (seeds, result) = attempt.finish();
            match asker {
                Asker::Application { waiting, .. } if cancelled => waiting.end(Err(JoinError::Cancelled)),
                Asker::Application { waiting, leaves } => {
                    if result.is_ok() && self.shared.leaves() == leaves {
                        self.shared.remembered().add(seeds);
                    }
                    waiting.end(result);
                }
                Asker::Background { whom, live } => self.rejoined(whom, live, &result),
            }
        }
    }

    /// A join of this thread's own has ended.
    fn rejoined(&mut self, whom: Whom, live: usize, result: &Result<JoinReport, JoinError>) {
        let now = Instant::now();
        self.next_look = self.look_after(now);
        if whom == Whom::All {
            self.next_join = self.next(now, result.is_ok());
            self.join_ended(result);
        } else {
            self.look_ended(result, live);
        }
    }

    /// Tries the seeds again, if that is due.
    fn rejoin(&mut self, now: Instant) {
        if self.joins.iter().any(|running| matches!(running.asker, Asker::Background { .. })) {
            return;
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
        let remembered = if whom == Whom::All { Remembered::all } else { Remembered::lasting };
        let seeds = remembered(&self.shared.remembered());
        if seeds.is_empty() {
            return;
        }
        self.tried = true;
        self.start_join(seeds, whom, leaves, self.rejoin.timeout, Asker::Background { whom, live });
    }

    /// When seeds that are not in the view are to be tried.
    fn look_after(&mut self, now: Instant) -> Option<Instant> {
        let interval = self.rejoin.interval;
        (!interval.is_zero()).then(|| now + until_look(interval, &mut self.rng))
    }

    /// When the seeds may be tried again by a member that is alone: a random bit later, so that members that were all
    /// parted at once do not all come at once.
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
        let live = self.shared.ask(|host, _| host.member(LOCAL).map(Member::live));
        live.wait().ok().flatten().unwrap_or(0)
    }

    /// Says what came of looking for seeds that were not in the view, of which there were `before` members.
    fn look_ended(&self, result: &Result<JoinReport, JoinError>, before: usize) {
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

    fn join_ended(&self, result: &Result<JoinReport, JoinError>) {
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
