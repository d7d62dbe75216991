//! The loop of a worker.
//!
//! A turn: send what is in the trains and wait, in one system call, for datagrams, a waker, or the next
//! tick; handle what arrived, so that acks are the first to be written; then calls from other threads, streams, and
//! the timers that are due, as many as half fill the trains: before the others fire, what is written is sent and what
//! has arrived meanwhile is read.
//!
//! While something lies unread, in a broadcast to all members of a large fleet for instance, members begin what they
//! have to begin, but silence is judged only as far as this worker and the others have read
//! ([`SharedState::set_read_until`](crate::protocol::SharedState::set_read_until)),
//! and timers fire at a part of the pace of reading, so that a worker never sends more than its own reading keeps up
//! with. Acknowledgements of delegations are put aside meanwhile (`aside`), so that everybody is told first. What a loop that is
//! behind concludes is in `pace`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use swimring_codec::native::{self, Frame};

use super::aside::ASIDE_PER_TURN;
use super::calls::Calls;
use super::host::Host;
use super::members::{EXPECTED, HostedMember};
use super::observer::Observer;
use super::pace::{LATE, Pace, Read, Reading, UNREAD_MAX};
use super::pressure::{Pressure, Told, Worst};
use crate::net::{Arrival, Driver, NetError, Trains};
use crate::protocol::Time;

/// While more lies unread, one timer fires for so many datagrams that were read: what it begins, a ping for instance, has two
/// more read, here or by another worker, and a third of the reading is left for what lies there.
const READ_FOR_TIMER: u64 = 3;

/// Calls taken in one turn.
const CALLS_PER_TURN: usize = 64;

/// A worker's place in its fleet.
pub(super) struct Place<'a> {
    pub(super) worker: usize,
    pub(super) pressure: &'a Pressure,
}

/// Runs until [`Host::stop`], then hands the observer back.
pub(super) fn run<O: Observer>(
    mut driver: Driver,
    mut host: Host<O>,
    mut pace: Pace,
    calls: &Calls<O>,
    place: &Place<'_>,
) -> Result<O, NetError> {
    let mut reading = Reading::new(driver.backlog_max());
    while !host.stopping {
        host.clock.read();
        let left = host.now();
        let idle = calls.is_empty() && !reading.goes_on() && host.aside.is_empty();
        let timeout = host.wait(&pace, idle);
        host.clock.expire();
        let before = driver.counters();
        driver.wait(timeout)?;
        host.tell_time();
        if pace.overload() > 0 {
            host.clock.read();
            pace.waited(left, host.now());
        }
        let (waits, read_until) = (reading.goes_on(), reading.complete_until());
        loop {
            if let Some(to) = driver.upcoming(EXPECTED) {
                host.members.expect_at(to);
            }
            let Some(Arrival { from, to, datagrams, trains }) = driver.next_arrival()? else { break };
            let mut ahead = datagrams.clone();
            ahead.by_ref().take(EXPECTED).for_each(|datagram| host.expect(datagram, waits));
            for datagram in datagrams {
                if let Some(datagram) = ahead.next() {
                    host.expect(datagram, waits);
                }
                if host.lets_in(from) && !(waits && host.puts_aside(from, datagram, read_until)) {
                    host.datagram(from, to, datagram, trains);
                }
            }
        }
        host.clock.read();
        host.counters.turns += 1;
        pace.returned(left, timeout.map_or(Time::NEVER, |timeout| left + timeout), host.now());
        host.release_held(driver.trains());
        let after = driver.counters();
        host.note_driver(driver.kind(), after);
        let messages = after.messages_received - before.messages_received;
        let drained = driver.drained();
        // Once all is read nobody asks, and the clock need not be.
        let age = if drained { None } else { driver.age() };
        let read = reading.read(messages, drained, age, (left, host.now()));
        let behind = read == Read::More;
        let unread = if behind { host.now().since(reading.complete_until()) } else { Duration::ZERO };
        pace.lies_unread(unread, host.now());
        let lost = after.receive_overflow > before.receive_overflow || read == Read::TooMuch;
        if lost {
            pace.swamped(host.now());
            place.pressure.doubt(host.now());
        }
        host.counters.turns_swamped += u64::from(lost || unread >= UNREAD_MAX);
        place.pressure.has_read(place.worker, if behind { reading.complete_until() } else { Time::NEVER });
        if !behind || host.aside.is_due(host.now()) {
            host.look_aside(driver.trains());
        }
        let all_have_read = place.pressure.all_have_read(place.worker, host.now());
        host.members.shared.set_read_until(all_have_read.min(host.aside.complete_until()));
        for _ in 0..CALLS_PER_TURN {
            let Some(call) = calls.pop() else { break };
            call(&mut host, driver.trains());
        }
        host.run_streams(driver.trains(), behind);
        host.run_messages();
        if host.paused {
            pace.take_lost();
        } else {
            let datagrams = after.datagrams_received - before.datagrams_received;
            let timers_max = if behind { datagrams / READ_FOR_TIMER } else { u64::MAX };
            host.run_timers(&mut driver, &mut pace, place, timers_max)?;
        }
        if !behind && !host.paused {
            let swept_us = host.members.sweep(host.now());
            host.counters.sweep_us_max = host.counters.sweep_us_max.max(swept_us);
        }
    }
    driver.flush()?;
    Ok(host.observer)
}

impl<O: Observer> Host<O> {
    /// Has the member that a datagram is for at hand soon, unless it is put aside, as what `waits` can be.
    #[inline]
    fn expect(&self, bytes: &[u8], waits: bool) {
        if self.reads_plain()
            && !(waits && native::is_delegation_ack(bytes))
            && let Some(id) = native::destination(bytes)
        {
            self.members.expect(id);
        }
    }

    /// Whether a datagram from `from` is looked at.
    #[inline]
    fn lets_in(&mut self, from: SocketAddr) -> bool {
        self.clock.datagram();
        if !self.admission.networks.allow(from.ip()) {
            self.counters.outside += 1;
            return false;
        }
        let lost = self.loses_a_datagram();
        self.counters.lost += u64::from(lost);
        !lost
    }

    /// Puts a datagram from `from` aside, which had not arrived by `read_until`, if it can wait.
    #[inline]
    fn puts_aside(&mut self, from: SocketAddr, bytes: &[u8], read_until: Time) -> bool {
        self.reads_plain() && native::is_delegation_ack(bytes) && self.aside.put(from, bytes, read_until)
    }

    /// Whether what arrives is plain frames of the native format, as far as it is anything.
    #[inline]
    fn reads_plain(&self) -> bool {
        self.opener.is_none() && self.sealing.is_none()
    }

    /// Looks at the next of what was put aside.
    fn look_aside(&mut self, trains: &mut Trains) {
        for _ in 0..ASIDE_PER_TURN {
            if let Some(frame) = self.aside.upcoming(EXPECTED) {
                self.expect(frame, false);
            }
            let Some(next) = self.aside.next() else { break };
            self.clock.datagram();
            self.datagram(next.from, None, &next.frame, trains);
        }
    }

    /// Gives a datagram from `from`, sent to `to`, to the member that it names.
    #[inline]
    pub(super) fn datagram(
        &mut self,
        from: SocketAddr,
        to: Option<IpAddr>,
        bytes: &[u8],
        trains: &mut Trains,
    ) {
        if self.opener.is_some() {
            return self.packet(from, to, bytes, trains);
        }
        if let Some(sealing) = self.sealing.take() {
            return self.sealed_datagram(sealing, from, bytes, trains);
        }
        let frame = match Frame::decode(bytes) {
            Ok(frame) => frame,
            Err(error) => {
                self.counters.refused[error.index()] += 1;
                return self.other_versions.refused(self.clock.now(), from, error);
            }
        };
        let Some(local) = self.members.of_id(frame.header.destination) else {
            self.counters.unrouted += 1;
            return;
        };
        if self.held.is_some() && self.hold(from, local, &frame, bytes) {
            return;
        }
        let now = self.clock.now();
        if frame.header.cluster == self.cluster {
            self.observer.frame(now, frame.header.source);
        }
        let Some((member, shared, mut out)) = self.members.reach(local, trains) else { return };
        member.handle_frame(now, from, &frame, shared, &mut out);
        self.settle(local);
    }

    /// How long the next turn may wait.
    fn wait(&self, pace: &Pace, idle: bool) -> Option<Duration> {
        let more = self.more_streams || self.more_timers && !self.paused;
        if !idle || more || !self.failed_streams.is_empty() {
            return Some(Duration::ZERO);
        }
        let timer = self.members.wheel.next_deadline(self.now()).filter(|_| !self.paused);
        let timer = timer.map(|timer| pace.tick_after(timer));
        let held = self.held.as_ref().and_then(|held| held.due());
        // What others have not read is looked after once a tick.
        let waiting = (self.members.are_waiting() && !self.paused)
            .then(|| pace.tick_after(self.now() + Duration::from_micros(1)));
        let messages = self.messages_due();
        let joins = self.held_joins.due();
        let next = [timer, held, waiting, messages, joins].into_iter().flatten().min()?;
        Some(next.since(self.now()))
    }

    /// Fires the timers that are due, at most `timers_max`, or as many as half fill the trains.
    fn run_timers(
        &mut self,
        driver: &mut Driver,
        pace: &mut Pace,
        place: &Place<'_>,
        timers_max: u64,
    ) -> Result<(), NetError> {
        let lost = pace.take_lost();
        if !lost.is_zero() {
            self.counters.stalls += 1;
            self.members.shared.lose(lost);
        }
        let expired = self.members.wheel.first_expired(self.now());
        let late = expired.map_or(Duration::ZERO, |deadline| self.now().since(pace.tick_after(deadline)));
        self.keep_pace(late, pace, place);
        if (expired.is_some() || self.members.are_waiting()) && !driver.trains().is_empty() {
            // Acks first.
            driver.flush()?;
        }
        self.members.output.gossip_budget = pace.gossip_budget();
        let granted = self.members.output.gossip_budget;
        let mut left = timers_max;
        self.more_timers = loop {
            if left == 0 || driver.trains().is_half_full() {
                break true;
            }
            // First those that have waited for reading, which is not lateness.
            let waited = self.members.next_waiting(self.now());
            left -= 1;
            let Some((local, deadline)) = waited.or_else(|| self.members.wheel.next_expired(self.now()))
            else {
                // Then what could wait for all that.
                let Some(local) = self.members.next_holding(self.now()) else { break false };
                self.release(local, driver.trains());
                continue;
            };
            if let Some(next) = self.members.wheel.first_due_now() {
                self.members.expect_member(next);
            }
            self.fire(local, deadline, pace, driver.trains());
        };
        pace.spend(granted - self.members.output.gossip_budget);
        Ok(())
    }

    /// Draws the conclusions from how `late` timers are, here and at the fleet's other workers.
    fn keep_pace(&mut self, late: Duration, pace: &mut Pace, place: &Place<'_>) {
        pace.judge(late, self.now());
        self.counters.turns_late += u64::from(late >= LATE);
        let told = Told { gossip_rate: pace.gossip_rate(), overload: pace.overload(), unread: pace.unread() };
        place.pressure.tell(place.worker, told, self.now());
        let Worst { told, doubt } = place.pressure.worst(self.now());
        self.members.shared.set_overload(told.overload);
        self.members.shared.set_doubt(doubt);
        self.members.shared.set_unread(told.unread);
        pace.refill(told.gossip_rate, self.now());
    }

    /// Has a member tell what it has held back.
    fn release(&mut self, local: HostedMember, trains: &mut Trains) {
        let now = self.now();
        let Some((member, shared, mut out)) = self.members.reach(local, trains) else { return };
        member.handle_read(now, shared, &mut out);
        self.settle(local);
    }

    /// Has a member do what was due at `deadline`.
    fn fire(&mut self, local: HostedMember, deadline: Time, pace: &Pace, trains: &mut Trains) {
        let now = self.now();
        self.observer.timer(now.since(pace.tick_after(deadline)).as_micros() as u64);
        self.counters.timers_fired += 1;
        let Some((member, shared, mut out)) = self.members.reach(local, trains) else { return };
        member.handle_timeout(now, shared, &mut out);
        self.settle(local);
    }
}
