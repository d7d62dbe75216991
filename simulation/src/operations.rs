//! What the members' operators do: start, join, crash, restart, leave, and the commands in between.

use std::net::SocketAddr;
use std::time::Duration;

use swimring_codec::native::{IdentityKey, Introduction};
use swimring_codec::{Incarnation, MemberId, State};

use super::checks::{Coverage, Violation};
use super::faults::{Direction, Faults, Slowness};
use super::log::Log;
use super::network;
use super::node::Starvation;
use super::options::{identity_key, zone_name};
use super::simulation::{CapturedFrame, SimEvent, Simulation};
use super::trace::Trace;
use swimring::protocol::{
    AdmissionRules, Counters, Member, MemberError, MemberRef, Settings, SharedState, StateError, Time, View,
};

/// Time after which an operator tries a failed join again through another member.
const JOIN_RETRY: Duration = Duration::from_secs(1);

/// How a member comes back after a crash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Restart {
    /// Step from its last incarnation to the first of its new life; negative if its clock was set back.
    pub incarnation_step: i64,
    /// Whether it comes back at another address, and in the next zone where there are zones.
    pub moved: bool,
}

impl Default for Restart {
    fn default() -> Restart {
        Restart { incarnation_step: 1, moved: false }
    }
}

impl Simulation {
    /// Starts member 0 alone and has all others join through members that are up, at once.
    pub fn start_cold(&mut self) {
        for node in 0..self.nodes.len() {
            self.start(node);
        }
        self.nodes[0].joined = true;
        for node in 1..self.nodes.len() {
            self.join(node);
        }
    }

    /// Starts all members with complete views, as finished joins would have left them.
    pub fn start_warm(&mut self) {
        let incarnation = Incarnation::new(1_000);
        for at in 0..self.commons.len() {
            // All names first, in one order: shared and private directories then number them alike.
            let mut view = View::of([], &mut self.commons[at]);
            for node in &self.nodes {
                let introduction = Introduction {
                    subject: node.id,
                    incarnation,
                    state: State::Alive,
                    address: node.address,
                    name: &node.name,
                    metadata: &node.metadata,
                    zone: &node.zone,
                };
                // Fewer members than any table holds.
                let _ = if self.wire.identities.is_some() {
                    let key = identity_key(self.seed, self.by_id[&node.id]);
                    view.add_signed(&introduction, &key, &self.settings, &mut self.commons[at])
                } else {
                    view.add(&introduction, &self.settings, &mut self.commons[at])
                };
            }
            for node in 0..self.nodes.len() {
                if self.nodes[node].commons == at {
                    self.start_at(node, incarnation);
                    self.nodes[node].joined = true;
                }
            }
            let those = self.nodes.iter_mut().filter(|node| node.commons == at);
            view.load(those.filter_map(|node| node.member.as_mut()), &mut self.commons[at]);
            view.release(&mut self.commons[at]);
        }
    }

    /// Starts the member of `node`, knowing only itself.
    pub fn start(&mut self, node: usize) {
        let incarnation = self.nodes[node].incarnation;
        self.start_at(node, incarnation);
    }

    /// Has `node` join through a member that is up, and again until it has succeeded.
    pub fn join(&mut self, node: usize) {
        let boot = self.nodes[node].boots;
        self.agenda.push(self.now, SimEvent::Join { node, boot });
    }

    pub(super) fn try_join(&mut self, node: usize, boot: u32) {
        let place = &self.nodes[node];
        if place.boots != boot || place.joined || !place.is_member() {
            return;
        }
        // Operators name seeds that are well connected: through one that is itself cut off, a member that
        // moved would be lost to all who know its old address.
        let live = |seed: &usize| self.nodes[*seed].member.as_ref().map_or(0, Member::live);
        let up = |seed: &usize| *seed != node && self.nodes[*seed].joined && self.nodes[*seed].is_member();
        let Some(most) = (0..self.nodes.len()).filter(up).map(|seed| live(&seed)).max() else {
            // Nobody is left: it founds the cluster anew.
            if self.nodes[node].member.as_ref().is_some_and(Member::has_left) {
                let first = self.nodes[node].incarnation.next();
                self.stop(node);
                self.start_at(node, first);
            }
            self.nodes[node].joined = true;
            return;
        };
        let best = |seed: &usize| up(seed) && live(seed) == most;
        let seeds: Vec<usize> = (0..self.nodes.len()).filter(best).collect();
        let seed = seeds[self.dice.usize(..seeds.len())];
        self.join_through(node, self.nodes[seed].address);
    }

    /// Has `node` join through the member at `seed`, once.
    pub fn join_through(&mut self, node: usize, seed: SocketAddr) {
        self.nodes[node].join_attempts += 1;
        let token = self.nodes[node].join_attempts;
        self.call(node, |member, now, commons, out| {
            member.join(now, seed, MemberId::NONE, token, commons, out);
        });
    }

    pub(super) fn join_finished(&mut self, node: usize, joined: bool) {
        self.nodes[node].joined |= joined;
        if !self.nodes[node].joined {
            let boot = self.nodes[node].boots;
            self.agenda.push(self.now + JOIN_RETRY, SimEvent::Join { node, boot });
        }
    }

    /// The member of `node` vanishes without a word.
    pub fn crash(&mut self, node: usize) {
        self.checks.coverage.crashes += 1;
        self.stop(node);
    }

    /// The whole host of `node` vanishes: it refuses no connections either.
    pub fn crash_host(&mut self, node: usize) {
        self.checks.coverage.hosts_crashed += 1;
        self.nodes[node].host_down = true;
        self.crash(node);
    }

    /// A new member takes the place and name of the one that was at `node`, and joins.
    pub fn restart(&mut self, node: usize, restart: Restart) {
        self.stop(node);
        self.checks.coverage.returns += 1;
        let last = self.nodes[node].incarnation.get();
        let first = Incarnation::new(last.saturating_add_signed(restart.incarnation_step).max(1));
        if restart.moved {
            let place = &mut self.nodes[node];
            place.moves = place.moves.wrapping_add(1);
            place.address = network::address(node, place.moves);
            if self.zones > 1 {
                place.zone = zone_name((node + usize::from(place.moves)) % self.zones);
            }
        }
        self.start_at(node, first);
        self.join(node);
    }

    /// `node` says goodbye.
    pub fn leave(&mut self, node: usize) {
        if !self.nodes[node].is_member() {
            return;
        }
        self.checks.coverage.leaves += 1;
        self.nodes[node].leaving = true;
        self.call(node, Member::leave);
    }

    /// `node` has said goodbye to everyone it could.
    pub(super) fn left(&mut self, node: usize) {
        self.nodes[node].joined = false;
    }

    /// The same member, having left, joins again.
    pub fn rejoin(&mut self, node: usize) {
        if self.nodes[node].member.as_ref().is_some_and(Member::has_left) {
            self.checks.coverage.returns += 1;
            self.nodes[node].leaving = false;
            self.join(node);
        }
    }

    /// From its next start on `node` is in this zone, 0 for the empty one.
    pub fn set_zone(&mut self, node: usize, zone: usize) {
        self.nodes[node].zone = zone_name(zone);
    }

    /// The zone that `node` is in; empty for none.
    pub fn zone(&self, node: usize) -> &str {
        &self.nodes[node].zone
    }

    /// Publishes new metadata of `node`.
    ///
    /// # Errors
    /// As [`Member::update_metadata`]; [`MemberError::Left`] also if it is down.
    pub fn update_metadata(&mut self, node: usize, metadata: &[u8]) -> Result<(), MemberError> {
        let updated =
            self.call(node, |member, now, commons, out| member.update_metadata(now, metadata, commons, out));
        updated.unwrap_or(Err(MemberError::Left))?;
        self.nodes[node].metadata = metadata.to_vec();
        Ok(())
    }

    /// Sends a user event from `node`; gives its sequence number.
    ///
    /// # Errors
    /// As [`Member::send_event`]; [`MemberError::Left`] also if it is down.
    pub fn send_event(&mut self, node: usize, name: &str, payload: &[u8]) -> Result<u32, MemberError> {
        let sent =
            self.call(node, |member, now, commons, out| member.send_event(now, name, payload, commons, out));
        let sequence = sent.unwrap_or(Err(MemberError::Left))?;
        self.checks.event_sent(node, sequence, payload, self.nodes[node].clock.read(self.now));
        Ok(sequence)
    }

    /// Sets a key of the map of `node`, or of the cluster; deletes it if there is no value.
    ///
    /// # Errors
    /// As [`Member::change_state`]; [`StateError::Off`] also if it is down.
    pub fn change_state(
        &mut self,
        node: usize,
        of_cluster: bool,
        key: &str,
        value: Option<Vec<u8>>,
    ) -> Result<Option<u64>, StateError> {
        let owner = if of_cluster { MemberId::NONE } else { self.nodes[node].id };
        let changed = self.call(node, |member, now, commons, out| {
            member.change_state(now, owner, key, value.map(Into::into), commons, out)
        });
        changed.unwrap_or(Err(StateError::Off))
    }

    /// Sets whom `node` admits from now on, in all its lives.
    pub fn set_admission(&mut self, node: usize, rules: AdmissionRules) {
        self.nodes[node].admission = rules.clone();
        if let Some(member) = &mut self.nodes[node].member {
            member.set_admission(rules);
        }
    }

    /// The application of `node` says whether it admits `subject`, with the identity that it was asked about, or with another.
    pub fn judge_candidate(
        &mut self,
        node: usize,
        (subject, identity): (MemberId, Option<u64>),
        admitted: bool,
    ) {
        self.call(node, |member, now, commons, out| {
            let asked = member.candidate(subject).map(|candidate| candidate.identity);
            let identity = identity.or(asked).unwrap_or_default();
            member.judge_candidate(now, (subject, identity), admitted, commons, out);
        });
    }

    /// Cuts `inside` off from all others for `length`; with a `period`, on and off.
    pub fn partition(&mut self, inside: &[usize], direction: Direction, length: Duration, period: Duration) {
        let outside: Vec<usize> = (0..self.nodes.len()).filter(|node| !inside.contains(node)).collect();
        self.cut(inside, &outside, direction, length, period);
    }

    /// Cuts the links between `inside` and `outside` only; other members reach both.
    pub fn cut(
        &mut self,
        inside: &[usize],
        outside: &[usize],
        direction: Direction,
        length: Duration,
        period: Duration,
    ) {
        self.checks.coverage.partitions += 1;
        let side = |members: &[usize]| (0..self.nodes.len()).map(|node| members.contains(&node)).collect();
        let sides = (side(inside), side(outside));
        self.links.cut(sides, direction, self.now, self.now + length, period);
    }

    /// Ends all partitions.
    pub fn heal(&mut self) {
        self.links.heal();
    }

    /// For `length`, `node` is slow: it does nothing for up to `stall_max` at a time, then everything at
    /// once.
    pub fn starve(&mut self, node: usize, slowness: Slowness, length: Duration, stall_max: Duration) {
        self.checks.coverage.starvations += 1;
        let until = self.now + length;
        self.nodes[node].starvation = Starvation { slowness, until, stall_max, ..Starvation::default() };
        self.stall_again(node);
        self.schedule(node);
    }

    /// Begins the next stall of a starved member: it gets one burst of work between two.
    pub(super) fn stall_again(&mut self, node: usize) {
        let starvation = &mut self.nodes[node].starvation;
        if self.now < starvation.until {
            let stall = starvation.stall_max.mul_f64(0.5 + 0.5 * self.dice.f64());
            starvation.stalled_since = self.now;
            starvation.stalled_until = (self.now + stall).min(starvation.until);
        }
    }

    /// From now on `node` answers everybody, acknowledges what is delegated to it, and tells nobody anything: a liar.
    /// In the native format only.
    pub fn silence(&mut self, node: usize) {
        self.nodes[node].tells_nothing = true;
    }

    /// The clock of `node` stands still for `length`, then jumps to the true time.
    pub fn stall_clock(&mut self, node: usize, length: Duration) {
        self.checks.coverage.clock_jumps += 1;
        self.nodes[node].clock.stall(self.now, length);
    }

    /// The driver of `node` says that it runs late.
    pub fn set_overload(&mut self, node: usize, level: u8) {
        let commons = self.nodes[node].commons;
        self.commons[commons].set_overload(level);
    }
}

/// Getters.
impl Simulation {
    /// True time.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Number of members, up or not.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The settings of all members.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The present faults.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The member of `node`, if it is up.
    pub fn member(&self, node: usize) -> Option<&Member> {
        self.nodes[node].member.as_ref()
    }

    /// The commons of `node`.
    pub fn commons(&self, node: usize) -> &SharedState {
        &self.commons[self.nodes[node].commons]
    }

    /// Whether `node` is up and not leaving.
    pub fn is_member(&self, node: usize) -> bool {
        self.nodes[node].is_member()
    }

    /// Whether `node` has joined since it started.
    pub fn has_joined(&self, node: usize) -> bool {
        self.nodes[node].joined
    }

    /// Address of `node`.
    pub fn address(&self, node: usize) -> SocketAddr {
        self.nodes[node].address
    }

    /// The key that `node` signs with, where members have identities.
    pub fn identity_key(&self, node: usize) -> IdentityKey {
        identity_key(self.seed, node)
    }

    /// Whether members have identities.
    pub fn has_identities(&self) -> bool {
        self.wire.identities.is_some()
    }

    /// The highest incarnation that `node` ever had.
    pub fn highest_incarnation(&self, node: usize) -> Incarnation {
        self.nodes[node].incarnation
    }

    /// The id of `node`.
    pub fn id(&self, node: usize) -> MemberId {
        self.nodes[node].id
    }

    /// The view of `node`, empty if it is down.
    pub fn view(&self, node: usize) -> impl Iterator<Item = MemberRef<'_>> {
        let commons = self.commons(node);
        self.member(node).into_iter().flat_map(|member| member.members(commons))
    }

    /// The log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Forgets what happened until now.
    pub fn clear_log(&mut self) {
        self.log.clear();
    }

    /// The trace of everything until now.
    pub fn trace(&self) -> Trace {
        self.trace
    }

    /// Keeps a copy of every frame sent from now on, up to a bound.
    pub fn tap(&mut self) {
        self.tapped = Some(Vec::new());
    }

    /// The frames sent since [`Simulation::tap`].
    pub fn tapped(&self) -> &[CapturedFrame] {
        self.tapped.as_deref().unwrap_or_default()
    }

    /// The first check that has failed.
    ///
    /// # Errors
    /// That.
    pub fn verify(&self) -> Result<(), Violation> {
        self.checks.violation().map_or(Ok(()), Err)
    }

    /// What was seen beside the members' own counters.
    pub fn coverage(&self) -> Coverage {
        self.checks.coverage
    }

    /// Sum of all members' counters, stopped members included.
    pub fn counters(&self) -> Counters {
        let mut sum = self.counted;
        self.commons.iter().for_each(|commons| sum.add(&commons.counters));
        sum
    }
}
