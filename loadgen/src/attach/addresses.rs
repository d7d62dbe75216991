//! Where the virtual members live: consecutive addresses, one for each, told apart from everyone else's by
//! arithmetic.
//!
//! Of every 256 IPv4 addresses the first and the last are left out: in many networks they are the net's and
//! the broadcast's, and some hosts refuse to send there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::fleet::MemberNumber;

/// IPv4 addresses used of every 256.
const USABLE: u32 = 254;

/// The addresses of a fleet's members, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnAddresses {
    first: First,
    members: u32,
    port: u16,
    workers: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    /// Counted in usable addresses.
    V4(u32),
    V6(u128),
}

/// The place of an address among the usable ones; nothing of one that is left out.
fn place(address: Ipv4Addr) -> Option<u32> {
    let bits = address.to_bits();
    let last = bits & 0xff;
    (1..=USABLE).contains(&last).then(|| (bits >> 8) * USABLE + last - 1)
}

fn at_place(place: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits((place / USABLE) << 8 | (place % USABLE + 1))
}

impl OwnAddresses {
    /// Addresses from `first` on, or from the one after it if that is left out; the members of worker `w`
    /// are at `port + w`. Nothing if there are not as many addresses.
    pub fn new(first: IpAddr, members: u32, port: u16, workers: u32) -> Option<OwnAddresses> {
        let first = match first {
            IpAddr::V4(address) => {
                let from = place(address).or_else(|| {
                    let next = address.to_bits().checked_add(if address.octets()[3] == 0 { 1 } else { 2 })?;
                    place(Ipv4Addr::from_bits(next))
                })?;
                // The last usable place there is.
                let last = place(Ipv4Addr::new(255, 255, 255, 254))?;
                from.checked_add(members.saturating_sub(1)).filter(|to| *to <= last)?;
                First::V4(from)
            }
            IpAddr::V6(address) => {
                address.to_bits().checked_add(u128::from(members))?;
                First::V6(address.to_bits())
            }
        };
        Some(OwnAddresses { first, members, port, workers: workers.max(1) })
    }

    /// Where member `number` is reached.
    pub fn of(&self, number: MemberNumber) -> SocketAddr {
        let ip = match self.first {
            First::V4(first) => IpAddr::V4(at_place(first + number)),
            First::V6(first) => IpAddr::V6(Ipv6Addr::from_bits(first + u128::from(number))),
        };
        SocketAddr::new(ip, self.port + (number % self.workers) as u16)
    }

    /// How many members there are.
    pub fn members(&self) -> u32 {
        self.members
    }

    /// The first member's address.
    pub fn first(&self) -> SocketAddr {
        self.of(0)
    }

    /// Which member is reached at `address`.
    #[inline]
    pub fn number_of(&self, address: SocketAddr) -> Option<MemberNumber> {
        let number = match (self.first, address.ip().to_canonical()) {
            (First::V4(first), IpAddr::V4(ip)) => place(ip)?.checked_sub(first)?,
            (First::V6(first), IpAddr::V6(ip)) => u32::try_from(ip.to_bits().checked_sub(first)?).ok()?,
            _ => return None,
        };
        let port = u32::from(self.port) + number % self.workers;
        (number < self.members && u32::from(address.port()) == port).then_some(number)
    }

    /// Whether a member is reached at `address`.
    #[inline]
    pub fn contains(&self, address: SocketAddr) -> bool {
        self.number_of(address).is_some()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn addresses(first: &str, members: u32) -> OwnAddresses {
        OwnAddresses::new(first.parse().unwrap(), members, 7946, 2).unwrap()
    }

    #[test]
    fn the_first_and_last_of_every_256_are_left_out() {
        let own = addresses("127.10.0.253", 4);
        let told: Vec<String> = (0..4).map(|number| own.of(number).to_string()).collect();
        assert_eq!(told, ["127.10.0.253:7946", "127.10.0.254:7947", "127.10.1.1:7946", "127.10.1.2:7947"]);
        assert_eq!(addresses("127.10.0.0", 1).first().ip().to_string(), "127.10.0.1");
        assert_eq!(addresses("127.10.0.255", 1).first().ip().to_string(), "127.10.1.1");
    }

    #[test]
    fn an_address_is_ours_only_with_its_port() {
        let own = addresses("127.10.0.1", 10);
        let number = |text: &str| own.number_of(text.parse().unwrap());
        assert_eq!(number("127.10.0.2:7947"), Some(1));
        assert_eq!(number("[::ffff:127.10.0.2]:7947"), Some(1));
        for other in
            ["127.10.0.2:7946", "127.10.0.11:7946", "127.9.255.254:7946", "127.10.0.0:7946", "[::1]:7946"]
        {
            assert_eq!(number(other), None, "{other}");
        }
    }

    #[test]
    fn there_have_to_be_as_many() {
        let new = |first: &str, members| OwnAddresses::new(first.parse().unwrap(), members, 1, 1);
        assert!(new("255.255.255.250", 5).is_some());
        assert!(new("255.255.255.250", 6).is_none());
        assert!(new("255.255.255.255", 1).is_none());
        assert!(new("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 2).is_none());
    }

    proptest! {
        #[test]
        fn numbers_and_addresses_correspond(
            bits in any::<u32>(), members in 1_u32..100_000, number in any::<u32>(), workers in 1_u32..8,
        ) {
            let first = IpAddr::V4(Ipv4Addr::from_bits(bits));
            let Some(own) = OwnAddresses::new(first, members, 7946, workers) else { return Ok(()) };
            let number = number % members;
            let address = own.of(number);
            prop_assert_eq!(own.number_of(address), Some(number));
            let IpAddr::V4(ip) = address.ip() else { unreachable!() };
            prop_assert!(!matches!(ip.octets()[3], 0 | 255));
        }

        #[test]
        fn ipv6_counts_plainly(members in 1_u32..1000, number in 0_u32..1000) {
            let own = OwnAddresses::new("fd00::1".parse().unwrap(), members, 1, 1).unwrap();
            let number = number % members;
            prop_assert_eq!(own.number_of(own.of(number)), Some(number));
        }
    }
}
