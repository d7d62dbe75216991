//! Socket addresses as the kernel lays them out, written and read byte by byte.
//!
//! `sockaddr_in` and `sockaddr_in6` differ only after the port, and both are read here from untrusted
//! lengths, so plain byte arithmetic is simpler than casts and needs no `unsafe`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Bytes of `sockaddr_in6`, the longer of the two.
pub(super) const NAME_LEN: usize = 28;
/// Bytes of `sockaddr_in`.
const NAME_LEN_V4: usize = 16;

/// Which addresses a socket takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Family {
    V4,
    /// IPv4 destinations are written as IPv4-mapped IPv6 addresses, and read back as IPv4.
    V6,
}

impl Family {
    pub(super) fn of(address: SocketAddr) -> Family {
        if address.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    /// Writes `address` for a socket of this family; the number of bytes used.
    #[inline]
    pub(super) fn write(self, address: SocketAddr, name: &mut [u8; NAME_LEN]) -> usize {
        match (self, address) {
            (Family::V4, SocketAddr::V4(v4)) => write_v4(v4, name),
            (Family::V4, SocketAddr::V6(v6)) => match v6.ip().to_ipv4_mapped() {
                Some(ip) => write_v4(SocketAddrV4::new(ip, v6.port()), name),
                // Refused with EAFNOSUPPORT, which is counted like any send error.
                None => write_v6(v6, name),
            },
            (Family::V6, SocketAddr::V4(v4)) => {
                write_v6(SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0), name)
            }
            (Family::V6, SocketAddr::V6(v6)) => write_v6(v6, name),
        }
    }
}

fn write_v4(address: SocketAddrV4, name: &mut [u8; NAME_LEN]) -> usize {
    *name = [0; NAME_LEN];
    name[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
    name[2..4].copy_from_slice(&address.port().to_be_bytes());
    name[4..8].copy_from_slice(&address.ip().octets());
    NAME_LEN_V4
}

fn write_v6(address: SocketAddrV6, name: &mut [u8; NAME_LEN]) -> usize {
    name[..2].copy_from_slice(&(libc::AF_INET6 as u16).to_ne_bytes());
    name[2..4].copy_from_slice(&address.port().to_be_bytes());
    name[4..8].copy_from_slice(&address.flowinfo().to_be_bytes());
    name[8..24].copy_from_slice(&address.ip().octets());
    name[24..].copy_from_slice(&address.scope_id().to_ne_bytes());
    NAME_LEN
}

/// The address in `name`; nothing if it is of another family or cut short.
#[inline]
pub(super) fn read(name: &[u8]) -> Option<SocketAddr> {
    let (family, rest) = name.split_first_chunk::<2>()?;
    let (port, rest) = rest.split_first_chunk::<2>()?;
    let port = u16::from_be_bytes(*port);
    match i32::from(u16::from_ne_bytes(*family)) {
        libc::AF_INET => {
            let ip = Ipv4Addr::from(*rest.first_chunk::<4>()?);
            Some(SocketAddr::V4(SocketAddrV4::new(ip, port)))
        }
        libc::AF_INET6 => {
            let (flow, rest) = rest.split_first_chunk::<4>()?;
            let (ip, rest) = rest.split_first_chunk::<16>()?;
            let scope = u32::from_ne_bytes(*rest.first_chunk::<4>()?);
            Some(match Ipv6Addr::from(*ip).to_canonical() {
                IpAddr::V4(ip) => SocketAddr::V4(SocketAddrV4::new(ip, port)),
                IpAddr::V6(ip) => {
                    SocketAddr::V6(SocketAddrV6::new(ip, port, u32::from_be_bytes(*flow), scope))
                }
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(family: Family, address: &str) -> (usize, SocketAddr) {
        let mut name = [0xff; NAME_LEN];
        let len = family.write(address.parse().unwrap(), &mut name);
        (len, read(&name[..len]).unwrap())
    }

    #[test]
    fn addresses_round_trip() {
        for (family, address, len) in [
            (Family::V4, "127.1.2.3:65535", 16),
            (Family::V6, "[fe80::1%3]:7946", 28),
            (Family::V6, "[2001:db8::1]:1", 28),
            (Family::V6, "10.0.0.1:7946", 28),
        ] {
            assert_eq!(round_trip(family, address), (len, address.parse().unwrap()));
        }
    }

    #[test]
    fn cut_or_foreign_names_are_nothing() {
        let mut name = [0; NAME_LEN];
        let len = Family::V6.write("[::1]:5".parse().unwrap(), &mut name);
        assert!((0..len).all(|cut| read(&name[..cut]).is_none()));
        name[..2].copy_from_slice(&(libc::AF_UNIX as u16).to_ne_bytes());
        assert_eq!(read(&name), None);
    }
}
