//! The records of a snapshot file: to bytes and back, without I/O.
//!
//! A record is a length, a checksum and a body. The checksum is seeded with the file's salt and the place of the record in
//! the file, so that bytes of an older file, or of another place, are no record here. A file is written in batches. Each
//! begins with a record that says so, and is begun only when what lies before it is known to be on the disk. So a
//! record that cannot be read is what a crash has left of the last batch, which is cut off, unless a batch begins behind it:
//! then something has damaged the file.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use swimring_codec::identity::NAME_MAX;
use swimring_codec::native::{KEY_MAX, KEY_STATEMENT_LEN, KeyStatement, VALUE_MAX};
use swimring_codec::{MemberId, State};
use thiserror::Error;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// What a snapshot file begins with.
const MAGIC: [u8; 8] = *b"swimsnap";

/// The version of the format.
const FORMAT: u32 = 1;

/// Bytes before the first record: magic (8), version (4), salt (8), checksum of these (8).
pub const HEADER_LEN: usize = 28;

/// Bytes before a record's body: its length (4) and its checksum (8).
pub const RECORD_HEADER_LEN: usize = 12;

/// Most bytes of a record's body: the longest value and key, and what goes with them.
pub const RECORD_MAX: usize = VALUE_MAX + KEY_MAX + KEY_STATEMENT_LEN + 32;

/// Longest name of a cluster.
pub const CLUSTER_NAME_MAX: usize = 4_096;

const IDENTITY: u8 = 1;
const BATCH: u8 = 2;
const LIFE: u8 = 3;
const CLOSED: u8 = 4;
const LEFT: u8 = 5;
const MAP: u8 = 6;
const OWN_KEY: u8 = 7;
const CLUSTER_KEY: u8 = 8;
const PEER: u8 = 9;
const PEER_GONE: u8 = 10;
const SIGNED_CLUSTER_KEY: u8 = 11;

/// Bytes of the body of [`Record::Batch`].
const BATCH_LEN: usize = 9;

/// Something that a member keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Record<'a> {
    /// Whose file it is. The first record.
    Identity {
        /// The cluster's name.
        cluster: &'a str,
        /// The member's name.
        member: &'a str,
    },
    /// A batch begins, with its number: everything before it is on the disk.
    Batch(u64),
    /// The member says of itself no incarnation above this one before it has written a higher one here.
    Life {
        /// The incarnation.
        reserved: u64,
    },
    /// The member has ended, and said nothing above this incarnation.
    Closed {
        /// The incarnation.
        incarnation: u64,
    },
    /// Whether the member has left the cluster on purpose.
    Left(bool),
    /// How far shared state has come.
    Map {
        /// The life of the member's own map.
        epoch: u64,
        /// Its version.
        version: u64,
        /// The highest version known of a key of the cluster.
        clock: u64,
    },
    /// A key of the member's own map.
    OwnKey {
        /// The key.
        key: &'a str,
        /// The version of its last change.
        version: u64,
        /// Nothing if it was deleted.
        value: Option<&'a [u8]>,
    },
    /// A key of the cluster.
    ClusterKey {
        /// The key.
        key: &'a str,
        /// The version of its last change.
        version: u64,
        /// The last to write it.
        writer: MemberId,
        /// Nothing if it was deleted.
        value: Option<&'a [u8]>,
        /// What the writer has signed of it, where members have identities.
        statement: Option<KeyStatement>,
    },
    /// Another member.
    Peer {
        /// Its name.
        name: &'a str,
        /// Where it is reached.
        address: SocketAddr,
        /// What was last believed of it.
        state: State,
    },
    /// Another member that is kept no longer.
    PeerGone {
        /// Its name.
        name: &'a str,
    },
}

/// Why a file is no snapshot that can be used.
#[derive(Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// It is something else.
    #[error("is no snapshot: it begins otherwise")]
    Foreign,
    /// A later version has written it.
    #[error("has version {0} of the format, and this program reads version {FORMAT}")]
    Version(u32),
    /// It was written, and is not what was written any more; or a later version has written it.
    #[error("is damaged at byte {0}")]
    Damaged(usize),
}

crate::error_text::debug_is_the_sentence!(Fault);

fn checksum(salt: u64, place: usize, length: [u8; 4], body: &[u8]) -> u64 {
    let mut hasher = Xxh3::with_seed(salt.wrapping_add(place as u64));
    hasher.update(&length);
    hasher.update(body);
    hasher.digest()
}

/// Writes a file's header and records.
#[derive(Debug)]
pub struct Writer {
    salt: u64,
    /// The place in the file at which `bytes` begin.
    from: usize,
    bytes: Vec<u8>,
}

impl Writer {
    /// Of a new file with this salt, by which its records are known from those of others.
    pub fn new(salt: u64) -> Writer {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&salt.to_le_bytes());
        let checksum = xxh3_64(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        Writer { salt, from: 0, bytes }
    }

    /// Adds `record`, unless it could not be read: a text in it is empty or too long, or a value is. Whether it has.
    pub fn push(&mut self, record: &Record<'_>) -> bool {
        let at = self.bytes.len();
        self.bytes.resize(at + RECORD_HEADER_LEN, 0);
        encode(record, &mut self.bytes);
        let (before, body) = self.bytes.split_at_mut(at + RECORD_HEADER_LEN);
        if decode(body).is_none() {
            self.bytes.truncate(at);
            return false;
        }
        let length = (body.len() as u32).to_le_bytes();
        let checksum = checksum(self.salt, self.from + at, length, body);
        before[at..at + 4].copy_from_slice(&length);
        before[at + 4..].copy_from_slice(&checksum.to_le_bytes());
        true
    }

    /// What is not taken yet.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes of the whole file.
    pub fn file_len(&self) -> usize {
        self.from + self.bytes.len()
    }

    /// What has been written so far is in the file: what follows goes behind it.
    pub fn taken(&mut self) {
        self.from += self.bytes.len();
        self.bytes.clear();
    }
}

fn encode(record: &Record<'_>, out: &mut Vec<u8>) {
    let text = |out: &mut Vec<u8>, text: &str| {
        out.extend_from_slice(&(text.len() as u16).to_le_bytes());
        out.extend_from_slice(text.as_bytes());
    };
    let numbers = |out: &mut Vec<u8>, kind: u8, numbers: &[u64]| {
        out.push(kind);
        numbers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
    };
    let valued = |out: &mut Vec<u8>, key: &str, value: Option<&[u8]>| {
        text(out, key);
        out.push(u8::from(value.is_some()));
        out.extend_from_slice(value.unwrap_or_default());
    };
    match *record {
        Record::Identity { cluster, member } => {
            out.push(IDENTITY);
            text(out, cluster);
            text(out, member);
        }
        Record::Batch(number) => numbers(out, BATCH, &[number]),
        Record::Life { reserved } => numbers(out, LIFE, &[reserved]),
        Record::Closed { incarnation } => numbers(out, CLOSED, &[incarnation]),
        Record::Left(left) => out.extend_from_slice(&[LEFT, u8::from(left)]),
        Record::Map { epoch, version, clock } => numbers(out, MAP, &[epoch, version, clock]),
        Record::OwnKey { key, version, value } => {
            numbers(out, OWN_KEY, &[version]);
            valued(out, key, value);
        }
        Record::ClusterKey { key, version, writer, value, statement } => {
            let kind = if statement.is_some() { SIGNED_CLUSTER_KEY } else { CLUSTER_KEY };
            numbers(out, kind, &[version, writer.0]);
            statement.iter().for_each(|statement| out.extend_from_slice(&statement.to_bytes()));
            valued(out, key, value);
        }
        Record::Peer { name, address, state } => {
            out.extend_from_slice(&[PEER, state as u8]);
            match address.ip() {
                IpAddr::V4(ip) => {
                    out.push(4);
                    out.extend_from_slice(&ip.octets());
                }
                IpAddr::V6(ip) => {
                    out.push(6);
                    out.extend_from_slice(&ip.octets());
                }
            }
            out.extend_from_slice(&address.port().to_le_bytes());
            text(out, name);
        }
        Record::PeerGone { name } => {
            out.push(PEER_GONE);
            text(out, name);
        }
    }
}

/// The fields of a body, one after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn number(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// A text of 1 to `most` bytes.
    fn text(&mut self, most: usize) -> Option<&'a str> {
        let length = usize::from(self.array().map(u16::from_le_bytes)?);
        let bytes = self.take(length).filter(|_| (1..=most).contains(&length))?;
        std::str::from_utf8(bytes).ok()
    }

    fn key(&mut self) -> Option<(&'a str, Option<&'a [u8]>)> {
        let key = self.text(KEY_MAX)?;
        let value = if self.flag()? { Some(self.take(self.0.len())?) } else { None };
        value.is_none_or(|value| value.len() <= VALUE_MAX).then_some((key, value))
    }

    fn statement(&mut self) -> Option<KeyStatement> {
        self.array().map(KeyStatement::from_bytes)
    }

    fn address(&mut self) -> Option<SocketAddr> {
        let ip = match self.byte()? {
            4 => IpAddr::V4(Ipv4Addr::from(self.array::<4>()?)),
            6 => IpAddr::V6(Ipv6Addr::from(self.array::<16>()?)),
            _ => return None,
        };
        Some(SocketAddr::new(ip, self.array().map(u16::from_le_bytes)?))
    }
}

fn decode(body: &[u8]) -> Option<Record<'_>> {
    let mut fields = Fields(body);
    let record = match fields.byte()? {
        IDENTITY => {
            Record::Identity { cluster: fields.text(CLUSTER_NAME_MAX)?, member: fields.text(NAME_MAX)? }
        }
        BATCH => Record::Batch(fields.number()?),
        LIFE => Record::Life { reserved: fields.number()? },
        CLOSED => Record::Closed { incarnation: fields.number()? },
        LEFT => Record::Left(fields.flag()?),
        MAP => Record::Map { epoch: fields.number()?, version: fields.number()?, clock: fields.number()? },
        OWN_KEY => {
            let version = fields.number()?;
            let (key, value) = fields.key()?;
            Record::OwnKey { key, version, value }
        }
        kind @ (CLUSTER_KEY | SIGNED_CLUSTER_KEY) => {
            let (version, writer) = (fields.number()?, MemberId(fields.number()?));
            let statement = if kind == SIGNED_CLUSTER_KEY { Some(fields.statement()?) } else { None };
            let (key, value) = fields.key()?;
            Record::ClusterKey { key, version, writer, value, statement }
        }
        PEER => {
            let state = State::from_u8(fields.byte()?)?;
            Record::Peer { address: fields.address()?, name: fields.text(NAME_MAX)?, state }
        }
        PEER_GONE => Record::PeerGone { name: fields.text(NAME_MAX)? },
        _ => return None,
    };
    fields.0.is_empty().then_some(record)
}

/// Reads the records of a file.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    salt: u64,
    at: usize,
}

impl<'a> Reader<'a> {
    /// Of the file with these bytes.
    ///
    /// # Errors
    /// If it is no snapshot, or of another version.
    pub fn new(bytes: &'a [u8]) -> Result<Reader<'a>, Fault> {
        let mut fields = Fields(bytes);
        if fields.array() != Some(MAGIC) {
            return Err(Fault::Foreign);
        }
        let header = (fields.array().map(u32::from_le_bytes), fields.number(), fields.number());
        let (Some(version), Some(salt), Some(sum)) = header else { return Err(Fault::Damaged(MAGIC.len())) };
        if sum != xxh3_64(&bytes[..HEADER_LEN - 8]) {
            return Err(Fault::Damaged(MAGIC.len()));
        }
        if version != FORMAT {
            return Err(Fault::Version(version));
        }
        Ok(Reader { bytes, salt, at: HEADER_LEN })
    }

    /// Where the next record begins: after the last one, how much of the file is whole.
    pub fn place(&self) -> usize {
        self.at
    }

    /// The next record; nothing at the end of the file, or of what is whole of it.
    ///
    /// # Errors
    /// [`Fault::Damaged`] if there is none here, and once was.
    pub fn next_record(&mut self) -> Result<Option<Record<'a>>, Fault> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let Some(body) = self.body_at(self.at) else {
            return if self.has_batch_behind(self.at) { Err(Fault::Damaged(self.at)) } else { Ok(None) };
        };
        let record = decode(body).ok_or(Fault::Damaged(self.at))?;
        self.at += RECORD_HEADER_LEN + body.len();
        Ok(Some(record))
    }

    /// The body of the record at `place`, if one was written there.
    fn body_at(&self, place: usize) -> Option<&'a [u8]> {
        let mut fields = Fields(self.bytes.get(place..)?);
        let length = fields.array()?;
        let sum = fields.number()?;
        let whole = u32::from_le_bytes(length) as usize;
        let body = fields.take(whole).filter(|_| (1..=RECORD_MAX).contains(&whole))?;
        (sum == checksum(self.salt, place, length, body)).then_some(body)
    }

    /// Whether a batch begins behind `place`.
    fn has_batch_behind(&self, place: usize) -> bool {
        let length = (BATCH_LEN as u32).to_le_bytes();
        let rest = &self.bytes[place..];
        let begins = |at: &usize| {
            let kind = rest.get(at + RECORD_HEADER_LEN);
            rest[*at..].starts_with(&length) && kind == Some(&BATCH)
        };
        (1..rest.len()).filter(begins).any(|at| self.body_at(place + at).is_some())
    }
}

#[cfg(test)]
#[path = "record_test.rs"]
mod tests;
