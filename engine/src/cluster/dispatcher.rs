//! What the protocol's thread does with events: owned copies to every subscriber, ends of joins, leaves and
//! events to those who wait for them, round-trip times to the sampler. It never waits for any of them.

use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use hashbrown::HashMap;
use swimring_codec::memberlist;
use swimring_codec::{Incarnation, MemberId, State, canonical};

use super::admission::{Asker, Candidate, WireKind};
use super::detail::{MemberDetail, Observations, OngoingSuspicion};
use super::event::{Accuser, ClusterEvent, MemberInfo, Suspicion, UserEvent};
use super::join::{JoinProgress, ProgressSender, SeedError};
use super::leave::LeaveOutcome;
use super::lossy_channel::Sender;
use super::message::{AwaitedMessages, Charge, DirectMessage, Question};
use super::sent_event::AwaitedEvents;
use super::shared::Shared;
use super::snapshot::Notes;
use super::state_watch::Watchers;
use super::subscription::Numbered;
use super::view::owned;
use crate::protocol::{Event, EventIndex, Member, MemberIndex, SharedState, SuspicionSummary, Time};
use crate::worker::{
    EventContext, HostedMember, JoinFailure, MessageEnd, Observer, ReceivedMessage, Reception,
};

/// Most subscribers at once: each costs the protocol's thread a copy of every event.
pub(super) const SUBSCRIBERS_MAX: usize = 64;

/// Most round-trip times kept for the sampler. It comes once a second, and the shortest probe interval,
/// 10 ms, makes a hundred.
const RTTS_MAX: usize = 256;

/// Hears what happens to the member.
#[derive(Default)]
pub(super) struct EventDispatcher {
    subscribers: Vec<Subscriber>,
    /// Events that slow subscribers lost.
    pub(super) events_lost: u64,
    /// The joins that wait for an address, by its number.
    pub(super) joins: HashMap<u32, ProgressSender>,
    /// Times that the member has been told to leave.
    pub(super) leaves: u32,
    /// Those that wait for the leave to finish.
    pub(super) leaving: Vec<Arc<LeaveOutcome>>,
    /// Those who watch shared state.
    pub(super) watchers: Watchers,
    /// Events of our own that are waited for.
    pub(super) awaited: AwaitedEvents,
    rtts_us: Vec<u32>,
    /// Direct messages and questions of our own that have not ended.
    pub(super) messages: AwaitedMessages,
    /// Bytes of direct messages that wait for subscribers.
    message_bytes: Arc<AtomicUsize>,
    /// Direct messages in datagrams that no subscriber had room for.
    pub(super) messages_shed: u64,
    /// What replies to questions go through.
    pub(super) cluster: Weak<Shared>,
    /// What is known of the members beyond the view.
    observed: Observations,
    /// What is to be written in the snapshot, if there is one.
    pub(super) notes: Option<Notes>,
    /// The way to the application that is asked who may come into the view, if it is.
    pub(super) asker: Option<Asker>,
    /// The wire of the cluster.
    pub(super) wire: Option<WireKind>,
}

/// A subscriber's queue.
struct Subscriber {
    sender: Sender<Numbered>,
    /// The number of its next event.
    next: u64,
    /// Whether it hears of direct messages.
    listens: bool,
}

impl Subscriber {
    /// Gives it `event`. True if an older one is lost for that.
    fn send(&mut self, event: ClusterEvent, charge: Option<Arc<Charge>>) -> bool {
        let number = self.next;
        self.next += 1;
        self.sender.send(Numbered { number, event, charge }).is_some()
    }
}

impl EventDispatcher {
    /// Adds a subscriber, which `listens` to direct messages or does not. False if there are too many.
    pub(super) fn subscribe(&mut self, sender: Sender<Numbered>, listens: bool) -> bool {
        self.subscribers.retain(|subscriber| !subscriber.sender.is_abandoned());
        let takes = self.subscribers.len() < SUBSCRIBERS_MAX;
        if takes {
            self.subscribers.push(Subscriber { sender, next: 0, listens });
        }
        takes
    }

    /// Gives a direct message to every subscriber that listens, if one of them has room: in half of its queue, so that the
    /// other half is left for what happens to members.
    fn offer(&mut self, event: ClusterEvent, bytes: usize) -> Reception {
        self.subscribers.retain(|subscriber| !subscriber.sender.is_abandoned());
        let listening = || self.subscribers.iter().filter(|subscriber| subscriber.listens);
        if listening().next().is_none() {
            return Reception::Unheard;
        }
        if listening().all(|subscriber| subscriber.sender.is_half_full()) {
            return Reception::Full;
        }
        let Some(charge) = Charge::take(&self.message_bytes, bytes) else { return Reception::Full };
        for subscriber in self.subscribers.iter_mut().filter(|subscriber| subscriber.listens) {
            self.events_lost += u64::from(subscriber.send(event.clone(), Some(Arc::clone(&charge))));
        }
        Reception::Taken
    }

    /// Moves the round-trip times since the last call, in microseconds, to the end of `to`.
    #[cfg_attr(not(feature = "metrics"), expect(dead_code, reason = "only the sampler takes them"))]
    pub(super) fn take_rtts(&mut self, to: &mut Vec<u32>) {
        to.append(&mut self.rtts_us);
    }

    /// Gives `event` to every subscriber.
    pub(super) fn publish(&mut self, event: ClusterEvent) {
        self.subscribers.retain_mut(|subscriber| {
            self.events_lost += u64::from(subscriber.send(event.clone(), None));
            !subscriber.sender.is_abandoned()
        });
    }

    /// What is known of the member `id`, as `member` sees it.
    pub(super) fn detail(
        &self,
        now: Time,
        member: &Member,
        shared: &SharedState,
        id: MemberId,
    ) -> Option<MemberDetail> {
        let index = shared.directory().find(id)?;
        let info = owned(&member.member(index, shared)?);
        let observed = self.observed.get(id);
        let named = |id| accuser(member, shared, id);
        let suspicion = member.suspicion_of(index, shared).map(|standing| OngoingSuspicion {
            accuser: named(standing.accuser),
            confirmed_by: standing
                .confirmed_by
                .iter()
                .map(|half| named(whole_id(member, shared, *half)))
                .collect(),
            lasted: now.since(standing.since),
            left: standing.ends.since(now),
        });
        Some(MemberDetail {
            life: observed.map_or(info.incarnation, |observed| observed.life),
            // This member itself: since the fleet of one began.
            in_state: now.since(observed.map_or(Time::ZERO, |observed| observed.since)),
            last_heard: observed.and_then(|observed| observed.heard).map(|heard| now.since(heard)),
            round_trip: observed.and_then(|observed| observed.round_trip()),
            member: info,
            suspicion,
        })
    }

    /// Takes note of what `event` says of its subject.
    fn observe(&mut self, context: &EventContext<'_>, event: &Event) {
        let EventContext { now, member, shared, .. } = *context;
        let id = |subject| shared.directory().id(subject);
        match *event {
            Event::Joined { subject } | Event::Restarted { subject } => {
                let life = member.state_of(subject).map_or(Incarnation::ZERO, |(_, incarnation)| incarnation);
                self.observed.began(id(subject), life, now);
            }
            Event::Suspected { subject, .. }
            | Event::Refuted { subject, .. }
            | Event::Failed { subject, .. }
            | Event::Left { subject } => self.observed.changed(id(subject), now),
            Event::Reaped { subject } => self.observed.forget(id(subject)),
            Event::ProbeAcked { subject, rtt } => self.observed.answered(id(subject), rtt, now),
            _ => {}
        }
        if let Some(notes) = &mut self.notes {
            match *event {
                Event::Joined { subject }
                | Event::Restarted { subject }
                | Event::Updated { subject }
                | Event::Suspected { subject, .. }
                | Event::Refuted { subject, .. }
                | Event::Failed { subject, .. }
                | Event::Left { subject }
                | Event::Reaped { subject } => notes.member(id(subject)),
                Event::StateChanged => notes.keys(context.member.state_changes()),
                _ => {}
            }
        }
    }

    /// A direct message has come in a datagram.
    fn datagram_received(&mut self, context: &EventContext<'_>, at: u32) {
        let Some((from, payload)) = context.shared.direct_message(at) else { return };
        let message = ReceivedMessage { from, payload, acknowledged: false, question: None };
        self.messages_shed += u64::from(self.message(context, message) != Reception::Taken);
    }

    /// Whether `subject` is admitted has to be asked.
    fn ask(&self, context: &EventContext<'_>, subject: MemberId) {
        if let (Some(asker), Some(known)) = (&self.asker, context.member.candidate(subject)) {
            asker.ask(subject, &known, self.wire());
        }
    }

    /// Somebody was not admitted.
    fn not_admitted(&mut self, context: &EventContext<'_>, at: u32) {
        if let Some((known, reason)) = context.member.not_admitted(at) {
            let candidate = Candidate::new(&known, self.wire());
            self.publish(ClusterEvent::NotAdmitted { candidate, reason });
        }
    }

    fn wire(&self) -> WireKind {
        self.wire.unwrap_or(WireKind::Native)
    }

    fn join_ended(&mut self, token: u32, result: Result<(), SeedError>) {
        if let Some(join) = self.joins.remove(&token) {
            join.send(JoinProgress::Ended { token, result });
        }
    }

    fn probe_acked(&mut self, rtt_us: u128) {
        if self.rtts_us.len() < RTTS_MAX {
            self.rtts_us.push(u32::try_from(rtt_us).unwrap_or(u32::MAX));
        }
    }
}

impl Observer for EventDispatcher {
    fn event(&mut self, context: &EventContext<'_>, event: &Event) {
        self.observe(context, event);
        match *event {
            Event::ProbeAcked { rtt, .. } => self.probe_acked(rtt.as_micros()),
            Event::JoinFinished { token, joined } => {
                let result = match (joined, context.member.live()) {
                    (true, 1) => Err(SeedError::Itself),
                    (true, _) => Ok(()),
                    (false, _) => Err(SeedError::Failed(JoinFailure::Unreadable)),
                };
                self.join_ended(token, result);
            }
            Event::LeaveFinished => {
                for waiting in self.leaving.drain(..) {
                    waiting.told();
                }
            }
            Event::StateChanged => {
                self.events_lost += self.watchers.tell(context.member.state_changes(), context.shared);
            }
            Event::Direct { at } => self.datagram_received(context, at),
            Event::CandidateAsked { subject } => self.ask(context, subject),
            Event::NotAdmitted { at } => self.not_admitted(context, at),
            Event::NobodyAdmitted { token } => {
                self.join_ended(token, Err(SeedError::Failed(JoinFailure::NobodyAdmitted)));
            }
            Event::EventTold { sequence, given_up } => self.awaited.told(sequence, given_up),
            _ => {
                if let Some(event) = to_cluster_event(context, event) {
                    self.publish(event);
                }
            }
        }
    }

    #[inline]
    fn frame(&mut self, now: Time, source: MemberId) {
        self.observed.heard(source, now);
    }

    fn heard(&mut self, now: Time, _: HostedMember, _: SocketAddr, message: &memberlist::Message<'_>) {
        if let memberlist::Message::Ping { source: Some(source), .. } = message {
            self.observed.heard(MemberId::of_name(source.name), now);
        }
    }

    fn message(&mut self, context: &EventContext<'_>, message: ReceivedMessage<'_>) -> Reception {
        let Some(from) = name_of(context.shared, message.from) else { return Reception::Unheard };
        let payload = Bytes::copy_from_slice(message.payload);
        let bytes = payload.len();
        let event = match message.question {
            Some(number) => {
                let cluster = Weak::clone(&self.cluster);
                ClusterEvent::Question(Question::new(from, payload, message.from, number, cluster))
            }
            None => {
                let acknowledged = message.acknowledged;
                ClusterEvent::Message(DirectMessage { from, payload, acknowledged })
            }
        };
        self.offer(event, bytes)
    }

    fn message_ended(&mut self, _: HostedMember, ticket: u64, end: MessageEnd<'_>) {
        let ended = match end {
            MessageEnd::Delivered => Ok(Bytes::new()),
            MessageEnd::Replied(payload) => Ok(Bytes::copy_from_slice(payload)),
            MessageEnd::Failed(failure) => Err(failure),
        };
        self.messages.ended(ticket, ended);
    }

    fn join_failed(&mut self, _: HostedMember, token: u32, reason: &JoinFailure) {
        self.join_ended(token, Err(SeedError::Failed(reason.clone())));
    }
}

/// What subscribers are told of `event`.
fn to_cluster_event(context: &EventContext<'_>, event: &Event) -> Option<ClusterEvent> {
    // What is believed now may be later than the event: it happened in the middle of a frame.
    let member = |subject: MemberIndex, state: State| info(context, subject, state);
    Some(match *event {
        Event::Joined { subject } => ClusterEvent::Joined(member(subject, State::Alive)?),
        Event::Updated { subject } => ClusterEvent::Updated(member(subject, State::Alive)?),
        Event::Restarted { subject } => ClusterEvent::Restarted(member(subject, State::Alive)?),
        Event::Suspected { subject, accuser: id } => ClusterEvent::Suspected {
            member: member(subject, State::Suspect)?,
            accuser: accuser(context.member, context.shared, id),
        },
        Event::Refuted { subject, suspicion } => ClusterEvent::Recovered {
            member: member(subject, State::Alive)?,
            suspicion: explained(context, &suspicion),
        },
        Event::Failed { subject, suspicion, declared } => ClusterEvent::Failed {
            member: member(subject, State::Dead)?,
            suspicion: suspicion.map(|suspicion| explained(context, &suspicion)),
            declared_here: declared,
        },
        Event::Left { subject } => ClusterEvent::Left(member(subject, State::Left)?),
        Event::Reaped { subject } => ClusterEvent::Reaped { name: context.shared.name(subject).into() },
        Event::UserEvent { event } => ClusterEvent::User(user_event(context, event)),
        Event::Accused => ClusterEvent::Accused,
        Event::Unreachable { address } => ClusterEvent::Unreachable { address },
        Event::NameConflict { address } => ClusterEvent::NameConflict { address: canonical(address) },
        Event::StateChanged
        | Event::EventTold { .. }
        | Event::Direct { .. }
        | Event::CandidateAsked { .. }
        | Event::NotAdmitted { .. }
        | Event::NobodyAdmitted { .. }
        | Event::ProbeAcked { .. }
        | Event::ProbeUnanswered { .. }
        | Event::JoinFinished { .. }
        | Event::LeaveFinished => return None,
    })
}

fn info(context: &EventContext<'_>, subject: MemberIndex, state: State) -> Option<MemberInfo> {
    let known = context.member.member(subject, context.shared)?;
    Some(MemberInfo { state, ..owned(&known) })
}

fn explained(context: &EventContext<'_>, summary: &SuspicionSummary) -> Suspicion {
    Suspicion {
        accuser: accuser(context.member, context.shared, summary.accuser),
        lasted: summary.lasted,
        confirmations: summary.confirmations,
    }
}

fn accuser(member: &Member, shared: &SharedState, id: MemberId) -> Accuser {
    if id == member.id() {
        return Accuser::Local;
    }
    name_of(shared, id).map_or(Accuser::Unknown, Accuser::Member)
}

/// The id of a member of the view whose low half is `half`; nobody if there is none.
fn whole_id(member: &Member, shared: &SharedState, half: u32) -> MemberId {
    let ids = member.members(shared).map(|known| shared.directory().id(known.index));
    ids.into_iter().find(|id| id.0 as u32 == half).unwrap_or(MemberId::NONE)
}

fn name_of(shared: &SharedState, id: MemberId) -> Option<Arc<str>> {
    shared.directory().find(id).map(|index| shared.name(index).into())
}

fn user_event(context: &EventContext<'_>, event: EventIndex) -> UserEvent {
    let event = context.shared.user_event(event);
    UserEvent {
        name: event.name.into(),
        payload: Bytes::copy_from_slice(event.payload),
        origin: name_of(context.shared, event.origin),
    }
}
