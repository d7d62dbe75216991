//! What can go wrong, in words that name the setting and what it has to be.

use std::io;
use std::net::SocketAddr;

/// Why an endpoint could not be bound, or a driver opened or run.
#[derive(thiserror::Error)]
pub enum NetError {
    /// Another socket holds the port.
    #[error(
        "bind address {address}: the {protocol} port is in use{}; choose another port, or stop what holds it",
        held_where(address)
    )]
    PortInUse {
        /// The address asked for.
        address: SocketAddr,
        /// `UDP` or `TCP`.
        protocol: &'static str,
    },
    /// No port was free for both protocols.
    #[error(
        "bind address {address}: found no port free for both UDP and TCP in {tries} tries; name a port instead of 0"
    )]
    NoFreePort {
        /// The address asked for.
        address: SocketAddr,
        /// How many ports were tried.
        tries: u32,
    },
    /// The address is not one of this machine's.
    #[error(
        "bind address {address}: not an address of this machine; use one that `ip address` lists, or 0.0.0.0 or [::]"
    )]
    AddressNotLocal {
        /// The address asked for.
        address: SocketAddr,
    },
    /// No member can be at the address.
    #[error("bind address {address}: {fault}; use one that `ip address` lists, or 0.0.0.0 or [::]")]
    AddressUnusable {
        /// The address asked for.
        address: SocketAddr,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// The address family is switched off.
    #[error(
        "bind address {address}: this machine does not do this address family; use an address of the other (IPv4 or IPv6)"
    )]
    AddressFamily {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The port needs a privilege.
    #[error("bind address {address}: permission denied; {}", permission(address))]
    Permission {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The kernel refused an option of the socket.
    #[error(
        "socket option {option}: refused ({source}); a seccomp profile or security module may forbid setsockopt: \
         permit it"
    )]
    Option {
        /// The setting or the kernel's name for it.
        option: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// No file descriptor is left.
    #[error("{what}: no file descriptor is left; raise the limit (`ulimit -n`, or LimitNOFILE= in the unit)")]
    FileDescriptors {
        /// What was being done.
        what: &'static str,
    },
    /// io_uring was asked for and is not available.
    #[error(
        "driver io_uring: not available here ({reason}); set driver to auto or mmsg, or permit io_uring \
         (sysctl kernel.io_uring_disabled, the container's seccomp profile, Linux 6.0 or later)"
    )]
    IoUringUnavailable {
        /// What the kernel refused.
        reason: String,
    },
    /// Any other refusal by the kernel.
    #[error("{what}: {source}")]
    System {
        /// What was being done.
        what: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

crate::error_text::debug_is_the_sentence!(NetError);

/// A port that is bound on one address is not free for a socket on all addresses.
fn held_where(address: &SocketAddr) -> &'static str {
    match (address.ip().is_unspecified(), address) {
        (false, _) => "",
        (true, SocketAddr::V4(_)) => ", if only on one address such as 127.0.0.1, and this asks for all",
        (true, SocketAddr::V6(_)) => {
            ", if only on one address such as ::1 or 127.0.0.1, and this asks for all"
        }
    }
}

/// Ports below 1024 want a privilege; any other is refused by somebody's rule.
fn permission(address: &SocketAddr) -> &'static str {
    match address.port() {
        1..1024 => "choose a port of 1024 or above, or grant CAP_NET_BIND_SERVICE",
        _ => {
            "a seccomp profile, a security module or the unit's SocketBindDeny= forbids it to this process: permit it"
        }
    }
}

impl NetError {
    /// The kernel's answer to making a socket for `address`.
    pub(super) fn open(address: SocketAddr, source: io::Error) -> NetError {
        match source.raw_os_error() {
            Some(libc::EAFNOSUPPORT) => NetError::AddressFamily { address },
            _ => NetError::system("making a socket", source),
        }
    }

    /// The kernel's answer to setting `option`.
    pub(super) fn option(option: &'static str, source: io::Error) -> NetError {
        NetError::Option { option, source }
    }

    /// The kernel's answer to `what`, with running out of file descriptors told apart.
    pub(super) fn system(what: &'static str, source: io::Error) -> NetError {
        match source.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE) => NetError::FileDescriptors { what },
            _ => NetError::System { what, source },
        }
    }

    /// The kernel's answer to binding `address` for `protocol`.
    pub(super) fn bind(address: SocketAddr, protocol: &'static str, source: io::Error) -> NetError {
        match source.raw_os_error() {
            Some(libc::EADDRINUSE) => NetError::PortInUse { address, protocol },
            Some(libc::EADDRNOTAVAIL) => NetError::AddressNotLocal { address },
            Some(libc::EAFNOSUPPORT) => NetError::AddressFamily { address },
            Some(libc::EACCES | libc::EPERM) => NetError::Permission { address },
            _ => NetError::system("binding the endpoint", source),
        }
    }
}

/// The error of the system call that has just failed.
pub(super) fn last_errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_answers_become_the_mend() {
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        for (errno, part) in [
            (libc::EACCES, "choose a port of 1024 or above, or grant CAP_NET_BIND_SERVICE"),
            (libc::EAFNOSUPPORT, "use an address of the other (IPv4 or IPv6)"),
            (libc::EMFILE, "raise the limit (`ulimit -n`, or LimitNOFILE= in the unit)"),
            (libc::ENOMEM, "binding the endpoint: Cannot allocate memory"),
        ] {
            let error = NetError::bind(address, "UDP", io::Error::from_raw_os_error(errno)).to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
