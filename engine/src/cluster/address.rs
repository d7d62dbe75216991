//! Which address to tell the others.

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

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
    let port = if address.port() == 0 { bound.port() } else { address.port() };
    Ok(SocketAddr::new(address.ip(), port))
}

/// The address that this machine sends from along its default route.
fn default_ip(bound: SocketAddr) -> Result<IpAddr, ClusterError> {
    let mut reachable = ELSEWHERE.iter().filter(|(_, is_v4)| *is_v4 || bound.is_ipv6());
    let found = reachable.find_map(|(segments, _)| {
        let ip = IpAddr::from(std::net::Ipv6Addr::from(*segments)).to_canonical();
        source_for(SocketAddr::new(ip, 9)).ok().filter(|ip| !ip.is_unspecified())
    });
    found.ok_or_else(|| {
        let mend = format!(
            "has to be given: bind {bound} stands for every address of this machine, and without a default \
             route none of them is the obvious one"
        );
        ClusterError::setting("advertise", mend)
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
    fn the_host_has_a_name() {
        assert!(!host_name().unwrap().contains('\n'));
    }
}
