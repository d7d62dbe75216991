//! What a driver has between the network and its members, for either wire format: who a datagram is for,
//! what opens it, and where a stream message ends.
//!
//! Native frames say whom they are for; memberlist's packets belong to whoever has the address they were
//! sent to. Native stream messages have a length in front; the end of memberlist's is found by walking
//! over them.

use std::net::SocketAddr;
use std::sync::Arc;

use swimring_codec::memberlist::{Codec, StreamScanner};
use swimring_codec::native::{Frame, STREAM_PREFIX_LEN, StreamMessage, stream_message_len};

use super::network;
use super::simulation::{CLUSTER, Simulation};
use swimring::protocol::{
    AdmittedKeys, CheckedWire, SharedState, StreamNext, StreamPurpose, WireOptions, WireOptionsError,
};

/// The format that all members speak, and what opens it.
#[derive(Debug)]
pub(super) struct Wire {
    options: WireOptions,
    checked: CheckedWire,
    /// Opens what members receive; nothing in the native format.
    reader: Option<Box<Codec>>,
    /// Opens what the network and the checks look at, while a member reads.
    pub(super) inspector: Option<Box<Codec>>,
    /// Whom members admit, if they have identities.
    pub(super) identities: Option<Arc<AdmittedKeys>>,
}

impl Wire {
    pub(super) fn new(options: &WireOptions) -> Result<Wire, WireOptionsError> {
        // Nobody listens in a simulated network: what is encrypted travels plain, and a frame is so much shorter.
        let plain = WireOptions::Native;
        let options = if options.is_native() { &plain } else { options };
        let checked = options.check()?;
        // Randomness is for sealing, and these only open.
        let codec = || checked.codec([0; 32]).map(Box::new);
        let (reader, inspector) = (codec(), codec());
        Ok(Wire { options: options.clone(), checked, reader, inspector, identities: None })
    }

    /// Storage for members that speak the format.
    pub(super) fn commons(&self, seed: u64) -> SharedState {
        let mut secret = [0; 32];
        secret[..8].copy_from_slice(&seed.to_le_bytes());
        let mut commons = SharedState::speaking(&self.checked, seed, secret);
        if let Some(admitted) = &self.identities {
            commons.use_identities(CLUSTER, Arc::clone(admitted));
        }
        commons
    }

    pub(super) fn options(&self) -> &WireOptions {
        &self.options
    }

    /// What finds the end of the first message that the acceptor of a stream gets to read, or the opener.
    pub(super) fn scanner(&self, accepted: bool) -> Option<StreamScanner> {
        match &self.options {
            WireOptions::Native | WireOptions::Encrypted(_) => None,
            WireOptions::Memberlist(options) => {
                Some(StreamScanner::new(accepted && !options.label.is_empty()))
            }
        }
    }
}

/// Takes the first whole message off `unread`, without what only says where it ends.
///
/// # Errors
/// Why there will never be one.
pub(super) fn cut_message(
    unread: &mut Vec<u8>,
    scanner: Option<&mut StreamScanner>,
) -> Result<Option<Vec<u8>>, String> {
    let (prefix, length) = match scanner {
        Some(scanner) => match scanner.scan(unread).map_err(|error| error.to_string())? {
            Some(length) => (0, length),
            None => return Ok(None),
        },
        None => {
            let Some(prefix) = unread.first_chunk::<STREAM_PREFIX_LEN>() else { return Ok(None) };
            let length = stream_message_len(*prefix).map_err(|error| error.to_string())?;
            (STREAM_PREFIX_LEN, STREAM_PREFIX_LEN + length)
        }
    };
    if unread.len() < length {
        return Ok(None);
    }
    let rest = unread.split_off(length);
    let mut message = std::mem::replace(unread, rest);
    message.drain(..prefix);
    Ok(Some(message))
}

impl Simulation {
    /// Hands the bytes of a datagram to a member, as a driver does: only what can be read and is for it.
    pub fn deliver(&mut self, node: usize, from: SocketAddr, bytes: &[u8]) {
        if let Some(mut codec) = self.wire.reader.take() {
            match codec.open_packet(bytes) {
                Ok(messages) => {
                    self.call(node, |member, now, commons, out| {
                        member.handle_packet(now, from, messages, commons, out);
                    });
                }
                Err(_) => self.checks.coverage.frames_undecodable += 1,
            }
            self.wire.reader = Some(codec);
            return;
        }
        let Ok(frame) = Frame::decode(bytes) else {
            self.checks.coverage.frames_undecodable += 1;
            return;
        };
        let destination = frame.header.destination;
        if !destination.is_none() && destination != self.nodes[node].id {
            self.checks.coverage.frames_misdirected += 1;
            return;
        }
        self.call(node, |member, now, commons, out| member.handle_frame(now, from, &frame, commons, out));
    }

    /// Hands the bytes of a stream message, native ones without their length prefix, to a member; `purpose`
    /// is why it opened the stream. Gives what a driver would do next: nothing if the bytes cannot be read
    /// or the member is down.
    pub fn deliver_stream(
        &mut self,
        node: usize,
        purpose: Option<StreamPurpose>,
        bytes: &[u8],
    ) -> Option<StreamNext> {
        self.read_stream(node, purpose, bytes, &mut Vec::new()).ok()?
    }

    /// The same, with the answer in `reply`.
    ///
    /// # Errors
    /// Why the bytes cannot be read.
    pub(super) fn read_stream(
        &mut self,
        node: usize,
        purpose: Option<StreamPurpose>,
        bytes: &[u8],
        reply: &mut Vec<u8>,
    ) -> Result<Option<StreamNext>, String> {
        if let Some(mut codec) = self.wire.reader.take() {
            let opened = codec.open_stream(bytes, purpose.is_none()).map_err(|error| error.to_string());
            let next = opened.map(|message| {
                self.call(node, |member, now, commons, out| {
                    member.handle_packet_stream(now, purpose, &message, reply, commons, out).next
                })
            });
            self.wire.reader = Some(codec);
            return next;
        }
        let message = StreamMessage::decode(bytes).map_err(|error| error.to_string())?;
        Ok(self.call(node, |member, now, commons, out| {
            member.handle_stream(now, purpose, &message, reply, commons, out)
        }))
    }

    /// Damages a datagram under way. False if the damage is seen, by a checksum or by the format, and the
    /// datagram dropped.
    pub(super) fn survives_damage(&mut self, from: usize, bytes: &mut Vec<u8>) -> bool {
        let whole = self.buffers.take(bytes);
        network::corrupt(bytes, &mut self.rng);
        let damaged = whole != *bytes;
        self.buffers.give_back(whole);
        if !damaged || !self.faults.checksums {
            return true;
        }
        self.checks.coverage.frames_damaged += 1;
        if let Some(codec) = &mut self.wire.inspector {
            let (encrypts, refused) = (codec.encrypts(), codec.open_packet(bytes).is_err());
            self.checks.coverage.frames_undecodable += u64::from(refused);
            if encrypts && !refused {
                self.checks.undecodable(self.step_of(from), "damage under encryption was not noticed");
            }
        }
        false
    }

    /// The wire format of all members.
    pub fn wire(&self) -> &WireOptions {
        self.wire.options()
    }
}
