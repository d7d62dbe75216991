//! The datagram socket's options: buffers, path MTU discovery, coalescing, drop count, times of arrival.
//!
//! Path MTU discovery is on, so no datagram is fragmented and none pays for an IP identification. What is too
//! long for a path is refused; the few that cannot be shorter are sent with discovery off, datagram by datagram.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};

use socket2::SockRef;

use super::error::NetError;
use super::options::NetOptions;

/// What the kernel granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Prepared {
    /// Trains will arrive whole: `UDP_GRO` is on.
    pub(super) coalescing: bool,
    /// Memory for datagrams that wait to be received, as the kernel counts it, its own bookkeeping included.
    pub(super) receive_buffer_bytes: u64,
}

/// Sets everything that `options` asks for and the kernel grants; only what cannot be done without is an
/// error.
pub(super) fn prepare(socket: &UdpSocket, options: &NetOptions) -> Result<Prepared, NetError> {
    let reference = SockRef::from(socket);
    let failed = |error| NetError::system("setting the socket's options", error);
    let buffer = |option| move |error| NetError::option(option, error);
    // io_uring takes O_NONBLOCK for a wish to fail instead of waiting, which ends a multishot receive.
    // The other driver asks not to wait call by call.
    reference.set_nonblocking(false).map_err(failed)?;
    reference
        .set_recv_buffer_size(options.receive_buffer_bytes)
        .map_err(buffer("receive_buffer_bytes (SO_RCVBUF)"))?;
    // Beyond the cap, where CAP_NET_ADMIN permits it.
    let _ = set(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, options.receive_buffer_bytes as i32);
    reference
        .set_send_buffer_size(options.send_buffer_bytes)
        .map_err(buffer("send_buffer_bytes (SO_SNDBUF)"))?;
    // The kernel doubles what is asked, for its own bookkeeping, after capping it.
    let receive_buffer_bytes = reference.recv_buffer_size().map_err(failed)?;
    let granted = receive_buffer_bytes / 2;
    if granted < options.receive_buffer_bytes {
        tracing::warn!(
            granted,
            asked = options.receive_buffer_bytes,
            "receive_buffer_bytes is capped by the kernel; raise it with `sysctl -w net.core.rmem_max={}`",
            options.receive_buffer_bytes
        );
    }
    // On an IPv6 socket both matter, the first for IPv4-mapped addresses; on an IPv4 socket the second fails.
    let _ = set(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DO);
    let _ = set(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DO);
    if options.own_addresses {
        tell_destinations(socket).map_err(buffer("own_addresses (IP_PKTINFO)"))?;
    }
    // A count only; without it the drops are still in /proc/net/udp.
    let _ = set(socket, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1);
    // By which a driver that is behind knows how far. Without it, it guesses from how many messages it has read.
    let _ = set(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1);
    let coalescing = options.coalescing && set(socket, libc::SOL_UDP, libc::UDP_GRO, 1).is_ok();
    Ok(Prepared { coalescing, receive_buffer_bytes: receive_buffer_bytes as u64 })
}

/// From now on the kernel fragments datagrams that are too long for the path to `to`, or refuses them again.
///
/// Refusing is the rule: nearly all frames fit, and saying that none may be fragmented spares the kernel
/// choosing an IP identification under a global hash, 5 % of a datagram's cost.
pub(super) fn allow_fragments(socket: &UdpSocket, to: SocketAddr, allow: bool) -> io::Result<()> {
    // No message can ask for it, so it is asked of the socket.
    if to.ip().to_canonical().is_ipv4() {
        let how = if allow { libc::IP_PMTUDISC_WANT } else { libc::IP_PMTUDISC_DO };
        return set(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, how);
    }
    let how = if allow { libc::IPV6_PMTUDISC_WANT } else { libc::IPV6_PMTUDISC_DO };
    set(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, how)
}

/// The MTU of the path that `socket` is connected along to `to`.
pub(super) fn path_mtu(socket: &impl AsFd, to: SocketAddr) -> io::Result<usize> {
    let (level, name) = match to {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MTU),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_MTU),
    };
    let mut value: libc::c_int = 0;
    let mut len = size_of_val(&value) as libc::socklen_t;
    let descriptor = socket.as_fd().as_raw_fd();
    // SAFETY: the descriptor is open, and the kernel writes at most `len` bytes into `value`.
    let result = unsafe { libc::getsockopt(descriptor, level, name, (&raw mut value).cast(), &raw mut len) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    usize::try_from(value).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Has the kernel say with every message which address it was sent to.
fn tell_destinations(socket: &UdpSocket) -> io::Result<()> {
    match socket.local_addr()? {
        SocketAddr::V4(_) => set(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1),
        // Of a message over IPv4 too, as an IPv4-mapped address.
        SocketAddr::V6(_) => set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1),
    }
}

/// Chooses the source port of a connection when it is made, not when its source address is bound: then a
/// port is taken for one destination only, and 28,000 of them are not all there is for an address.
pub(crate) fn bind_address_without_port(socket: &impl AsFd) -> io::Result<()> {
    set(socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)
}

/// Sets the integer option `name`.
pub(super) fn set(socket: &impl AsFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    let len = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the descriptor is open, and `value` is read for its size during the call.
    let result =
        unsafe { libc::setsockopt(socket.as_fd().as_raw_fd(), level, name, (&raw const value).cast(), len) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use socket2::{Domain, Socket, Type};

    use super::*;

    #[test]
    fn binding_an_address_takes_no_port() {
        for (domain, address) in [(Domain::IPV4, "127.0.0.9:0"), (Domain::IPV6, "[::1]:0")] {
            let address: SocketAddr = address.parse().unwrap();
            let Ok(socket) = Socket::new(domain, Type::STREAM, None) else { continue };
            bind_address_without_port(&socket).unwrap();
            if let Err(error) = socket.bind(&address.into()) {
                println!("skipped: {address}: {error}");
                continue;
            }
            assert_eq!(socket.local_addr().unwrap().as_socket(), Some(address));
        }
    }
}
