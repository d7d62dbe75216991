//! Frames and stream messages with any content, made up or made of what members have sent.

use swimring_codec::native::{
    EVENT_MAX, EntryWanted, EventId, EventPart, EventSum, FRAME_MAX, Frame, FrameHeader, FrameWriter,
    IdRange, Introduction, KEY_STATEMENT_LEN, KeyEntry, KeyRoots, KeySectionWriter, KeySections, KeySpan,
    KeyStatement, KeyValue, Message, Signature, SketchCell, StreamKind, StreamWriter, UserEvent, ViewList,
    ViewSketch, ViewSums, item_hash,
};
use swimring_codec::{Incarnation, MemberId, State};

use super::input::Input;
use super::{MEMBERS, TOLD};
use crate::network;
use crate::simulation::{CLUSTER, Simulation};

/// Mostly a member, else someone of whom there are many.
pub(super) fn someone(simulation: &Simulation, input: &mut Input<'_>) -> MemberId {
    let byte = input.byte();
    match usize::from(byte) % (MEMBERS + 1) {
        MEMBERS => MemberId::of_name(&format!("stranger-{byte}")),
        node => simulation.id(node),
    }
}

/// Close to what members have, or anything.
fn incarnation(input: &mut Input<'_>) -> Incarnation {
    match input.byte() % 4 {
        0 => Incarnation::new(input.number()),
        1 => Incarnation::MAX,
        _ => Incarnation::new(990 + u64::from(input.byte())),
    }
}

fn header(simulation: &Simulation, input: &mut Input<'_>) -> FrameHeader {
    let source = someone(simulation, input);
    FrameHeader {
        cluster: CLUSTER ^ u32::from(input.byte() == 255),
        source,
        destination: MemberId::NONE,
        root: u64::from(input.byte()),
        quiet: input.byte() & 1 == 1,
    }
}

pub(super) fn forged_frame(simulation: &Simulation, input: &mut Input<'_>) -> Vec<u8> {
    let mut frame = vec![0; FRAME_MAX];
    let header = header(simulation, input);
    let Some(mut writer) = FrameWriter::new(header, &mut frame) else { return Vec::new() };
    for _ in 0..=input.byte() % 6 {
        forged_message(simulation, input, &mut writer);
    }
    let length = writer.finish();
    frame.truncate(length);
    frame
}

fn forged_message(simulation: &Simulation, input: &mut Input<'_>, writer: &mut FrameWriter<'_>) {
    let subject = someone(simulation, input);
    let sequence = u32::from(input.byte());
    let (name, metadata) = (name(subject, input), forged_metadata(simulation, subject, input));
    if let Some(signature) = heard_signature(simulation, input) {
        writer.push(&Message::Signature(&signature));
    }
    // As if the sender had one member more than we have, or what nobody has.
    let number = input.number();
    let cells = [SketchCell::new(subject.0, number, item_hash(subject, number) as u16, 1); 56];
    let (sums, codes) = ([[7; 8]; 64], [(number as u32).to_le_bytes(); 3]);
    let bits = input.byte() % 3;
    let range =
        IdRange::new(bits, u32::from(input.byte()) << 24 & !(u32::MAX >> bits)).unwrap_or(IdRange::ALL);
    let mut section = Vec::new();
    let message = match input.byte() % 22 {
        0 => Message::Ping { sequence, event_root: u32::from(input.byte()) },
        1 => Message::IndirectPing { sequence, target: subject },
        2 => Message::Ack { sequence, event_root: u32::from(input.byte()) },
        3 => Message::Nack { sequence },
        4 => Message::Alive { subject, incarnation: incarnation(input), tag: input.byte() },
        5 => {
            let accuser = someone(simulation, input);
            Message::Suspect { subject, incarnation: incarnation(input), accuser }
        }
        6 => Message::Dead { subject, incarnation: incarnation(input) },
        7 => Message::Left { subject, incarnation: incarnation(input) },
        8 => Message::Introduction(introduction(&name, &metadata, input)),
        9 => Message::EventSum(EventSum {
            part: EventPart { bits: input.byte() % 8, nth: input.byte() },
            age_max: input.byte(),
            answer: input.byte().is_multiple_of(2),
            sum: sequence,
        }),
        10 => Message::EventKnown { id: EventId::of(subject, sequence).0 },
        11 => Message::EventWanted { id: EventId::of(subject, sequence).0 },
        12 => Message::EventAge { age_ms: 300 * sequence },
        14 => Message::ViewSketch(ViewSketch { cells: &cells }),
        15 => Message::ViewSums(ViewSums { range, began: sequence % 2 == 1, step: 6, sums: &sums }),
        16 => {
            let wanted = input.byte() % 2 == 1;
            Message::ViewList(ViewList { range, began: sequence % 2 == 1, wanted, codes: &codes })
        }
        17 => {
            Message::EntryWanted(EntryWanted { subject, incarnation: incarnation(input), tag: input.byte() })
        }
        18 => Message::ViewRepair { began: sequence % 2 == 1 },
        19 => Message::KeyRoots(KeyRoots { maps: input.number(), keys: sequence.into() }),
        20 => {
            forged_section(
                simulation,
                input,
                &mut KeySectionWriter::new(&mut section, EVENT_MAX - TOLD.len()),
            );
            Message::UserEvent(UserEvent { origin: subject, sequence, name: TOLD, payload: &section })
        }
        21 => {
            forged_key(simulation, input, &mut KeySectionWriter::new(&mut section, EVENT_MAX - TOLD.len()));
            Message::UserEvent(UserEvent { origin: subject, sequence, name: TOLD, payload: &section })
        }
        _ => Message::UserEvent(UserEvent { origin: subject, sequence, name: "forged", payload: &metadata }),
    };
    // What breaks a rule of the format is not written.
    writer.push(&message);
}

/// A section of somebody's map: one that has been told, with something of it changed, or made up.
fn forged_section(simulation: &Simulation, input: &mut Input<'_>, writer: &mut KeySectionWriter<'_>) {
    let number = usize::from(input.byte());
    let told = simulation.tapped().iter().skip(number).find_map(|frame| told_sections(&frame.bytes));
    let told = told.unwrap_or_default();
    let told = KeySections::new(&told).flatten().next();
    let made_up = KeySpan {
        owner: someone(simulation, input),
        epoch: input.number().max(1),
        since: 0,
        until: 1 + u64::from(input.byte()),
        floor: 0,
        complete: number.is_multiple_of(2),
        reset: false,
    };
    let mut span = told.map_or(made_up, |section| section.span);
    let spoiled = input.byte() % 8;
    match spoiled {
        0 => span.until += 1,
        1 => span.epoch = span.epoch.wrapping_add(1),
        2 => span.since = 0,
        3 => span.complete = !span.complete,
        _ => {}
    }
    let statement = told.and_then(|section| section.statement);
    writer.begin_stated(span, statement.filter(|_| !input.byte().is_multiple_of(4)));
    for entry in told.iter().flat_map(|section| section.entries().flatten()) {
        match spoiled {
            4 => continue,
            5 => writer.entry(&KeyEntry { value: KeyValue::Set(b"forged"), ..entry }),
            6 => writer.entry(&KeyEntry { value: KeyValue::Deleted, ..entry }),
            _ => writer.entry(&entry),
        };
    }
    if told.is_none() {
        let (version, value) = (span.until, KeyValue::Set(b"forged"));
        writer.entry(&KeyEntry { key: "forged", version, writer: MemberId::NONE, value, statement: None });
    }
    writer.end();
}

/// A key of the cluster in somebody's name: one that has been told, with something of it changed, or made up.
fn forged_key(simulation: &Simulation, input: &mut Input<'_>, writer: &mut KeySectionWriter<'_>) {
    let number = usize::from(input.byte());
    let told = simulation.tapped().iter().skip(number).find_map(|frame| told_sections(&frame.bytes));
    let told = told.unwrap_or_default();
    let entries = KeySections::new(&told).flatten().flat_map(|section| section.entries().flatten());
    let told = entries.into_iter().find(|entry| !entry.writer.is_none());
    let (by, value) = (someone(simulation, input), KeyValue::Set(b"forged"));
    let made_up = KeyEntry { key: "forged", version: input.number(), writer: by, value, statement: None };
    let entry = told.unwrap_or(made_up);
    let hash = [input.byte(); 32];
    let random = KeyStatement::from_bytes([input.byte(); KEY_STATEMENT_LEN]);
    let entry = match input.byte() % 8 {
        0 => KeyEntry { value, ..entry },
        1 => KeyEntry { value: KeyValue::Deleted, ..entry },
        2 => KeyEntry { key: "c", ..entry },
        3 => KeyEntry { version: entry.version.wrapping_add(1), ..entry },
        4 => KeyEntry { writer: by, ..entry },
        5 => KeyEntry { statement: None, ..entry },
        6 => KeyEntry { statement: Some(&random), ..entry },
        _ => KeyEntry { value: KeyValue::Elsewhere(entry.statement.map(|_| &hash)), ..entry },
    };
    writer.begin(KeySpan::CLUSTER);
    writer.entry(&entry);
    writer.end();
}

/// What a frame tells of shared state.
fn told_sections(bytes: &[u8]) -> Option<Vec<u8>> {
    Frame::decode(bytes).ok()?.messages().flatten().find_map(|message| match message {
        Message::UserEvent(UserEvent { name: TOLD, payload, .. }) => Some(payload.to_vec()),
        _ => None,
    })
}

/// Any metadata, behind the subject's public key where members have identities.
fn forged_metadata(simulation: &Simulation, subject: MemberId, input: &mut Input<'_>) -> Vec<u8> {
    let metadata = input.bytes();
    let node = (0..MEMBERS).find(|node| simulation.id(*node) == subject && simulation.has_identities());
    node.map_or(metadata.clone(), |node| [&simulation.identity_key(node).public().0[..], &metadata].concat())
}

/// One of the signatures that members have sent, or something else, or none.
fn heard_signature(simulation: &Simulation, input: &mut Input<'_>) -> Option<Signature> {
    if !simulation.has_identities() {
        return None;
    }
    let number = input.byte();
    let of_frame = |bytes: &[u8]| {
        Frame::decode(bytes).ok()?.messages().flatten().find_map(|message| match message {
            Message::Signature(signature) => Some(*signature),
            _ => None,
        })
    };
    match number % 4 {
        0 => None,
        1 => Some([number; 64]),
        _ => simulation.tapped().iter().skip(usize::from(number)).find_map(|frame| of_frame(&frame.bytes)),
    }
}

fn name(subject: MemberId, input: &mut Input<'_>) -> String {
    let members = (0..MEMBERS).map(|number| format!("member-{number:04}"));
    let known = members.into_iter().find(|name| MemberId::of_name(name) == subject);
    known.unwrap_or_else(|| format!("stranger-{}", input.byte()))
}

fn introduction<'a>(name: &'a str, metadata: &'a [u8], input: &mut Input<'_>) -> Introduction<'a> {
    let states = [State::Alive, State::Suspect, State::Dead, State::Left];
    Introduction {
        subject: MemberId::of_name(name),
        incarnation: incarnation(input),
        state: states[input.below(4)],
        address: network::address(input.below(MEMBERS + 1), input.byte() % 3),
        name,
        metadata,
        zone: "",
    }
}

/// A stream message without its length prefix.
pub(super) fn forged_stream(simulation: &Simulation, input: &mut Input<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::new(header(simulation, input), &mut bytes);
    match input.byte() % 10 {
        0 => writer.plain(StreamKind::Join),
        1 => writer.plain(StreamKind::Sync),
        2 => writer.plain(StreamKind::Agreed),
        3 => writer.plain(StreamKind::Differs),
        4 => writer.probe(StreamKind::Ping, u32::from(input.byte())),
        5 => writer.probe(StreamKind::Ack, u32::from(input.byte())),
        6 => writer.plain(StreamKind::Absent),
        7 => writer.key_values(|writer| forged_section(simulation, input, writer)),
        9 => writer.key_values(|writer| forged_key(simulation, input, writer)),
        _ => {
            for _ in 0..input.byte() % 8 {
                let subject = someone(simulation, input);
                let (name, metadata) = (name(subject, input), forged_metadata(simulation, subject, input));
                let signature = heard_signature(simulation, input);
                writer.signed_record(&introduction(&name, &metadata, input), signature.as_ref());
            }
            writer.finish_state();
        }
    }
    bytes.split_off(swimring_codec::native::STREAM_PREFIX_LEN)
}
