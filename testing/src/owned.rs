//! The message model with owned values, so that messages can be generated, kept and compared apart from
//! the bytes they came in.

use std::net::SocketAddr;

use swimring_codec::native::{
    DirectRole, DirectTurn, EntryWanted, EventId, EventPart, EventSum, IdRange, Introduction, KeyEntry,
    KeyRoots, KeySectionWriter, KeySections, KeySpan, KeyStatement, KeyValue, MapStatement, Message,
    Signature, SketchCell, StreamBody, StreamKind, UserEvent, ValueHash, ViewList, ViewSketch, ViewSums,
};
use swimring_codec::{Incarnation, MemberId, State};

/// A message of a frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OwnedMessage {
    Ping { sequence: u32, event_root: u32 },
    IndirectPing { sequence: u32, target: u64 },
    Ack { sequence: u32, event_root: u32 },
    Nack { sequence: u32 },
    Alive { subject: u64, incarnation: u64, tag: u8 },
    Suspect { subject: u64, incarnation: u64, accuser: u64 },
    Dead { subject: u64, incarnation: u64 },
    Left { subject: u64, incarnation: u64 },
    Introduction(OwnedIntroduction),
    UserEvent { origin: u64, sequence: u32, name: String, payload: Vec<u8> },
    Delegation { number: u32, prefix_bits: u8, zone: u16, view_first: bool },
    DelegationAck { number: u32 },
    EventSum { bits: u8, nth: u8, age_max: u8, answer: bool, sum: u32 },
    EventKnown { id: u64 },
    EventWanted { id: u64 },
    EventAge { age_ms: u32 },
    ViewSketch { cells: Vec<SketchCell> },
    ViewSums { range: IdRange, began: bool, step: u8, sums: Vec<[u8; 8]> },
    ViewList { range: IdRange, began: bool, wanted: bool, codes: Vec<[u8; 4]> },
    EntryWanted { subject: u64, incarnation: u64, tag: u8 },
    ViewRepair { began: bool },
    KeyRoots { maps: u64, keys: u64 },
    Signature(Box<Signature>),
    Direct { payload: Vec<u8> },
}

/// An introduction. Its subject is the id of its name unless a test says otherwise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnedIntroduction {
    pub subject: u64,
    pub incarnation: u64,
    pub state: State,
    pub address: SocketAddr,
    pub name: String,
    pub metadata: Vec<u8>,
    pub zone: String,
    /// The signature in front of it, as a record of a stream; in a frame that is a message of its own.
    pub signature: Option<Box<Signature>>,
}

/// A stream message's body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OwnedBody {
    Plain(u8),
    Probe(u8, u32),
    /// The records up to the first that is refused.
    State {
        more: bool,
        records: Vec<OwnedIntroduction>,
        refused: bool,
    },
    /// Role 0 to 2, with the question's number.
    Direct {
        session: u64,
        sequence: u64,
        role: (u8, u64),
        payload: Vec<u8>,
    },
    DirectAck(u64, u8),
    /// Owner, epoch and version of maps; hash, version and writer of keys.
    KeyDigests {
        all_maps: bool,
        all_keys: bool,
        more: bool,
        maps: Vec<[u64; 3]>,
        keys: Vec<[u64; 3]>,
    },
    /// The sections up to the first that is refused, which has the entries up to the first that is.
    KeyValues {
        sections: Vec<OwnedSection>,
        refused: bool,
    },
}

/// A section of shared state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnedSection {
    pub span: KeySpan,
    pub statement: Option<Box<MapStatement>>,
    pub entries: Vec<OwnedEntry>,
}

/// An entry of one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnedEntry {
    pub key: String,
    pub version: u64,
    pub writer: u64,
    pub value: OwnedValue,
    pub statement: Option<Box<KeyStatement>>,
}

/// What became of its key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OwnedValue {
    Set(Vec<u8>),
    Deleted,
    Elsewhere(Option<ValueHash>),
}

impl OwnedSection {
    /// Writes it to the end of what is being written. False if something of it cannot be.
    pub fn write(&self, writer: &mut KeySectionWriter<'_>) -> bool {
        let written = writer.begin_stated(self.span, self.statement.as_deref())
            && self.entries.iter().all(|entry| writer.entry(&entry.borrow()));
        writer.end();
        written
    }
}

impl OwnedEntry {
    pub fn borrow(&self) -> KeyEntry<'_> {
        let value = match &self.value {
            OwnedValue::Set(value) => KeyValue::Set(value),
            OwnedValue::Deleted => KeyValue::Deleted,
            OwnedValue::Elsewhere(hash) => KeyValue::Elsewhere(hash.as_ref()),
        };
        KeyEntry {
            key: &self.key,
            version: self.version,
            writer: MemberId(self.writer),
            value,
            statement: self.statement.as_deref(),
        }
    }
}

impl From<KeyEntry<'_>> for OwnedEntry {
    fn from(entry: KeyEntry<'_>) -> OwnedEntry {
        let value = match entry.value {
            KeyValue::Set(value) => OwnedValue::Set(value.to_vec()),
            KeyValue::Deleted => OwnedValue::Deleted,
            KeyValue::Elsewhere(hash) => OwnedValue::Elsewhere(hash.copied()),
        };
        OwnedEntry {
            key: entry.key.to_owned(),
            version: entry.version,
            writer: entry.writer.0,
            value,
            statement: entry.statement.map(|statement| Box::new(*statement)),
        }
    }
}

impl From<KeySections<'_>> for OwnedBody {
    fn from(read: KeySections<'_>) -> OwnedBody {
        let (mut sections, mut refused) = (Vec::new(), false);
        for section in read {
            let Ok(section) = section else {
                refused = true;
                break;
            };
            let mut entries = Vec::new();
            for entry in section.entries() {
                match entry {
                    Ok(entry) => entries.push(entry.into()),
                    Err(_) => refused = true,
                }
            }
            let statement = section.statement.map(|statement| Box::new(*statement));
            sections.push(OwnedSection { span: section.span, statement, entries });
            if refused {
                break;
            }
        }
        OwnedBody::KeyValues { sections, refused }
    }
}

impl OwnedIntroduction {
    pub fn borrow(&self) -> Introduction<'_> {
        Introduction {
            subject: MemberId(self.subject),
            incarnation: Incarnation::new(self.incarnation),
            state: self.state,
            address: self.address,
            name: &self.name,
            metadata: &self.metadata,
            zone: &self.zone,
        }
    }
}

impl From<Introduction<'_>> for OwnedIntroduction {
    fn from(introduction: Introduction<'_>) -> OwnedIntroduction {
        OwnedIntroduction {
            subject: introduction.subject.0,
            incarnation: introduction.incarnation.get(),
            state: introduction.state,
            address: introduction.address,
            name: introduction.name.to_owned(),
            metadata: introduction.metadata.to_vec(),
            zone: introduction.zone.to_owned(),
            signature: None,
        }
    }
}

/// The event id with the low 56 of these bits.
fn event_id(bits: u64) -> EventId {
    EventId::from_bits(bits & ((1 << 56) - 1)).expect("56 bits")
}

impl OwnedMessage {
    pub fn borrow(&self) -> Message<'_> {
        let id = MemberId;
        match *self {
            OwnedMessage::Ping { sequence, event_root } => Message::Ping { sequence, event_root },
            OwnedMessage::IndirectPing { sequence, target } => {
                Message::IndirectPing { sequence, target: id(target) }
            }
            OwnedMessage::Ack { sequence, event_root } => Message::Ack { sequence, event_root },
            OwnedMessage::Nack { sequence } => Message::Nack { sequence },
            OwnedMessage::Alive { subject, incarnation, tag } => {
                Message::Alive { subject: id(subject), incarnation: Incarnation::new(incarnation), tag }
            }
            OwnedMessage::Suspect { subject, incarnation, accuser } => Message::Suspect {
                subject: id(subject),
                incarnation: Incarnation::new(incarnation),
                accuser: id(accuser),
            },
            OwnedMessage::Dead { subject, incarnation } => {
                Message::Dead { subject: id(subject), incarnation: Incarnation::new(incarnation) }
            }
            OwnedMessage::Left { subject, incarnation } => {
                Message::Left { subject: id(subject), incarnation: Incarnation::new(incarnation) }
            }
            OwnedMessage::Introduction(ref introduction) => Message::Introduction(introduction.borrow()),
            OwnedMessage::UserEvent { origin, sequence, ref name, ref payload } => {
                Message::UserEvent(UserEvent { origin: id(origin), sequence, name, payload })
            }
            OwnedMessage::Delegation { number, prefix_bits, zone, view_first } => {
                Message::Delegation { number, prefix_bits, zone, view_first }
            }
            OwnedMessage::DelegationAck { number } => Message::DelegationAck { number },
            OwnedMessage::EventSum { bits, nth, age_max, answer, sum } => {
                Message::EventSum(EventSum { part: EventPart { bits, nth }, age_max, answer, sum })
            }
            OwnedMessage::EventKnown { id } => Message::EventKnown { id: event_id(id) },
            OwnedMessage::EventWanted { id } => Message::EventWanted { id: event_id(id) },
            OwnedMessage::EventAge { age_ms } => Message::EventAge { age_ms },
            OwnedMessage::ViewSketch { ref cells } => Message::ViewSketch(ViewSketch { cells }),
            OwnedMessage::ViewSums { range, began, step, ref sums } => {
                Message::ViewSums(ViewSums { range, began, step, sums })
            }
            OwnedMessage::ViewList { range, began, wanted, ref codes } => {
                Message::ViewList(ViewList { range, began, wanted, codes })
            }
            OwnedMessage::EntryWanted { subject, incarnation, tag } => Message::EntryWanted(EntryWanted {
                subject: id(subject),
                incarnation: Incarnation::new(incarnation),
                tag,
            }),
            OwnedMessage::ViewRepair { began } => Message::ViewRepair { began },
            OwnedMessage::Signature(ref signature) => Message::Signature(signature),
            OwnedMessage::KeyRoots { maps, keys } => Message::KeyRoots(KeyRoots { maps, keys }),
            OwnedMessage::Direct { ref payload } => Message::Direct { payload },
        }
    }
}

impl From<Message<'_>> for OwnedMessage {
    fn from(message: Message<'_>) -> OwnedMessage {
        match message {
            Message::Ping { sequence, event_root } => OwnedMessage::Ping { sequence, event_root },
            Message::IndirectPing { sequence, target } => {
                OwnedMessage::IndirectPing { sequence, target: target.0 }
            }
            Message::Ack { sequence, event_root } => OwnedMessage::Ack { sequence, event_root },
            Message::Nack { sequence } => OwnedMessage::Nack { sequence },
            Message::Alive { subject, incarnation, tag } => {
                OwnedMessage::Alive { subject: subject.0, incarnation: incarnation.get(), tag }
            }
            Message::Suspect { subject, incarnation, accuser } => OwnedMessage::Suspect {
                subject: subject.0,
                incarnation: incarnation.get(),
                accuser: accuser.0,
            },
            Message::Dead { subject, incarnation } => {
                OwnedMessage::Dead { subject: subject.0, incarnation: incarnation.get() }
            }
            Message::Left { subject, incarnation } => {
                OwnedMessage::Left { subject: subject.0, incarnation: incarnation.get() }
            }
            Message::Introduction(introduction) => OwnedMessage::Introduction(introduction.into()),
            Message::UserEvent(event) => OwnedMessage::UserEvent {
                origin: event.origin.0,
                sequence: event.sequence,
                name: event.name.to_owned(),
                payload: event.payload.to_vec(),
            },
            Message::Delegation { number, prefix_bits, zone, view_first } => {
                OwnedMessage::Delegation { number, prefix_bits, zone, view_first }
            }
            Message::DelegationAck { number } => OwnedMessage::DelegationAck { number },
            Message::EventSum(EventSum { part: EventPart { bits, nth }, age_max, answer, sum }) => {
                OwnedMessage::EventSum { bits, nth, age_max, answer, sum }
            }
            Message::EventKnown { id } => OwnedMessage::EventKnown { id: id.bits() },
            Message::EventWanted { id } => OwnedMessage::EventWanted { id: id.bits() },
            Message::EventAge { age_ms } => OwnedMessage::EventAge { age_ms },
            Message::ViewSketch(ViewSketch { cells }) => OwnedMessage::ViewSketch { cells: cells.to_vec() },
            Message::ViewSums(ViewSums { range, began, step, sums }) => {
                OwnedMessage::ViewSums { range, began, step, sums: sums.to_vec() }
            }
            Message::ViewList(ViewList { range, began, wanted, codes }) => {
                OwnedMessage::ViewList { range, began, wanted, codes: codes.to_vec() }
            }
            Message::EntryWanted(EntryWanted { subject, incarnation, tag }) => {
                OwnedMessage::EntryWanted { subject: subject.0, incarnation: incarnation.get(), tag }
            }
            Message::ViewRepair { began } => OwnedMessage::ViewRepair { began },
            Message::Signature(signature) => OwnedMessage::Signature(Box::new(*signature)),
            Message::KeyRoots(KeyRoots { maps, keys }) => OwnedMessage::KeyRoots { maps, keys },
            Message::Direct { payload } => OwnedMessage::Direct { payload: payload.to_vec() },
        }
    }
}

impl From<StreamBody<'_>> for OwnedBody {
    fn from(body: StreamBody<'_>) -> OwnedBody {
        match body {
            StreamBody::Join => OwnedBody::Plain(StreamKind::Join as u8),
            StreamBody::Sync => OwnedBody::Plain(StreamKind::Sync as u8),
            StreamBody::Agreed => OwnedBody::Plain(StreamKind::Agreed as u8),
            StreamBody::Differs => OwnedBody::Plain(StreamKind::Differs as u8),
            StreamBody::Absent => OwnedBody::Plain(StreamKind::Absent as u8),
            StreamBody::Direct(DirectTurn { session, sequence, role, payload }) => {
                let role = match role {
                    DirectRole::Message => (0, 0),
                    DirectRole::Question(number) => (1, number),
                    DirectRole::Reply(number) => (2, number),
                };
                OwnedBody::Direct { session, sequence, role, payload: payload.to_vec() }
            }
            StreamBody::DirectAck { sequence, outcome } => OwnedBody::DirectAck(sequence, outcome as u8),
            StreamBody::Ping { sequence } => OwnedBody::Probe(StreamKind::Ping as u8, sequence),
            StreamBody::Ack { sequence } => OwnedBody::Probe(StreamKind::Ack as u8, sequence),
            StreamBody::State(records) => {
                let mut kept = Vec::new();
                let mut refused = false;
                for record in records.signed() {
                    match record {
                        Ok((record, signature)) => kept.push(OwnedIntroduction {
                            signature: signature.copied().map(Box::new),
                            ..record.into()
                        }),
                        Err(_) => refused = true,
                    }
                }
                OwnedBody::State { more: records.more, records: kept, refused }
            }
            StreamBody::KeyDigests(digests) => OwnedBody::KeyDigests {
                all_maps: digests.all_maps,
                all_keys: digests.all_keys,
                more: digests.more,
                maps: digests.maps().map(|map| [map.owner.0, map.epoch, map.version]).collect(),
                keys: digests.keys().map(|key| [key.hash, key.version, key.writer.0]).collect(),
            },
            StreamBody::KeyValues(sections) => sections.into(),
        }
    }
}
