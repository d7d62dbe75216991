//! Cuts a byte stream into length-prefixed messages, without trusting the lengths.
//!
//! Small messages are read many at a time into one small buffer and copied out. A message that does not
//! fit there gets a buffer of its own, into which the rest is read directly, so large bytes are never
//! copied. That buffer grows with what the peer has really sent: announcing a megabyte costs four bytes
//! and must not cost this side a megabyte.

use swimring_codec::native::STREAM_PREFIX_LEN;

use super::event::CloseReason;
use super::pool::{LARGE_BYTES, Pool};

/// Bytes read at once where no large message is under way.
pub(super) const HEAD_LEN: usize = 16 * 1024;
/// A peer that has sent n bytes is given buffers of up to this many times n: reads quickly become large,
/// and a liar gains little.
const TRUST_FACTOR: u64 = 4;

/// How much an exchange may receive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// In one message.
    pub(super) message_bytes_max: usize,
    /// In all.
    pub(super) received_bytes_max: u64,
}

impl Limits {
    /// Whether an exchange may receive `bytes` in all.
    pub(super) fn check(self, bytes: u64) -> Result<(), CloseReason> {
        if bytes > self.received_bytes_max { Err(CloseReason::ExchangeTooLong) } else { Ok(()) }
    }
}

/// How many more bytes to make room for after `received_bytes`.
pub(super) fn trusted(received_bytes: u64) -> usize {
    let trusted = received_bytes.saturating_mul(TRUST_FACTOR).max(HEAD_LEN as u64);
    usize::try_from(trusted).unwrap_or(usize::MAX)
}

/// A read to make: into `buffer`, at most `limit` bytes, which fit its spare capacity.
pub(super) struct Want {
    pub(super) buffer: Vec<u8>,
    pub(super) limit: usize,
}

/// The receiving half of an exchange's framing, without I/O.
///
/// Call [`want`](Assembler::want), do the read it describes, hand the buffer to
/// [`filled`](Assembler::filled), then call [`next`](Assembler::next) until it has no more messages.
pub(super) struct Assembler {
    /// Bytes at message boundaries; empty while it is lent out.
    head: Vec<u8>,
    /// Where the unread part of `head` starts.
    head_start: usize,
    /// A message with a buffer of its own, and its length.
    body: Option<(Vec<u8>, usize)>,
    received_bytes: u64,
    limits: Limits,
}

impl Assembler {
    pub(super) fn new(head: Vec<u8>, limits: Limits) -> Assembler {
        Assembler { head, head_start: 0, body: None, received_bytes: 0, limits }
    }

    /// The next read.
    pub(super) fn want(&mut self) -> Want {
        let Some((body, length)) = &mut self.body else {
            let mut buffer = std::mem::take(&mut self.head);
            buffer.drain(..self.head_start);
            self.head_start = 0;
            buffer.reserve_exact(HEAD_LEN.saturating_sub(buffer.len()));
            let limit = HEAD_LEN - buffer.len();
            return Want { buffer, limit };
        };
        let mut buffer = std::mem::take(body);
        let spare = buffer.capacity() - buffer.len();
        let limit = (*length - buffer.len()).min(trusted(self.received_bytes).max(spare));
        buffer.reserve_exact(limit);
        Want { buffer, limit }
    }

    /// Takes back the buffer of the last `want`, into which `count` bytes were read.
    pub(super) fn filled(&mut self, buffer: Vec<u8>, count: usize) {
        self.received_bytes += count as u64;
        match &mut self.body {
            Some((body, _)) => *body = buffer,
            None => self.head = buffer,
        }
    }

    /// The next complete message, in a buffer from `pool`; nothing if more must be read.
    pub(super) fn next(&mut self, pool: &Pool) -> Result<Option<Vec<u8>>, CloseReason> {
        if let Some((body, length)) = self.body.take() {
            if body.len() == length {
                return Ok(Some(body));
            }
            self.body = Some((body, length));
            return Ok(None);
        }
        let Some((prefix, rest)) = self.head[self.head_start..].split_first_chunk::<STREAM_PREFIX_LEN>()
        else {
            return self.limits.check(self.received_bytes).map(|()| None);
        };
        let announced = u32::from_le_bytes(*prefix);
        let length = announced as usize;
        if length == 0 || length > self.limits.message_bytes_max {
            return Err(CloseReason::BadLength(announced));
        }
        let missing = length.saturating_sub(rest.len());
        self.limits.check(self.received_bytes + missing as u64)?;
        let mut message = if length >= LARGE_BYTES { pool.take_large() } else { pool.take() };
        if missing > 0 {
            message.extend_from_slice(rest);
            self.head.clear();
            self.head_start = 0;
            self.body = Some((message, length));
            return Ok(None);
        }
        message.extend_from_slice(&rest[..length]);
        self.head_start += STREAM_PREFIX_LEN + length;
        Ok(Some(message))
    }

    /// What it means that the peer has closed now.
    pub(super) fn end(&self) -> CloseReason {
        if self.body.is_none() && self.head_start == self.head.len() {
            CloseReason::PeerClosed
        } else {
            CloseReason::Truncated
        }
    }

    /// Gives its buffers to `pool`.
    pub(super) fn recycle(self, pool: &Pool) {
        pool.put(self.head);
        if let Some((body, _)) = self.body {
            pool.put(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use swimring_codec::native::STREAM_MESSAGE_MAX;

    use super::*;

    fn assembler(received_bytes_max: u64) -> Assembler {
        let limits = Limits { message_bytes_max: STREAM_MESSAGE_MAX, received_bytes_max };
        Assembler::new(Vec::new(), limits)
    }

    fn framed(messages: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for message in messages {
            bytes.extend_from_slice(&(message.len() as u32).to_le_bytes());
            bytes.extend_from_slice(message);
        }
        bytes
    }

    /// Feeds `bytes` in reads of at most `chunks[i]` bytes; the messages, and how it ended.
    fn feed(
        assembler: &mut Assembler,
        bytes: &[u8],
        chunks: &[usize],
    ) -> (Vec<Vec<u8>>, Option<CloseReason>) {
        let pool = Pool::new(1 << 22);
        let mut messages = Vec::new();
        let mut chunk = chunks.iter().cycle();
        let mut at = 0;
        while at < bytes.len() {
            let Want { mut buffer, limit } = assembler.want();
            assert!(limit > 0 && buffer.capacity() - buffer.len() >= limit);
            let count = limit.min(*chunk.next().unwrap()).min(bytes.len() - at);
            buffer.extend_from_slice(&bytes[at..at + count]);
            at += count;
            assembler.filled(buffer, count);
            loop {
                match assembler.next(&pool) {
                    Ok(Some(message)) => messages.push(message),
                    Ok(None) => break,
                    Err(reason) => return (messages, Some(reason)),
                }
            }
        }
        (messages, None)
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_messages(
            lengths in prop::collection::vec(prop_oneof![1..64usize, 1..70_000usize], 1..20),
            chunks in prop::collection::vec(prop_oneof![1..8usize, 1..40_000usize], 1..20),
        ) {
            let messages: Vec<Vec<u8>> = lengths.iter().enumerate()
                .map(|(i, &length)| (0..length).map(|j| (i * 31 + j) as u8).collect())
                .collect();
            let mut assembler = assembler(u64::MAX);
            let (got, end) = feed(&mut assembler, &framed(&messages), &chunks);
            prop_assert_eq!(end, None);
            prop_assert_eq!(got, messages);
            prop_assert_eq!(assembler.end(), CloseReason::PeerClosed);
        }

        #[test]
        fn no_bytes_break_it(
            bytes in prop::collection::vec(any::<u8>(), 0..100_000),
            chunks in prop::collection::vec(1..5_000usize, 1..8),
        ) {
            let mut assembler = assembler(1 << 16);
            let (messages, _) = feed(&mut assembler, &bytes, &chunks);
            prop_assert!(messages.iter().all(|message| (1..=STREAM_MESSAGE_MAX).contains(&message.len())));
        }
    }

    #[test]
    fn an_announced_length_alone_allocates_little() {
        let mut assembler = assembler(u64::MAX);
        let prefix = (STREAM_MESSAGE_MAX as u32).to_le_bytes();
        assert_eq!(feed(&mut assembler, &prefix, &[4]), (vec![], None));
        let want = assembler.want();
        assert!(want.buffer.capacity() <= HEAD_LEN, "{} bytes for four", want.buffer.capacity());
    }

    #[test]
    fn reads_become_large_within_a_few_steps() {
        let mut assembler = assembler(u64::MAX);
        let bytes = framed(&[vec![1; STREAM_MESSAGE_MAX]]);
        let (mut at, mut reads, mut largest) = (0, 0, 0);
        let pool = Pool::new(0);
        while at < bytes.len() {
            let Want { mut buffer, limit } = assembler.want();
            let count = limit.min(bytes.len() - at);
            buffer.extend_from_slice(&bytes[at..at + count]);
            at += count;
            assembler.filled(buffer, count);
            let complete = assembler.next(&pool).unwrap().is_some();
            assert_eq!(complete, at == bytes.len());
            reads += 1;
            largest = largest.max(count);
        }
        assert!(reads <= 5 && largest >= 256 * 1024, "{reads} reads, the largest {largest}");
    }

    #[test]
    fn lengths_out_of_bounds_are_refused() {
        for (length, refused) in [
            (0, true),
            (1, false),
            (STREAM_MESSAGE_MAX as u32, false),
            (STREAM_MESSAGE_MAX as u32 + 1, true),
            (u32::MAX, true),
        ] {
            let mut assembler = assembler(u64::MAX);
            let (_, end) = feed(&mut assembler, &length.to_le_bytes(), &[1]);
            assert_eq!(end, refused.then_some(CloseReason::BadLength(length)));
        }
    }

    #[test]
    fn more_bytes_than_an_exchange_may_hold_are_refused_when_announced() {
        let mut assembler = assembler(3_000);
        let bytes = framed(&[vec![1; 996], vec![2; 996], vec![3; 997]]);
        let (messages, end) = feed(&mut assembler, &bytes, &[1]);
        assert_eq!((messages.len(), end), (2, Some(CloseReason::ExchangeTooLong)));
    }

    #[test]
    fn an_end_inside_a_message_is_told_from_one_between_messages() {
        let bytes = framed(&[vec![1; 100], vec![2; 100]]);
        for (end, reason) in [
            (0, CloseReason::PeerClosed),
            (2, CloseReason::Truncated),
            (4, CloseReason::Truncated),
            (103, CloseReason::Truncated),
            (104, CloseReason::PeerClosed),
            (105, CloseReason::Truncated),
            (208, CloseReason::PeerClosed),
        ] {
            let mut assembler = assembler(u64::MAX);
            feed(&mut assembler, &bytes[..end], &[7]);
            assert_eq!(assembler.end(), reason, "after {end} bytes");
        }
    }
}
