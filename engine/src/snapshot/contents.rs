//! What the records of a file come to: the last of each kind, key and peer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use swimring_codec::native::KeyStatement;
use swimring_codec::{MemberId, State};

use super::record::{Fault, Reader, Record};

/// A key of the member's own map.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnKey {
    /// The version of its last change.
    pub version: u64,
    /// Nothing if it was deleted.
    pub value: Option<Bytes>,
}

/// A key of the cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClusterKey {
    /// The version of its last change.
    pub version: u64,
    /// The last to write it.
    pub writer: MemberId,
    /// Nothing if it was deleted.
    pub value: Option<Bytes>,
    /// What the writer has signed of it, where members have identities.
    pub statement: Option<KeyStatement>,
}

/// Another member, as it was last known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Where it is reached.
    pub address: SocketAddr,
    /// What was believed of it.
    pub state: State,
}

/// What a member has kept.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Contents {
    /// The name of its cluster.
    pub cluster: String,
    /// Its own name.
    pub member: String,
    /// It has said no incarnation above this one.
    pub reserved: u64,
    /// The last incarnation that it said, if it has ended in order.
    pub closed: Option<u64>,
    /// Whether it had left the cluster on purpose.
    pub left: bool,
    /// The life of its own map; 0 if it had none.
    pub epoch: u64,
    /// The version of that map.
    pub version: u64,
    /// The highest version known of a key of the cluster.
    pub clock: u64,
    /// Its own map, deletions among it.
    pub own: BTreeMap<Arc<str>, OwnKey>,
    /// The keys of the cluster, deletions among them.
    pub keys: BTreeMap<Arc<str>, ClusterKey>,
    /// Other members by name.
    pub peers: BTreeMap<Arc<str>, Peer>,
}

impl Contents {
    /// What the file with these bytes has kept, and how many of them are whole.
    ///
    /// # Errors
    /// If it is no snapshot of this version, or damaged.
    pub fn read(bytes: &[u8]) -> Result<(Contents, usize), Fault> {
        let mut reader = Reader::new(bytes)?;
        let mut contents = Contents::default();
        let place = reader.place();
        // A file comes into being whole, with this record in it.
        let Some(Record::Identity { cluster, member }) = reader.next_record()? else {
            return Err(Fault::Damaged(place));
        };
        (contents.cluster, contents.member) = (cluster.to_owned(), member.to_owned());
        while let Some(record) = reader.next_record()? {
            contents.take(&record);
        }
        Ok((contents, reader.place()))
    }

    fn take(&mut self, record: &Record<'_>) {
        match *record {
            Record::Identity { .. } | Record::Batch(_) => {}
            Record::Life { reserved } => {
                self.reserved = self.reserved.max(reserved);
                self.closed = None;
            }
            Record::Closed { incarnation } => self.closed = Some(incarnation),
            Record::Left(left) => self.left = left,
            Record::Map { epoch, version, clock } => {
                (self.epoch, self.version) = (epoch, self.version.max(version));
                self.clock = self.clock.max(clock);
            }
            Record::OwnKey { key, version, value } => {
                self.version = self.version.max(version);
                self.own.insert(key.into(), OwnKey { version, value: value.map(Bytes::copy_from_slice) });
            }
            Record::ClusterKey { key, version, writer, value, statement } => {
                self.clock = self.clock.max(version);
                let value = value.map(Bytes::copy_from_slice);
                self.keys.insert(key.into(), ClusterKey { version, writer, value, statement });
            }
            Record::Peer { name, address, state } => {
                self.peers.insert(name.into(), Peer { address, state });
            }
            Record::PeerGone { name } => _ = self.peers.remove(name),
        }
    }
}
