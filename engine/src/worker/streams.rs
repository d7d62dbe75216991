//! The worker's side of streams: those that its members opened, and the buffers that turns are written into.
//!
//! Buffers go round: a member writes into `reply`; a short turn is copied out of it, a long one leaves in it and a
//! spare of the port takes its place. So the steady state does not allocate.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use swimring_codec::canonical;
use swimring_codec::native::{PUBLIC_KEY_LEN, SIGNATURE_MESSAGE_LEN, StreamSeal};

use super::join_error::JoinFailure;
use super::members::HostedMember;
use super::options::FleetOptions;
use super::sealing::{SealedStreams, sealed_len};
use crate::protocol::{StreamNext, StreamOpen, StreamPurpose};
use crate::stream::{ExchangeId, StreamEvent, StreamPort};

/// Replies up to this length are copied to a small buffer; longer ones are handed over as they are.
const REPLY_SMALL: usize = 1024;

/// Spare buffers looked at for one that is large enough.
const SPARES_TRIED: usize = 16;

/// Bytes of a record in a push/pull: the header and a name of average length; in memberlist's format, which
/// names every field, some metadata as well.
const RECORD_BYTES: usize = 64;
const MEMBERLIST_RECORD_BYTES: usize = 128;
/// Smaller buffers do not count as large ones.
const VIEW_BYTES_LEAST: usize = 64 << 10;
/// Stream buffers set aside for a fleet: small turns under way, and whole views on their way.
const BUFFERS_ASIDE: usize = 128;
pub(super) const VIEWS_ASIDE: usize = 8;

/// Bytes of a whole view, as far as memory is set aside for it.
pub(super) fn view_bytes(options: &FleetOptions) -> usize {
    let record = if options.wire.is_native() { RECORD_BYTES } else { MEMBERLIST_RECORD_BYTES };
    // With a public key and a signature.
    let signed = options.identities.as_ref().map_or(0, |_| PUBLIC_KEY_LEN + SIGNATURE_MESSAGE_LEN);
    (options.known_expected * (record + signed)).max(VIEW_BYTES_LEAST)
}

/// A stream that a member of this worker opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opened {
    pub(super) local: HostedMember,
    pub(super) purpose: StreamPurpose,
    exchange: Option<ExchangeId>,
    /// Whether its purpose was met: then it is no failure that it closes.
    finished: bool,
}

/// The streams under way that this worker opened, by the token they were opened with.
#[derive(Debug)]
struct OpenedStreams {
    slots: Vec<Option<Opened>>,
    free: Vec<u32>,
    /// How many are for a view.
    views: usize,
}

impl OpenedStreams {
    /// At most `max` at once.
    fn new(max: usize) -> OpenedStreams {
        OpenedStreams { slots: vec![None; max], free: (0..max as u32).rev().collect(), views: 0 }
    }

    fn add(&mut self, opened: Opened) -> Option<u64> {
        let slot = self.free.pop()?;
        self.views += usize::from(opened.purpose.is_for_view());
        self.slots[slot as usize] = Some(opened);
        Some(u64::from(slot))
    }

    /// The stream that `token` stands for, unless its purpose was met.
    fn get(&self, token: u64) -> Option<Opened> {
        self.slots.get(token as usize)?.filter(|opened| !opened.finished)
    }

    fn started(&mut self, token: u64, exchange: ExchangeId) {
        if let Some(Some(opened)) = self.slots.get_mut(token as usize) {
            opened.exchange = Some(exchange);
        }
    }

    fn finish(&mut self, token: u64) {
        if let Some(Some(opened)) = self.slots.get_mut(token as usize) {
            opened.finished = true;
        }
    }

    /// Finishes the stream of a join; gives it if it was under way.
    fn abandon_join(&mut self, local: HostedMember, token: u32) -> Option<ExchangeId> {
        let purpose = StreamPurpose::Join { token };
        let mut under_way = self.slots.iter_mut().flatten().filter(|opened| !opened.finished);
        let opened = under_way.find(|opened| opened.local == local && opened.purpose == purpose)?;
        opened.finished = true;
        opened.exchange
    }

    fn remove(&mut self, token: u64) -> Option<Opened> {
        let opened = self.slots.get_mut(token as usize)?.take();
        if let Some(opened) = opened {
            self.free.push(token as u32);
            self.views -= usize::from(opened.purpose.is_for_view());
        }
        opened
    }
}

/// See the module.
pub(super) struct Streams {
    port: StreamPort,
    opened: OpenedStreams,
    /// Where members write their turns.
    reply: Vec<u8>,
    /// What seals them, where members encrypt.
    sealed: Option<SealedStreams>,
}

impl Streams {
    /// No stream yet, with memory for as many members as are expected.
    pub(super) fn new(
        options: &FleetOptions,
        mut port: StreamPort,
        sealed: Option<SealedStreams>,
    ) -> Streams {
        let view_bytes = view_bytes(options);
        if options.members_expected > 0 {
            port.set_aside(BUFFERS_ASIDE, VIEWS_ASIDE, view_bytes);
        }
        let opened = OpenedStreams::new(options.stream.exchanges_max);
        Streams { port, opened, reply: Vec::with_capacity(view_bytes), sealed }
    }

    /// What the stream thread has to say next.
    pub(super) fn poll(&mut self) -> Option<StreamEvent> {
        self.port.poll()
    }

    /// What seals and opens streams, where members encrypt.
    pub(super) fn sealed_mut(&mut self) -> Option<&mut SealedStreams> {
        self.sealed.as_mut()
    }

    /// How many streams are under way for views.
    pub(super) fn views_under_way(&self) -> usize {
        self.opened.views
    }

    /// Takes the buffer of a message back.
    pub(super) fn recycle(&mut self, bytes: Vec<u8>) {
        self.port.recycle(bytes);
    }

    /// Closes a stream. A full queue leaves it to the deadline.
    pub(super) fn close(&mut self, exchange: ExchangeId) {
        self.port.close(exchange);
    }

    /// Opens a stream that `local` asked for, from `source`, and sends the turn that `write` writes.
    ///
    /// # Errors
    /// Why it cannot be.
    pub(super) fn open(
        &mut self,
        local: HostedMember,
        source: Option<IpAddr>,
        open: &StreamOpen,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), (Opened, JoinFailure)> {
        let opened = Opened { local, purpose: open.purpose, exchange: None, finished: false };
        let Some(token) = self.opened.add(opened) else {
            return Err((opened, JoinFailure::TooManyStreams));
        };
        let mut first = std::mem::take(&mut self.reply);
        write(&mut first);
        let Some((first, seal)) = self.first_turn_of(first) else {
            self.opened.remove(token);
            return Err((opened, JoinFailure::TooManyWaiting));
        };
        // A fallback probe that takes longer than a probe is of no use.
        let deadline = match open.purpose {
            StreamPurpose::Probe { .. } => Duration::from_secs(2),
            StreamPurpose::Join { .. }
            | StreamPurpose::Sync
            | StreamPurpose::Pull { .. }
            | StreamPurpose::View
            | StreamPurpose::SharedState { .. } => Duration::from_secs(60),
        };
        match self.port.open(token, source, canonical(open.to), first, deadline) {
            Ok(exchange) => {
                self.opened.started(token, exchange);
                self.begun(exchange, seal);
                Ok(())
            }
            Err(first) => {
                self.port.recycle(first);
                self.opened.remove(token);
                Err((opened, JoinFailure::TooManyWaiting))
            }
        }
    }

    /// Opens a stream of direct messages with `token`, which is not one of members' streams. Nothing if too much waits.
    pub(super) fn open_for_messages(
        &mut self,
        token: u64,
        source: Option<IpAddr>,
        to: SocketAddr,
        deadline: Duration,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Option<ExchangeId> {
        let mut first = std::mem::take(&mut self.reply);
        write(&mut first);
        let (first, seal) = self.first_turn_of(first)?;
        let opened = self.port.open(token, source, to, first, deadline);
        let exchange = opened.map_err(|first| self.port.recycle(first)).ok()?;
        self.begun(exchange, seal);
        Some(exchange)
    }

    /// Says more on a stream of direct messages. False if too much waits; then nothing has been said.
    pub(super) fn say(&mut self, exchange: ExchangeId, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut turn = std::mem::take(&mut self.reply);
        write(&mut turn);
        let Some(turn) = self.next_turn_of(exchange, turn) else { return false };
        self.hand_over(exchange, turn, false)
    }

    /// The stream under way that `token` stands for, if a member opened it and its purpose was not met.
    pub(super) fn opened(&self, token: Option<u64>) -> Option<Opened> {
        token.and_then(|token| self.opened.get(token))
    }

    /// The purpose of a stream was met, or cannot be.
    pub(super) fn finish(&mut self, token: Option<u64>) {
        if let Some(token) = token {
            self.opened.finish(token);
        }
    }

    /// A stream was closed. Gives it if a member opened it and its purpose was not met.
    pub(super) fn closed(&mut self, token: Option<u64>) -> Option<Opened> {
        self.opened.remove(token?).filter(|opened| !opened.finished)
    }

    /// Gives up the join that `local` began with `token`.
    pub(super) fn cancel_join(&mut self, local: HostedMember, token: u32) {
        if let Some(exchange) = self.opened.abandon_join(local, token) {
            self.close(exchange);
        }
    }

    /// An empty buffer to write a turn into, for [`Streams::answer`].
    pub(super) fn take_reply(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.reply)
    }

    /// Sends what a member wrote to `reply`, and closes the stream if it says so.
    pub(super) fn answer(
        &mut self,
        exchange: ExchangeId,
        token: Option<u64>,
        next: StreamNext,
        reply: Vec<u8>,
    ) {
        if matches!(next, StreamNext::Reply | StreamNext::ReplyAndClose) {
            match self.next_turn_of(exchange, reply) {
                Some(turn) => {
                    self.hand_over(exchange, turn, next == StreamNext::ReplyAndClose);
                }
                None => self.close(exchange),
            }
        } else {
            if next == StreamNext::Close {
                self.close(exchange);
            }
            self.reply = reply;
            self.reply.clear();
        }
        if matches!(next, StreamNext::Close | StreamNext::ReplyAndClose) {
            self.finish(token);
        }
    }

    /// Says a turn in the clear whatever else is sealed, and closes the stream.
    pub(super) fn refuse(&mut self, exchange: ExchangeId, write: impl FnOnce(&mut Vec<u8>)) {
        let mut turn = std::mem::take(&mut self.reply);
        write(&mut turn);
        let turn = self.turn_of(turn);
        self.hand_over(exchange, turn, true);
    }

    /// Hands `turn` to the stream thread, which closes the stream behind it if `closes`. False if too much waits; then the turn
    /// is not sent.
    fn hand_over(&mut self, exchange: ExchangeId, turn: Vec<u8>, closes: bool) -> bool {
        self.port.reply(exchange, turn, closes).map_err(|unsent| self.port.recycle(unsent)).is_ok()
    }

    /// What was `written` to begin a stream with, as [`Streams::turn_of`] gives it, and sealed if members encrypt. Nothing if it
    /// cannot be sealed.
    fn first_turn_of(&mut self, written: Vec<u8>) -> Option<(Vec<u8>, Option<StreamSeal>)> {
        let Some(sealed) = &mut self.sealed else { return Some((self.turn_of(written), None)) };
        let mut seal = sealed.begin();
        if !sealed.seals() {
            return Some((self.turn_of(written), Some(seal)));
        }
        let turn = self.sealed_turn_of(written, &mut seal)?;
        Some((turn, Some(seal)))
    }

    /// The same of what was written to go on with.
    fn next_turn_of(&mut self, exchange: ExchangeId, written: Vec<u8>) -> Option<Vec<u8>> {
        match self.sealed.as_mut().and_then(|sealed| sealed.seal_of(exchange)) {
            None => Some(self.turn_of(written)),
            Some(mut seal) => {
                let turn = self.sealed_turn_of(written, &mut seal);
                self.begun(exchange, Some(seal));
                turn
            }
        }
    }

    /// Remembers how far a stream's seal has come.
    fn begun(&mut self, exchange: ExchangeId, seal: Option<StreamSeal>) {
        if let (Some(sealed), Some(seal)) = (&mut self.sealed, seal) {
            sealed.opened(exchange, seal);
        }
    }

    /// What was `written`, sealed into a buffer to hand over; what it was written into is kept for the next.
    fn sealed_turn_of(&mut self, mut written: Vec<u8>, seal: &mut StreamSeal) -> Option<Vec<u8>> {
        let least = sealed_len(&written).max(REPLY_SMALL);
        let mut turn = self.spare(least > REPLY_SMALL, least).unwrap_or_else(|| Vec::with_capacity(least));
        let sealed = self.sealed.as_mut().is_some_and(|sealed| sealed.seal_turn(seal, &written, &mut turn));
        written.clear();
        self.reply = written;
        if sealed {
            return Some(turn);
        }
        self.port.recycle(turn);
        None
    }

    /// What was `written`, in a buffer to hand over; what it was written into, or one as large, is kept for the
    /// next. A short turn is copied, a long one leaves as it is.
    fn turn_of(&mut self, mut written: Vec<u8>) -> Vec<u8> {
        let long = written.len() > REPLY_SMALL;
        // The next view is about as long as this one.
        let turn = match self.spare(long, if long { written.len() } else { REPLY_SMALL }) {
            Some(spare) if long => std::mem::replace(&mut written, spare),
            spare => {
                let mut turn = spare.unwrap_or_default();
                turn.extend_from_slice(&written);
                turn
            }
        };
        written.clear();
        self.reply = written;
        turn
    }

    /// A spare buffer of `least` bytes or more. They come back from the stream thread in many sizes, so one
    /// that is too small goes to the end of the line.
    fn spare(&mut self, large: bool, least: usize) -> Option<Vec<u8>> {
        for _ in 0..SPARES_TRIED {
            let spare = if large { self.port.large_buffer() } else { self.port.buffer() };
            if spare.capacity() >= least {
                return Some(spare);
            }
            self.port.recycle(spare);
        }
        None
    }
}
