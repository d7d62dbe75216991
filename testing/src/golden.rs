//! Golden vectors: each message, frame and stream message with the bytes that `docs/PROTOCOL.md` prints
//! for it. They were computed from the specification by another program, with the reference xxHash.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use swimring_codec::native::{
    FrameHeader, IdRange, IdentityKey, KeySpan, KeyValue, SketchCell, entry_hash, map_hash,
};
use swimring_codec::{Incarnation, MemberId, State};

use super::owned::{OwnedBody, OwnedEntry, OwnedIntroduction, OwnedMessage, OwnedSection, OwnedValue};

/// The members that appear in the vectors, and their ids.
pub const NODE_1: MemberId = MemberId(0x0db0_9edf_d945_8385);
pub const NODE_2: MemberId = MemberId(0x1cc6_c50c_6b36_742e);
pub const NODE_7: MemberId = MemberId(0x244d_2f28_e49e_aa97);

/// The zone that appears in the vectors.
pub const ZONE: &str = "eu-west-1a";
/// Id and term of the user event in the vectors.
pub const EVENT_ID: u64 = 0x8e_d6ef_9ce9_e4a9;
pub const EVENT_TERM: u32 = 0xe9e4_a961;

/// Root term of the member in the vectors.
pub const ROOT_TERM: u64 = 0x443a_0b4c_9ad9_a190;
/// What a sketch holds of it beside its id, and the low half of the hash of both.
pub const ITEM_CONTENTS: u64 = 0x6553_f100_d67a;
pub const ITEM_HASH: u64 = 0x2150_8383_d256_20ba;
/// The first cells of a sketch that it is in.
pub const ITEM_CELLS: [usize; 7] = [0, 2, 5, 13, 14, 26, 31];

const INCARNATION: u64 = 1_700_000_000;

/// A name for the vector, its bytes in hexadecimal, what they mean.
pub struct Golden<T> {
    pub name: &'static str,
    pub hex: &'static str,
    pub value: T,
}

impl<T> Golden<T> {
    pub fn bytes(&self) -> Vec<u8> {
        let digit = |at: usize| u8::from_str_radix(&self.hex[at..at + 2], 16).expect("hexadecimal");
        (0..self.hex.len()).step_by(2).map(digit).collect()
    }
}

/// The header of the vectors, but for what is given.
pub fn header(destination: MemberId, quiet: bool) -> FrameHeader {
    FrameHeader { cluster: 0xc0ff_ee01, source: NODE_1, destination, root: 0x1122_3344_5566_7788, quiet }
}

fn node_7() -> OwnedIntroduction {
    OwnedIntroduction {
        subject: NODE_7.0,
        incarnation: INCARNATION,
        state: State::Alive,
        address: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7)), 7946),
        name: "node-7".to_owned(),
        metadata: b"v1".to_vec(),
        zone: String::new(),
        signature: None,
    }
}

fn other() -> OwnedIntroduction {
    let ip = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7);
    OwnedIntroduction {
        subject: 0x8f4f_ef8f_8f7f_146e,
        incarnation: 1,
        state: State::Suspect,
        address: SocketAddr::new(IpAddr::V6(ip), 7947),
        name: "nöde".to_owned(),
        metadata: Vec::new(),
        zone: String::new(),
        signature: None,
    }
}

fn event() -> OwnedMessage {
    OwnedMessage::UserEvent {
        origin: NODE_1.0,
        sequence: 9,
        name: "deploy".to_owned(),
        payload: b"42".to_vec(),
    }
}

/// Every message on its own.
pub fn messages() -> Vec<Golden<OwnedMessage>> {
    let (subject, incarnation) = (NODE_7.0, INCARNATION);
    vec![
        Golden {
            name: "ping",
            hex: "010b0a0904030201",
            value: OwnedMessage::Ping { sequence: 0x0102_0304, event_root: 0x09_0a0b },
        },
        Golden {
            name: "indirect ping",
            hex: "020000000500000097aa9ee4282f4d24",
            value: OwnedMessage::IndirectPing { sequence: 5, target: NODE_7.0 },
        },
        Golden {
            name: "ack",
            hex: "030b0a0904030201",
            value: OwnedMessage::Ack { sequence: 0x0102_0304, event_root: 0x09_0a0b },
        },
        Golden { name: "nack", hex: "0400000005000000", value: OwnedMessage::Nack { sequence: 5 } },
        Golden {
            name: "alive",
            hex: "057a00f15365000097aa9ee4282f4d24",
            value: OwnedMessage::Alive { subject, incarnation, tag: 0x7a },
        },
        Golden {
            name: "suspect",
            hex: "060000f15365000097aa9ee4282f4d24858345d9df9eb00d",
            value: OwnedMessage::Suspect { subject, incarnation, accuser: NODE_1.0 },
        },
        Golden {
            name: "dead",
            hex: "070000f15365000097aa9ee4282f4d24",
            value: OwnedMessage::Dead { subject, incarnation },
        },
        Golden {
            name: "left",
            hex: "0800ffffffffffff97aa9ee4282f4d24",
            value: OwnedMessage::Left { subject, incarnation: Incarnation::MAX.get() },
        },
        Golden {
            name: "introduction, IPv4",
            hex: "090000f15365000097aa9ee4282f4d2400000000000000000000ffff0a0000070a1f060102006e6f6465\
            2d377631",
            value: OwnedMessage::Introduction(node_7()),
        },
        Golden {
            name: "introduction, IPv6",
            hex: "09000100000000006e147f8f8fef4f8f20010db80000000000000000000000070b1f050200006ec3b664\
            65",
            value: OwnedMessage::Introduction(other()),
        },
        Golden {
            name: "introduction in a zone",
            hex: "090a00f15365000097aa9ee4282f4d2400000000000000000000ffff0a0000070a1f060102006e6f6465\
            2d37763165752d776573742d3161",
            value: OwnedMessage::Introduction(OwnedIntroduction { zone: ZONE.to_owned(), ..node_7() }),
        },
        Golden {
            name: "user event",
            hex: "0a06020009000000858345d9df9eb00d6465706c6f793432",
            value: event(),
        },
        Golden {
            name: "delegation",
            hex: "0b04000006000000",
            value: OwnedMessage::Delegation { number: 6, prefix_bits: 4, zone: 0, view_first: false },
        },
        Golden {
            name: "delegation to a zone",
            hex: "0b00082107000000",
            value: OwnedMessage::Delegation { number: 7, prefix_bits: 0, zone: 0x2108, view_first: false },
        },
        Golden {
            name: "delegation, view first",
            hex: "1604000008000000",
            value: OwnedMessage::Delegation { number: 8, prefix_bits: 4, zone: 0, view_first: true },
        },
        Golden {
            name: "delegation ack",
            hex: "0c00000006000000",
            value: OwnedMessage::DelegationAck { number: 6 },
        },
        Golden {
            name: "event sum",
            hex: "0d03057804030201",
            value: OwnedMessage::EventSum { bits: 3, nth: 5, age_max: 120, answer: false, sum: 0x0102_0304 },
        },
        Golden {
            name: "event sum that answers",
            hex: "0d80007804030201",
            value: OwnedMessage::EventSum { bits: 0, nth: 0, age_max: 120, answer: true, sum: 0x0102_0304 },
        },
        Golden {
            name: "event known",
            hex: "0ea9e4e99cefd68e",
            value: OwnedMessage::EventKnown { id: EVENT_ID },
        },
        Golden {
            name: "event wanted",
            hex: "0fa9e4e99cefd68e",
            value: OwnedMessage::EventWanted { id: EVENT_ID },
        },
        Golden {
            name: "event age",
            hex: "10000000dc050000",
            value: OwnedMessage::EventAge { age_ms: 1_500 },
        },
        Golden {
            name: "view sketch",
            hex: "1104000097aa9ee4282f4d247ad600f153650000ba20010000000000000000000000000000000000000000\
            0097aa9ee4282f4d247ad600f153650000ba2001000000000000000000000000000000000000000000",
            value: OwnedMessage::ViewSketch { cells: (0..4).map(cell_of_node_7).collect() },
        },
        Golden {
            name: "view sums",
            hex: "128301000000002090a1d99a4c0b3a440000000000000000",
            value: OwnedMessage::ViewSums {
                range: range(3),
                began: true,
                step: 1,
                sums: vec![ROOT_TERM.to_le_bytes(), [0; 8]],
            },
        },
        Golden { name: "view list", hex: "13040100000000203a4497aa", value: list(false, false) },
        Golden {
            name: "view list of what is wanted",
            hex: "13c40100000000203a4497aa",
            value: list(true, true),
        },
        Golden {
            name: "entry wanted",
            hex: "147a00f15365000097aa9ee4282f4d24",
            value: OwnedMessage::EntryWanted { subject, incarnation, tag: 0x7a },
        },
        Golden {
            name: "entry wanted of somebody unknown",
            hex: "140000000000000097aa9ee4282f4d24",
            value: OwnedMessage::EntryWanted { subject, incarnation: 0, tag: 0 },
        },
        Golden {
            name: "view repair",
            hex: "1580000000000000",
            value: OwnedMessage::ViewRepair { began: true },
        },
        Golden {
            name: "key roots",
            hex: "180000000000000018171615141312112827262524232221",
            value: OwnedMessage::KeyRoots { maps: 0x1112_1314_1516_1718, keys: 0x2122_2324_2526_2728 },
        },
        Golden {
            name: "signature",
            hex: "1a00000000000000000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
            value: OwnedMessage::Signature(Box::new(std::array::from_fn(|nth| nth as u8))),
        },
        Golden {
            name: "direct",
            hex: "280005000000000068656c6c6f",
            value: OwnedMessage::Direct { payload: b"hello".to_vec() },
        },
    ]
}

/// The cell `nth` of a sketch of a view that has `node-7` alone.
fn cell_of_node_7(nth: usize) -> SketchCell {
    if ITEM_CELLS.contains(&nth) {
        SketchCell::new(NODE_7.0, ITEM_CONTENTS, ITEM_HASH as u16, 1)
    } else {
        SketchCell::default()
    }
}

/// The range of so many bits that `node-7` is in.
fn range(bits: u8) -> IdRange {
    IdRange::new(bits, 0x2000_0000).expect("a range")
}

fn list(began: bool, wanted: bool) -> OwnedMessage {
    let codes = vec![0xaa97_443a_u32.to_le_bytes()];
    OwnedMessage::ViewList { range: range(4), began, wanted, codes }
}

/// Whole frames: the header, the messages, and how many bytes of padding follow them.
pub fn frames() -> Vec<Golden<(FrameHeader, Vec<OwnedMessage>, usize)>> {
    let alive = OwnedMessage::Alive { subject: NODE_7.0, incarnation: INCARNATION, tag: 0x7a };
    vec![
        Golden {
            name: "frame without messages",
            hex: "0201000001eeffc0858345d9df9eb00d2e74366b0cc5c61c8877665544332211",
            value: (header(NODE_2, true), vec![], 0),
        },
        Golden {
            name: "frame with a ping and an alive, padded to 64 bytes",
            hex: "0200020001eeffc0858345d9df9eb00d000000000000000088776655443322110100000004030201057a\
            00f15365000097aa9ee4282f4d240000000000000000",
            value: (
                header(MemberId::NONE, false),
                vec![OwnedMessage::Ping { sequence: 0x0102_0304, event_root: 0 }, alive],
                8,
            ),
        },
        Golden {
            name: "frame that delegates an update and a user event",
            hex: "0200040001eeffc0858345d9df9eb00d2e74366b0cc5c61c887766554433221103000000040302010b04\
            000006000000070000f15365000097aa9ee4282f4d240a06020009000000858345d9df9eb00d6465706c\
            6f793432",
            value: (
                header(NODE_2, false),
                vec![
                    OwnedMessage::Ack { sequence: 0x0102_0304, event_root: 0 },
                    OwnedMessage::Delegation { number: 6, prefix_bits: 4, zone: 0, view_first: false },
                    OwnedMessage::Dead { subject: NODE_7.0, incarnation: INCARNATION },
                    event(),
                ],
                0,
            ),
        },
        Golden {
            name: "frame that acknowledges a delegation",
            hex: "0201010001eeffc02e74366b0cc5c61c858345d9df9eb00d88776655443322110c00000006000000",
            value: (
                FrameHeader { source: NODE_2, ..header(NODE_1, true) },
                vec![OwnedMessage::DelegationAck { number: 6 }],
                0,
            ),
        },
    ]
}

fn key_digests() -> OwnedBody {
    OwnedBody::KeyDigests {
        all_maps: true,
        all_keys: true,
        more: false,
        maps: vec![[NODE_7.0, 9, 7]],
        keys: vec![[0x0102_0304_0506_0708, 5, NODE_2.0]],
    }
}

/// What changed in the map of `node-7` after version 5, and two keys of the cluster.
fn key_values() -> OwnedBody {
    let entry = |key: &str, version, writer: MemberId, value| OwnedEntry {
        key: key.to_owned(),
        version,
        writer: writer.0,
        value,
        statement: None,
    };
    let of_node_7 = OwnedSection {
        span: KeySpan { owner: NODE_7, epoch: 9, since: 5, until: 7, floor: 2, complete: true, reset: false },
        statement: None,
        entries: vec![
            entry("load", 6, MemberId::NONE, OwnedValue::Set(b"17".to_vec())),
            entry("old", 7, MemberId::NONE, OwnedValue::Deleted),
        ],
    };
    let of_cluster = OwnedSection {
        span: KeySpan::CLUSTER,
        statement: None,
        entries: vec![
            entry("limit", 3, NODE_1, OwnedValue::Set(b"42".to_vec())),
            entry("long", 4, NODE_2, OwnedValue::Elsewhere(None)),
        ],
    };
    OwnedBody::KeyValues { sections: vec![of_node_7, of_cluster], refused: false }
}

/// The map of `node-7` again, with what that states of it by the key of section 12: in its cluster, whole.
fn key_values_stated() -> OwnedBody {
    let OwnedBody::KeyValues { mut sections, .. } = key_values() else { unreachable!("it has sections") };
    sections.truncate(1);
    sections[0].span.since = 0;
    let entries = sections[0].entries.iter().map(|entry| entry_hash(&entry.borrow()));
    let hash = map_hash(&entries.collect::<Vec<_>>());
    let key = IdentityKey::from_seed(&std::array::from_fn(|nth| nth as u8));
    sections[0].statement = Some(Box::new(key.sign_map(0xc0ff_ee01, &sections[0].span, hash)));
    OwnedBody::KeyValues { sections, refused: false }
}

/// What `node-7` states, by the same key, of keys of the cluster: one with a value, one that is deleted, and one that is elsewhere.
fn key_values_signed() -> OwnedBody {
    let key = IdentityKey::from_seed(&std::array::from_fn(|nth| nth as u8));
    let signed = |name: &str, version, value| {
        let (key_name, writer) = (name.to_owned(), NODE_7.0);
        let mut entry = OwnedEntry { key: key_name, version, writer, value, statement: None };
        entry.statement = key.sign_key(0xc0ff_ee01, &entry.borrow()).map(Box::new);
        entry
    };
    let long = KeyValue::Set(&[7; 600]).hash();
    let entries = vec![
        signed("limit", 3, OwnedValue::Set(b"42".to_vec())),
        signed("old", 4, OwnedValue::Deleted),
        signed("long", 5, OwnedValue::Elsewhere(long)),
    ];
    let section = OwnedSection { span: KeySpan::CLUSTER, statement: None, entries };
    OwnedBody::KeyValues { sections: vec![section], refused: false }
}

/// Stream messages, each with its length prefix.
pub fn streams() -> Vec<Golden<(FrameHeader, OwnedBody)>> {
    let plain = header(NODE_2, false);
    let full = OwnedBody::State { more: false, records: vec![node_7(), other()], refused: false };
    let empty = OwnedBody::State { more: true, records: vec![], refused: false };
    vec![
        Golden {
            name: "join",
            hex: "200000000200010001eeffc0858345d9df9eb00d00000000000000008877665544332211",
            value: (header(MemberId::NONE, false), OwnedBody::Plain(1)),
        },
        Golden {
            name: "sync",
            hex: "200000000201020001eeffc0858345d9df9eb00d2e74366b0cc5c61c8877665544332211",
            value: (header(NODE_2, true), OwnedBody::Plain(2)),
        },
        Golden {
            name: "agreed",
            hex: "200000000200030001eeffc0858345d9df9eb00d2e74366b0cc5c61c8877665544332211",
            value: (plain, OwnedBody::Plain(3)),
        },
        Golden {
            name: "differs",
            hex: "200000000200040001eeffc0858345d9df9eb00d2e74366b0cc5c61c8877665544332211",
            value: (plain, OwnedBody::Plain(4)),
        },
        Golden {
            name: "state",
            hex: "810000000200050001eeffc0858345d9df9eb00d2e74366b0cc5c61c8877665544332211020000000000\
            0000090000f15365000097aa9ee4282f4d2400000000000000000000ffff0a0000070a1f060102006e6f\
            64652d37763109000100000000006e147f8f8fef4f8f20010db80000000000000000000000070b1f0502\
            00006ec3b66465",
            value: (plain, full),
        },
        Golden {
            name: "state, no records, more to follow",
            hex: "280000000200050001eeffc0858345d9df9eb00d2e74366b0cc5c61c8877665544332211000000000100\
            0000",
            value: (plain, empty),
        },
        Golden {
            name: "ping",
            hex: "240000000200060001eeffc0858345d9df9eb00d2e74366b0cc5c61c887766554433221104030201",
            value: (plain, OwnedBody::Probe(6, 0x0102_0304)),
        },
        Golden {
            name: "ack",
            hex: "240000000200070001eeffc0858345d9df9eb00d2e74366b0cc5c61c887766554433221104030201",
            value: (plain, OwnedBody::Probe(7, 0x0102_0304)),
        },
        Golden {
            name: "absent",
            hex: "200000000200080001eeffc0858345d9df9eb00d2e74366b0cc5c61c8877665544332211",
            value: (plain, OwnedBody::Plain(8)),
        },
        Golden {
            name: "key digests",
            hex: "5c0000000200180001eeffc0858345d9df9eb00d2e74366b0cc5c61c8877665544332211030000000100\
            00000100000097aa9ee4282f4d2409000000000000000700000000000000080706050403020105000000\
            000000002e74366b0cc5c61c",
            value: (plain, key_digests()),
        },
        Golden {
            name: "key values",
            hex: "e40000000200190001eeffc0858345d9df9eb00d2e74366b0cc5c61c887766554433221197aa9ee4282f\
            4d2409000000000000000500000000000000070000000000000002000000000000002900000001000000\
            060000000000000002000000040000006c6f61643137070000000000000000000000030100006f6c6400\
            0000000000000000000000000000000000000000000000000000000000000000000000000000003b0000\
            000000000003000000000000000200000005000000858345d9df9eb00d6c696d69743432040000000000\
            000000000000040200002e74366b0cc5c61c6c6f6e67",
            value: (plain, key_values()),
        },
        Golden {
            name: "key values with a statement",
            hex: "d90000000200190001eeffc0858345d9df9eb00d2e74366b0cc5c61c887766554433221197aa9ee4282f\
            4d2409000000000000000000000000000000070000000000000002000000000000002900000005000000\
            060000000000000002000000040000006c6f61643137070000000000000000000000030100006f6c64bf\
            9049b27aeb26366ceb02f486808003e45cf1a6ef80a30beb02273f8f81f736e0dbc8eb61319227b4b843\
            1122b55eb5988aab0288ac0e363c04ecc6432c4f9d1d223a62098c832d9f854322879f11e529c818cc09\
            fd42418f5ab22c18e7750b",
            value: (plain, key_values_stated()),
        },
        Golden {
            name: "key values of the cluster, signed",
            hex: "e60100000200190001eeffc0858345d9df9eb00d2e74366b0cc5c61c88776655443322110000000000\
            000000000000000000000000000000000000000000000000000000000000000000000096010000000000\
            000300000000000000020000000504000097aa9ee4282f4d246c696d6974343203a107bff3ce10be1d70\
            dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8f0df8a59a507c903b222651a5036344c4a579f49\
            fbd5f030dc825817f494134dff8b1b3422c12f06e9e7bf8ba157b92fa11edb368f82f4ebef3670b6629b\
            00050400000000000000000000000305000097aa9ee4282f4d246f6c6403a107bff3ce10be1d70dd18e7\
            4bc09967e4d6309ba50d5f1ddc8664125531b8442f5b471a220dc71bd7dcf9afb8b0bfb089663d579e20\
            d95e629ac44963c6b874d885b2815c1cfa04d08fd6883c31189bbbc1fa21cd644a330c0adfd1f5900905\
            00000000000000200000000406000097aa9ee4282f4d246c6f6e67f3729137ab245824f035f3a855878a\
            52ffed858b8b01482a1d6bae6d0d9f702803a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1d\
            dc8664125531b812450684db1f17137ef68265ff6ba7f673de8ef7da9434c761eca1bc396854fa0cf434\
            f8f887953807cb07e5d1a0de865d4a02778b579a459b304d268e1cc401",
            value: (plain, key_values_signed()),
        },
        Golden {
            name: "direct message on a stream",
            hex: "450000000200280001eeffc0858345d9df9eb00d2e74366b0cc5c61c8877665544332211080706050403\
            020106000000000000000000000000000000000000000500000068656c6c6f",
            value: (
                plain,
                OwnedBody::Direct {
                    session: 0x0102_0304_0506_0708,
                    sequence: 6,
                    role: (0, 0),
                    payload: b"hello".to_vec(),
                },
            ),
        },
        Golden {
            name: "question",
            hex: "460000000200280001eeffc0858345d9df9eb00d2e74366b0cc5c61c8877665544332211080706050403\
            020107000000000000000900000000000000010000000600000072656164793f",
            value: (
                plain,
                OwnedBody::Direct {
                    session: 0x0102_0304_0506_0708,
                    sequence: 7,
                    role: (1, 9),
                    payload: b"ready?".to_vec(),
                },
            ),
        },
        Golden {
            name: "direct ack",
            hex: "300000000200290001eeffc0858345d9df9eb00d2e74366b0cc5c61c8877665544332211070000000000\
            00000100000000000000",
            value: (plain, OwnedBody::DirectAck(7, 1)),
        },
    ]
}
