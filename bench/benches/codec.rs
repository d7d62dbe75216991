//! The native codec: what it costs to read and write one datagram.
//!
//! "10 updates" is a busy gossip datagram: alive, suspect, dead and left messages about members that the
//! receiver knows. "10 introductions" is a datagram of a cold start: names and metadata of new ones.

use std::hint::black_box;
use std::net::SocketAddr;

use criterion::{Criterion, Throughput, criterion_group};
use swimring_codec::native::{
    FRAME_MAX, Frame, FrameHeader, FrameWriter, Introduction, Message, MessageVisitor,
};
use swimring_codec::{Incarnation, MemberId, State, identity_hash, root_term};

use crate::quick::quick;

fn header() -> FrameHeader {
    FrameHeader { cluster: 7, source: MemberId(1), destination: MemberId(2), root: 3, quiet: false }
}

fn updates() -> Vec<Message<'static>> {
    let incarnation = Incarnation::new(1_700_000_000);
    (0..10)
        .map(|number| {
            let subject = MemberId(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(number + 1));
            match number {
                7 => Message::Suspect { subject, incarnation, accuser: MemberId(9) },
                8 => Message::Dead { subject, incarnation },
                9 => Message::Left { subject, incarnation },
                _ => Message::Alive { subject, incarnation, tag: number as u8 },
            }
        })
        .collect()
}

fn introductions(names: &[String]) -> Vec<Message<'_>> {
    let introduction = |name| Introduction {
        subject: MemberId::of_name(name),
        incarnation: Incarnation::new(1_700_000_000),
        state: State::Alive,
        address: SocketAddr::from(([10, 0, 0, 7], 7946)),
        name,
        metadata: b"zone=eu-1;version=12",
        zone: "",
    };
    names.iter().map(|name| Message::Introduction(introduction(name))).collect()
}

fn encode(messages: &[Message<'_>], out: &mut [u8]) -> usize {
    let mut writer = FrameWriter::new(header(), out).expect("room for a header");
    for message in messages {
        assert!(writer.push(message), "ten messages fit");
    }
    let used = writer.len();
    writer.finish_padded(used)
}

/// Uses every field of what is read.
struct Sum(u64);

impl<'a> MessageVisitor<'a> for Sum {
    #[inline(always)]
    fn visit(&mut self, message: Message<'a>) {
        self.0 = self.0.wrapping_add(match message {
            Message::Alive { subject, incarnation, tag } => subject.0 ^ incarnation.get() ^ u64::from(tag),
            Message::Suspect { subject, incarnation, accuser } => subject.0 ^ incarnation.get() ^ accuser.0,
            Message::Dead { subject, incarnation } => subject.0 ^ incarnation.get(),
            Message::Left { subject, incarnation } => subject.0 ^ !incarnation.get(),
            Message::Introduction(member) => {
                member.subject.0
                    ^ member.name.len() as u64
                    ^ member.metadata.len() as u64
                    ^ u64::from(member.address.port())
            }
            _ => 0,
        });
    }
}

/// Reads every message, as members do.
fn decode(bytes: &[u8]) -> u64 {
    let frame = Frame::decode(bytes).expect("a frame");
    let (mut sum, mut messages) = (Sum(frame.header.root), frame.messages());
    while let Some(read) = messages.visit_next(&mut sum) {
        read.expect("a message");
    }
    sum.0
}

fn codec(criterion: &mut Criterion) {
    let names: Vec<String> = (0..10).map(|number| format!("web-{number:04}.eu-1.example")).collect();
    let mut group = criterion.benchmark_group("codec");
    for (name, messages) in [("10 updates", updates()), ("10 introductions", introductions(&names))] {
        let mut out = [0; FRAME_MAX];
        let used = encode(&messages, &mut out);
        group.throughput(Throughput::Bytes(used as u64));
        group.bench_function(format!("decode {name}"), |bencher| {
            bencher.iter(|| decode(black_box(&out[..used])));
        });
        let mut buffer = [0; FRAME_MAX];
        group.bench_function(format!("encode {name}"), |bencher| {
            bencher.iter(|| encode(black_box(&messages), black_box(&mut buffer)));
        });
    }
    group.finish();
}

fn hashes(criterion: &mut Criterion) {
    let address = SocketAddr::from(([10, 0, 0, 7], 7946));
    let mut group = criterion.benchmark_group("identity");
    group.bench_function("identity_hash, 20 bytes of metadata", |bencher| {
        bencher.iter(|| identity_hash(black_box(address), black_box(b"zone=eu-1;version=12"), black_box("")));
    });
    group.bench_function("root_term", |bencher| {
        bencher.iter(|| root_term(black_box(MemberId(1)), black_box(Incarnation::new(2)), black_box(3)));
    });
    group.finish();
}

criterion_group! { name = benches; config = quick(); targets = codec, hashes }
