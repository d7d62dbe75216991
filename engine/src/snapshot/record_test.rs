use proptest::prelude::*;

use super::super::contents::Contents;
use super::*;

/// A record with its texts and values.
#[derive(Clone, Debug)]
enum Owned {
    Batch(u64),
    Life(u64),
    Closed(u64),
    Left(bool),
    Map(u64, u64, u64),
    OwnKey(String, u64, Option<Vec<u8>>),
    ClusterKey(String, u64, u64, Option<Vec<u8>>, Option<u8>),
    Peer(String, SocketAddr, State),
    PeerGone(String),
}

impl Owned {
    fn record(&self) -> Record<'_> {
        match self {
            Owned::Batch(number) => Record::Batch(*number),
            Owned::Life(reserved) => Record::Life { reserved: *reserved },
            Owned::Closed(incarnation) => Record::Closed { incarnation: *incarnation },
            Owned::Left(left) => Record::Left(*left),
            Owned::Map(epoch, version, clock) => {
                Record::Map { epoch: *epoch, version: *version, clock: *clock }
            }
            Owned::OwnKey(key, version, value) => {
                Record::OwnKey { key, version: *version, value: value.as_deref() }
            }
            Owned::ClusterKey(key, version, writer, value, statement) => {
                let (version, writer) = (*version, MemberId(*writer));
                let statement = statement.map(|byte| KeyStatement::from_bytes([byte; KEY_STATEMENT_LEN]));
                Record::ClusterKey { key, version, writer, value: value.as_deref(), statement }
            }
            Owned::Peer(name, address, state) => Record::Peer { name, address: *address, state: *state },
            Owned::PeerGone(name) => Record::PeerGone { name },
        }
    }
}

fn record() -> impl Strategy<Value = Owned> {
    let text = || "[a-c\u{e9}]{1,4}";
    let value = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40));
    let ip = prop_oneof![
        any::<u32>().prop_map(|ip| IpAddr::V4(ip.into())),
        any::<u128>().prop_map(|ip| IpAddr::V6(ip.into()))
    ];
    let address = (ip, any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port));
    let state = (1_u8..=4).prop_map(|state| State::from_u8(state).unwrap());
    prop_oneof![
        any::<u64>().prop_map(Owned::Batch),
        any::<u64>().prop_map(Owned::Life),
        any::<u64>().prop_map(Owned::Closed),
        any::<bool>().prop_map(Owned::Left),
        any::<(u64, u64, u64)>().prop_map(|(epoch, version, clock)| Owned::Map(epoch, version, clock)),
        (text(), any::<u64>(), value()).prop_map(|(key, version, value)| Owned::OwnKey(key, version, value)),
        (text(), any::<u64>(), any::<u64>(), value(), any::<Option<u8>>()).prop_map(
            |(key, version, writer, value, statement)| {
                Owned::ClusterKey(key, version, writer, value, statement)
            }
        ),
        (text(), address, state).prop_map(|(name, address, state)| Owned::Peer(name, address, state)),
        text().prop_map(Owned::PeerGone),
    ]
}

const IDENTITY_RECORD: Record<'_> = Record::Identity { cluster: "shop", member: "web-1" };

/// A file with these records, and where each of them ends.
fn file(salt: u64, records: &[Owned]) -> (Vec<u8>, Vec<usize>) {
    let mut writer = Writer::new(salt);
    writer.push(&IDENTITY_RECORD);
    let mut ends = vec![writer.file_len()];
    for record in records {
        writer.push(&record.record());
        ends.push(writer.file_len());
    }
    (writer.bytes().to_vec(), ends)
}

/// The records that are read, and how the reading ends.
fn read(bytes: &[u8]) -> Result<(Vec<Record<'_>>, usize), Fault> {
    let mut reader = Reader::new(bytes)?;
    let mut records = Vec::new();
    while let Some(record) = reader.next_record()? {
        records.push(record);
    }
    Ok((records, reader.place()))
}

proptest! {
    #[test]
    fn what_is_written_is_read(salt: u64, records in proptest::collection::vec(record(), 0..20)) {
        let (bytes, _) = file(salt, &records);
        let (read, whole) = read(&bytes).unwrap();
        let written: Vec<_> = std::iter::once(IDENTITY_RECORD).chain(records.iter().map(Owned::record)).collect();
        prop_assert_eq!((read, whole), (written, bytes.len()));
    }

    /// Cut at every byte: the records that are whole, and nothing else. Only a header that is cut is no file.
    #[test]
    fn a_file_that_is_cut_is_read_up_to_its_last_whole_record(
        salt: u64,
        records in proptest::collection::vec(record(), 1..6),
    ) {
        let (bytes, ends) = file(salt, &records);
        for cut in 0..bytes.len() {
            match read(&bytes[..cut]) {
                Ok((read, whole)) => {
                    let count = ends.iter().filter(|end| **end <= cut).count();
                    let expected = if count == 0 { HEADER_LEN } else { ends[count - 1] };
                    prop_assert_eq!((read.len(), whole), (count, expected));
                }
                Err(fault) => {
                    let expected = if cut < MAGIC.len() { Fault::Foreign } else { Fault::Damaged(MAGIC.len()) };
                    prop_assert!(cut < HEADER_LEN && fault == expected, "{cut}: {fault}");
                }
            }
        }
    }

    /// Any byte changed: the records before it, and none that was not written. Where a batch follows it is damage.
    #[test]
    fn a_byte_that_is_changed_never_makes_another_record(
        salt: u64,
        records in proptest::collection::vec(record(), 1..6),
        mask in 1_u8..,
    ) {
        let (bytes, ends) = file(salt, &records);
        let (written, _) = read(&bytes).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= mask;
            let before = ends.iter().filter(|end| **end <= at).count();
            let followed = records.iter().skip(before).any(|record| matches!(record, Owned::Batch(_)));
            match read(&changed) {
                Ok((read, _)) => prop_assert!(!followed && read[..] == written[..before], "{at}"),
                Err(Fault::Damaged(place)) => prop_assert!(at < HEADER_LEN || followed && place <= at, "{at}"),
                Err(fault) => prop_assert!(at < HEADER_LEN, "{at}: {fault}"),
            }
        }
    }

    /// Records of another file, or from another place of the same one, are none.
    #[test]
    fn a_record_counts_in_its_file_and_place_alone(salt: u64, records in proptest::collection::vec(record(), 1..6)) {
        let (bytes, ends) = file(salt, &records);
        let (others, _) = file(!salt, &records);
        let last = ends[ends.len() - 2];
        for appended in [&bytes[last..], &others[last..]] {
            let longer = [&bytes[..], appended].concat();
            prop_assert_eq!(read(&longer).unwrap().1, bytes.len());
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), salt: u64) {
        let _ = Contents::read(&bytes);
        let (mut longer, _) = file(salt, &[]);
        longer.extend_from_slice(&bytes);
        let _ = Contents::read(&longer);
    }
}

#[test]
fn the_last_record_of_a_key_and_a_peer_counts() {
    let address = SocketAddr::from(([10, 0, 0, 1], 7946));
    let peer = |name: &str, state| Owned::Peer(name.to_owned(), address, state);
    let own = |key: &str, version, value: Option<&[u8]>| {
        Owned::OwnKey(key.to_owned(), version, value.map(<[u8]>::to_vec))
    };
    let records = [
        Owned::Life(10),
        own("a", 1, Some(b"1")),
        own("b", 2, Some(b"2")),
        own("a", 3, None),
        Owned::ClusterKey("k".to_owned(), 7, 9, Some(b"v".to_vec()), Some(5)),
        peer("one", State::Alive),
        peer("two", State::Alive),
        peer("one", State::Dead),
        Owned::PeerGone("two".to_owned()),
        Owned::Closed(8),
        Owned::Life(12),
        Owned::Map(5, 2, 4),
        Owned::Left(true),
    ];
    let (bytes, _) = file(1, &records);
    let (contents, whole) = Contents::read(&bytes).unwrap();
    assert_eq!(whole, bytes.len());
    assert_eq!((&*contents.cluster, &*contents.member), ("shop", "web-1"));
    assert_eq!((contents.reserved, contents.closed, contents.left), (12, None, true));
    assert_eq!((contents.epoch, contents.version, contents.clock), (5, 3, 7));
    assert_eq!(contents.own["a"].value, None);
    assert_eq!(contents.own["b"].value.as_deref(), Some(&b"2"[..]));
    let key = &contents.keys["k"];
    assert_eq!((key.writer, key.statement.map(|statement| statement.key.0)), (MemberId(9), Some([5; 32])));
    let peers: Vec<_> = contents.peers.iter().map(|(name, peer)| (&**name, peer.state)).collect();
    assert_eq!(peers, [("one", State::Dead)]);
}

#[test]
fn what_could_not_be_read_is_not_written() {
    let mut writer = Writer::new(1);
    let (long, value) = ("k".repeat(KEY_MAX + 1), vec![0; VALUE_MAX + 1]);
    let key = |key, value| Record::OwnKey { key, version: 1, value };
    for record in [key("", None), key(&long, None), key("k", Some(&value)), Record::PeerGone { name: "" }] {
        assert!(!writer.push(&record));
    }
    assert_eq!(writer.file_len(), HEADER_LEN);
    assert!(writer.push(&key(&long[1..], Some(&value[1..]))));
    assert!(writer.file_len() <= HEADER_LEN + RECORD_HEADER_LEN + RECORD_MAX);
}

#[test]
fn other_files_and_versions_are_told() {
    let fault = |bytes: &[u8]| Contents::read(bytes).unwrap_err().to_string();
    assert_eq!(fault(b"[cluster]\nname = 1\n"), "is no snapshot: it begins otherwise");
    let (bytes, _) = file(1, &[]);
    let mut newer = bytes.clone();
    newer[8] = 2;
    let sum = xxh3_64(&newer[..HEADER_LEN - 8]);
    newer[HEADER_LEN - 8..HEADER_LEN].copy_from_slice(&sum.to_le_bytes());
    assert_eq!(fault(&newer), "has version 2 of the format, and this program reads version 1");
    assert_eq!(fault(&bytes[..HEADER_LEN]), "is damaged at byte 28");
}

/// The bytes that `docs/SNAPSHOT.md` shows.
#[test]
fn the_example_of_the_page_is_what_is_written() {
    let page = include_str!("../../../docs/SNAPSHOT.md");
    let mut writer = Writer::new(7);
    writer.push(&IDENTITY_RECORD);
    writer.push(&Record::OwnKey { key: "load", version: 3, value: Some(b"17") });
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    let bytes = writer.bytes();
    let own_key = bytes.len() - RECORD_HEADER_LEN - 18;
    let parts = [&bytes[..HEADER_LEN], &bytes[HEADER_LEN..own_key], &bytes[own_key..]];
    let shown = parts.map(hex).join("\n");
    assert!(page.contains(&shown), "docs/SNAPSHOT.md lacks:\n{shown}");
}
