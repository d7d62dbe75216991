//! Who watches on each worker: the tracker of a `run`, for what happens among our own members, and beside it
//! what real members are heard to say.
//!
//! The tracker is told only of what counts: at members that are there all the time, about members of ours
//! that take part at that moment. A member that has left and is suspected is no false suspicion.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use swimring::MemberlistDialect;
use swimring::protocol::{Event, MemberIndex, Time};
use swimring::worker::{EventContext, HostedMember, JoinFailure, Observer};
use swimring_codec::memberlist::{DecodeError, Message};
use swimring_codec::serf;

use super::addresses::OwnAddresses;
use super::heard::{Accusation, Heard, Slot};
use super::identity::Names;
use super::payload::{EVENT_NAME, event_number};
use super::roster::{Roster, Stage};
use crate::fleet::MemberNumber;
use crate::fleet::tracker::{Tracker, Tracking};

/// What the watches of all workers have in common.
#[derive(Debug)]
pub struct Common {
    /// Addresses of our members.
    pub addresses: OwnAddresses,
    /// Names of our members.
    pub names: Names,
    /// Stage of each member.
    pub roster: Roster,
    /// Members that leave and come back, by number.
    pub churns: Vec<bool>,
    /// Number of this run, which its events carry.
    pub run: u32,
    /// Bytes of an event's payload.
    pub event_bytes: usize,
    /// The dialect of the pool's messages.
    pub dialect: MemberlistDialect,
}

/// Who is at a place in the worker's directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    /// One of ours, or nobody yet.
    NotReal,
    /// A real member.
    Real(Slot),
    /// A real member beyond those that are kept apart.
    Untracked,
}

/// Watches the members of one worker.
pub struct Watch {
    common: Arc<Common>,
    tracker: Tracker,
    /// What real members were heard to say.
    pub heard: Heard,
    /// Identity of each entry of the worker's directory, by its place.
    who: Vec<Who>,
    /// Whether the run is over: what is believed while everybody leaves says nothing.
    is_over: bool,
    /// Why a join failed last, and whose, through which target.
    pub failure: Option<(MemberNumber, u32, JoinFailure)>,
    /// A member that could not even be started.
    pub fault: Option<String>,
}

impl Watch {
    /// A watch that tells `tracker` what counts.
    pub fn new(common: Arc<Common>, tracker: Tracker) -> Watch {
        let mut watch = Watch {
            common,
            tracker,
            heard: Heard::default(),
            who: Vec::new(),
            is_over: false,
            failure: None,
            fault: None,
        };
        let here =
            (0..).take_while(|local| (watch.tracker.number(*local) as usize) < watch.common.churns.len());
        watch.heard.contact.observers = here.filter(|local| watch.is_observer(*local)).count() as u64;
        watch
    }

    /// The run ends at `now`, for what is heard of the pool.
    pub fn finish(&mut self, now: Time) {
        self.is_over = true;
        if let Some(origin) = self.tracker.origin() {
            self.heard.finish(now, origin);
        }
    }

    /// What it has counted and heard.
    pub fn into_parts(self) -> (Tracker, Heard) {
        (self.tracker, self.heard)
    }

    /// Whether a member is there all the time.
    fn is_observer(&self, local: HostedMember) -> bool {
        let number = self.tracker.number(local);
        let churns = self.common.churns.get(number as usize).copied().unwrap_or(false);
        !churns && self.tracker.observes(local)
    }

    /// The member of ours at `subject`, if it takes part or was killed: of others nothing false can be said.
    fn ours(&self, scene: &EventContext<'_>, subject: MemberIndex) -> Option<MemberNumber> {
        let number = self.common.names.number_of(scene.shared.name(subject))?;
        matches!(self.common.roster.stage(number), Stage::Present | Stage::Killed).then_some(number)
    }

    fn slot(&self, subject: MemberIndex) -> Option<Slot> {
        match self.who.get(subject as usize) {
            Some(Who::Real(slot)) => Some(*slot),
            _ => None,
        }
    }

    fn real(&mut self, subject: MemberIndex) -> Option<&mut super::heard::RealMember> {
        let slot = self.slot(subject)?;
        self.heard.members.get_mut(slot as usize)
    }

    /// Since the measured time began, if it has.
    fn elapsed(&self, now: Time) -> Option<Duration> {
        self.tracker.origin().map(|origin| now.since(origin))
    }

    /// A member of ours takes real member `slot` for dead, or has it in its view again.
    fn believes(&mut self, scene: &EventContext<'_>, slot: Slot, dead: bool) {
        if !self.is_over && self.is_observer(scene.local) {
            self.heard.believes(slot, scene.local, dead, self.elapsed(scene.now));
        }
    }

    /// A real member said goodbye.
    fn departed(&mut self, scene: &EventContext<'_>, subject: MemberIndex) {
        if let Some(slot) = self.slot(subject).filter(|_| !self.is_over) {
            self.heard.belongs(slot, false, self.elapsed(scene.now));
        }
    }

    /// One of ours has somebody in its view.
    fn met(&mut self, scene: &EventContext<'_>, subject: MemberIndex) {
        let at = subject as usize;
        let known_as = self.who.get(at).copied().unwrap_or(Who::NotReal);
        let Some(known) = scene.member.member(subject, scene.shared) else { return };
        if let Who::Real(slot) = known_as {
            // Nearly always: the view of the next of ours.
            let before = &self.heard.members[slot as usize];
            if before.address == known.address && before.name == known.name {
                return self.lives(scene, slot);
            }
        }
        let who = match self.common.addresses.contains(known.address) {
            true => Who::NotReal,
            false => self.heard.meet(known.name, known.address).map_or(Who::Untracked, Who::Real),
        };
        self.heard.untracked += u64::from(who == Who::Untracked && known_as != Who::Untracked);
        if self.who.len() <= at {
            self.who.resize(at + 1, Who::NotReal);
        }
        self.who[at] = who;
        if let Who::Real(slot) = who {
            self.lives(scene, slot);
        }
    }

    /// A real member is in a view, alive.
    fn lives(&mut self, scene: &EventContext<'_>, slot: Slot) {
        let member = &self.heard.members[slot as usize];
        if member.dead_count > 0 {
            self.believes(scene, slot, false);
        }
        if self.heard.members[slot as usize].left {
            self.heard.belongs(slot, true, self.elapsed(scene.now));
        }
    }

    fn suspected(&mut self, scene: &EventContext<'_>, subject: MemberIndex) {
        let Some(elapsed) = self.elapsed(scene.now) else { return };
        if let Some(real) = self.real(subject) {
            real.suspected.note(scene.local, elapsed);
        } else if let Some(number) = self.ours(scene, subject).filter(|_| self.is_observer(scene.local)) {
            self.tracker.suspected(scene, number);
        }
    }

    fn failed(&mut self, scene: &EventContext<'_>, subject: MemberIndex) {
        let elapsed = self.elapsed(scene.now);
        if let Some(slot) = self.slot(subject) {
            self.believes(scene, slot, true);
            if let Some(elapsed) = elapsed {
                self.heard.members[slot as usize].failed.note(scene.local, elapsed);
            }
        } else if let Some(number) = self.ours(scene, subject).filter(|_| self.is_observer(scene.local)) {
            self.tracker.failed(scene, number);
        }
    }

    fn join_finished(&mut self, scene: &EventContext<'_>, joined: bool) {
        let number = self.tracker.number(scene.local);
        if self.common.roster.stage(number) == Stage::Joining {
            self.common.roster.set(number, if joined { Stage::Present } else { Stage::Refused });
        }
        if joined {
            self.tracker.tally.joined += 1;
        } else {
            self.tracker.tally.joins_failed += 1;
        }
    }

    fn left(&mut self, scene: &EventContext<'_>) {
        let number = self.tracker.number(scene.local);
        if self.common.roster.stage(number) == Stage::Leaving {
            self.common.roster.set(number, Stage::Away);
        }
    }

    /// A real member suspects, or holds to be dead, `node`, as `by` says.
    fn told(&mut self, now: Time, slot: Slot, node: &str, incarnation: u32, by: &str, dead: bool) {
        let Some(subject) = self.common.names.number_of(node) else { return };
        if let Some((kill, at)) = self.tracker.kill_of(subject, now) {
            return self.heard.told_of_kill(slot, kill, dead, now.since(at));
        }
        // What our own members made up and others pass on is counted where it was made up.
        if self.common.roster.stage(subject) == Stage::Present
            && let Some(accuser) = self.heard.named(by)
        {
            self.heard.accused(accuser, Accusation { subject, incarnation, dead });
        }
    }

    /// The number of the event of ours that a user message carries.
    fn event_of(&self, body: &[u8]) -> Option<usize> {
        let payload = match self.common.dialect {
            MemberlistDialect::Serf => match serf::Message::decode(body) {
                Ok(serf::Message::UserEvent { name: EVENT_NAME, payload, .. }) => payload,
                _ => return None,
            },
            // The engine's frame ends with name and payload.
            MemberlistDialect::Memberlist => {
                let at = body.len().checked_sub(self.common.event_bytes)?;
                let (frame, payload) = body.split_at(at);
                frame.ends_with(EVENT_NAME.as_bytes()).then_some(payload)?
            }
        };
        event_number(payload, self.common.run)
    }
}

impl Tracking for Watch {
    fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    fn tracker_mut(&mut self) -> &mut Tracker {
        &mut self.tracker
    }
}

impl Observer for Watch {
    fn event(&mut self, scene: &EventContext<'_>, event: &Event) {
        match *event {
            Event::ProbeAcked { subject, rtt } => {
                self.tracker.event(scene, event);
                if self.tracker.is_timing()
                    && let Some(real) = self.real(subject)
                {
                    real.acked(rtt);
                }
            }
            Event::ProbeUnanswered { subject } if self.tracker.is_timing() => {
                if let Some(real) = self.real(subject) {
                    real.lost_acks += 1;
                }
            }
            Event::Joined { subject } | Event::Updated { subject } | Event::Restarted { subject } => {
                self.met(scene, subject);
            }
            Event::Suspected { subject, .. } => self.suspected(scene, subject),
            Event::Failed { subject, .. } => self.failed(scene, subject),
            Event::Left { subject } => self.departed(scene, subject),
            Event::UserEvent { event } if self.is_observer(scene.local) => {
                let event = scene.shared.user_event(event);
                if let Some(number) = event_number(event.payload, self.common.run) {
                    self.tracker.delivered(scene, number);
                }
            }
            Event::JoinFinished { joined, .. } => self.join_finished(scene, joined),
            Event::LeaveFinished => self.left(scene),
            _ => {}
        }
    }

    fn timer(&mut self, lag_us: u64) {
        self.tracker.timer(lag_us);
    }

    #[inline]
    fn heard(&mut self, now: Time, _: HostedMember, from: SocketAddr, message: &Message<'_>) {
        if self.common.addresses.contains(from) {
            return;
        }
        // Anybody answers a ping; the rest goes to members that one knows.
        if !matches!(message, Message::Ack { .. } | Message::Nack { .. }) {
            self.heard.noticed += 1;
        }
        let Some(origin) = self.tracker.origin() else { return };
        let Some(slot) = self.heard.at(from) else { return };
        self.heard.contact.heard(now, origin);
        match *message {
            Message::Suspect { incarnation, node, from } => {
                self.told(now, slot, node, incarnation, from, false);
            }
            Message::Dead { incarnation, node, from } if node != from => {
                self.told(now, slot, node, incarnation, from, true);
            }
            Message::User(body) => {
                if let Some(number) = self.event_of(body)
                    && let Some(at) = self.tracker.event_time(number)
                {
                    self.heard.passed_on(slot, number, now.since(at));
                }
            }
            _ => {}
        }
    }

    fn refused(&mut self, _: Time, from: SocketAddr, reason: DecodeError) {
        if self.tracker.origin().is_some() && !self.common.addresses.contains(from) {
            self.heard.unopened(from, reason);
        }
    }

    fn join_failed(&mut self, local: HostedMember, token: u32, reason: &JoinFailure) {
        self.failure = Some((self.tracker.number(local), token, reason.clone()));
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
