//! Which address to tell the others.

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

use swimring_codec::{AddressFault, canonical};

use super::error::ClusterError;

/// Addresses set aside for documentation (RFC 5737, RFC 3849): nobody has them, so the way to them is the
/// default route.
const ELSEWHERE: [([u16; 8], bool); 2] =
    [([0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0201], true), ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], false)];

/// Where others reach a member that is bound to `bound`, if `advertise` does not say.
pub(super) fn advertised(
    advertise: Option<SocketAddr>,
    bound: SocketAddr,
) -> Result<SocketAddr, ClusterError> {
    let address = match advertise {
        Some(address) => address,
        None if bound.ip().to_canonical().is_unspecified() => SocketAddr::new(default_ip(bound)?, 0),
        None => bound,
    };
    let mut address = canonical(address);
    if address.port() == 0 {
        address.set_port(bound.port());
    }
    check(address)
}

/// `address`, if others can send to it.
fn check(address: SocketAddr) -> Result<SocketAddr, ClusterError> {
    let fault = AddressFault::of(address).map(|fault| fault.to_string());
    match fault.or_else(|| network_fault(address)) {
        None => Ok(address),
        Some(fault) => Err(unusable(address.ip(), &fault)),
    }
}

/// The error that says why `ip` cannot be advertised.
pub(super) fn unusable(ip: IpAddr, fault: impl std::fmt::Display) -> ClusterError {
    let expected = format!("has to be an address that others can send to, and {ip} is not: {fault}");
    ClusterError::setting("advertise", expected)
}

/// What the routes of this machine say against `address`: a network's broadcast address is known by them
/// only, and needs a privilege of the socket to be sent to.
fn network_fault(address: SocketAddr) -> Option<String> {
    let refused = source_for(address).err()?.kind() == io::ErrorKind::PermissionDenied;
    refused.then(|| "it is the broadcast address of a network here".to_owned())
}

/// The address that this machine sends from along its default route.
fn default_ip(bound: SocketAddr) -> Result<IpAddr, ClusterError> {
    let mut reachable = ELSEWHERE.iter().filter(|(_, is_v4)| *is_v4 || bound.is_ipv6());
    let found = reachable.find_map(|(segments, _)| {
        let ip = IpAddr::from(std::net::Ipv6Addr::from(*segments)).to_canonical();
        source_for(SocketAddr::new(ip, 9)).ok().filter(|ip| !ip.is_unspecified())
    });
    found.ok_or_else(|| {
        let expected = format!(
            "has to be given: bind {bound} stands for every address of this machine, and without a default \
             route none of them is the obvious one"
        );
        ClusterError::setting("advertise", expected)
    })
}

/// The source address of a datagram to `destination`. Connecting a datagram socket sends nothing: it only
/// has the kernel choose the route.
fn source_for(destination: SocketAddr) -> io::Result<IpAddr> {
    let socket = Socket::new(Domain::for_address(destination), Type::DGRAM, Some(Protocol::UDP))?;
    socket.connect(&destination.into())?;
    let address = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok(address.ip())
}

/// The host's name.
pub(super) fn host_name() -> Result<String, ClusterError> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_err(|error| ClusterError::setting("name", format!("has to be given: {error}")))?;
    Ok(name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_goes_before_what_is_found() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let advertised = |said: Option<&str>, bound| advertised(said.map(address), address(bound)).unwrap();
        assert_eq!(advertised(None, "127.0.0.1:5"), address("127.0.0.1:5"));
        assert_eq!(advertised(Some("10.0.0.1:0"), "0.0.0.0:5"), address("10.0.0.1:5"));
        assert_eq!(advertised(Some("10.0.0.1:7"), "0.0.0.0:5"), address("10.0.0.1:7"));
    }

    #[test]
    fn an_unspecified_address_is_never_advertised() {
        match advertised(None, "0.0.0.0:5".parse().unwrap()) {
            Ok(address) => assert!(!address.ip().is_unspecified() && address.port() == 5),
            Err(error) => assert!(error.to_string().starts_with("advertise has to be given")),
        }
    }

    #[test]
    fn a_mapped_address_is_advertised_as_what_it_stands_for() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let bound = address("[::ffff:127.0.0.1]:5");
        assert_eq!(advertised(None, bound).unwrap(), address("127.0.0.1:5"));
        let said = Some(address("[::ffff:10.0.0.1]:0"));
        assert_eq!(advertised(said, bound).unwrap(), address("10.0.0.1:5"));
        let wildcard = address("[::ffff:0.0.0.0]:5");
        if let Ok(found) = advertised(None, wildcard) {
            assert!(found.is_ipv4() && !found.ip().is_unspecified(), "{found}");
        }
    }

    #[test]
    fn addresses_of_many_and_of_one_link_are_not_advertised() {
        for (said, fault) in [
            ("239.1.2.3:5", "it is a multicast address"),
            ("[ff02::1]:5", "it is a multicast address"),
            ("255.255.255.255:5", "it is a broadcast address"),
            ("127.255.255.255:5", "it is the broadcast address of a network here"),
            ("[fe80::1%1]:5", "it is link-local"),
            ("[::ffff:0.0.0.0]:5", "it stands for all addresses"),
        ] {
            let said = said.parse().unwrap();
            let error = advertised(Some(said), "127.0.0.1:5".parse().unwrap()).unwrap_err().to_string();
            let start = format!(
                "advertise has to be an address that others can send to, and {} is not: {fault}",
                said.ip().to_canonical()
            );
            assert!(error.starts_with(&start), "{error}");
        }
    }

    #[test]
    fn the_host_has_a_name() {
        assert!(!host_name().unwrap().contains('\n'));
    }
}
