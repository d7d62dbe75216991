//! The loop of a worker.
//!
//! A turn: send what is in the trains and wait, in one system call, for datagrams, a waker, or the next
//! tick; handle what arrived, so that acks are the first to be written; then calls from other threads,
//! streams, and the timers that are due. Gossip, the bulk of what timers send, is paced by a budget, and a
//! loop that falls behind its ticks says so to its members (Lifeguard's point: the slow one doubts
//! itself).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam::queue::ArrayQueue;

use super::host::{Host, Observer};
use crate::net::{Driver, NetError, Trains};
use crate::swim::{Outbox, Time};

/// What another thread asks a worker to do, once.
pub(super) type Call<O> = Box<dyn FnOnce(&mut Host<O>, &mut Trains) + Send>;

/// Calls taken in one turn.
const CALLS_PER_TURN: usize = 64;

/// The loop is late, and says so, when timers fire this much after their tick: half of the smallest
/// probe timeout that makes sense on a network.
const LATE: Duration = Duration::from_millis(100);

/// How long being late is remembered.
const LATE_MEMORY: Duration = Duration::from_secs(1);

/// Gossip that may be caught up on at once, in seconds of budget.
const BURST_S: f64 = 0.05;

/// Timers that fire this long after their tick mean that nothing was read for as long: members are told,
/// and wait longer for what may lie unread.
const STALL: Duration = Duration::from_millis(25);

/// Turns in a row that only read. More would keep timers from running at all.
const TURNS_BEHIND_MAX: u32 = 16;

/// The slowest that being late makes gossip: this part of its full rate.
const GOSSIP_RATE_LEAST: f64 = 1.0 / 64.0;

/// What the loop remembers from turn to turn.
pub(super) struct Pace {
    tick_us: u64,
    /// Full rate of gossip frames.
    gossip_per_us: f64,
    /// Part of it that is granted: halved whenever the loop is late, and back within some seconds.
    gossip_rate: f64,
    gossip_tokens: f64,
    refilled: Time,
    /// The tick the loop has promised to wake at.
    planned: Option<Time>,
    late_at: Option<Time>,
    /// What members add to their local health score.
    overload: u8,
}

impl Pace {
    pub(super) fn new(tick: Duration, gossip_frames_per_second: u32) -> Pace {
        Pace {
            tick_us: tick.as_micros() as u64,
            gossip_per_us: f64::from(gossip_frames_per_second) / 1e6,
            gossip_rate: 1.0,
            gossip_tokens: 0.0,
            refilled: Time::ZERO,
            planned: None,
            late_at: None,
            overload: 0,
        }
    }

    /// Draws the conclusions from how late the timers are.
    fn judge(&mut self, lag: Duration, now: Time) {
        if lag >= LATE {
            self.late_at = Some(now);
            self.overload = (lag.as_millis() / LATE.as_millis()).min(8) as u8;
            self.gossip_rate = (self.gossip_rate / 2.0).max(GOSSIP_RATE_LEAST);
        } else if self.late_at.is_some_and(|at| now.since(at) >= LATE_MEMORY) {
            self.late_at = None;
            self.overload = 0;
        }
    }

    /// The tick at or after `time`.
    fn tick_after(&self, time: Time) -> Time {
        Time::from_micros(time.as_micros().div_ceil(self.tick_us).saturating_mul(self.tick_us))
    }

    fn refill(&mut self, now: Time) {
        let elapsed = now.since(self.refilled).as_micros() as f64;
        self.refilled = now;
        // Back to the full rate within eight seconds.
        self.gossip_rate = (self.gossip_rate + elapsed / 8e6).min(1.0);
        let rate = self.gossip_per_us * self.gossip_rate;
        self.gossip_tokens = (self.gossip_tokens + elapsed * rate).min(rate * 1e6 * BURST_S);
    }
}

/// Runs until [`Host::stop`], then hands the observer back.
pub(super) fn run<O: Observer>(
    mut driver: Driver,
    mut host: Host<O>,
    mut pace: Pace,
    calls: &Calls<O>,
) -> Result<O, NetError> {
    let mut behind = 0;
    while !host.stopping {
        let timeout = host.wait(&mut pace, calls.is_empty());
        host.unread = 0;
        let received = driver.counters().messages_received;
        driver.turn(timeout, &mut host)?;
        host.read_clock();
        host.counters.turns += 1;
        host.note_driver(driver.kind(), driver.counters());
        // What waits to be read may be the acks and refutations that timers are about to give up on.
        let full = host.net_counters().messages_received - received >= driver.messages_per_turn() as u64;
        behind = if full { behind + 1 } else { 0 };
        if full && behind < TURNS_BEHIND_MAX {
            continue;
        }
        for _ in 0..CALLS_PER_TURN {
            let Some(call) = calls.pop() else { break };
            call(&mut host, driver.trains());
        }
        host.run_streams(driver.trains());
        if !host.paused {
            host.run_timers(&mut driver, &mut pace)?;
            host.sweep();
        }
    }
    driver.flush()?;
    Ok(host.observer)
}

impl<O: Observer> Host<O> {
    #[allow(clippy::disallowed_methods, reason = "the worker is where time comes from")]
    pub(super) fn read_clock(&mut self) {
        let elapsed = Instant::now().saturating_duration_since(self.origin);
        self.now = Time::from_micros(elapsed.as_micros() as u64);
    }

    /// How long the next turn may wait.
    fn wait(&mut self, pace: &mut Pace, idle: bool) -> Option<Duration> {
        self.read_clock();
        let next = self.wheel.next_deadline(self.now).filter(|_| !self.paused);
        let next = next.map(|next| pace.tick_after(next));
        // A turn that is cut short for the timers' sake, or skips them, does not move what was planned.
        if pace.planned.is_none_or(|planned| planned > self.now) || next.is_none() {
            pace.planned = next;
        }
        if !idle || self.more_streams || !self.failures.is_empty() {
            return Some(Duration::ZERO);
        }
        Some(pace.planned?.since(self.now))
    }

    /// How late the timers are, now that they are about to be run.
    fn lag(&self, pace: &mut Pace) -> Duration {
        match pace.planned {
            Some(planned) if planned <= self.now => {
                pace.planned = None;
                self.now.since(planned)
            }
            _ => Duration::ZERO,
        }
    }

    /// Tells every member that time was lost.
    fn stall(&mut self, by: Duration) {
        self.counters.stalls += 1;
        for (local, resident) in self.residents.iter_mut().enumerate() {
            if resident.present {
                resident.member.handle_stall(by, &mut self.commons);
                self.wheel.schedule(local as u32, resident.member.next_timeout());
            }
        }
    }

    /// Fires the timers that are due.
    fn run_timers(&mut self, driver: &mut Driver, pace: &mut Pace) -> Result<(), NetError> {
        let lag = self.lag(pace);
        if lag >= STALL {
            self.stall(lag);
        }
        pace.judge(lag, self.now);
        self.counters.turns_late += u64::from(lag >= LATE);
        self.commons.set_overload(pace.overload);
        pace.refill(self.now);
        let due = self.wheel.next_deadline(self.now).is_some_and(|deadline| deadline <= self.now);
        if due && !driver.trains().is_empty() {
            // Acks first.
            driver.flush()?;
        }
        self.gossip_budget = pace.gossip_tokens as u32;
        let granted = self.gossip_budget;
        while let Some((local, deadline)) = self.wheel.next_expired(self.now) {
            let late = self.now.since(pace.tick_after(deadline));
            self.observer.timer(late.as_micros() as u64);
            self.counters.timers_fired += 1;
            self.fire(local, driver.trains());
            if driver.trains().is_half_full() {
                driver.flush()?;
            }
        }
        pace.gossip_tokens -= f64::from(granted - self.gossip_budget);
        Ok(())
    }

    fn fire(&mut self, local: u32, trains: &mut Trains) {
        let resident = &mut self.residents[local as usize];
        if !resident.present {
            return;
        }
        trains.set_source(resident.source);
        let mut out = Outbox {
            frames: trains,
            streams: &mut self.wanted,
            events: &mut self.events,
            gossip_budget: &mut self.gossip_budget,
        };
        resident.member.handle_timeout(self.now, &mut self.commons, &mut out);
        self.settle(local);
    }
}

/// Most calls that wait for a worker: whoever calls faster than it works is told so.
const CALLS_WAITING_MAX: usize = 1024;

/// Where calls wait. Once the worker has ended no call stays behind: whoever waits for an answer would
/// wait for ever.
pub(super) struct Calls<O> {
    queue: ArrayQueue<Call<O>>,
    ended: AtomicBool,
    /// What the worker's driver ended with.
    cause: OnceLock<String>,
}

/// Why a call was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refused {
    /// Too many wait.
    Full,
    /// The worker has ended.
    Ended,
}

impl<O> Calls<O> {
    pub(super) fn new() -> Calls<O> {
        Calls {
            queue: ArrayQueue::new(CALLS_WAITING_MAX),
            ended: AtomicBool::new(false),
            cause: OnceLock::new(),
        }
    }

    pub(super) fn push(&self, call: Call<O>) -> Result<(), Refused> {
        let pushed = self.queue.push(call);
        // The worker says that it has ended, then drains; we push, then look. Whoever comes second sees
        // what the first did.
        if self.ended.load(Ordering::SeqCst) {
            self.drain();
            return Err(Refused::Ended);
        }
        pushed.map_err(|_| Refused::Full)
    }

    fn pop(&self) -> Option<Call<O>> {
        self.queue.pop()
    }

    fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The worker is about to end, because of this.
    pub(super) fn failed(&self, cause: String) {
        // A worker ends once.
        let _ = self.cause.set(cause);
    }

    /// Why the worker has ended, if something was the matter.
    pub(super) fn cause(&self) -> Option<&str> {
        self.cause.get().map(String::as_str)
    }

    /// The worker ends: calls that wait are dropped, and those that come refused.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        self.drain();
    }

    fn drain(&self) {
        while self.queue.pop().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Hears nothing.
    struct Deaf;

    impl Observer for Deaf {
        fn event(&mut self, _: &super::super::Scene<'_>, _: &crate::swim::Event) {}
    }

    #[test]
    fn no_call_waits_for_a_worker_that_has_ended() {
        let calls: Calls<Deaf> = Calls::new();
        let waiting = Arc::new(());
        let call = || -> Call<Deaf> {
            let waiting = Arc::clone(&waiting);
            Box::new(move |_, _| drop(waiting))
        };
        assert_eq!(calls.push(call()), Ok(()));
        assert_eq!(Arc::strong_count(&waiting), 2);
        calls.end();
        assert_eq!(Arc::strong_count(&waiting), 1, "what waited is dropped");
        assert_eq!(calls.push(call()), Err(Refused::Ended));
        assert_eq!(Arc::strong_count(&waiting), 1, "and what comes as well");
    }

    #[test]
    fn calls_have_a_bound() {
        let calls: Calls<Deaf> = Calls::new();
        let pushed = (0..=CALLS_WAITING_MAX).map(|_| calls.push(Box::new(|_, _| {})));
        assert_eq!(pushed.last(), Some(Err(Refused::Full)));
    }
}
