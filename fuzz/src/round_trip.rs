//! Encoding: what is within the rules is written and read back the same, what is not is refused.

use std::net::{Ipv6Addr, SocketAddr};

use swimring_codec::native::{
    FRAME_MAX, Frame, FrameHeader, FrameWriter, IdRange, STREAM_PREFIX_LEN, SketchCell, StreamMessage,
    StreamWriter, stream_message_len,
};
use swimring_codec::{AddressFault, Incarnation, MemberId, State};

use crate::{Input, Seed};
use swimring_testing::golden;
use swimring_testing::owned::{OwnedBody, OwnedIntroduction, OwnedMessage};

/// Reads `bytes` as choices of messages, within the rules or not, and sends them over the wire.
///
/// # Panics
/// When a message within the rules is not written or comes back different, or one outside them is written.
pub fn round_trip(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let header = header(&mut input);
    if input.bool() { stream(header, &mut input) } else { frame(header, &mut input) }
}

fn frame(header: FrameHeader, input: &mut Input<'_>) {
    let room = usize::from(input.u16()) % (FRAME_MAX + 64);
    let mut out = vec![0xaa; room];
    let Some(mut writer) = FrameWriter::new(header, &mut out) else {
        assert!(room < 32 || header.source.is_none());
        return;
    };
    let mut sent = Vec::new();
    while !input.is_empty() {
        let message = message(input);
        let fits = writer.len() + message.borrow().encoded_len() <= room.min(FRAME_MAX);
        let within = is_within_rules(&message);
        assert_eq!(writer.push(&message.borrow()), fits && within, "{message:?}");
        if fits && within {
            sent.push(message);
        }
    }
    let used = writer.len();
    let length = writer.finish_padded(used + 5);
    assert!(length >= used && length <= room.min(FRAME_MAX));
    let frame = Frame::decode(&out[..length]).expect("written, so readable");
    assert_eq!(frame.header, header);
    let read: Result<Vec<_>, _> = frame.messages().map(|message| message.map(OwnedMessage::from)).collect();
    assert_eq!(read, Ok(sent));
}

fn stream(header: FrameHeader, input: &mut Input<'_>) {
    if header.source.is_none() {
        return;
    }
    let (mut out, mut sent) = (Vec::new(), Vec::new());
    let mut writer = StreamWriter::new(header, &mut out);
    while !input.is_empty() {
        let record = introduction(input);
        let within = introduction_is_within_rules(&record);
        assert_eq!(writer.record(&record.borrow()), within, "{record:?}");
        if within {
            sent.push(record);
        }
    }
    writer.finish_state();
    let (mut rest, mut read, mut ended) = (&out[..], Vec::new(), false);
    while let Some((prefix, tail)) = rest.split_first_chunk::<STREAM_PREFIX_LEN>() {
        assert!(!ended, "messages after the last");
        let (bytes, tail) = tail.split_at(stream_message_len(*prefix).expect("a length in bounds"));
        let message = StreamMessage::decode(bytes).expect("written, so readable");
        assert_eq!(message.header, header);
        let OwnedBody::State { more, records, refused: false } = message.body.into() else {
            panic!("a whole state, not {message:?}")
        };
        read.extend(records);
        (rest, ended) = (tail, !more);
    }
    assert!(ended && rest.is_empty());
    assert_eq!(read, sent);
}

fn header(input: &mut Input<'_>) -> FrameHeader {
    FrameHeader {
        cluster: input.u32(),
        source: MemberId(input.u64()),
        destination: MemberId(input.u64()),
        root: input.u64(),
        quiet: input.bool(),
    }
}

fn incarnation(input: &mut Input<'_>) -> u64 {
    Incarnation::new(input.u64()).get()
}

fn message(input: &mut Input<'_>) -> OwnedMessage {
    match input.u8() % 24 {
        0 => OwnedMessage::Ping { sequence: input.u32(), event_root: input.u32() },
        1 => OwnedMessage::IndirectPing { sequence: input.u32(), target: input.u64() },
        2 => OwnedMessage::Ack { sequence: input.u32(), event_root: input.u32() },
        3 => OwnedMessage::Nack { sequence: input.u32() },
        4 => OwnedMessage::Alive { subject: input.u64(), incarnation: incarnation(input), tag: input.u8() },
        5 => OwnedMessage::Suspect {
            subject: input.u64(),
            incarnation: incarnation(input),
            accuser: input.u64(),
        },
        6 => OwnedMessage::Dead { subject: input.u64(), incarnation: incarnation(input) },
        7 => OwnedMessage::Left { subject: input.u64(), incarnation: incarnation(input) },
        8 => OwnedMessage::Introduction(introduction(input)),
        9 => OwnedMessage::UserEvent {
            origin: input.u64(),
            sequence: input.u32(),
            name: input.text(),
            payload: input.bytes().to_vec(),
        },
        10 => OwnedMessage::Delegation {
            number: input.u32(),
            prefix_bits: input.u8(),
            zone: input.u16(),
            view_first: input.bool(),
        },
        11 => OwnedMessage::DelegationAck { number: input.u32() },
        12 => OwnedMessage::EventSum {
            bits: input.u8(),
            nth: input.u8(),
            age_max: input.u8(),
            answer: input.bool(),
            sum: input.u32(),
        },
        13 => OwnedMessage::EventKnown { id: input.u64() >> 8 },
        14 => OwnedMessage::EventWanted { id: input.u64() >> 8 },
        15 => OwnedMessage::EventAge { age_ms: input.u32() },
        16 => {
            let cell =
                |input: &mut Input<'_>| SketchCell::new(input.u64(), input.u64(), input.u16(), input.u16());
            OwnedMessage::ViewSketch { cells: (0..input.u8() % 72).map(|_| cell(input)).collect() }
        }
        17 => OwnedMessage::ViewSums {
            range: range(input),
            began: input.bool(),
            step: input.u8(),
            sums: (0..input.u8() % 72).map(|_| input.array()).collect(),
        },
        18 => OwnedMessage::ViewList {
            range: range(input),
            began: input.bool(),
            wanted: input.bool(),
            codes: (0..input.u16() % 360).map(|_| input.array()).collect(),
        },
        19 => OwnedMessage::EntryWanted {
            subject: input.u64(),
            incarnation: incarnation(input),
            tag: input.u8(),
        },
        20 => OwnedMessage::ViewRepair { began: input.bool() },
        21 => OwnedMessage::KeyRoots { maps: input.u64(), keys: input.u64() },
        22 => OwnedMessage::Signature(Box::new(input.array())),
        _ => OwnedMessage::Direct { payload: input.bytes().to_vec() },
    }
}

fn range(input: &mut Input<'_>) -> IdRange {
    let bits = input.u8() % 31;
    IdRange::new(bits, input.u32() & !(u32::MAX >> bits)).expect("as many bits as it says")
}

fn introduction(input: &mut Input<'_>) -> OwnedIntroduction {
    let name = input.text();
    let subject = match input.u8() {
        0xff => input.u64(),
        _ => MemberId::of_name(&name).0,
    };
    OwnedIntroduction {
        subject,
        incarnation: incarnation(input),
        state: State::from_u8(1 + input.u8() % 4).expect("1 to 4 are states"),
        address: SocketAddr::new(Ipv6Addr::from(input.array::<16>()).to_canonical(), input.u16()),
        name,
        metadata: input.bytes().to_vec(),
        zone: input.text(),
        signature: None,
    }
}

/// The rules of `docs/PROTOCOL.md`, apart from the codec's own idea of them.
fn is_within_rules(message: &OwnedMessage) -> bool {
    match message {
        OwnedMessage::Nack { .. }
        | OwnedMessage::DelegationAck { .. }
        | OwnedMessage::EventKnown { .. }
        | OwnedMessage::EventWanted { .. }
        | OwnedMessage::EventAge { .. }
        | OwnedMessage::ViewRepair { .. }
        | OwnedMessage::KeyRoots { .. }
        | OwnedMessage::Signature(_) => true,
        OwnedMessage::ViewSketch { cells } => (1..=68).contains(&cells.len()),
        OwnedMessage::ViewSums { range, step, sums, .. } => {
            (1..=6).contains(step) && range.bits() + step <= 30 && sums.len() == 1 << step
        }
        OwnedMessage::ViewList { codes, .. } => codes.len() <= 340,
        OwnedMessage::Direct { payload } => payload.len() <= 1360,
        OwnedMessage::Ping { event_root, .. } | OwnedMessage::Ack { event_root, .. } => *event_root < 1 << 24,
        OwnedMessage::EventSum { bits, nth, .. } => *bits <= 7 && u32::from(*nth) < 1 << bits,
        OwnedMessage::Delegation { prefix_bits, .. } => *prefix_bits <= 64,
        OwnedMessage::IndirectPing { target, .. } => *target != 0,
        OwnedMessage::EntryWanted { subject, .. }
        | OwnedMessage::Alive { subject, .. }
        | OwnedMessage::Suspect { subject, .. }
        | OwnedMessage::Dead { subject, .. }
        | OwnedMessage::Left { subject, .. } => *subject != 0,
        OwnedMessage::Introduction(introduction) => introduction_is_within_rules(introduction),
        OwnedMessage::UserEvent { origin, name, payload, .. } => {
            *origin != 0 && name.len() < 256 && name.len() + payload.len() <= 512
        }
    }
}

fn introduction_is_within_rules(introduction: &OwnedIntroduction) -> bool {
    (1..=128).contains(&introduction.name.len())
        && introduction.metadata.len() <= 512
        && introduction.zone.len() <= 32
        && introduction.subject == MemberId::of_name(&introduction.name).0
        && AddressFault::of(introduction.address).is_none()
}

/// The choices that make one message of each kind, and a state of two records.
pub(crate) fn seeds() -> Vec<Seed> {
    let header = golden::header(MemberId::NONE, true);
    let mut start = header.cluster.to_le_bytes().to_vec();
    for number in [header.source.0, header.destination.0, header.root] {
        start.extend_from_slice(&number.to_le_bytes());
    }
    start.push(1);
    let choices: Vec<u8> = (0..24).flat_map(choose_message).collect();
    let frame = [&start[..], &[0], &1400_u16.to_le_bytes(), &choices].concat();
    let stream = [&start[..], &[1], &choose_introduction("node-7"), &choose_introduction("nöde")].concat();
    vec![Seed { name: "frame".to_owned(), bytes: frame }, Seed { name: "stream".to_owned(), bytes: stream }]
}

/// The inverse of [`message`], for one message of kind `kind`.
fn choose_message(kind: u8) -> Vec<u8> {
    let (number, sequence) = (golden::NODE_7.0.to_le_bytes(), 5_u32.to_le_bytes());
    let incarnation = 1_700_000_000_u64.to_le_bytes();
    let tail = match kind {
        0 | 2 => [&sequence[..], &[7, 8, 9, 0]].concat(),
        3 | 11 | 15 => sequence.to_vec(),
        1 => [&sequence[..], &number].concat(),
        4 => [&number[..], &incarnation, &[0x7a]].concat(),
        5 => [&number[..], &incarnation, &number].concat(),
        6 | 7 => [&number[..], &incarnation].concat(),
        8 => choose_introduction("node-7"),
        9 => [&number[..], &sequence, &[6, 0], b"deploy", &[2, 0], b"42"].concat(),
        10 => [&sequence[..], &[4, 8, 0x21]].concat(),
        12 => [&[3, 5, 120, 1][..], &sequence].concat(),
        13 | 14 => number.to_vec(),
        16 => [&[1][..], &number, &incarnation, &[7, 7, 1, 0]].concat(),
        17 => [&[3, 0, 0, 0, 0x20, 1, 1, 2][..], &number, &number].concat(),
        18 => [&[4, 0, 0, 0, 0x20, 1, 0, 1, 0][..], &sequence].concat(),
        19 => [&number[..], &incarnation, &[0x7a]].concat(),
        20 => vec![1],
        21 => [number, incarnation].concat(),
        22 => [0x5a; 64].to_vec(),
        _ => [&[5, 0][..], b"hello"].concat(),
    };
    [&[kind][..], &tail].concat()
}

/// The inverse of [`introduction`].
fn choose_introduction(name: &str) -> Vec<u8> {
    let length = (name.len() as u16).to_le_bytes();
    let incarnation = 1_700_000_000_u64.to_le_bytes();
    let address = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7).octets();
    let port = 7946_u16.to_le_bytes();
    [
        &length[..],
        name.as_bytes(),
        &[0],
        &incarnation,
        &[0],
        &address,
        &port,
        &[2, 0],
        b"v1",
        &[4, 0],
        b"eu-1",
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_make_the_messages_they_are_meant_to() {
        for kind in 0..23 {
            let choices = choose_message(kind);
            let mut input = Input::new(&choices);
            let message = message(&mut input);
            assert!(input.is_empty() && is_within_rules(&message), "{kind}: {message:?}");
        }
    }
}
