//! What every wire format names: a member, its incarnation, and what is believed of it.
//!
//! A member is known by its name. On the native wire the name is sent once, when the member is
//! introduced; afterwards 64 bits of its hash stand for it. An incarnation orders everything that is
//! said about a member: only the member itself raises it, so a higher one always knows better.

use std::net::{IpAddr, SocketAddr};

use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

/// Longest member name in bytes. Names are UTF-8 and not empty.
pub const NAME_MAX: usize = 128;

/// Longest metadata in bytes, as in memberlist (`MetaMaxSize`).
pub const METADATA_MAX: usize = 512;

/// Longest name of a zone in bytes. Zones are UTF-8; the empty one is that of all members without a zone.
pub const ZONE_MAX: usize = 32;

/// A member as the native format names it: XXH3-64 (seed 0) of the member's name.
///
/// The same name gives the same id on every host and after every restart. Zero is never a member: it
/// stands for "whoever owns this address" as the destination of a frame, and for "nobody in
/// particular" as the accuser of a suspicion.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct MemberId(pub u64);

impl MemberId {
    /// Nobody in particular.
    pub const NONE: MemberId = MemberId(0);

    /// The id of the member called `name`.
    pub fn of_name(name: &str) -> MemberId {
        let hash = xxh3_64(name.as_bytes());
        // Zero is taken; the one name in 2^64 that hashes to it gets its neighbour.
        MemberId(if hash == 0 { 1 } else { hash })
    }

    /// Whether this is [`MemberId::NONE`].
    pub fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// How often a member has restated itself, 48 bits on the native wire.
///
/// A member starts from a number that grows with wall time (seconds), so that a restart outranks its
/// own past, and raises it to refute an accusation or to publish new metadata. It saturates at
/// [`Incarnation::MAX`] instead of overflowing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Incarnation(u64);

impl Incarnation {
    /// The largest incarnation: 2^48 - 1.
    pub const MAX: Incarnation = Incarnation((1 << 48) - 1);
    /// The incarnation of a member of which nothing is known.
    pub const ZERO: Incarnation = Incarnation(0);

    /// `value`, or [`Incarnation::MAX`] if it is larger.
    pub const fn new(value: u64) -> Incarnation {
        if value > Self::MAX.0 { Self::MAX } else { Incarnation(value) }
    }

    /// The number itself, at most 2^48 - 1.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The next incarnation, or this one at the maximum.
    pub const fn next(self) -> Incarnation {
        Incarnation::new(self.0 + 1)
    }
}

/// State of a member in somebody's view.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum State {
    /// Answers, as far as is known.
    Alive = 1,
    /// Did not answer; has until its suspicion timeout to refute.
    Suspect = 2,
    /// Declared failed.
    Dead = 3,
    /// Said goodbye.
    Left = 4,
}

impl State {
    /// The state whose number is `value`.
    pub const fn from_u8(value: u8) -> Option<State> {
        match value {
            1 => Some(State::Alive),
            2 => Some(State::Suspect),
            3 => Some(State::Dead),
            4 => Some(State::Left),
            _ => None,
        }
    }

    /// Alive or suspect: a member that is still part of the cluster.
    pub const fn is_live(self) -> bool {
        matches!(self, State::Alive | State::Suspect)
    }
}

/// `address` in its one form: an IPv4-mapped IPv6 address (`::ffff:10.0.0.7`) as the IPv4 address that it
/// stands for, which is what sockets and the native format have. An IPv6 scope is kept.
///
/// Addresses are compared and taken in this form; only on memberlist's wire is the
/// form kept in which a peer is told of, since its peers compare bytes.
#[inline]
pub fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::from((ip, address.port())),
        IpAddr::V6(_) => address,
    }
}

/// Whether both are one place, whatever their forms. An IPv6 flow label or scope id does not count, since
/// neither travels.
#[inline]
pub fn is_same_place(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port() && one.ip().to_canonical() == other.ip().to_canonical()
}

/// Why no member can be at an address: nobody, or not one alone, would be sent to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AddressFault {
    /// `0.0.0.0` or `::`: receivers would probe themselves.
    #[error("it stands for all addresses of a machine")]
    Unspecified,
    /// `224.0.0.0/4` or `ff00::/8`: one forged introduction would have every probe go to many.
    #[error("it is a multicast address, which stands for many machines")]
    Multicast,
    /// `255.255.255.255`.
    #[error("it is a broadcast address, which stands for many machines")]
    Broadcast,
    /// `fe80::/10`: the interface that it belongs to is not told on any wire, and differs between machines.
    #[error("it is link-local, and the interface that it needs cannot be told to others")]
    LinkLocal,
    /// Port 0.
    #[error("it has no port")]
    Port,
}

impl AddressFault {
    /// What is wrong with the IP address, if no member can be at it.
    #[inline]
    pub fn of_ip(ip: IpAddr) -> Option<AddressFault> {
        match ip.to_canonical() {
            ip if ip.is_unspecified() => Some(AddressFault::Unspecified),
            ip if ip.is_multicast() => Some(AddressFault::Multicast),
            IpAddr::V4(ip) if ip.is_broadcast() => Some(AddressFault::Broadcast),
            IpAddr::V6(ip) if ip.is_unicast_link_local() => Some(AddressFault::LinkLocal),
            _ => None,
        }
    }

    /// What is wrong with `address`, if no member can be at it.
    #[inline]
    pub fn of(address: SocketAddr) -> Option<AddressFault> {
        if address.port() == 0 { Some(AddressFault::Port) } else { AddressFault::of_ip(address.ip()) }
    }
}

/// The 16 bytes an IP address has on the native wire: IPv4 as an IPv4-mapped IPv6 address.
#[inline]
pub(crate) fn ip_bytes(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

/// What a member without a zone is apart from its name: XXH3-64 (seed 0) over the 18 address bytes as an introduction
/// carries them (16 for the IP address, 2 for the port, little-endian), followed by the metadata.
///
/// Two members hold the same address and metadata for a third exactly when their hashes agree, so this
/// number stands for both wherever views are compared. An IPv4 address and its IPv4-mapped form hash
/// the same; an IPv6 flow label or scope id does not count, since neither travels.
///
/// For a member in a zone, one whose name is not empty, the hash is another: that of 16 bytes, the hash above and
/// the XXH3-64 of the zone's name, each a little-endian 64-bit number.
pub fn identity_hash(address: SocketAddr, metadata: &[u8], zone: &str) -> u64 {
    let hash = place_hash(address, metadata);
    if zone.is_empty() {
        return hash;
    }
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&hash.to_le_bytes());
    bytes[8..].copy_from_slice(&zone_hash(zone).to_le_bytes());
    xxh3_64(&bytes)
}

/// Bytes of an address and port in a hash.
const PLACE_LEN: usize = 18;

/// The hash of an address and metadata.
fn place_hash(address: SocketAddr, metadata: &[u8]) -> u64 {
    let mut bytes = [0; 128];
    bytes[..16].copy_from_slice(&ip_bytes(address.ip()));
    bytes[16..PLACE_LEN].copy_from_slice(&address.port().to_le_bytes());
    // Most is short, and hashed in one piece: to set up a hasher for parts takes longer than that.
    if let Some(rest) = bytes[PLACE_LEN..].get_mut(..metadata.len()) {
        rest.copy_from_slice(metadata);
        return xxh3_64(&bytes[..PLACE_LEN + metadata.len()]);
    }
    let mut hasher = Xxh3Default::new();
    hasher.update(&bytes[..PLACE_LEN]);
    hasher.update(metadata);
    hasher.digest()
}

/// XXH3-64 (seed 0) of a zone's name; 0 for the empty one.
#[inline]
pub fn zone_hash(zone: &str) -> u64 {
    if zone.is_empty() { 0 } else { xxh3_64(zone.as_bytes()) }
}

/// What a delegation names a zone by: the low 16 bits of [`zone_hash`], or 1 if these are 0. The empty zone's tag is 0.
#[inline]
pub fn zone_tag(zone: &str) -> u16 {
    if zone.is_empty() { 0 } else { (zone_hash(zone) as u16).max(1) }
}

/// The part of an identity hash that an alive message has room for: its low byte.
#[inline]
pub const fn identity_tag(identity_hash: u64) -> u8 {
    identity_hash as u8
}

/// What one live member adds to a state root: XXH3-64 (seed 0) over 24 bytes, the id, the incarnation
/// and the [`identity_hash`], each a little-endian 64-bit number.
///
/// The root of a view is the wrapping sum of the terms of its live members, the one who computes it
/// among them. A sum has no order and can be undone, so a table keeps its root current by subtracting
/// the old term of an entry and adding the new one.
#[inline]
pub fn root_term(id: MemberId, incarnation: Incarnation, identity_hash: u64) -> u64 {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&id.0.to_le_bytes());
    bytes[8..16].copy_from_slice(&incarnation.get().to_le_bytes());
    bytes[16..].copy_from_slice(&identity_hash.to_le_bytes());
    xxh3_64(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_form() {
        let parse = |text: &str| text.parse::<SocketAddr>().expect("an address");
        for (given, form) in [
            ("[::ffff:10.0.0.7]:7946", "10.0.0.7:7946"),
            ("[::ffff:0.0.0.0]:0", "0.0.0.0:0"),
            ("10.0.0.7:7946", "10.0.0.7:7946"),
            ("[fe80::1%3]:7946", "[fe80::1%3]:7946"),
            // Compatible, not mapped: an IPv6 address.
            ("[::10.0.0.7]:7946", "[::a00:7]:7946"),
        ] {
            assert_eq!(canonical(parse(given)), parse(form));
            assert_eq!(canonical(parse(form)), parse(form));
            assert!(is_same_place(parse(given), parse(form)));
            assert_eq!(identity_hash(parse(given), b"", ""), identity_hash(parse(form), b"", ""));
        }
        assert!(!is_same_place(parse("10.0.0.7:1"), parse("10.0.0.7:2")));
        assert!(!is_same_place(parse("10.0.0.7:1"), parse("10.0.0.8:1")));
    }

    #[test]
    fn nobody_is_at_an_address_of_all_or_many() {
        let fault = |text: &str| AddressFault::of(text.parse().expect("an address"));
        for (address, expected) in [
            ("10.0.0.7:7946", None),
            ("127.255.255.255:1", None),
            ("169.254.1.1:1", None),
            ("[2001:db8::1]:1", None),
            ("[fd00::1]:1", None),
            ("10.0.0.7:0", Some(AddressFault::Port)),
            ("0.0.0.0:1", Some(AddressFault::Unspecified)),
            ("[::]:1", Some(AddressFault::Unspecified)),
            ("[::ffff:0.0.0.0]:1", Some(AddressFault::Unspecified)),
            ("239.1.2.3:1", Some(AddressFault::Multicast)),
            ("[::ffff:239.1.2.3]:1", Some(AddressFault::Multicast)),
            ("[ff02::1]:1", Some(AddressFault::Multicast)),
            ("255.255.255.255:1", Some(AddressFault::Broadcast)),
            ("[::ffff:255.255.255.255]:1", Some(AddressFault::Broadcast)),
            ("[fe80::1]:1", Some(AddressFault::LinkLocal)),
            ("[fe80::1%2]:1", Some(AddressFault::LinkLocal)),
        ] {
            assert_eq!(fault(address), expected, "{address}");
        }
    }

    #[test]
    fn incarnation_saturates() {
        assert_eq!(Incarnation::MAX.next(), Incarnation::MAX);
        assert_eq!(Incarnation::new(u64::MAX), Incarnation::MAX);
        assert_eq!(Incarnation::new(7).next().get(), 8);
    }

    #[test]
    fn id_is_the_published_hash() {
        // XXH3-64 test values: other implementations must arrive at the same ids.
        assert_eq!(MemberId::of_name("").0, 0x2d06_8005_38d3_94c2);
        assert_ne!(MemberId::of_name("a"), MemberId::of_name("b"));
    }

    #[test]
    fn identity_hash_is_the_hash_of_the_wire_bytes() {
        let address: SocketAddr = "10.0.0.7:7946".parse().expect("an address");
        let mut wire = vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 7, 0x0a, 0x1f];
        let metadata: Vec<u8> = (0..=255).cycle().take(METADATA_MAX).collect();
        for length in 0..=METADATA_MAX {
            wire.truncate(PLACE_LEN);
            wire.extend_from_slice(&metadata[..length]);
            assert_eq!(identity_hash(address, &metadata[..length], ""), xxh3_64(&wire), "{length} bytes");
        }
        let mapped: SocketAddr = "[::ffff:10.0.0.7]:7946".parse().expect("an address");
        for zone in ["", "eu-west-1a"] {
            assert_eq!(identity_hash(address, b"x", zone), identity_hash(mapped, b"x", zone));
        }
    }

    #[test]
    fn zones_are_told_apart() {
        let address: SocketAddr = "10.0.0.7:7946".parse().expect("an address");
        let hash = |metadata: &[u8], zone| identity_hash(address, metadata, zone);
        assert_ne!(hash(b"", "a"), hash(b"a", ""));
        assert_ne!(hash(b"", "ab"), hash(b"a", "b"));
        assert_ne!(hash(b"", "a"), hash(b"", "b"));
        assert_eq!((zone_tag(""), zone_hash("")), (0, 0));
        assert_ne!(zone_tag("a"), zone_tag("b"));
    }

    #[test]
    fn identity_hash_and_root_term_have_their_published_values() {
        // The vectors of docs/PROTOCOL.md, computed with the reference xxHash.
        let address: SocketAddr = "10.0.0.7:7946".parse().expect("an address");
        let hash = identity_hash(address, b"v1", "");
        assert_eq!(hash, 0xf00d_f84c_f1fe_d67a);
        assert_eq!(identity_tag(hash), 0x7a);
        let id = MemberId::of_name("node-7");
        assert_eq!(id.0, 0x244d_2f28_e49e_aa97);
        assert_eq!(root_term(id, Incarnation::new(1_700_000_000), hash), 0x443a_0b4c_9ad9_a190);
    }

    #[test]
    fn every_part_changes_the_root_term() {
        let base = root_term(MemberId(1), Incarnation::new(2), 3);
        assert_ne!(base, root_term(MemberId(2), Incarnation::new(2), 3));
        assert_ne!(base, root_term(MemberId(1), Incarnation::new(3), 3));
        assert_ne!(base, root_term(MemberId(1), Incarnation::new(2), 4));
        assert_ne!(root_term(MemberId::NONE, Incarnation::ZERO, 0), 0);
    }
}
