//! proptest strategies for everything that is valid on the wire, with lengths drawn towards their limits.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use swimring_codec::native::{
    DIRECT_MAX, EVENT_MAX, EVENT_PART_BITS_MAX, EVENT_ROOT_MAX, FrameHeader, IdRange, KEY_STATEMENT_LEN,
    KeySpan, KeyStatement, LISTED_MAX, MapStatement, PREFIX_BITS_MAX, RANGE_BITS_MAX, SKETCH_CELLS_MAX,
    SUMS_STEP_MAX, SketchCell,
};
use swimring_codec::{Incarnation, MemberId, State};

use swimring_testing::owned::{OwnedEntry, OwnedIntroduction, OwnedMessage, OwnedSection, OwnedValue};

pub fn header() -> impl Strategy<Value = FrameHeader> {
    (any::<u32>(), 1..=u64::MAX, any::<u64>(), any::<u64>(), any::<bool>()).prop_map(
        |(cluster, source, destination, root, quiet)| FrameHeader {
            cluster,
            source: MemberId(source),
            destination: MemberId(destination),
            root,
            quiet,
        },
    )
}

fn id() -> impl Strategy<Value = u64> {
    prop_oneof![Just(1), Just(u64::MAX), 1..=u64::MAX]
}

fn incarnation() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(Incarnation::MAX.get()), 0..=Incarnation::MAX.get()]
}

fn state() -> impl Strategy<Value = State> {
    prop_oneof![Just(State::Alive), Just(State::Suspect), Just(State::Dead), Just(State::Left)]
}

fn address() -> impl Strategy<Value = SocketAddr> {
    // Addresses that somebody can be at: neither of all or many, nor of one link.
    let v4 = (1..0xe000_0000_u32).prop_map(|ip| IpAddr::V4(Ipv4Addr::from(ip)));
    let v6 = any::<[u16; 8]>().prop_filter_map("IPv4-mapped, or nobody's", |segments| {
        let ip = Ipv6Addr::from(segments);
        let unusable = ip.is_unspecified() || ip.is_multicast() || ip.is_unicast_link_local();
        (ip.to_ipv4_mapped().is_none() && !unusable).then_some(IpAddr::V6(ip))
    });
    (prop_oneof![v4, v6], 1..=u16::MAX).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

/// Text of at most `max` bytes (and as many characters if they are ASCII).
fn text(min: usize, max: usize) -> impl Strategy<Value = String> {
    let ascii = vec(b' '..=b'~', min..=max).prop_map(|bytes| bytes.iter().map(|&b| char::from(b)).collect());
    let long = Just("n".repeat(max));
    let wide = vec(any::<char>(), min..=max / 4).prop_map(|chars| chars.into_iter().collect());
    prop_oneof![4 => ascii, 1 => long, 2 => wide]
}

fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(vec![]), Just(vec![0xff; max]), vec(any::<u8>(), 0..=max), vec(any::<u8>(), 0..=16)]
}

/// A record of a stream, with a signature in front of it or without.
pub fn record() -> impl Strategy<Value = OwnedIntroduction> {
    (introduction(), proptest::option::of(any::<u8>())).prop_map(|(record, byte)| OwnedIntroduction {
        signature: byte.map(|byte| Box::new([byte; 64])),
        ..record
    })
}

pub fn introduction() -> impl Strategy<Value = OwnedIntroduction> {
    (incarnation(), state(), address(), text(1, 128), bytes(512), text(0, 32)).prop_map(
        |(incarnation, state, address, name, metadata, zone)| {
            let subject = MemberId::of_name(&name).0;
            let signature = None;
            OwnedIntroduction { subject, incarnation, state, address, name, metadata, zone, signature }
        },
    )
}

fn event() -> impl Strategy<Value = OwnedMessage> {
    (id(), any::<u32>(), text(0, 255), bytes(EVENT_MAX)).prop_map(|(origin, sequence, name, mut payload)| {
        payload.truncate(EVENT_MAX - name.len());
        OwnedMessage::UserEvent { origin, sequence, name, payload }
    })
}

fn prefix_bits() -> impl Strategy<Value = u8> {
    prop_oneof![Just(0), Just(PREFIX_BITS_MAX), 0..=PREFIX_BITS_MAX]
}

fn event_root() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), Just(EVENT_ROOT_MAX), 0..=EVENT_ROOT_MAX]
}

fn event_sum() -> impl Strategy<Value = OwnedMessage> {
    (0..=EVENT_PART_BITS_MAX, any::<u8>(), any::<u8>(), any::<bool>(), any::<u32>()).prop_map(
        |(bits, nth, age_max, answer, sum)| {
            let nth = nth & ((1 << bits) - 1);
            OwnedMessage::EventSum { bits, nth, age_max, answer, sum }
        },
    )
}

fn range(bits_max: u8) -> impl Strategy<Value = IdRange> {
    (0..=bits_max, any::<u32>()).prop_map(|(bits, prefix)| {
        let prefix = prefix & !(u32::MAX >> bits);
        IdRange::new(bits, prefix).expect("a range")
    })
}

fn view_sketch() -> impl Strategy<Value = OwnedMessage> {
    let cell = any::<(u64, u64, u16, u16)>();
    let cell =
        cell.prop_map(|(ids, contents, checksum, count)| SketchCell::new(ids, contents, checksum, count));
    vec(cell, 1..=SKETCH_CELLS_MAX).prop_map(|cells| OwnedMessage::ViewSketch { cells })
}

fn view_sums() -> impl Strategy<Value = OwnedMessage> {
    (1..=SUMS_STEP_MAX, range(RANGE_BITS_MAX - SUMS_STEP_MAX), any::<bool>()).prop_flat_map(
        |(step, range, began)| {
            let sums = vec(any::<[u8; 8]>(), 1 << step);
            sums.prop_map(move |sums| OwnedMessage::ViewSums { range, began, step, sums })
        },
    )
}

fn view_list() -> impl Strategy<Value = OwnedMessage> {
    (range(RANGE_BITS_MAX), any::<bool>(), any::<bool>(), vec(any::<[u8; 4]>(), 0..=LISTED_MAX))
        .prop_map(|(range, began, wanted, codes)| OwnedMessage::ViewList { range, began, wanted, codes })
}

pub fn message() -> impl Strategy<Value = OwnedMessage> {
    let update = (id(), incarnation(), any::<u8>());
    prop_oneof![
        (any::<u32>(), event_root())
            .prop_map(|(sequence, event_root)| OwnedMessage::Ping { sequence, event_root }),
        (any::<u32>(), id()).prop_map(|(sequence, target)| OwnedMessage::IndirectPing { sequence, target }),
        (any::<u32>(), event_root())
            .prop_map(|(sequence, event_root)| OwnedMessage::Ack { sequence, event_root }),
        any::<u32>().prop_map(|sequence| OwnedMessage::Nack { sequence }),
        update.prop_map(|(subject, incarnation, tag)| OwnedMessage::Alive { subject, incarnation, tag }),
        (id(), incarnation(), any::<u64>()).prop_map(|(subject, incarnation, accuser)| {
            OwnedMessage::Suspect { subject, incarnation, accuser }
        }),
        (id(), incarnation()).prop_map(|(subject, incarnation)| OwnedMessage::Dead { subject, incarnation }),
        (id(), incarnation()).prop_map(|(subject, incarnation)| OwnedMessage::Left { subject, incarnation }),
        introduction().prop_map(OwnedMessage::Introduction),
        event(),
        (any::<u32>(), prefix_bits(), any::<u16>(), any::<bool>()).prop_map(
            |(number, prefix_bits, zone, view_first)| OwnedMessage::Delegation {
                number,
                prefix_bits,
                zone,
                view_first,
            }
        ),
        any::<u32>().prop_map(|number| OwnedMessage::DelegationAck { number }),
        event_sum(),
        (0..1_u64 << 56).prop_map(|id| OwnedMessage::EventKnown { id }),
        (0..1_u64 << 56).prop_map(|id| OwnedMessage::EventWanted { id }),
        any::<u32>().prop_map(|age_ms| OwnedMessage::EventAge { age_ms }),
        view_sketch(),
        view_sums(),
        view_list(),
        (id(), incarnation(), any::<u8>()).prop_map(|(subject, incarnation, tag)| {
            OwnedMessage::EntryWanted { subject, incarnation, tag }
        }),
        any::<bool>().prop_map(|began| OwnedMessage::ViewRepair { began }),
        (any::<u64>(), any::<u64>()).prop_map(|(maps, keys)| OwnedMessage::KeyRoots { maps, keys }),
        any::<u8>().prop_map(|byte| OwnedMessage::Signature(Box::new([byte; 64]))),
        bytes(DIRECT_MAX).prop_map(|payload| OwnedMessage::Direct { payload }),
    ]
}

fn entry(of_cluster: bool) -> impl Strategy<Value = OwnedEntry> {
    let value = prop_oneof![
        bytes(600).prop_map(OwnedValue::Set),
        Just(OwnedValue::Deleted),
        Just(if of_cluster { OwnedValue::Elsewhere(None) } else { OwnedValue::Deleted }),
    ];
    let signed = any::<Option<(u8, [u8; 32])>>();
    (text(1, 255), 1..50_u64, id(), value, signed).prop_map(move |(key, version, writer, value, signed)| {
        let writer = if of_cluster { writer } else { 0 };
        let signed = signed.filter(|_| of_cluster);
        let value = match value {
            OwnedValue::Elsewhere(_) => OwnedValue::Elsewhere(signed.map(|(_, hash)| hash)),
            value => value,
        };
        let statement = signed.map(|(byte, _)| Box::new(KeyStatement::from_bytes([byte; KEY_STATEMENT_LEN])));
        OwnedEntry { key, version, writer, value, statement }
    })
}

/// A section of shared state, of a member's map or of keys of the cluster.
pub fn section() -> impl Strategy<Value = OwnedSection> {
    let of_cluster = vec(entry(true), 0..4).prop_map(|entries| OwnedSection {
        span: KeySpan::CLUSTER,
        statement: None,
        entries,
    });
    let statement = any::<Option<([u8; 32], [u8; 32], [u8; 32])>>();
    let of_member = (id(), id(), 0..50_u64, any::<(u64, bool, bool)>(), vec(entry(false), 0..4), statement);
    let of_member =
        of_member.prop_map(|(owner, epoch, since, (floor, complete, reset), mut entries, stated)| {
            // Versions ascend.
            let since = if reset { 0 } else { since };
            let mut until = since;
            for entry in &mut entries {
                until += entry.version;
                entry.version = until;
            }
            let span = KeySpan { owner: MemberId(owner), epoch, since, until, floor, complete, reset };
            let statement = stated.map(|(hash, one, other)| {
                let mut signature = [0; 64];
                signature[..32].copy_from_slice(&one);
                signature[32..].copy_from_slice(&other);
                Box::new(MapStatement { hash, signature })
            });
            OwnedSection { span, statement, entries }
        });
    prop_oneof![of_cluster, of_member]
}

/// A change to valid bytes: how, where, and to what.
pub type Mutation = (u8, Index, u8);

/// Valid bytes with these changes.
pub fn mutate(bytes: &mut Vec<u8>, mutations: &[Mutation]) {
    for &(how, at, value) in mutations {
        let at = at.index(bytes.len() + 1);
        match how % 5 {
            0 if at < bytes.len() => bytes[at] = value,
            1 if at < bytes.len() => bytes[at] ^= 1 << (value % 8),
            2 if value < 64 => bytes.truncate(at),
            3 if at < bytes.len() => drop(bytes.remove(at)),
            _ => bytes.insert(at, value),
        }
    }
}
