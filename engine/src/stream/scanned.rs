//! Cuts a byte stream into messages whose end only a [`Scanner`] can find.
//!
//! Everything since the start of the message under way stays in one buffer, which the scanner is shown after
//! every read. While the length is unknown the buffer at most doubles with each read, so it holds no more
//! than twice what the peer has really sent; once the scanner knows the length, reads go by what the peer
//! has earned, as with announced lengths. A large message leaves in that buffer, without being copied.

use std::sync::Arc;

use super::assembler::{HEAD_LEN, Limits, Want, trusted};
use super::event::CloseReason;
use super::framing::{ScanError, Scanner, ScannerFactory};
use super::pool::{LARGE_BYTES, Pool};

/// The receiving half of an exchange's framing, without I/O; used like an
/// [`Assembler`](super::assembler::Assembler).
pub(super) struct ScannedAssembler {
    factory: Arc<dyn ScannerFactory>,
    accepted: bool,
    /// No message has been complete yet.
    first: bool,
    /// The scanner of the message under way.
    scanner: Option<Box<dyn Scanner>>,
    /// Its length, once known.
    length: Option<usize>,
    buffer: Vec<u8>,
    /// Where the message under way starts in `buffer`.
    start: usize,
    /// Bytes of it that the scanner has seen.
    scanned: usize,
    received_bytes: u64,
    limits: Limits,
}

impl ScannedAssembler {
    pub(super) fn new(
        buffer: Vec<u8>,
        limits: Limits,
        factory: Arc<dyn ScannerFactory>,
        accepted: bool,
    ) -> ScannedAssembler {
        ScannedAssembler {
            factory,
            accepted,
            first: true,
            scanner: None,
            length: None,
            buffer,
            start: 0,
            scanned: 0,
            received_bytes: 0,
            limits,
        }
    }

    /// The next read. A buffer that has to grow large is exchanged for one of `pool` that is, if there is one.
    pub(super) fn want(&mut self, pool: &Pool) -> Want {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.drain(..self.start);
        self.start = 0;
        let limit = match self.length {
            Some(length) => {
                let spare = buffer.capacity() - buffer.len();
                (length - buffer.len()).min(trusted(self.received_bytes).max(spare))
            }
            // `next` has ended an exchange whose message is as long as may be and goes on.
            None => buffer.len().max(HEAD_LEN).min(self.limits.message_bytes_max - buffer.len()),
        };
        let needed = buffer.len() + limit;
        if needed > buffer.capacity() && needed >= LARGE_BYTES {
            let mut large = pool.take_large();
            if large.capacity() >= needed {
                large.extend_from_slice(&buffer);
                std::mem::swap(&mut buffer, &mut large);
            }
            pool.put(large);
        }
        buffer.reserve_exact(limit);
        Want { buffer, limit }
    }

    /// Takes back the buffer of the last `want`, into which `count` bytes were read.
    pub(super) fn filled(&mut self, buffer: Vec<u8>, count: usize) {
        self.received_bytes += count as u64;
        self.buffer = buffer;
    }

    /// The next complete message, in a buffer from `pool`; nothing if more must be read.
    pub(super) fn next(&mut self, pool: &Pool) -> Result<Option<Vec<u8>>, CloseReason> {
        let Some(length) = self.find_length()? else {
            return self.limits.check(self.received_bytes).map(|()| None);
        };
        let missing = length.saturating_sub(self.buffer.len() - self.start);
        self.limits.check(self.received_bytes + missing as u64)?;
        if missing > 0 {
            return Ok(None);
        }
        (self.scanner, self.length, self.scanned, self.first) = (None, None, 0, false);
        if length >= LARGE_BYTES && self.start == 0 && self.buffer.len() == length {
            return Ok(Some(std::mem::replace(&mut self.buffer, pool.take())));
        }
        let mut message = if length >= LARGE_BYTES { pool.take_large() } else { pool.take() };
        message.extend_from_slice(&self.buffer[self.start..self.start + length]);
        self.start += length;
        Ok(Some(message))
    }

    /// The length of the message under way, if it is known or can be found out.
    fn find_length(&mut self) -> Result<Option<usize>, CloseReason> {
        let bytes = &self.buffer[self.start..];
        if self.length.is_some() || bytes.len() == self.scanned {
            return Ok(self.length);
        }
        let (factory, accepted, first) = (&self.factory, self.accepted, self.first);
        let scanner = self.scanner.get_or_insert_with(|| factory.scanner(accepted, first));
        let most = self.limits.message_bytes_max;
        self.length = match scanner.scan(bytes) {
            Err(ScanError::TooLong) => return Err(CloseReason::TooLong),
            Err(error) => return Err(CloseReason::Unreadable(error)),
            // Would never end; a scanner has no business saying it.
            Ok(Some(0)) => return Err(CloseReason::Unreadable(ScanError::Malformed("no byte at all"))),
            Ok(Some(length)) if length > most => return Err(CloseReason::TooLong),
            Ok(None) if bytes.len() >= most => return Err(CloseReason::TooLong),
            Ok(length) => length,
        };
        self.scanned = bytes.len();
        Ok(self.length)
    }

    /// What it means that the peer has closed now.
    pub(super) fn end(&self) -> CloseReason {
        if self.start == self.buffer.len() { CloseReason::PeerClosed } else { CloseReason::Truncated }
    }

    /// Gives its buffer to `pool`.
    pub(super) fn recycle(self, pool: &Pool) {
        pool.put(self.buffer);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A toy format: a kind byte, then `L` and a length of four bytes and as many bytes, or `Z` and bytes up
    /// to the first zero. The first message from a dialing peer starts with `!`.
    struct Toy {
        greeted: bool,
        seen: usize,
    }

    impl Scanner for Toy {
        fn scan(&mut self, bytes: &[u8]) -> Result<Option<usize>, ScanError> {
            let skip = usize::from(!self.greeted);
            if skip == 1 && bytes[0] != b'!' {
                return Err(ScanError::Malformed("no greeting"));
            }
            match bytes.get(skip) {
                None => Ok(None),
                Some(b'L') => Ok(bytes[skip + 1..]
                    .first_chunk::<4>()
                    .map(|length| skip + 5 + u32::from_le_bytes(*length) as usize)),
                Some(b'Z') => {
                    assert!(bytes.len() > self.seen, "asked again with nothing new");
                    let from = self.seen.max(skip + 1);
                    self.seen = bytes.len();
                    Ok(bytes[from.min(bytes.len())..].iter().position(|b| *b == 0).map(|i| from + i + 1))
                }
                Some(b'0') => Ok(Some(0)),
                Some(_) => Err(ScanError::Malformed("no kind")),
            }
        }
    }

    struct Toys;

    impl ScannerFactory for Toys {
        fn scanner(&self, accepted: bool, first: bool) -> Box<dyn Scanner> {
            Box::new(Toy { greeted: !(accepted && first), seen: 0 })
        }
    }

    const MOST: usize = 200_000;

    fn assembler(accepted: bool, received_bytes_max: u64) -> ScannedAssembler {
        let limits = Limits { message_bytes_max: MOST, received_bytes_max };
        ScannedAssembler::new(Vec::new(), limits, Arc::new(Toys), accepted)
    }

    /// Feeds `bytes` in reads of at most `chunks[i]` bytes; the messages, how it ended, and the largest buffer.
    fn feed(
        assembler: &mut ScannedAssembler,
        bytes: &[u8],
        chunks: &[usize],
    ) -> (Vec<Vec<u8>>, Option<CloseReason>, usize) {
        let pool = Pool::new(1 << 22);
        let (mut messages, mut largest, mut at) = (Vec::new(), 0, 0);
        let mut chunk = chunks.iter().cycle();
        while at < bytes.len() {
            let Want { mut buffer, limit } = assembler.want(&pool);
            assert!(limit > 0 && buffer.capacity() - buffer.len() >= limit);
            largest = largest.max(buffer.capacity());
            let count = limit.min(*chunk.next().unwrap()).min(bytes.len() - at);
            buffer.extend_from_slice(&bytes[at..at + count]);
            at += count;
            assembler.filled(buffer, count);
            loop {
                match assembler.next(&pool) {
                    Ok(Some(message)) => messages.push(message),
                    Ok(None) => break,
                    Err(reason) => return (messages, Some(reason), largest),
                }
            }
        }
        (messages, None, largest)
    }

    fn with_length(length: usize) -> Vec<u8> {
        let mut message = vec![b'L'];
        message.extend_from_slice(&(length as u32).to_le_bytes());
        message.resize(5 + length, 7);
        message
    }

    fn to_zero(length: usize) -> Vec<u8> {
        let mut message = vec![b'Z'; length + 1];
        message.push(0);
        message
    }

    fn message() -> impl Strategy<Value = Vec<u8>> {
        let length = prop_oneof![0..64usize, 0..100_000usize];
        (any::<bool>(), length)
            .prop_map(|(known, length)| if known { with_length(length) } else { to_zero(length) })
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_messages(
            mut messages in prop::collection::vec(message(), 1..12),
            chunks in prop::collection::vec(prop_oneof![1..8usize, 1..40_000usize], 1..20),
            accepted in any::<bool>(),
        ) {
            if accepted {
                messages[0].insert(0, b'!');
            }
            let mut assembler = assembler(accepted, u64::MAX);
            let (got, end, _) = feed(&mut assembler, &messages.concat(), &chunks);
            prop_assert_eq!(end, None);
            prop_assert!(got == messages);
            prop_assert_eq!(assembler.end(), CloseReason::PeerClosed);
        }

        #[test]
        fn no_bytes_break_it(
            bytes in prop::collection::vec(prop::sample::select(b"!LZ\0\x01\xff".to_vec()), 0..60_000),
            chunks in prop::collection::vec(1..5_000usize, 1..8),
        ) {
            let (messages, _, largest) = feed(&mut assembler(true, 1 << 16), &bytes, &chunks);
            prop_assert!(messages.iter().all(|message| (1..=MOST).contains(&message.len())));
            prop_assert!(largest <= MOST);
        }
    }

    #[test]
    fn memory_follows_what_was_sent() {
        // Announced, and never sent.
        let mut announcing = assembler(false, u64::MAX);
        feed(&mut announcing, &with_length(MOST - 5)[..6], &[1]);
        assert!(announcing.want(&Pool::new(0)).buffer.capacity() <= HEAD_LEN + 6);
        // Of unknown length, byte by byte.
        let (_, end, largest) = feed(&mut assembler(false, u64::MAX), &to_zero(30_000)[..30_000], &[1]);
        assert!(end.is_none() && largest <= 60_000, "{largest}");
    }

    #[test]
    fn too_long_messages_are_refused_as_soon_as_it_shows() {
        let cases = [
            (with_length(MOST - 5), None),
            (with_length(MOST - 4)[..5].to_vec(), Some(CloseReason::TooLong)),
            (to_zero(MOST - 2), None),
            (to_zero(MOST - 1)[..MOST].to_vec(), Some(CloseReason::TooLong)),
        ];
        for (bytes, reason) in cases {
            let (messages, end, largest) = feed(&mut assembler(false, u64::MAX), &bytes, &[usize::MAX]);
            assert_eq!((messages.len(), end), (usize::from(reason.is_none()), reason));
            assert!(largest <= MOST);
        }
        let mut assembler = assembler(false, 50_000);
        let (messages, end, _) =
            feed(&mut assembler, &[with_length(40_000), with_length(20_000)].concat(), &[1000]);
        assert_eq!((messages.len(), end), (1, Some(CloseReason::ExchangeTooLong)));
    }

    #[test]
    fn what_is_no_message_says_so() {
        for (bytes, accepted, how) in
            [("Zabc", true, "no greeting"), ("x", false, "no kind"), ("0", false, "no byte at all")]
        {
            let (_, end, _) = feed(&mut assembler(accepted, u64::MAX), bytes.as_bytes(), &[1]);
            assert_eq!(end, Some(CloseReason::Unreadable(ScanError::Malformed(how))));
        }
    }

    #[test]
    fn an_end_inside_a_message_is_told_from_one_between_messages() {
        let bytes = [with_length(3), to_zero(3)].concat();
        for end in 0..=bytes.len() {
            let mut assembler = assembler(false, u64::MAX);
            feed(&mut assembler, &bytes[..end], &[2]);
            let between = matches!(end, 0 | 8 | 13);
            let reason = if between { CloseReason::PeerClosed } else { CloseReason::Truncated };
            assert_eq!(assembler.end(), reason, "after {end} bytes");
        }
    }
}
