//! A simulated machine: the member that runs on it, its clock, and what waits while it is slow.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use swimring_codec::{Incarnation, MemberId};

use super::faults::Slowness;
use super::streams::{StreamId, StreamInput};
use swimring::protocol::{AdmissionRules, Member, Time};

/// Something that arrived.
#[derive(Debug)]
pub(super) enum Input {
    Frame { from: SocketAddr, bytes: Vec<u8> },
    Stream { stream: StreamId, end: usize, input: StreamInput },
}

/// A clock that may stand still for a while and then jumps to the true time; it never goes backwards.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    stands_at: Time,
    until: Time,
}

impl Clock {
    pub(super) fn stall(&mut self, now: Time, length: Duration) {
        self.stands_at = self.read(now);
        self.until = self.until.max(now + length);
    }

    /// Time that the clock shows at the true time `now`.
    pub(super) fn read(&self, now: Time) -> Time {
        if now < self.until { self.stands_at } else { now }
    }

    /// The true time at which the clock first shows `shown` or more.
    pub(super) fn when(&self, shown: Time, now: Time) -> Time {
        if now < self.until && shown > self.stands_at { shown.max(self.until) } else { shown.max(now) }
    }

    pub(super) fn heal(&mut self) {
        self.until = Time::ZERO;
    }
}

/// A spell of slowness: nothing is done for a while, then everything at once, again and again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Starvation {
    pub(super) slowness: Slowness,
    /// End of the spell.
    pub(super) until: Time,
    /// Longest time in which nothing is done.
    pub(super) stall_max: Duration,
    /// Beginning of the time in which nothing is done.
    pub(super) stalled_since: Time,
    /// Nothing is done before this.
    pub(super) stalled_until: Time,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) id: MemberId,
    pub(super) address: SocketAddr,
    pub(super) moves: u8,
    pub(super) metadata: Vec<u8>,
    /// The zone that it is in; empty for none.
    pub(super) zone: String,
    /// It answers and acknowledges, and what it would tell is lost.
    pub(super) tells_nothing: bool,
    /// Index of the `SharedState` that its members use.
    pub(super) commons: usize,
    /// Its host crashed with it: no connection is accepted or refused until it starts again.
    pub(super) host_down: bool,
    /// Nothing while crashed, or after leaving.
    pub(super) member: Option<Member>,
    /// Whom it admits, in every life.
    pub(super) admission: AdmissionRules,
    /// Counts its starts: what was meant for an earlier one is dropped.
    pub(super) boots: u32,
    /// The highest incarnation it ever had.
    pub(super) incarnation: Incarnation,
    /// It has joined since it started, or founded the cluster.
    pub(super) joined: bool,
    /// It was told to leave.
    pub(super) leaving: bool,
    /// It is up and stays: it had no trouble since the simulation began.
    pub(super) join_attempts: u32,
    /// The earliest wake that is on the agenda.
    pub(super) wake: Time,
    pub(super) clock: Clock,
    pub(super) starvation: Starvation,
    pub(super) inbox: VecDeque<Input>,
    /// Something found the inbox full.
    pub(super) overflowed: bool,
}

impl Node {
    pub(super) fn new(number: usize, zone: String, commons: usize) -> Node {
        let name = format!("member-{number:04}");
        Node {
            id: MemberId::of_name(&name),
            name,
            address: super::network::address(number, 0),
            moves: 0,
            metadata: Vec::new(),
            zone,
            admission: AdmissionRules::default(),
            tells_nothing: false,
            commons,
            host_down: false,
            member: None,
            boots: 0,
            incarnation: Incarnation::new(1_000),
            joined: false,
            leaving: false,
            join_attempts: 0,
            wake: Time::NEVER,
            clock: Clock::default(),
            starvation: Starvation::default(),
            inbox: VecDeque::new(),
            overflowed: false,
        }
    }

    /// Up and wanting to be a member: what a converged view has to call alive.
    pub(super) fn is_member(&self) -> bool {
        self.member.is_some() && !self.leaving
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stalled_clock_jumps_forward() {
        let at = |seconds: u64| Time::ZERO + Duration::from_secs(seconds);
        let mut clock = Clock::default();
        assert_eq!(clock.when(at(3), at(2)), at(3));
        clock.stall(at(10), Duration::from_secs(5));
        assert_eq!((clock.read(at(14)), clock.read(at(15))), (at(10), at(15)));
        // Due by the stalled clock: now. Due a second later: only after the jump.
        assert_eq!((clock.when(at(10), at(12)), clock.when(at(11), at(12))), (at(12), at(15)));
        clock.stall(at(12), Duration::from_secs(1));
        assert_eq!(clock.read(at(14)), at(10));
    }
}
