//! Virtual TCP: ordered bytes between two members, which arrive late, in pieces, or not at all.
//!
//! A stream is opened with what `Member::open_stream` writes. Bytes that arrive are cut into messages,
//! decoded and handled exactly as a driver would. A partition, a crash or bad luck
//! breaks it, at once or only after a timeout.
//!
//! The handshake is the kernel's: a member that is stalled has its connections accepted, and reads what comes on them when
//! it runs again. Where no member is at an address the host refuses the connection, unless the host is down, or cut off:
//! then there is no answer.

use std::time::Duration;

use swimring_codec::memberlist::StreamScanner;

use super::network;
use super::node::Input;
use super::simulation::{SimEvent, Simulation};
use super::wire::cut_message;
use swimring::protocol::{StreamConnection, StreamNext, StreamOpen, StreamPurpose, Time};

/// Most one write sends in one piece; longer ones arrive in several.
const SEGMENT: usize = 1448;

/// Number of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct StreamId {
    slot: u32,
    generation: u32,
}

/// An input of one end of a stream.
#[derive(Debug)]
pub(super) enum StreamInput {
    Bytes(Vec<u8>),
    /// The other host has accepted the connection, or refused it.
    Connection(StreamConnection),
    /// The other end has closed, or the connection broke.
    End,
}

/// The end that opened the stream.
const OPENER: usize = 0;
const ACCEPTOR: usize = 1;

#[derive(Clone, Debug, Default)]
struct End {
    node: usize,
    boot: u32,
    open: bool,
    /// Received and not a whole message yet.
    unread: Vec<u8>,
    /// Finds the end of memberlist's messages.
    scanner: Option<StreamScanner>,
    /// Arrival of the last piece sent to this end: pieces do not overtake each other.
    last_arrival: Time,
}

#[derive(Debug)]
struct Stream {
    generation: u32,
    purpose: StreamPurpose,
    ends: [End; 2],
    /// After so many more pieces the connection breaks.
    breaks_after: u32,
    /// A piece did not get through: nothing that follows it is delivered.
    stuck: bool,
}

/// The streams under way.
#[derive(Debug, Default)]
pub(super) struct Streams {
    slots: Vec<Stream>,
    free: Vec<u32>,
}

impl Streams {
    fn add(&mut self, purpose: StreamPurpose, ends: [End; 2], breaks_after: u32) -> StreamId {
        match self.free.pop() {
            Some(slot) => {
                let generation = self.slots[slot as usize].generation + 1;
                self.slots[slot as usize] = Stream { generation, purpose, ends, breaks_after, stuck: false };
                StreamId { slot, generation }
            }
            None => {
                self.slots.push(Stream { generation: 0, purpose, ends, breaks_after, stuck: false });
                StreamId { slot: (self.slots.len() - 1) as u32, generation: 0 }
            }
        }
    }

    fn get(&mut self, id: StreamId) -> Option<&mut Stream> {
        self.slots.get_mut(id.slot as usize).filter(|stream| stream.generation == id.generation)
    }
}

impl Simulation {
    /// Longest duration of a stream: of a probe two intervals, since what it shows counts for the suspicion too.
    fn stream_patience(&self, purpose: StreamPurpose) -> Duration {
        match purpose {
            StreamPurpose::Probe { .. } => self.settings.probe_interval * 2,
            StreamPurpose::Join { .. }
            | StreamPurpose::Sync
            | StreamPurpose::Pull { .. }
            | StreamPurpose::View
            | StreamPurpose::SharedState { .. } => self.settings.probe_interval * 5,
        }
    }

    pub(super) fn open_stream(&mut self, node: usize, open: &StreamOpen) {
        let mut first = Vec::new();
        let place = &self.nodes[node];
        let Some(member) = &place.member else { return };
        let commons = &mut self.commons[place.commons];
        member.open_stream(open.purpose, open.destination, commons, &mut first);
        let scanner = self.wire.scanner(false);
        let opener = End { node, boot: place.boots, open: true, scanner, ..End::default() };
        let host = network::node_at(open.to).filter(|to| *to < self.nodes.len());
        let lives = |to: usize| self.nodes[to].address == open.to && self.nodes[to].member.is_some();
        let to = host.filter(|to| lives(*to));
        let down = host.is_some_and(|host| self.nodes[host].host_down);
        let acceptor = match to {
            Some(to) => {
                let scanner = self.wire.scanner(true);
                End { node: to, boot: self.nodes[to].boots, open: true, scanner, ..End::default() }
            }
            None => End { node: host.unwrap_or(node), ..End::default() },
        };
        let breaks = network::happens(self.faults.stream_break, &mut self.rng);
        let breaks_after = if breaks { self.rng.u32(..4) } else { u32::MAX };
        let stream = self.streams.add(open.purpose, [opener, acceptor], breaks_after);
        let expires = self.now + self.stream_patience(open.purpose);
        self.agenda.push(expires, SimEvent::StreamExpires { stream });
        if to.is_none() {
            if !down {
                // The host answers although the member is not there.
                self.push_to(stream, OPENER, StreamInput::Connection(StreamConnection::Refused));
            }
            return;
        }
        // The handshake: there and back before the first byte leaves.
        let handshake =
            network::delay(&self.faults, &mut self.rng) + network::delay(&self.faults, &mut self.rng);
        if let Some(stream) = self.streams.get(stream) {
            stream.ends[ACCEPTOR].last_arrival = self.now + handshake;
            stream.ends[OPENER].last_arrival = self.now + handshake;
        }
        let accepted = StreamInput::Connection(StreamConnection::Accepted);
        self.agenda.push(self.now + handshake, SimEvent::Stream { stream, end: OPENER, input: accepted });
        self.write_stream(stream, ACCEPTOR, &first);
    }

    /// Sends `bytes` to `end`.
    fn write_stream(&mut self, stream: StreamId, end: usize, bytes: &[u8]) {
        self.trace.add(self.now, end, bytes);
        self.checks.coverage.stream_bytes += bytes.len() as u64;
        for piece in bytes.chunks(SEGMENT) {
            self.push_to(stream, end, StreamInput::Bytes(piece.to_vec()));
        }
    }

    fn end_for(&mut self, stream: StreamId, end: usize) {
        self.push_to(stream, end, StreamInput::End);
    }

    fn push_to(&mut self, id: StreamId, end: usize, input: StreamInput) {
        let delay = network::delay(&self.faults, &mut self.rng);
        let Some(stream) = self.streams.get(id) else { return };
        let at = stream.ends[end].last_arrival.max(self.now + delay);
        stream.ends[end].last_arrival = at;
        self.agenda.push(at, SimEvent::Stream { stream: id, end, input });
    }

    /// Something reaches an end: through the network, so it may still be stopped.
    pub(super) fn stream_arrives(&mut self, id: StreamId, end: usize, input: StreamInput) {
        let Some(stream) = self.streams.get(id) else { return };
        let (to, from) = (stream.ends[end].node, stream.ends[1 - end].node);
        if !stream.ends[end].open {
            return;
        }
        let (boot, other_closed) = (stream.ends[end].boot, stream.breaks_after == 0);
        let piece = !matches!(input, StreamInput::Connection(_));
        if stream.breaks_after != u32::MAX && piece {
            stream.breaks_after = stream.breaks_after.saturating_sub(1);
        }
        if stream.stuck || self.links.stops(self.now, from, to) || self.links.stops(self.now, to, from) {
            // Resent and never acknowledged: the timeout will end it.
            stream.stuck = true;
            return;
        }
        if other_closed && piece {
            self.checks.coverage.streams_broken += 1;
            return self.stream_expires(id);
        }
        if self.nodes[to].boots != boot || self.nodes[to].member.is_none() {
            // The member that had this connection is gone: its host resets it, if it is still there.
            if !self.nodes[to].host_down {
                self.end_for(id, 1 - end);
            }
            return;
        }
        self.input(to, Input::Stream { stream: id, end, input });
    }

    /// A member gets to see what reached its end.
    pub(super) fn stream_input(&mut self, node: usize, id: StreamId, end: usize, input: StreamInput) {
        let boots = self.nodes[node].boots;
        let Some(stream) = self.streams.get(id) else { return };
        if !stream.ends[end].open || stream.ends[end].boot != boots {
            return;
        }
        match input {
            StreamInput::End => self.close_end(id, end, true),
            StreamInput::Connection(connection) => {
                let purpose = stream.purpose;
                self.call(node, |member, now, commons, out| {
                    member.handle_stream_connection(now, purpose, connection, commons, out);
                });
                if connection == StreamConnection::Refused {
                    self.checks.coverage.streams_refused += 1;
                    self.close_end(id, end, true);
                }
            }
            StreamInput::Bytes(bytes) => {
                stream.ends[end].unread.extend_from_slice(&bytes);
                while let Some(message) = self.next_message(node, id, end) {
                    self.handle_message(node, id, end, &message);
                }
            }
        }
    }

    /// Takes the next whole message off what was received.
    fn next_message(&mut self, node: usize, id: StreamId, end: usize) -> Option<Vec<u8>> {
        let at = self.streams.get(id).map(|stream| &mut stream.ends[end]).filter(|end| end.open)?;
        match cut_message(&mut at.unread, at.scanner.as_mut()) {
            Ok(message) => {
                if message.is_some() {
                    at.scanner = self.wire.scanner(false);
                }
                message
            }
            // Members write valid messages, and virtual TCP does not change them.
            Err(error) => {
                self.checks.undecodable(self.step_of(node), &error);
                None
            }
        }
    }

    fn handle_message(&mut self, node: usize, id: StreamId, end: usize, bytes: &[u8]) {
        let Some(stream) = self.streams.get(id) else { return };
        let purpose = (end == OPENER).then_some(stream.purpose);
        let mut reply = Vec::new();
        let next = match self.read_stream(node, purpose, bytes, &mut reply) {
            Ok(next) => next,
            Err(error) => return self.checks.undecodable(self.step_of(node), &error),
        };
        if !reply.is_empty() {
            self.write_stream(id, 1 - end, &reply);
        }
        if matches!(next, None | Some(StreamNext::Close | StreamNext::ReplyAndClose)) {
            self.close_end(id, end, false);
        }
    }

    /// Closes one end: because its member is done with it, or because the other end is gone.
    fn close_end(&mut self, id: StreamId, end: usize, cut_short: bool) {
        let Some(stream) = self.streams.get(id) else { return };
        if !stream.ends[end].open {
            return;
        }
        stream.ends[end].open = false;
        let (node, boot, purpose) = (stream.ends[end].node, stream.ends[end].boot, stream.purpose);
        if stream.ends[1 - end].open {
            self.end_for(id, 1 - end);
        }
        if end == OPENER && cut_short && self.nodes[node].boots == boot {
            self.call(node, |member, now, _, out| member.handle_stream_closed(now, purpose, out));
        }
    }

    /// Too late, or broken: both ends learn of it, and the slot is free.
    pub(super) fn stream_expires(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get(id) else { return };
        stream.ends[ACCEPTOR].open = false;
        if stream.ends[OPENER].open {
            self.checks.coverage.streams_failed += 1;
            self.close_end(id, OPENER, true);
        }
        if let Some(stream) = self.streams.get(id) {
            stream.generation += 1;
            self.streams.free.push(id.slot);
        }
    }
}
