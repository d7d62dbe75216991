//! Streams: push/pulls and the probes that no datagram got through for, as bytes, since they are rare.
//!
//! What one side writes before it waits arrives as a whole, after the handshake if it is the first. A lost
//! packet costs time, as TCP resends it: a second in the handshake, 200 ms later, doubling. The handshake is the kernel's:
//! a member that stands still completes it and says nothing. The host of a member that has vanished refuses it, unless the
//! host is gone too ([`CrashKind`]). A stream to or from a member that gets nothing through stays silent; nobody waits
//! for it.

use swimring_codec::memberlist::StreamScanner;
use swimring_codec::native::StreamMessage;

use super::options::CrashKind;
use super::run::{SimEvent, Trial};
use crate::wire::cut_message;
use swimring::protocol::{CheckedWire, StreamConnection, StreamNext, StreamPurpose, WireOptions};
use swimring_codec::memberlist::Codec;

/// What is under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Stage {
    /// A connection is asked for, or it is refused or accepted, which is told to the side that asked.
    Asked,
    Refused,
    Accepted,
    /// What one side has said.
    #[default]
    Said,
}

/// A message of one side under way.
#[derive(Clone, Debug, Default)]
struct Mail {
    stage: Stage,
    from: u32,
    to: u32,
    purpose: Option<StreamPurpose>,
    /// It goes to the side that accepted.
    to_acceptor: bool,
    bytes: Vec<u8>,
}

/// Streams under way.
#[derive(Debug)]
pub(super) struct StreamMail {
    wire: WireOptions,
    codec: Option<Box<Codec>>,
    mail: Vec<Mail>,
    free: Vec<u32>,
}

/// Linux's first retransmission timeouts of a handshake and of an open connection, and how often a packet is
/// sent again before it no longer matters, in microseconds.
const HANDSHAKE_RESEND_US: u64 = 1_000_000;
const RESEND_US: u64 = 200_000;
const RESENDS_MAX: u32 = 6;

impl StreamMail {
    pub(super) fn new(wire: WireOptions, checked: &CheckedWire) -> StreamMail {
        let codec = checked.codec([7; 32]).map(Box::new);
        StreamMail { wire, codec, mail: Vec::new(), free: Vec::new() }
    }

    fn add(&mut self, mail: Mail) -> u32 {
        match self.free.pop() {
            Some(at) => {
                self.mail[at as usize] = mail;
                at
            }
            None => {
                self.mail.push(mail);
                (self.mail.len() - 1) as u32
            }
        }
    }

    fn take(&mut self, at: u32) -> Mail {
        self.free.push(at);
        std::mem::take(&mut self.mail[at as usize])
    }

    fn scanner(&self, accepted: bool) -> Option<StreamScanner> {
        match &self.wire {
            WireOptions::Native | WireOptions::Encrypted(_) => None,
            WireOptions::Memberlist(options) => {
                Some(StreamScanner::new(accepted && !options.label.is_empty()))
            }
        }
    }
}

impl Trial {
    /// Opens the streams that the member `node` asks for.
    pub(super) fn open_streams(&mut self, node: u32) {
        for open in std::mem::take(&mut self.opened) {
            let to = swimring::protocol::typed::number_at(open.to);
            let mut bytes = Vec::new();
            let member = &self.members[node as usize];
            member.open_stream(open.purpose, open.destination, &mut self.commons, &mut bytes);
            let purpose = Some(open.purpose);
            let mail = Mail { stage: Stage::Asked, from: node, to, purpose, to_acceptor: true, bytes };
            let held = self.impairments.held_for(node, self.now);
            self.carry(mail, held, HANDSHAKE_RESEND_US);
        }
    }

    /// Sends `mail`, what one side says.
    fn post(&mut self, mail: Mail) {
        self.measuring.stream(self.now, mail.bytes.len());
        self.carry(mail, 0, RESEND_US);
    }

    /// Carries `mail` over after `wait`, unless it never gets through.
    fn carry(&mut self, mail: Mail, wait: u64, resend_us: u64) {
        if let Some(crossing) = self.crossing(mail.from, mail.to, resend_us) {
            let at = self.now + wait + crossing;
            let mail = self.streams.add(mail);
            self.agenda.push(at, SimEvent::Stream(mail));
        }
    }

    /// Delay of a packet of a stream; `None` if it never gets through.
    fn crossing(&mut self, from: u32, to: u32, resend_us: u64) -> Option<u64> {
        let (out, late) = self.impairments.sending(from);
        let into = self.impairments.receiving(to);
        let network = &mut self.network;
        let mut took = late + network.takes(from, to);
        for resends in 0..RESENDS_MAX {
            let lost = network.happens(network.loss) | network.happens(out) | network.happens(into);
            if !lost {
                return Some(took);
            }
            took += resend_us << resends;
        }
        None
    }

    pub(super) fn stream_arrives(&mut self, at: u32) {
        let Mail { to, stage, .. } = self.streams.mail[at as usize];
        if stage == Stage::Asked {
            return self.answer_for(to, at);
        }
        if self.impairments.is_gone(to) {
            self.streams.take(at);
            return;
        }
        if !self.keeps_stream(to, at) {
            self.take_in_stream(at);
        }
    }

    /// The kernel of the host of `to`, if it runs, answers what asks for a connection.
    fn answer_for(&mut self, to: u32, at: u32) {
        let mail = self.streams.take(at);
        let gone = self.impairments.is_gone(to);
        if gone && self.crash_kind == CrashKind::Host {
            return;
        }
        let stage = if gone { Stage::Refused } else { Stage::Accepted };
        self.carry(Mail { stage, from: to, to: mail.from, ..mail }, 0, HANDSHAKE_RESEND_US);
    }

    /// The side that asked for a connection has it, or is refused.
    fn connected(&mut self, mail: Mail) {
        let Mail { from, to, purpose, stage, .. } = mail;
        let refused = stage == Stage::Refused;
        let connection = if refused { StreamConnection::Refused } else { StreamConnection::Accepted };
        if let Some(purpose) = purpose {
            self.call(to, |member, now, commons, out| {
                member.handle_stream_connection(now, purpose, connection, commons, out);
            });
        }
        if !refused {
            self.post(Mail { stage: Stage::Said, from: to, to: from, ..mail });
        }
    }

    /// A member takes in what the other side of a stream wrote, and answers.
    pub(super) fn take_in_stream(&mut self, at: u32) {
        let mail = self.streams.take(at);
        if mail.stage != Stage::Said {
            return self.connected(mail);
        }
        let Mail { from, to, purpose, to_acceptor, mut bytes, .. } = mail;
        let mut reply = Vec::new();
        let mut scanner = self.streams.scanner(to_acceptor);
        let known = if to_acceptor { None } else { purpose };
        // Members write whole and valid messages.
        while let Ok(Some(message)) = cut_message(&mut bytes, scanner.as_mut()) {
            scanner = self.streams.scanner(false);
            let next = self.read_stream(to, known, &message, &mut reply);
            if matches!(next, None | Some(StreamNext::Close | StreamNext::ReplyAndClose)) {
                break;
            }
        }
        if !reply.is_empty() {
            let to_acceptor = !to_acceptor;
            self.post(Mail { stage: Stage::Said, from: to, to: from, purpose, to_acceptor, bytes: reply });
        }
    }

    fn read_stream(
        &mut self,
        node: u32,
        purpose: Option<StreamPurpose>,
        bytes: &[u8],
        reply: &mut Vec<u8>,
    ) -> Option<StreamNext> {
        if let Some(mut codec) = self.streams.codec.take() {
            let next = codec.open_stream(bytes, purpose.is_none()).ok().map(|message| {
                self.call(node, |member, now, commons, out| {
                    member.handle_packet_stream(now, purpose, &message, reply, commons, out).next
                })
            });
            self.streams.codec = Some(codec);
            return next;
        }
        let message = StreamMessage::decode(bytes).ok()?;
        Some(self.call(node, |member, now, commons, out| {
            member.handle_stream(now, purpose, &message, reply, commons, out)
        }))
    }
}
