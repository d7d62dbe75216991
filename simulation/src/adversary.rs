//! The adversary: lets the faults of the model strike, at random times and members.

use std::time::Duration;

use swimring_codec::State;

use super::faults::{Direction, FaultKind, Faults, Slowness};
use super::network::happens;
use super::node::Node;
use super::operations::Restart;
use super::simulation::{SimEvent, Simulation};
use swimring::protocol::Member;

impl Simulation {
    /// From now on `faults` may happen, and nothing that an earlier model had in store.
    pub fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
        self.faults_generation += 1;
        for kind in FaultKind::ALL {
            self.expect(kind);
        }
    }

    fn expect(&mut self, kind: FaultKind) {
        let every = kind.every(&self.faults);
        if !every.is_zero() {
            let wait = every.mul_f64(-(1.0 - self.dice.f64()).ln());
            let generation = self.faults_generation;
            self.agenda.push(self.now + wait, SimEvent::Fault { kind, generation });
        }
    }

    pub(super) fn strike(&mut self, kind: FaultKind) {
        self.expect(kind);
        let node = self.dice.usize(..self.nodes.len());
        match kind {
            FaultKind::Partition => self.strike_partition(node),
            FaultKind::Starve => {
                let (length, stall) = (self.faults.starve_max, self.faults.starve_stall_max);
                let length = length.mul_f64(self.dice.f64());
                let slowness = [Slowness::Everything, Slowness::TimersFirst, Slowness::Reading];
                let slowness = slowness[self.dice.usize(..3)];
                self.starve(node, slowness, length, stall);
            }
            FaultKind::Clock => {
                let length = self.faults.clock_max.mul_f64(self.dice.f64());
                self.stall_clock(node, length);
            }
            FaultKind::Crash => self.strike_crash(node),
            FaultKind::Leave => self.strike_leave(node),
            FaultKind::Metadata => {
                let length = if self.dice.u8(..8) == 0 { 512 } else { self.dice.usize(..40) };
                let metadata: Vec<u8> = (0..length).map(|_| self.dice.u8(..)).collect();
                // Refused while it is down, leaving, or when too many versions are about.
                let _ = self.update_metadata(node, &metadata);
            }
            FaultKind::Event => {
                let length = if self.dice.u8(..8) == 0 { 490 } else { self.dice.usize(..100) };
                let mut payload = vec![self.dice.u8(..); length];
                // No two say the same: that is how they are told apart.
                payload.extend_from_slice(&self.trace.entries().to_le_bytes());
                let _ = self.send_event(node, "trouble", &payload);
            }
        }
    }

    fn strike_partition(&mut self, node: usize) {
        let inside: Vec<usize> = if happens(self.faults.partition_isolates, &mut self.dice) {
            vec![node]
        } else {
            (0..self.nodes.len()).filter(|_| self.dice.bool()).collect()
        };
        let direction = match happens(self.faults.partition_one_way, &mut self.dice) {
            false => Direction::Both,
            true if self.dice.bool() => Direction::Outbound,
            true => Direction::Inbound,
        };
        let length = self.faults.partition_max.mul_f64(self.dice.f64());
        let flips = happens(self.faults.partition_flips, &mut self.dice);
        let period = if flips { length.mul_f64(self.dice.f64() / 4.0) } else { Duration::ZERO };
        self.partition(&inside, direction, length, period);
    }

    /// Someone always stays: a cluster of which nobody is left is not the same cluster.
    fn others_stay(&self, node: usize) -> bool {
        let stays = |(other, place): &(usize, &Node)| *other != node && place.joined && place.is_member();
        self.nodes.iter().enumerate().filter(stays).count() >= 2
    }

    /// Whether every member that has joined knows all others that have. Nobody moves or says goodbye
    /// before: in a partition, someone who alone knows both sides would be forgotten on one or not be
    /// found on the other, and nothing short of a new join could bring them together again.
    fn all_know_all(&self) -> bool {
        let joined = |node: &usize| self.nodes[*node].joined && self.nodes[*node].is_member();
        let knows = |node, other| self.belief(node, other).is_some_and(State::is_live);
        (0..self.nodes.len())
            .filter(joined)
            .all(|node| (0..self.nodes.len()).filter(joined).all(|other| knows(node, other)))
    }

    fn strike_crash(&mut self, node: usize) {
        if self.nodes[node].member.is_none() || !self.others_stay(node) {
            return;
        }
        if self.dice.bool() {
            self.crash_host(node);
        } else {
            self.crash(node);
        }
        self.expect_return(node);
    }

    fn strike_leave(&mut self, node: usize) {
        if !self.nodes[node].joined || !self.others_stay(node) || !self.all_know_all() {
            return;
        }
        self.leave(node);
        self.expect_return(node);
    }

    fn expect_return(&mut self, node: usize) {
        if !happens(self.faults.crash_for_good, &mut self.dice) {
            let away = self.faults.crash_away_max.mul_f64(self.dice.f64());
            let boot = self.nodes[node].boots;
            self.agenda.push(self.now + away, SimEvent::Return { node, boot });
        }
    }

    pub(super) fn come_back(&mut self, node: usize, boot: u32) {
        if self.nodes[node].boots != boot || self.nodes[node].is_member() {
            return;
        }
        let has_left = self.nodes[node].member.as_ref().is_some_and(Member::has_left);
        if has_left && self.dice.bool() {
            return self.rejoin(node);
        }
        let behind = happens(self.faults.restart_behind, &mut self.dice);
        let step = if behind { -self.dice.i64(0..20) } else { self.dice.i64(1..100_000) };
        let moved = happens(self.faults.restart_moved, &mut self.dice) && self.all_know_all();
        self.restart(node, Restart { incarnation_step: step, moved });
    }

    /// All faults end. Of the members that are away, those that were to come back do so now.
    pub fn calm(&mut self) {
        self.set_faults(Faults::NONE);
        self.heal();
        for node in 0..self.nodes.len() {
            let place = &mut self.nodes[node];
            place.clock.heal();
            place.starvation.until = self.now;
            place.starvation.stalled_until = place.starvation.stalled_until.min(self.now);
            if !place.is_member() {
                // What was to come is off, but an even chance.
                let boot = place.boots;
                if place.member.is_none() && self.dice.bool() {
                    self.come_back(node, boot);
                } else {
                    place.boots += 1;
                }
            }
            self.wake_now(node);
        }
    }

    fn wake_now(&mut self, node: usize) {
        self.nodes[node].wake = self.now;
        self.agenda.push(self.now, SimEvent::Wake { node });
    }
}
