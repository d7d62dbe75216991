//! Control messages: the segment size on its way in and out, and the socket's drop count.
//!
//! A control message is a header (length, level, type) and data, padded to the machine's word. They are
//! built and read byte by byte, so that nothing the kernel writes is trusted beyond its bounds.

const WORD: usize = size_of::<usize>();
/// `struct cmsghdr`: a length of one word, then two `int`s.
const HEADER: usize = WORD + 8;

const fn space(data: usize) -> usize {
    HEADER + data.next_multiple_of(WORD)
}

/// Room for the control message that asks for segmentation.
pub(super) const SEND_CONTROL_LEN: usize = space(2);
/// Room for what arrives: the segment size (`UDP_GRO`) and the drop count (`SO_RXQ_OVFL`). A multiple of 8.
pub(super) const RECEIVE_CONTROL_LEN: usize = 2 * space(4);

/// A send's control message; aligned, since the kernel reads it as a structure.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct SendControl(pub(super) [u8; SEND_CONTROL_LEN]);

impl SendControl {
    /// Asks for segments of `segment` bytes.
    pub(super) fn new(segment: u16) -> SendControl {
        let mut bytes = [0; SEND_CONTROL_LEN];
        bytes[..WORD].copy_from_slice(&(HEADER + 2).to_ne_bytes());
        bytes[WORD..WORD + 4].copy_from_slice(&libc::SOL_UDP.to_ne_bytes());
        bytes[WORD + 4..HEADER].copy_from_slice(&libc::UDP_SEGMENT.to_ne_bytes());
        let mut control = SendControl(bytes);
        control.set_segment(segment);
        control
    }

    #[inline]
    pub(super) fn set_segment(&mut self, segment: u16) {
        self.0[HEADER..HEADER + 2].copy_from_slice(&segment.to_ne_bytes());
    }
}

/// What the control messages of a received message say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct ReceiveControl {
    /// The message is a train of segments of this many bytes.
    pub(super) segment: Option<usize>,
    /// The socket has dropped so many datagrams, modulo 2^32.
    pub(super) dropped: Option<u32>,
}

impl ReceiveControl {
    #[inline]
    pub(super) fn read(mut bytes: &[u8]) -> ReceiveControl {
        let mut control = ReceiveControl::default();
        while let Some((level, kind, data, rest)) = next(bytes) {
            match (level, kind) {
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    control.segment = data.first_chunk().map(|b| i32::from_ne_bytes(*b)).and_then(positive);
                }
                (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                    control.dropped = data.first_chunk().map(|b| u32::from_ne_bytes(*b));
                }
                _ => {}
            }
            bytes = rest;
        }
        control
    }
}

fn positive(segment: i32) -> Option<usize> {
    usize::try_from(segment).ok().filter(|segment| *segment > 0)
}

/// The first control message: level, type, data, and the bytes after it.
#[inline]
fn next(bytes: &[u8]) -> Option<(i32, i32, &[u8], &[u8])> {
    let len = usize::from_ne_bytes(*bytes.first_chunk::<WORD>()?);
    let level = i32::from_ne_bytes(*bytes.get(WORD..)?.first_chunk()?);
    let kind = i32::from_ne_bytes(*bytes.get(WORD + 4..)?.first_chunk()?);
    let data = bytes.get(HEADER..len)?;
    let rest = bytes.get(len.next_multiple_of(WORD)..).unwrap_or_default();
    Some((level, kind, data, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(level: i32, kind: i32, value: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend((HEADER + 4).to_ne_bytes());
        bytes.extend(level.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value.to_ne_bytes());
        bytes.resize(space(4), 0);
        bytes
    }

    #[test]
    fn layout_is_libc_s() {
        // SAFETY: CMSG_SPACE only computes.
        let (short, word) = unsafe { (libc::CMSG_SPACE(2), libc::CMSG_SPACE(4)) };
        assert_eq!((SEND_CONTROL_LEN, RECEIVE_CONTROL_LEN), (short as usize, 2 * word as usize));
        assert_eq!(HEADER, size_of::<libc::cmsghdr>());
    }

    #[test]
    fn both_messages_are_found_in_either_order() {
        let segment = message(libc::SOL_UDP, libc::UDP_GRO, 300);
        let dropped = message(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 7);
        let expected = ReceiveControl { segment: Some(300), dropped: Some(7) };
        assert_eq!(ReceiveControl::read(&[segment.clone(), dropped.clone()].concat()), expected);
        assert_eq!(ReceiveControl::read(&[dropped, segment].concat()), expected);
    }

    #[test]
    fn hostile_lengths_end_the_walk() {
        for len in [0, 1, HEADER - 1, 1000, usize::MAX] {
            let mut bytes = message(libc::SOL_UDP, libc::UDP_GRO, 300);
            bytes[..WORD].copy_from_slice(&len.to_ne_bytes());
            assert_eq!(ReceiveControl::read(&bytes), ReceiveControl::default(), "{len}");
        }
        let negative = message(libc::SOL_UDP, libc::UDP_GRO, -1i32 as u32);
        assert_eq!(ReceiveControl::read(&negative).segment, None);
    }
}
