//! The members of one worker: who they are, where frames for them go, and what they share.
//!
//! A member is a number here, which it keeps when it is killed. Whoever calls one gets it from
//! [`HostedMembers::reach`], with its [`Outbox`]; what it put out stays in [`Output`] until the host has seen to it.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use hashbrown::HashMap;
use swimring_codec::MemberId;
use swimring_codec::native::IdentityKey;

use super::options::FleetOptions;
use super::sweeping::Sweeping;
use super::timer_wheel::Wheel;
use crate::net::{ask_for_large_pages, prefetch};
use crate::protocol::{
    AdmissionRules, Crew, Event, FrameSink, Member, MemberConfig, MemberError, Outbox, Settings, SharedState,
    StreamOpen, Time, View,
};

/// A member's number within its worker.
pub type HostedMember = u32;

/// Milliseconds that the wheel sees ahead: longer than most timers run.
const WHEEL_SLOTS: usize = 4096;

/// Members that are looked ahead, of those that a train's datagrams are for, or all datagrams where members have addresses of their
/// own, or that hold something back: the memory of so many is on its way at once. With three or eight it gains less.
pub(super) const EXPECTED: usize = 4;

/// What members have put out, besides frames.
#[derive(Debug)]
pub(super) struct Output {
    /// Streams to open.
    pub(super) streams: Vec<StreamOpen>,
    /// What happened, in order.
    pub(super) events: Vec<Event>,
    /// Gossip frames that may still be written in this turn.
    pub(super) gossip_budget: u32,
}

impl Output {
    /// What a member writes to while it is called.
    #[inline]
    fn outbox<'a>(&'a mut self, frames: &'a mut dyn FrameSink) -> Outbox<'a> {
        Outbox {
            frames,
            streams: &mut self.streams,
            events: &mut self.events,
            gossip_budget: &mut self.gossip_budget,
        }
    }
}

/// A member, and where it sends from.
#[derive(Debug)]
struct HostedMemberState {
    member: Member,
    /// Whether it takes part: a killed member stays as a number only.
    present: bool,
    /// Whether it stands in [`HostedMembers::waiting`].
    waits: bool,
    /// Whether it stands in [`HostedMembers::holding`].
    holds: bool,
    /// Where it receives and sends from, if it has an address of its own.
    source: Option<IpAddr>,
}

// docs/ARCHITECTURE.md, section 3, reckons with it.
const _: () = assert!(size_of::<HostedMemberState>() <= 1_056);

/// The places of a worker's members, by their numbers.
#[derive(Debug)]
pub(super) struct Places(Vec<HostedMemberState>);

impl Crew for Places {
    fn places(&self) -> usize {
        self.0.len()
    }

    fn member_at(&mut self, place: usize) -> Option<&mut Member> {
        self.0.get_mut(place).filter(|hosted| hosted.present).map(|hosted| &mut hosted.member)
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct HostedMembers {
    places: Places,
    by_id: HashMap<MemberId, HostedMember>,
    /// Members with an address of their own, by it.
    by_address: HashMap<IpAddr, HostedMember>,
    /// Whether members have an address each.
    own_addresses: bool,
    /// The address that the worker is bound to.
    bound: IpAddr,
    pub(super) shared: SharedState,
    pub(super) wheel: Wheel,
    pub(super) output: Output,
    /// Members with silence to judge that wait until what was sent by then has been read, each once, about in the order in
    /// which they can judge it.
    waiting: VecDeque<HostedMember>,
    /// Members that hold something back until less lies unread, each once, those that have held it for the longest first.
    holding: VecDeque<HostedMember>,
    sweeping: Sweeping,
}

impl HostedMembers {
    /// Nobody yet, at a worker bound to `bound`, with memory for as many as are expected.
    pub(super) fn new(options: &FleetOptions, bound: IpAddr, mut shared: SharedState) -> HostedMembers {
        shared.set_timer_grain(options.timer_grain());
        let members = options.members_expected;
        if members > 0 {
            shared.reserve(members, options.known_expected, options.settings.events_max as usize);
            shared.reserve_departed(members, options.departed_expected);
        }
        let mut wheel = Wheel::new(Time::ZERO, WHEEL_SLOTS);
        wheel.reserve(members as u32);
        let mut places = Places(Vec::with_capacity(members));
        ask_for_large_pages(&mut places.0);
        HostedMembers {
            places,
            by_id: HashMap::with_capacity(members),
            by_address: HashMap::with_capacity(if options.own_addresses { members } else { 0 }),
            own_addresses: options.own_addresses,
            bound: bound.to_canonical(),
            shared,
            wheel,
            output: Output {
                streams: Vec::with_capacity(64),
                events: Vec::with_capacity(1024),
                gossip_budget: 0,
            },
            waiting: VecDeque::with_capacity(members),
            holding: VecDeque::with_capacity(members),
            sweeping: Sweeping::default(),
        }
    }

    /// How many were not killed.
    pub(super) fn alive(&self) -> usize {
        self.by_id.len()
    }

    /// How many were added.
    pub(super) fn len(&self) -> usize {
        self.places.0.len()
    }

    /// A member, if it is there and was not killed.
    #[inline]
    pub(super) fn get(&self, local: HostedMember) -> Option<&Member> {
        self.places.0.get(local as usize).filter(|hosted| hosted.present).map(|hosted| &hosted.member)
    }

    /// Those that were not killed.
    pub(super) fn iter(&self) -> impl Iterator<Item = (HostedMember, &Member)> {
        let present = self.places.0.iter().enumerate().filter(|(_, hosted)| hosted.present);
        present.map(|(local, hosted)| (local as HostedMember, &hosted.member))
    }

    /// Where a stream of a member to the address `to` comes from: from the address that its datagrams come from, where that
    /// is one, so that whoever filters by address sees one sender. Nothing leaves it to the route.
    pub(super) fn stream_source(&self, local: HostedMember, to: SocketAddr) -> Option<IpAddr> {
        // An address that only holds on one link says nothing without the link's number.
        let is_one = match self.bound {
            IpAddr::V4(bound) => !bound.is_unspecified(),
            IpAddr::V6(bound) => !bound.is_unspecified() && !bound.is_unicast_link_local(),
        };
        let source = self.places.0[local as usize].source.or(is_one.then_some(self.bound))?;
        (source.is_ipv4() == to.ip().to_canonical().is_ipv4()).then_some(source)
    }

    /// Adds a member that admits others by `admission`, with a key where members have identities.
    pub(super) fn add(
        &mut self,
        config: MemberConfig,
        key: Option<&IdentityKey>,
        admission: &AdmissionRules,
        now: Time,
    ) -> Result<HostedMember, MemberError> {
        let (id, address) = (MemberId::of_name(&config.name), config.address);
        if self.by_id.contains_key(&id) {
            return Err(MemberError::NameTaken);
        }
        if self.own_addresses && self.by_address.contains_key(&address.ip()) {
            return Err(MemberError::AddressTaken(address));
        }
        let mut member = match key {
            Some(key) => Member::with_key(config, key, &mut self.shared, now)?,
            None => Member::new(config, &mut self.shared, now)?,
        };
        if *admission != AdmissionRules::default() {
            member.set_admission(admission.clone());
        }
        let local = self.len() as HostedMember;
        let source = self.own_addresses.then_some(address.ip());
        self.places.0.push(HostedMemberState { member, present: true, waits: false, holds: false, source });
        self.by_id.insert(id, local);
        if let Some(source) = source {
            self.by_address.insert(source, local);
        }
        Ok(local)
    }

    /// Makes a member vanish without a word.
    pub(super) fn kill(&mut self, local: HostedMember) {
        let Some(hosted) = self.places.0.get_mut(local as usize).filter(|hosted| hosted.present) else {
            return;
        };
        hosted.present = false;
        self.by_id.remove(&hosted.member.id());
        if let Some(source) = hosted.source {
            self.by_address.remove(&source);
        }
        hosted.member.release(&mut self.shared);
        self.wheel.cancel(local);
    }

    /// The member of an id. Without one it is the first that lives here.
    #[inline]
    pub(super) fn of_id(&self, id: MemberId) -> Option<HostedMember> {
        if id.is_none() {
            return self.iter().next().map(|(local, _)| local);
        }
        self.by_id.get(&id).copied()
    }

    /// Asks for the memory of the member of an id, which is about to be called and have its timer set.
    #[inline]
    pub(super) fn expect(&self, id: MemberId) {
        if let Some(local) = self.by_id.get(&id) {
            self.expect_member(*local);
        }
    }

    /// The same of the member at an address of its own.
    #[inline]
    pub(super) fn expect_at(&self, address: IpAddr) {
        if let Some(local) = self.by_address.get(&address) {
            self.expect_member(*local);
        }
    }

    /// Asks for the memory of a member that is about to be called and have its timer set.
    #[inline]
    pub(super) fn expect_member(&self, local: HostedMember) {
        self.wheel.expect(local);
        self.places.0.get(local as usize).into_iter().for_each(prefetch);
    }

    /// The member of an address. Where members share one, it is the first.
    #[inline]
    pub(super) fn of_address(&self, to: Option<IpAddr>) -> Option<HostedMember> {
        match to.filter(|_| self.own_addresses) {
            Some(to) => self.by_address.get(&to).copied(),
            None => self.of_id(MemberId::NONE),
        }
    }

    /// A member that was not killed, with all that a call of it needs. What it puts out besides frames waits in
    /// `output`.
    #[inline]
    pub(super) fn reach<'a>(
        &'a mut self,
        local: HostedMember,
        frames: &'a mut dyn FrameSink,
    ) -> Option<(&'a mut Member, &'a mut SharedState, Outbox<'a>)> {
        let hosted = self.places.0.get_mut(local as usize).filter(|hosted| hosted.present)?;
        frames.set_source(hosted.source);
        Some((&mut hosted.member, &mut self.shared, self.output.outbox(frames)))
    }

    /// Has the member give up the join that is under way.
    pub(super) fn give_up_join(&mut self, local: HostedMember) {
        if let Some(hosted) = self.places.0.get_mut(local as usize).filter(|hosted| hosted.present) {
            hosted.member.give_up_join();
        }
    }

    /// Writes what a stream begins with that a member asked for.
    pub(super) fn open_stream(&mut self, local: HostedMember, open: &StreamOpen, first: &mut Vec<u8>) {
        let member = &self.places.0[local as usize].member;
        member.open_stream(open.purpose, open.destination, &mut self.shared, first);
    }

    /// Sets a member's timer, at `now`, to what it waits for.
    #[inline]
    pub(super) fn arm(&mut self, local: HostedMember, now: Time) {
        let hosted = &mut self.places.0[local as usize];
        if hosted.member.holds_back() && !std::mem::replace(&mut hosted.holds, true) {
            self.holding.push_back(local);
        }
        self.wheel.schedule(local, next_timeout(hosted, local, now, &self.shared, &mut self.waiting));
    }

    /// Whether some wait until more has been read.
    pub(super) fn are_waiting(&self) -> bool {
        !self.waiting.is_empty() || !self.holding.is_empty()
    }

    /// The next of those that hold something back, once they need not any more.
    pub(super) fn next_holding(&mut self, now: Time) -> Option<HostedMember> {
        if self.holding.is_empty() || !self.shared.has_nearly_read(now) {
            return None;
        }
        if let Some(local) = self.holding.get(EXPECTED) {
            self.expect_member(*local);
        }
        let local = self.holding.pop_front()?;
        self.places.0[local as usize].holds = false;
        Some(local)
    }

    /// The next of those that waited until more has been read and can now judge, and when it was to. Whose answer has come
    /// meanwhile waits no more.
    pub(super) fn next_waiting(&mut self, now: Time) -> Option<(HostedMember, Time)> {
        let read = self.shared.judged_until(now);
        while let Some(local) = self.waiting.front().copied() {
            let hosted = &mut self.places.0[local as usize];
            let judged = if hosted.present { hosted.member.next_judged() } else { Time::NEVER };
            if judged > read && judged <= now {
                return None;
            }
            self.waiting.pop_front();
            hosted.waits = false;
            if judged <= read {
                return Some((local, judged));
            }
        }
        None
    }

    /// Changes every member that was not killed, and sets its timer anew.
    pub(super) fn change_all(&mut self, now: Time, mut change: impl FnMut(&mut Member, &mut SharedState)) {
        for (local, hosted) in self.places.0.iter_mut().enumerate().filter(|(_, hosted)| hosted.present) {
            change(&mut hosted.member, &mut self.shared);
            let local = local as HostedMember;
            self.wheel.schedule(local, next_timeout(hosted, local, now, &self.shared, &mut self.waiting));
        }
    }

    /// Gives every member the same complete view: see [`Host::load_views`](super::Host::load_views).
    pub(super) fn load_views(
        &mut self,
        settings: &Settings,
        elsewhere: impl FnOnce(&mut View, &Settings, &mut SharedState) -> Result<(), MemberError>,
    ) -> Result<(), MemberError> {
        let present = self.places.0.iter().filter(|hosted| hosted.present);
        let mut view = View::of(present.map(|hosted| &hosted.member), &mut self.shared);
        let outcome = elsewhere(&mut view, settings, &mut self.shared);
        if outcome.is_ok() {
            let present = self.places.0.iter_mut().filter(|hosted| hosted.present);
            view.load(present.map(|hosted| &mut hosted.member), &mut self.shared);
        }
        view.release(&mut self.shared);
        outcome
    }

    /// Brings the next members' views closer to their base, as many as are due. Gives the CPU time it took, in
    /// microseconds.
    pub(super) fn sweep(&mut self, now: Time) -> u64 {
        self.sweeping.sweep(now, &mut self.places, &mut self.shared)
    }
}

/// When `hosted` has something to do. If all it has at `now` is silence to judge, and what would break it may lie unread, it
/// stands in `waiting` beside its other timers.
#[inline]
fn next_timeout(
    hosted: &mut HostedMemberState,
    local: HostedMember,
    now: Time,
    shared: &SharedState,
    waiting: &mut VecDeque<HostedMember>,
) -> Time {
    let (begun, judged) = (hosted.member.next_begun(), hosted.member.next_judged());
    if judged > now || judged <= shared.judged_until(now) {
        return begun.min(judged);
    }
    if !std::mem::replace(&mut hosted.waits, true) {
        waiting.push_back(local);
    }
    begun
}

#[cfg(test)]
#[path = "members_test.rs"]
mod tests;
