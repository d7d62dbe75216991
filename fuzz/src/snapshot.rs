//! Snapshot files: any bytes are read or refused, and what is read is what was written.

use swimring::snapshot::{Contents, HEADER_LEN, RECORD_HEADER_LEN, Reader, Record, Writer};
use swimring_codec::native::{KEY_STATEMENT_LEN, KeyStatement};
use swimring_codec::{MemberId, State};
use xxhash_rust::xxh3::Xxh3;

use crate::{Input, Seed};

/// Reads `bytes` as a snapshot file, and as the bodies of the records of one.
///
/// # Panics
/// When records that are read are not what is written for them, or a file is not read alike when it is cut there.
pub fn snapshot(bytes: &[u8]) {
    check(bytes);
    check(&with_checksums(bytes));
}

fn check(bytes: &[u8]) {
    let Ok((contents, whole)) = Contents::read(bytes) else { return };
    assert_eq!(Contents::read(&bytes[..whole]), Ok((contents, whole)));
    let salt = u64::from_le_bytes(bytes[12..20].try_into().expect("a header"));
    let mut writer = Writer::new(salt);
    let mut reader = Reader::new(&bytes[..whole]).expect("it was read before");
    while let Some(record) = reader.next_record().expect("it was read before") {
        writer.push(&record);
    }
    assert!(writer.bytes() == &bytes[..whole], "written back differently");
}

/// A file whose records have these bodies, one after the other, each behind its length: a fuzzer finds no checksums.
fn with_checksums(bytes: &[u8]) -> Vec<u8> {
    const SALT: u64 = 1;
    let mut input = Input::new(bytes);
    let mut file = Writer::new(SALT).bytes().to_vec();
    while !input.is_empty() {
        let length = usize::from(input.u8());
        let body = input.slice(length);
        let mut hasher = Xxh3::with_seed(SALT + file.len() as u64);
        let length = (body.len() as u32).to_le_bytes();
        hasher.update(&length);
        hasher.update(body);
        file.extend_from_slice(&length);
        file.extend_from_slice(&hasher.digest().to_le_bytes());
        file.extend_from_slice(body);
    }
    file
}

/// A file with a record of each kind, whole, cut, damaged, and as bodies.
pub(crate) fn seeds() -> Vec<Seed> {
    let address = "10.0.0.1:7946".parse().expect("an address");
    let (writer, statement) = (MemberId(3), KeyStatement::from_bytes([5; KEY_STATEMENT_LEN]));
    let records = [
        Record::Identity { cluster: "shop", member: "web-1" },
        Record::Life { reserved: 100 },
        Record::Left(false),
        Record::Map { epoch: 5, version: 6, clock: 7 },
        Record::Peer { name: "web-2", address, state: State::Alive },
        Record::Batch(1),
        Record::OwnKey { key: "load", version: 7, value: Some(b"17") },
        Record::OwnKey { key: "gone", version: 8, value: None },
        Record::ClusterKey { key: "mode", version: 9, writer, value: Some(b"on"), statement: None },
        Record::ClusterKey { key: "mode", version: 10, writer, value: None, statement: Some(statement) },
        Record::Batch(2),
        Record::PeerGone { name: "web-2" },
        Record::Closed { incarnation: 90 },
    ];
    let (mut writer, mut bodies, mut ends) = (Writer::new(1), Vec::new(), Vec::new());
    for record in &records {
        let from = writer.file_len() + RECORD_HEADER_LEN;
        writer.push(record);
        ends.push(writer.file_len());
        let body = &writer.bytes()[from..];
        bodies.push(body.len() as u8);
        bodies.extend_from_slice(body);
    }
    let whole = writer.bytes().to_vec();
    let mut damaged = whole.clone();
    damaged[ends[6] - 1] ^= 1;
    let torn = whole[..whole.len() - 3].to_vec();
    let seed = |name: &str, bytes: Vec<u8>| Seed { name: name.to_owned(), bytes };
    vec![
        seed("header", whole[..HEADER_LEN].to_vec()),
        seed("every_record", whole),
        seed("torn", torn),
        seed("damaged", damaged),
        seed("bodies", bodies),
    ]
}
