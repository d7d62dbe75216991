//! Serf's messages.

use std::net::{IpAddr, SocketAddr};

use super::{DecodeError, PushPull, kind};
use crate::msgpack::{Reader, Sink};

/// A question to the whole pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Query<'a> {
    /// The query clock when it was asked.
    pub ltime: u64,
    /// Tells queries of one time apart.
    pub id: u32,
    /// Address for answers; `None` if the asker gave none.
    pub address: Option<SocketAddr>,
    /// Name of the asker; may be empty.
    pub source_node: &'a str,
    /// 1 asks for acks, 2 forbids passing it on.
    pub flags: u32,
    /// Number of members that an answer is also sent through.
    pub relay_factor: u8,
    /// Time for answers, in nanoseconds.
    pub timeout_ns: u64,
    /// Payload of the question.
    pub name: &'a str,
    /// With what.
    pub payload: &'a [u8],
}

/// A message of Serf.
#[derive(Clone, Debug)]
pub enum Message<'a> {
    /// `node` is about to leave, or has been told to.
    LeaveIntent {
        /// The member clock when it was decided.
        ltime: u64,
        /// The member that leaves.
        node: &'a str,
        /// Whether it is to be forgotten.
        prune: bool,
    },
    /// `node` joined, or is still here.
    JoinIntent {
        /// The member clock when it was decided.
        ltime: u64,
        /// The member that joined.
        node: &'a str,
    },
    /// The user state of a push/pull.
    PushPull(PushPull<'a>),
    /// A user event.
    UserEvent {
        /// The event clock when it was sent.
        ltime: u64,
        /// Its name.
        name: &'a str,
        /// Its payload.
        payload: &'a [u8],
        /// Whether several of one name may be delivered as one.
        coalesce: bool,
    },
    /// A question to the whole pool. Its filters are not read.
    Query(Query<'a>),
    /// A message of another type, which is not read.
    Other(u8),
}

impl<'a> Message<'a> {
    /// Reads one message: all of `bytes`, type byte included. Bytes after its end are ignored, as peers
    /// ignore them.
    ///
    /// # Errors
    /// `Truncated`, `Field`, `Msgpack` or `Nested`.
    pub fn decode(bytes: &'a [u8]) -> Result<Message<'a>, DecodeError> {
        let (&kind, body) = bytes.split_first().ok_or(DecodeError::Truncated)?;
        let mut reader = Reader::new(body);
        match kind {
            kind::LEAVE => {
                intent(&mut reader).map(|(ltime, node, prune)| Message::LeaveIntent { ltime, node, prune })
            }
            kind::JOIN => intent(&mut reader).map(|(ltime, node, _)| Message::JoinIntent { ltime, node }),
            kind::PUSH_PULL => PushPull::read(&mut reader).map(Message::PushPull),
            kind::USER_EVENT => user_event(&mut reader),
            kind::QUERY => query(&mut reader).map(Message::Query),
            other => Ok(Message::Other(other)),
        }
    }

    /// Appends the message to `out`, type byte included. False, and nothing written, for the kinds that
    /// are written otherwise or not at all: a push/pull (see
    /// [`encode_push_pull`](super::encode_push_pull)) and those that are not read.
    pub fn encode(&self, out: &mut Vec<u8>) -> bool {
        match *self {
            Message::LeaveIntent { ltime, node, prune } => {
                out.put(&[kind::LEAVE, 0x83]);
                write_intent(out, ltime, node);
                out.put(b"\xa5Prune");
                out.flag(prune);
            }
            Message::JoinIntent { ltime, node } => {
                out.put(&[kind::JOIN, 0x82]);
                write_intent(out, ltime, node);
            }
            Message::UserEvent { ltime, name, payload, coalesce } => {
                out.put(&[kind::USER_EVENT, 0x84]);
                out.put(b"\xa2CC");
                out.flag(coalesce);
                out.put(b"\xa5LTime");
                out.unsigned(ltime);
                out.put(b"\xa4Name");
                out.raw(name.as_bytes());
                out.put(b"\xa7Payload");
                out.raw_or_nil(payload);
            }
            Message::Query(query) => write_query(out, &query),
            Message::PushPull(_) | Message::Other(_) => return false,
        }
        true
    }
}

fn write_intent(out: &mut Vec<u8>, ltime: u64, node: &str) {
    out.put(b"\xa5LTime");
    out.unsigned(ltime);
    out.put(b"\xa4Node");
    out.raw(node.as_bytes());
}

fn write_query(out: &mut Vec<u8>, query: &Query<'_>) {
    out.put(&[kind::QUERY, 0x8b]);
    out.put(b"\xa4Addr");
    match &query.address {
        Some(address) => out.ip(address),
        None => out.put(&[0xc0]),
    }
    out.put(b"\xa7Filters\xc0\xa5Flags");
    out.unsigned(query.flags.into());
    out.put(b"\xa2ID");
    out.unsigned(query.id.into());
    out.put(b"\xa5LTime");
    out.unsigned(query.ltime);
    out.put(b"\xa4Name");
    out.raw(query.name.as_bytes());
    out.put(b"\xa7Payload");
    out.raw_or_nil(query.payload);
    out.put(b"\xa4Port");
    out.unsigned(query.address.map_or(0, |address| address.port().into()));
    out.put(b"\xabRelayFactor");
    out.unsigned(query.relay_factor.into());
    out.put(b"\xaaSourceNode");
    out.raw(query.source_node.as_bytes());
    out.put(b"\xa7Timeout");
    out.unsigned(query.timeout_ns);
}

/// Time, node and prune of an intent.
fn intent<'a>(reader: &mut Reader<'a>) -> Result<(u64, &'a str, bool), DecodeError> {
    let (mut ltime, mut node, mut prune) = (0, "", false);
    reader.structure(&["LTime", "Node", "Prune"], |field, reader| {
        match field {
            0 => ltime = reader.unsigned(u64::MAX, "LTime")?,
            1 => node = reader.text("Node")?,
            _ => prune = reader.flag("Prune")?,
        }
        Ok(())
    })?;
    Ok((ltime, node, prune))
}

fn user_event<'a>(reader: &mut Reader<'a>) -> Result<Message<'a>, DecodeError> {
    let (mut ltime, mut name, mut payload, mut coalesce): (_, _, &[u8], _) = (0, "", &[], false);
    reader.structure(&["LTime", "Name", "Payload", "CC"], |field, reader| {
        match field {
            0 => ltime = reader.unsigned(u64::MAX, "LTime")?,
            1 => name = reader.text("Name")?,
            2 => payload = reader.bytes("Payload")?,
            _ => coalesce = reader.flag("CC")?,
        }
        Ok(())
    })?;
    Ok(Message::UserEvent { ltime, name, payload, coalesce })
}

fn query<'a>(reader: &mut Reader<'a>) -> Result<Query<'a>, DecodeError> {
    let (mut ip, mut port): (Option<IpAddr>, u16) = (None, 0);
    let mut query = Query {
        ltime: 0,
        id: 0,
        address: None,
        source_node: "",
        flags: 0,
        relay_factor: 0,
        timeout_ns: 0,
        name: "",
        payload: &[],
    };
    let names = [
        "LTime",
        "ID",
        "Addr",
        "Port",
        "SourceNode",
        "Filters",
        "Flags",
        "RelayFactor",
        "Timeout",
        "Name",
        "Payload",
    ];
    reader.structure(&names, |field, reader| {
        match field {
            0 => query.ltime = reader.unsigned(u64::MAX, "LTime")?,
            1 => query.id = reader.u32("ID")?,
            2 => ip = reader.ip("Addr")?,
            3 => port = reader.u16("Port")?,
            4 => query.source_node = reader.text("SourceNode")?,
            5 => reader.skip()?,
            6 => query.flags = reader.u32("Flags")?,
            7 => query.relay_factor = reader.u8("RelayFactor")?,
            8 => query.timeout_ns = reader.unsigned(u64::MAX, "Timeout")?,
            9 => query.name = reader.text("Name")?,
            _ => query.payload = reader.bytes("Payload")?,
        }
        Ok(())
    })?;
    query.address = ip.map(|ip| SocketAddr::new(ip, port));
    Ok(query)
}
