//! Who watches on each worker: the tracker of a `run`, for what happens among our own members, and beside it
//! what real members are heard to say.
//!
//! The tracker is told only of what counts: at members that are there all the time, about members of ours
//! that take part at that moment. A member that has left and is suspected is no false suspicion.

use std::net::SocketAddr;
use std::sync::Arc;

use swimring::Pool;
use swimring::swim::{Event, MemberIndex, Time};
use swimring::worker::{JoinFailure, LocalMember, Observer, Scene};
use swimring_codec::memberlist::Message;
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
    /// Where our members live.
    pub addresses: OwnAddresses,
    /// What they are called.
    pub names: Names,
    /// Where each is in its life.
    pub roster: Roster,
    /// By member: whether it is one of those that leave and come back.
    pub churns: Vec<bool>,
    /// Which run events are of.
    pub run: u32,
    /// Bytes of an event's payload.
    pub event_bytes: usize,
    /// Whose messages travel in the pool.
    pub pool: Pool,
}

/// Watches the members of one worker.
pub struct Watch {
    common: Arc<Common>,
    tracker: Tracker,
    /// What real members were heard to say.
    pub heard: Heard,
    /// By place in the worker's directory: who of the real members it is.
    slots: Vec<Option<Slot>>,
    /// Why a join failed last, and whose, through which target.
    pub failure: Option<(MemberNumber, u32, JoinFailure)>,
    /// A member that could not even be started.
    pub fault: Option<String>,
}

impl Watch {
    /// A watch that tells `tracker` what counts.
    pub fn new(common: Arc<Common>, tracker: Tracker) -> Watch {
        Watch { common, tracker, heard: Heard::default(), slots: Vec::new(), failure: None, fault: None }
    }

    /// What it has counted and heard.
    pub fn into_parts(self) -> (Tracker, Heard) {
        (self.tracker, self.heard)
    }

    fn is_observer(&self, local: LocalMember) -> bool {
        let number = self.tracker.number(local);
        !self.common.churns.get(number as usize).copied().unwrap_or(false)
    }

    /// The member of ours at `subject`, if it takes part or was killed: of others nothing false can be said.
    fn ours(&self, scene: &Scene<'_>, subject: MemberIndex) -> Option<MemberNumber> {
        let number = self.common.names.number_of(scene.commons.name(subject))?;
        matches!(self.common.roster.stage(number), Stage::Present | Stage::Killed).then_some(number)
    }

    fn real(&mut self, subject: MemberIndex) -> Option<&mut super::heard::RealMember> {
        let slot = self.slots.get(subject as usize).copied().flatten()?;
        self.heard.members.get_mut(slot as usize)
    }

    /// One of ours has somebody in its view.
    fn met(&mut self, scene: &Scene<'_>, subject: MemberIndex) {
        let at = subject as usize;
        if let Some(Some(slot)) = self.slots.get(at) {
            // Nearly always: the view of the next of ours.
            let known = &self.heard.members[*slot as usize];
            if known.name == scene.commons.name(subject) {
                let same = scene.member.member(subject, scene.commons);
                if same.is_none_or(|same| same.address == known.address) {
                    return;
                }
            }
        }
        let Some(known) = scene.member.member(subject, scene.commons) else { return };
        let slot = if self.common.addresses.contains(known.address) {
            None
        } else {
            self.heard.meet(known.name, known.address)
        };
        if self.slots.len() <= at {
            self.slots.resize(at + 1, None);
        }
        self.slots[at] = slot;
    }

    fn suspected(&mut self, scene: &Scene<'_>, subject: MemberIndex) {
        if self.tracker.origin().is_none() {
            return;
        }
        if let Some(real) = self.real(subject) {
            real.suspected += 1;
        } else if let Some(number) = self.ours(scene, subject).filter(|_| self.is_observer(scene.local)) {
            self.tracker.suspected(scene, number);
        }
    }

    fn failed(&mut self, scene: &Scene<'_>, subject: MemberIndex) {
        if self.tracker.origin().is_none() {
            return;
        }
        if let Some(real) = self.real(subject) {
            real.failed += 1;
        } else if let Some(number) = self.ours(scene, subject).filter(|_| self.is_observer(scene.local)) {
            self.tracker.failed(scene, number);
        }
    }

    fn join_finished(&mut self, scene: &Scene<'_>, joined: bool) {
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

    fn left(&mut self, scene: &Scene<'_>) {
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
        let payload = match self.common.pool {
            Pool::Serf => match serf::Message::decode(body) {
                Ok(serf::Message::UserEvent { name: EVENT_NAME, payload, .. }) => payload,
                _ => return None,
            },
            // The engine's frame ends with name and payload.
            Pool::Memberlist => {
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
    fn event(&mut self, scene: &Scene<'_>, event: &Event) {
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
            Event::Joined { subject } | Event::Updated { subject } => self.met(scene, subject),
            Event::Suspected { subject, .. } => self.suspected(scene, subject),
            Event::Failed { subject, .. } => self.failed(scene, subject),
            Event::UserEvent { event } if self.is_observer(scene.local) => {
                let event = scene.commons.user_event(event);
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
    fn heard(&mut self, now: Time, _: LocalMember, from: SocketAddr, message: &Message<'_>) {
        if self.common.addresses.contains(from) {
            return;
        }
        // Anybody answers a ping; the rest goes to members that one knows.
        if !matches!(message, Message::Ack { .. } | Message::Nack { .. }) {
            self.heard.noticed += 1;
        }
        if self.tracker.origin().is_none() {
            return;
        }
        let Some(slot) = self.heard.at(from) else { return };
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

    fn join_failed(&mut self, local: LocalMember, token: u32, reason: &JoinFailure) {
        self.failure = Some((self.tracker.number(local), token, reason.clone()));
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
