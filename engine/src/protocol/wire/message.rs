//! What members say to each other, whatever the format: the vocabulary that the formats translate.
//!
//! [`Outgoing`] is what a member means to say, by places in the directory: a format looks up what it names
//! members by, and how much of them it states. [`Incoming`] is what a reader found in a frame, as far as its
//! format says it. A format is then two translations: [`Outgoing`] to its bytes, its bytes to [`Incoming`].

use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::ops::Range;

use swimring_codec::memberlist::Versions;
use swimring_codec::native::{
    EntryWanted, EventId, EventSum, Introduction, KeyRoots, Signature, UserEvent, ViewList, ViewSketch,
    ViewSums,
};
use swimring_codec::{Incarnation, MemberId};

use crate::protocol::view::directory::{Directory, MemberIndex};

/// What is told about a member, or that it is a user event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) enum Update {
    /// A member lives; `introduce` sends everything that is known of it.
    Alive { introduce: bool },
    /// A member is suspected by `accuser`.
    Suspect { accuser: MemberId },
    /// A member is dead.
    Dead,
    /// A member left.
    Left,
    /// A user event; the subject is its place in the event store.
    Event,
}

/// Whom an update is about: by id in bytes, by place in the directory where a frame is a value.
pub(in crate::protocol) trait Subject: Copy {
    /// Its place in the directory, if anybody knows it.
    fn find(self, directory: &Directory) -> Option<MemberIndex>;
}

impl Subject for MemberId {
    #[inline]
    fn find(self, directory: &Directory) -> Option<MemberIndex> {
        directory.find(self)
    }
}

impl Subject for MemberIndex {
    #[inline]
    fn find(self, _: &Directory) -> Option<MemberIndex> {
        Some(self)
    }
}

/// Whether a user event of this name is not for applications: so the protocol tells changes of shared state.
#[inline]
pub(in crate::protocol) fn is_reserved(name: &str) -> bool {
    name.as_bytes().first() == Some(&0)
}

/// What tells one user event from another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::protocol) struct EventKey {
    pub(in crate::protocol) origin: MemberId,
    pub(in crate::protocol) sequence: u32,
}

impl Hash for EventKey {
    /// As one value: whoever hears an event again waits for this.
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(u128::from(self.origin.0) << 64 | u128::from(self.sequence));
    }
}

impl EventKey {
    /// What tells `event` from others.
    #[inline]
    pub(in crate::protocol) fn of(event: &UserEvent<'_>) -> EventKey {
        EventKey { origin: event.origin, sequence: event.sequence }
    }
}

/// A user event as it lies in the store.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct StoredEvent<'a> {
    /// Its place there.
    pub(in crate::protocol) at: u32,
    pub(in crate::protocol) key: EventKey,
    /// The event as it travels.
    pub(in crate::protocol) body: &'a [u8],
    /// Name and payload within the body: where each begins and ends.
    pub(in crate::protocol) name: (u16, u16),
    pub(in crate::protocol) payload: (u16, u16),
}

/// A user event on its way into the store.
#[derive(Clone, Debug)]
pub(in crate::protocol) enum EventBody<'a> {
    /// It travels as its name and payload, one after the other.
    Plain(&'a UserEvent<'a>),
    /// It travels as `body`, within which `name` and `payload` lie.
    Enclosed { key: EventKey, body: &'a [u8], name: Range<usize>, payload: Range<usize> },
}

impl EventBody<'_> {
    pub(in crate::protocol) fn key(&self) -> EventKey {
        match self {
            EventBody::Plain(event) => EventKey::of(event),
            EventBody::Enclosed { key, .. } => *key,
        }
    }
}

impl<'a> StoredEvent<'a> {
    /// Bytes of name and payload.
    pub(super) fn lengths(&self) -> (usize, usize) {
        (usize::from(self.name.1 - self.name.0), usize::from(self.payload.1 - self.payload.0))
    }

    /// The event without what else its body has.
    pub(in crate::protocol) fn event(&self) -> UserEvent<'a> {
        let part = |(from, to): (u16, u16)| &self.body[from.into()..to.into()];
        UserEvent {
            origin: self.key.origin,
            sequence: self.key.sequence,
            // Stored from a `&str` of this length.
            name: std::str::from_utf8(part(self.name)).unwrap_or_default(),
            payload: part(self.payload),
        }
    }
}

/// What an indirect ping asks for.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct IndirectRequest {
    pub(in crate::protocol) target: MemberId,
    /// Where the target is, if the format says so: a relay may not know it yet, or know it elsewhere.
    pub(in crate::protocol) address: Option<SocketAddr>,
    /// The requester understands nacks.
    pub(in crate::protocol) nack: bool,
}

/// One thing that a member says.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) enum Outgoing<'a> {
    /// Answer me.
    Ping { sequence: u32 },
    /// Ping `target` for me.
    IndirectPing { sequence: u32, target: MemberId },
    /// The answer to either.
    Ack { sequence: u32 },
    /// The target of an indirect ping stays silent.
    Nack { sequence: u32 },
    /// What follows is to be told to everyone in the zone tagged `zone` who shares the receiver's first `prefix_bits`
    /// bits, natively.
    Delegation { number: u32, prefix_bits: u8, zone: u16, view_first: bool },
    /// What was delegated under `number` is taken over, natively.
    DelegationAck { number: u32 },
    /// What the user events of one part sum to that we know, natively.
    EventSum(EventSum),
    /// We know this user event, natively.
    EventKnown { id: EventId },
    /// Send us this user event, natively.
    EventWanted { id: EventId },
    /// The user event that follows repairs what the receiver has missed, natively.
    EventAge { age_ms: u32 },
    /// What our view sums to, natively.
    ViewSketch(ViewSketch<'a>),
    /// What parts of our view sum to, natively.
    ViewSums(ViewSums<'a>),
    /// What we have or want in a range of ids, natively.
    ViewList(ViewList<'a>),
    /// Send us what you know of a member, natively.
    EntryWanted(EntryWanted),
    /// What follows repairs the receiver's view, natively. We began the exchange, or did not.
    ViewRepair { began: bool },
    /// What our copies of shared state sum to, natively.
    KeyRoots(KeyRoots),
    /// Something about the member at `subject`; never [`Update::Event`].
    Update { subject: MemberIndex, update: Update, incarnation: Incarnation },
    /// A user event.
    Event(StoredEvent<'a>),
    /// What our application says to the receiver's.
    Direct { payload: &'a [u8] },
    /// What another member says of itself, shown to the one whose name it claims.
    Claim(&'a Introduction<'a>),
}

/// Where a message came from, as far as its format says.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Sender {
    /// Where an answer goes.
    pub(in crate::protocol) address: SocketAddr,
    /// Who sent it; [`MemberId::NONE`] if the format does not say.
    pub(in crate::protocol) source: MemberId,
    /// The sender's state root, in formats that carry it.
    pub(in crate::protocol) root: Option<u64>,
    /// The sender has no updates about members queued.
    pub(in crate::protocol) quiet: bool,
}

impl Sender {
    /// Of a message that says nothing but where it came from.
    pub(in crate::protocol) fn unnamed(address: SocketAddr) -> Sender {
        Sender { address, source: MemberId::NONE, root: None, quiet: false }
    }
}

/// A ping that arrived: answer it. The root stands for the user events that the sender knows; 0 in formats without it.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Ping {
    pub(in crate::protocol) sequence: u32,
    pub(in crate::protocol) event_root: u32,
}

/// Any other message of a frame that arrived. Members are named by `S`: by id in bytes, by place in the directory
/// where frames are values.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) enum Incoming<'a, S> {
    /// Ping somebody for me.
    IndirectPing { sequence: u32, request: IndirectRequest },
    /// The answer to a ping, direct or indirect. The root is as in a ping.
    Ack { sequence: u32, event_root: u32 },
    /// The target of an indirect ping stays silent.
    Nack { sequence: u32 },
    /// What follows is to be told to everyone in the zone tagged `zone` who shares our first `prefix_bits` bits.
    Delegation { number: u32, prefix_bits: u8, zone: u16, view_first: bool },
    /// What we delegated under `number` is taken over.
    DelegationAck { number: u32 },
    /// What the user events of one part sum to that the sender knows.
    EventSum(EventSum),
    /// The sender knows this user event.
    EventKnown { id: EventId },
    /// The sender wants this user event.
    EventWanted { id: EventId },
    /// The user event that follows repairs what we have missed.
    EventAge { age_ms: u32 },
    /// What the sender's view sums to.
    ViewSketch(ViewSketch<'a>),
    /// What parts of the sender's view sum to.
    ViewSums(ViewSums<'a>),
    /// What the sender has or wants in a range of ids.
    ViewList(ViewList<'a>),
    /// The sender wants to know what we know of a member.
    EntryWanted(EntryWanted),
    /// What follows repairs our view. The sender began the exchange, or did not.
    ViewRepair { began: bool },
    /// What the sender's copies of shared state sum to.
    KeyRoots(KeyRoots),
    /// What the subject of the claim that follows has signed it with.
    Signature(&'a Signature),
    /// `subject` lives; `tag` tells address and metadata apart.
    Alive { subject: S, incarnation: Incarnation, tag: u8 },
    /// `accuser` got no answer from `subject`.
    Suspect { subject: S, incarnation: Incarnation, accuser: MemberId },
    /// `subject` has been declared failed.
    Dead { subject: S, incarnation: Incarnation },
    /// `subject` said goodbye.
    Left { subject: S, incarnation: Incarnation },
    /// A member, with everything needed to add it.
    Introduction(Introduction<'a>),
    /// The same from formats whose every alive is one: hardly ever new, and not yet checked.
    Record(Introduction<'a>, Versions),
    /// A user event.
    Event(UserEvent<'a>),
    /// What the sender's application says to ours.
    Direct(&'a [u8]),
    /// What an application sends inside memberlist's messages.
    UserMessage(&'a [u8]),
    /// A user event at this place of the store that sender and receiver share.
    StoredEvent { at: u32, key: EventKey },
}

impl<S> Incoming<'_, S> {
    /// Whether it is a claim about a member.
    #[inline]
    pub(in crate::protocol) fn is_update(&self) -> bool {
        matches!(
            self,
            Incoming::Alive { .. }
                | Incoming::Suspect { .. }
                | Incoming::Dead { .. }
                | Incoming::Left { .. }
                | Incoming::Introduction(_)
        )
    }

    /// Whether it is a question whether somebody is alive, or an answer to one: nothing of it waits for the rest of its frame.
    #[inline]
    pub(in crate::protocol) fn is_probing(&self) -> bool {
        matches!(self, Incoming::IndirectPing { .. } | Incoming::Ack { .. } | Incoming::Nack { .. })
    }
}

/// A message that is not taken in, and why.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) enum Unusable {
    /// It breaks a rule of its format.
    Undecodable,
    /// It is a ping for another member, at our address.
    Misdirected,
}
