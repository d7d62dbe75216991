//! Paths that take fewer bytes than a frame may have, learnt from what the kernel refuses.
//!
//! A tunnel, an overlay network or a cloud's backbone takes packets of 1,420, 1,400 or 1,280 bytes where
//! Ethernet takes 1,500. The kernel knows, from its devices, its routes and the routers' answers, and refuses
//! what is longer (`EMSGSIZE`). It is then asked once what the path takes, and frames that way are kept to
//! that: members write less news into them, trains get shorter segments, and only a frame that cannot be
//! shorter is sent in fragments. All of it is forgotten after a while, and a path that has widened is found
//! so by the next frame.

#![allow(
    clippy::disallowed_methods,
    reason = "what was learnt is forgotten by the clock; asks with a socket"
)]

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use swimring_codec::native::FRAME_MAX;

use super::socket_options;

/// Narrow paths remembered by destination. Beyond it, where two fall on one place, the narrower limit holds
/// for all destinations that have no place of their own.
pub(super) const NARROW_PATHS_MAX: usize = 1024;
/// What is assumed where the kernel does not say: what IPv6 asks of every link, and nearly all tunnels take.
const ASSUMED_MTU: usize = 1280;
/// Bytes of the IP and UDP headers.
const HEADERS_V4: usize = 28;
const HEADERS_V6: usize = 48;

/// The narrow paths known at the moment.
#[derive(Debug)]
pub(super) struct Paths {
    /// Narrow paths by a hash of the destination; [`UNUSED`] elsewhere.
    narrow: Box<[Path]>,
    /// The limit of destinations that found their place taken.
    others: usize,
    /// When the first of those remembered was learnt; nothing is remembered otherwise.
    since: Option<Instant>,
    memory: Duration,
    hasher: RandomState,
}

#[derive(Clone, Copy, Debug)]
struct Path {
    to: IpAddr,
    bytes: u16,
}

/// Nobody sends to the unspecified address.
const UNUSED: Path = Path { to: IpAddr::V4(Ipv4Addr::UNSPECIFIED), bytes: FRAME_MAX as u16 };

impl Paths {
    /// Nothing known; what will be is forgotten after `memory`.
    pub(super) fn new(memory: Duration) -> Paths {
        Paths {
            narrow: vec![UNUSED; NARROW_PATHS_MAX].into(),
            others: FRAME_MAX,
            since: None,
            memory,
            hasher: RandomState::new(),
        }
    }

    /// The longest frame that the path to `to` takes in one piece, as far as is known.
    #[inline]
    pub(super) fn frame_bytes_max(&self, to: IpAddr) -> usize {
        match self.since {
            None => FRAME_MAX,
            Some(_) => self.known(to.to_canonical()),
        }
    }

    fn known(&self, to: IpAddr) -> usize {
        match self.narrow[self.place(to)] {
            path if path.to == to => path.bytes.into(),
            _ => self.others,
        }
    }

    fn place(&self, to: IpAddr) -> usize {
        self.hasher.hash_one(to) as usize % NARROW_PATHS_MAX
    }

    /// The path to `to` takes frames of at most `bytes`.
    fn remember(&mut self, to: IpAddr, bytes: usize) {
        let (to, bytes) = (to.to_canonical(), bytes.min(FRAME_MAX));
        let place = self.place(to);
        let path = &mut self.narrow[place];
        if path.to == UNUSED.to || path.to == to {
            *path = Path { to, bytes: bytes as u16 };
        } else {
            self.others = self.others.min(bytes);
        }
        self.since.get_or_insert_with(Instant::now);
    }

    /// Forgets what has been known for long, so that paths that have widened are used again.
    #[inline]
    pub(super) fn forget_old(&mut self) {
        if self.since.is_some_and(|since| since.elapsed() >= self.memory) {
            self.narrow.fill(UNUSED);
            (self.others, self.since) = (FRAME_MAX, None);
        }
    }

    /// Learns that a datagram of `refused` bytes was too long for the path to `to`: the longest that is not.
    pub(super) fn learn(&mut self, to: SocketAddr, refused: usize) -> usize {
        // What the kernel has refused is not tried again, even if it names a longer limit.
        let bytes = longest(to).min(refused.saturating_sub(1));
        self.remember(to.ip(), bytes);
        bytes
    }
}

/// The longest datagram that the kernel sends to `to` in one piece.
pub(super) fn longest(to: SocketAddr) -> usize {
    path_mtu(to).unwrap_or(ASSUMED_MTU).saturating_sub(headers(to))
}

/// Bytes of IP and UDP headers on the way to `to`.
pub(super) fn headers(to: SocketAddr) -> usize {
    if to.ip().to_canonical().is_ipv4() { HEADERS_V4 } else { HEADERS_V6 }
}

/// What the kernel knows of the path's MTU. Connecting a datagram socket sends nothing: it finds the route,
/// which has it.
fn path_mtu(to: SocketAddr) -> Option<usize> {
    let to = match (to.ip().to_canonical(), to) {
        (IpAddr::V4(ip), to) => SocketAddr::from((ip, to.port())),
        (IpAddr::V6(_), to) => to,
    };
    let socket = Socket::new(Domain::for_address(to), Type::DGRAM, Some(Protocol::UDP)).ok()?;
    socket.connect(&to.into()).ok()?;
    socket_options::path_mtu(&socket, to).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(number: u32) -> IpAddr {
        IpAddr::from(Ipv4Addr::from_bits(0x0a00_0000 + number))
    }

    #[test]
    fn a_narrow_path_narrows_no_other() {
        let mut paths = Paths::new(Duration::from_secs(60));
        assert_eq!(paths.frame_bytes_max(ip(1)), FRAME_MAX);
        paths.remember(ip(1), 1232);
        assert_eq!([1, 2].map(|number| paths.frame_bytes_max(ip(number))), [1232, FRAME_MAX]);
        let mapped = IpAddr::from(Ipv4Addr::from_bits(0x0a00_0001).to_ipv6_mapped());
        assert_eq!(paths.frame_bytes_max(mapped), 1232);
        paths.remember(mapped, 1000);
        assert_eq!(paths.frame_bytes_max(ip(1)), 1000, "the latest counts");
    }

    #[test]
    fn more_narrow_paths_than_there_are_places_narrow_all() {
        let mut paths = Paths::new(Duration::from_secs(60));
        let count = 4 * NARROW_PATHS_MAX as u32;
        (0..count).for_each(|number| paths.remember(ip(number), 1300 - number as usize % 2));
        // Each limit is its own or the narrower of all, never a wider one.
        assert!((0..count).all(|number| paths.frame_bytes_max(ip(number)) <= 1300 - number as usize % 2));
        assert_eq!(paths.frame_bytes_max(ip(count)), 1299);
        assert_eq!(paths.narrow.len(), NARROW_PATHS_MAX);
    }

    #[test]
    fn what_was_learnt_is_forgotten() {
        let mut paths = Paths::new(Duration::ZERO);
        (0..3000).for_each(|number| paths.remember(ip(number), 1000));
        paths.forget_old();
        assert!((0..3001).all(|number| paths.frame_bytes_max(ip(number)) == FRAME_MAX));
        let mut paths = Paths::new(Duration::from_secs(3600));
        paths.remember(ip(1), 1000);
        paths.forget_old();
        assert_eq!(paths.frame_bytes_max(ip(1)), 1000);
    }

    #[test]
    fn what_was_refused_is_not_tried_again() {
        let mut paths = Paths::new(Duration::from_secs(60));
        // Loopback takes far more, whatever this says.
        let to: SocketAddr = "127.0.0.1:9".parse().unwrap();
        assert_eq!(paths.learn(to, 1400), 1399);
        assert_eq!(paths.frame_bytes_max(to.ip()), 1399);
        // No route: what every link takes.
        let nowhere: SocketAddr = "255.255.255.255:9".parse().unwrap();
        assert_eq!(longest(nowhere), ASSUMED_MTU - HEADERS_V4);
    }

    #[test]
    fn the_kernel_says_what_loopback_takes() {
        let mtu: usize = std::fs::read_to_string("/sys/class/net/lo/mtu").unwrap().trim().parse().unwrap();
        // No IP packet is longer than its length field can say.
        let expected = mtu.min(65_535);
        assert_eq!(path_mtu("127.0.0.1:9".parse().unwrap()), Some(expected));
        assert_eq!(path_mtu("[::ffff:127.0.0.1]:9".parse().unwrap()), Some(expected));
        match std::net::UdpSocket::bind("[::1]:0") {
            Ok(_) => assert!(path_mtu("[::1]:9".parse().unwrap()).is_some_and(|mtu| mtu >= expected)),
            Err(error) => println!("skipped: this machine has no IPv6 ({error})"),
        }
    }
}
