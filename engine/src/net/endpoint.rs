//! An address of one's own: a UDP socket and a TCP listener on the same port.

#![allow(clippy::disallowed_methods, reason = "this is where sockets are bound")]

use std::net::{SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};
use swimring_codec::{AddressFault, canonical};

use super::error::NetError;
use super::options::NetOptions;

/// Ports tried for one that is free for both protocols. Each try fails only if a listener holds the very
/// port that is free for UDP.
const TRIES: u32 = 64;
/// Connections that wait to be accepted; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 1024;

/// A UDP socket and a TCP listener bound to one address.
#[derive(Debug)]
pub struct Endpoint {
    address: SocketAddr,
    socket: UdpSocket,
    listener: Option<TcpListener>,
}

impl Endpoint {
    /// Binds `address` for both protocols; port 0 picks one that is free for both.
    ///
    /// `[::]` takes IPv4 as well. An IPv4-mapped address is the IPv4 address that it stands for. Of `options` the receive buffer matters: datagrams that arrive before the
    /// [`Driver`](crate::net::Driver) is open wait in it.
    ///
    /// # Errors
    /// [`NetError`] that says what is wrong with the address, the port in use for instance.
    pub fn bind(address: SocketAddr, options: &NetOptions) -> Result<Endpoint, NetError> {
        let address = canonical(address);
        if let Some(fault) = fault_of(address) {
            return Err(NetError::AddressUnusable { address, fault });
        }
        if address.port() != 0 {
            let socket = bind_udp(address, options)?;
            return Ok(Endpoint { address, socket, listener: Some(bind_tcp(address)?) });
        }
        for _ in 0..TRIES {
            let socket = bind_udp(address, options)?;
            let picked =
                socket.local_addr().map_err(|error| NetError::system("binding the endpoint", error))?;
            match bind_tcp(picked) {
                Ok(listener) => return Ok(Endpoint { address: picked, socket, listener: Some(listener) }),
                Err(NetError::PortInUse { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(NetError::NoFreePort { address, tries: TRIES })
    }

    /// The address bound, with the port that was picked.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// The TCP listener, the first time it is asked for. Blocking, as the standard library makes them.
    pub fn take_listener(&mut self) -> Option<TcpListener> {
        self.listener.take()
    }
}

/// The UDP socket; the listener, if not taken, is closed.
impl From<Endpoint> for UdpSocket {
    fn from(endpoint: Endpoint) -> UdpSocket {
        endpoint.socket
    }
}

/// What is wrong with binding `address`, where the kernel would say nothing, or nothing that helps.
fn fault_of(address: SocketAddr) -> Option<&'static str> {
    match (AddressFault::of_ip(address.ip())?, address) {
        (AddressFault::Multicast, _) => Some("a multicast address stands for many machines"),
        (AddressFault::Broadcast, _) => Some("a broadcast address stands for many machines"),
        (AddressFault::LinkLocal, SocketAddr::V6(v6)) if v6.scope_id() == 0 => Some(
            "a link-local address needs its interface, by its number in `ip link`, as in [fe80::1%2]:7946",
        ),
        _ => None,
    }
}

fn bind_udp(address: SocketAddr, options: &NetOptions) -> Result<UdpSocket, NetError> {
    // No SO_REUSEADDR: on UDP it would let two processes share the port unknowingly.
    let socket = open(address, Type::DGRAM, Protocol::UDP)?;
    let failed = |error| NetError::option("receive_buffer_bytes (SO_RCVBUF)", error);
    socket.set_recv_buffer_size(options.receive_buffer_bytes).map_err(failed)?;
    socket.bind(&address.into()).map_err(|error| NetError::bind(address, "UDP", error))?;
    Ok(socket.into())
}

fn bind_tcp(address: SocketAddr) -> Result<TcpListener, NetError> {
    let socket = open(address, Type::STREAM, Protocol::TCP)?;
    // A restarted process need not wait for its old connections to leave TIME_WAIT.
    socket.set_reuse_address(true).map_err(|error| NetError::option("SO_REUSEADDR", error))?;
    let failed = |error| NetError::bind(address, "TCP", error);
    socket.bind(&address.into()).map_err(failed)?;
    // Of two that bind the port at once the second learns it here.
    socket.listen(BACKLOG).map_err(failed)?;
    Ok(socket.into())
}

fn open(address: SocketAddr, kind: Type, protocol: Protocol) -> Result<Socket, NetError> {
    let opened = Socket::new(Domain::for_address(address), kind, Some(protocol));
    let socket = opened.map_err(|error| NetError::open(address, error))?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        // Whatever net.ipv6.bindv6only says.
        socket.set_only_v6(false).map_err(|error| NetError::option("IPV6_V6ONLY", error))?;
    }
    Ok(socket)
}
