//! Control messages: segment sizes and this machine's addresses, in and out; the time of arrival and the socket's drop count.
//!
//! A control message is a header (length, level, type) and data, padded to the machine's word. They are
//! built and read byte by byte, so that nothing the kernel writes is trusted beyond its bounds.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::address::Family;

const WORD: usize = size_of::<usize>();
/// `struct cmsghdr`: a length of one word, then two `int`s.
const HEADER: usize = WORD + 8;

const fn space(data: usize) -> usize {
    HEADER + data.next_multiple_of(WORD)
}

/// `struct in_pktinfo`: an interface, the address to send from, the destination address.
const PACKET_INFO_V4: usize = 12;
/// `struct in6_pktinfo`: an address, an interface.
const PACKET_INFO_V6: usize = 20;
/// Room for the control message that names the source, in either family.
const SOURCE_ROOM: usize = space(PACKET_INFO_V6);
/// Room for the control message that asks for segmentation.
const SEGMENT_ROOM: usize = space(2);
/// `struct timespec`: seconds and nanoseconds, a word each.
const TIMESPEC: usize = 2 * WORD;
/// Room for what arrives: the segment size (`UDP_GRO`), the drop count (`SO_RXQ_OVFL`), the time (`SO_TIMESTAMPNS`) and the
/// destination address (`IP_PKTINFO`). A multiple of 8.
pub(super) const RECEIVE_CONTROL_LEN: usize = 2 * space(4) + space(TIMESPEC) + space(PACKET_INFO_V6);

/// A send's control messages: first the source, then the segment size, of which a send uses one, both or
/// none. Aligned, since the kernel reads them as structures. What never changes is written once.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct SendControl {
    bytes: [u8; SOURCE_ROOM + SEGMENT_ROOM],
    family: Family,
}

impl SendControl {
    /// For a socket of `family`.
    pub(super) fn new(family: Family) -> SendControl {
        let mut control = SendControl { bytes: [0; SOURCE_ROOM + SEGMENT_ROOM], family };
        let source = control.source_len();
        let (level, kind, data) = match family {
            Family::V4 => (libc::IPPROTO_IP, libc::IP_PKTINFO, PACKET_INFO_V4),
            Family::V6 => (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, PACKET_INFO_V6),
        };
        write_header(&mut control.bytes[..HEADER], data, level, kind);
        write_header(&mut control.bytes[source..source + HEADER], 2, libc::SOL_UDP, libc::UDP_SEGMENT);
        control
    }

    /// Bytes of the source's message, after which the segment size's begins.
    const fn source_len(&self) -> usize {
        match self.family {
            Family::V4 => space(PACKET_INFO_V4),
            Family::V6 => space(PACKET_INFO_V6),
        }
    }

    /// Sets what a send needs; where its control messages start, and their length. Nothing if the socket
    /// cannot send from `source`: an IPv6 address on an IPv4 socket.
    #[inline]
    pub(super) fn set(&mut self, source: Option<IpAddr>, segment: Option<u16>) -> Option<(*mut u8, usize)> {
        let boundary = self.source_len();
        if let Some(segment) = segment {
            let data = boundary + HEADER;
            self.bytes[data..data + 2].copy_from_slice(&segment.to_ne_bytes());
        }
        let start = match source {
            Some(source) => {
                self.set_source(source)?;
                0
            }
            None => boundary,
        };
        let end = boundary + if segment.is_some() { SEGMENT_ROOM } else { 0 };
        Some((self.bytes[start..].as_mut_ptr(), end - start))
    }

    fn set_source(&mut self, source: IpAddr) -> Option<()> {
        match (self.family, source.to_canonical()) {
            // After the interface, of which zero leaves the choice to the route.
            (Family::V4, IpAddr::V4(ip)) => {
                self.bytes[HEADER + 4..HEADER + 8].copy_from_slice(&ip.octets());
            }
            (Family::V4, IpAddr::V6(_)) => return None,
            (Family::V6, IpAddr::V4(ip)) => {
                self.bytes[HEADER..HEADER + 16].copy_from_slice(&ip.to_ipv6_mapped().octets());
            }
            (Family::V6, IpAddr::V6(ip)) => {
                self.bytes[HEADER..HEADER + 16].copy_from_slice(&ip.octets());
            }
        }
        Some(())
    }
}

fn write_header(bytes: &mut [u8], data: usize, level: i32, kind: i32) {
    bytes[..WORD].copy_from_slice(&(HEADER + data).to_ne_bytes());
    bytes[WORD..WORD + 4].copy_from_slice(&level.to_ne_bytes());
    bytes[WORD + 4..HEADER].copy_from_slice(&kind.to_ne_bytes());
}

/// What the control messages of a received message say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct ReceiveControl {
    /// The message is a train of segments of this many bytes.
    pub(super) segment: Option<usize>,
    /// The socket has dropped so many datagrams, modulo 2^32.
    pub(super) dropped: Option<u32>,
    /// The address the message was sent to.
    pub(super) to: Option<IpAddr>,
    /// When it arrived, from the epoch.
    pub(super) arrived: Option<Duration>,
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
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => control.arrived = timespec(data),
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => control.to = destination_v4(data),
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => control.to = destination_v6(data),
                _ => {}
            }
            bytes = rest;
        }
        control
    }
}

/// The last part of `struct in_pktinfo`.
fn destination_v4(data: &[u8]) -> Option<IpAddr> {
    let ip = data.get(8..)?.first_chunk::<4>()?;
    Some(IpAddr::V4(Ipv4Addr::from(*ip)))
}

/// The first part of `struct in6_pktinfo`; what an IPv6 socket received over IPv4 is told as IPv4.
fn destination_v6(data: &[u8]) -> Option<IpAddr> {
    Some(Ipv6Addr::from(*data.first_chunk::<16>()?).to_canonical())
}

/// A time from the epoch.
fn timespec(data: &[u8]) -> Option<Duration> {
    let seconds = isize::from_ne_bytes(*data.first_chunk()?);
    let nanos = isize::from_ne_bytes(*data.get(WORD..)?.first_chunk()?);
    let seconds = Duration::from_secs(u64::try_from(seconds).ok()?);
    Some(seconds + Duration::from_nanos(u64::try_from(nanos).ok()?))
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
        for len in [2, 4, PACKET_INFO_V4, PACKET_INFO_V6] {
            // SAFETY: CMSG_SPACE only computes.
            assert_eq!(space(len), unsafe { libc::CMSG_SPACE(len as u32) } as usize);
        }
        let sizes = (size_of::<libc::in_pktinfo>(), size_of::<libc::in6_pktinfo>());
        assert_eq!((PACKET_INFO_V4, PACKET_INFO_V6), sizes);
        assert_eq!(HEADER, size_of::<libc::cmsghdr>());
    }

    #[test]
    fn messages_are_found_in_any_order() {
        let segment = message(libc::SOL_UDP, libc::UDP_GRO, 300);
        let dropped = message(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 7);
        let expected = ReceiveControl { segment: Some(300), dropped: Some(7), ..ReceiveControl::default() };
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

    fn read(level: i32, kind: i32, data: &[u8]) -> ReceiveControl {
        let mut bytes = vec![0; HEADER];
        write_header(&mut bytes, data.len(), level, kind);
        bytes.extend_from_slice(data);
        ReceiveControl::read(&bytes)
    }

    fn sent_to(level: i32, kind: i32, data: &[u8]) -> Option<IpAddr> {
        read(level, kind, data).to
    }

    #[test]
    fn the_time_of_arrival_is_found_and_none_that_cannot_be() {
        let arrived = |seconds: isize, nanos: isize| {
            let data = [seconds.to_ne_bytes(), nanos.to_ne_bytes()].concat();
            read(libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS, &data).arrived
        };
        assert_eq!(arrived(1_700_000_000, 250), Some(Duration::new(1_700_000_000, 250)));
        assert_eq!((arrived(-1, 0), arrived(5, -1)), (None, None));
        assert_eq!(
            read(libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS, &[0; TIMESPEC - 1]).arrived,
            None,
            "cut short"
        );
    }

    #[test]
    fn the_destination_is_found_in_both_families() {
        let v4 = [1, 0, 0, 0, 127, 0, 0, 1, 127, 9, 8, 7];
        let v6: Ipv6Addr = "fd00::7".parse().unwrap();
        let mapped = Ipv4Addr::new(127, 9, 8, 7).to_ipv6_mapped();
        let in_v6 = |ip: Ipv6Addr| [ip.octets().as_slice(), &[2, 0, 0, 0]].concat();
        let expected = Some("127.9.8.7".parse().unwrap());
        assert_eq!(sent_to(libc::IPPROTO_IP, libc::IP_PKTINFO, &v4), expected);
        assert_eq!(sent_to(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &in_v6(mapped)), expected);
        assert_eq!(sent_to(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &in_v6(v6)), Some(v6.into()));
        assert_eq!(sent_to(libc::IPPROTO_IP, libc::IP_PKTINFO, &v4[..11]), None, "cut short");
        assert_eq!(sent_to(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &[0; 15]), None, "cut short");
    }

    #[test]
    fn a_send_carries_what_it_needs() {
        let (v4, v6) = ("127.1.2.3".parse().unwrap(), "fd00::1".parse().unwrap());
        for (family, source, segment, len) in [
            (Family::V4, None, None, Some(0)),
            (Family::V4, Some(v4), None, Some(32)),
            (Family::V4, None, Some(300), Some(24)),
            (Family::V4, Some(v4), Some(300), Some(56)),
            (Family::V6, Some(v4), Some(300), Some(64)),
            (Family::V6, Some(v6), None, Some(40)),
            (Family::V4, Some(v6), None, None),
        ] {
            let set = SendControl::new(family).set(source, segment);
            assert_eq!(set.map(|(_, len)| len), len, "{family:?} {source:?} {segment:?}");
        }
    }
}
