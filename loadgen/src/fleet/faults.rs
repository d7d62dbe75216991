//! The engine's refusals in the words of the command line: which flag, and what to give instead.

use swimring::net::NetError;
use swimring::stream::StreamError;
use swimring::worker::FleetError;

use crate::cli::RunOptions;

/// Why the fleet could not start, in one line that begins with the flag.
pub fn of_start(options: &RunOptions, error: &FleetError) -> String {
    let bind = options.bind;
    match error {
        FleetError::Net(NetError::PortInUse { address, protocol }) => {
            let (port, held) = (options.port, address.port());
            format!(
                "--port {port}: {protocol} port {held} of {bind} is in use; choose another, or 0 for the \
                 kernel's choice"
            )
        }
        FleetError::Net(NetError::NoFreePort { .. }) => {
            format!("--port 0: found no port of {bind} free for both UDP and TCP; name one")
        }
        FleetError::Net(NetError::AddressNotLocal { .. }) => {
            format!("--bind {bind}: not an address of this machine; use one that `ip address` lists")
        }
        FleetError::Net(NetError::AddressUnusable { fault, .. }) => {
            format!("--bind {bind}: {fault}; use one that `ip address` lists")
        }
        FleetError::Net(NetError::AddressFamily { .. }) => {
            format!("--bind {bind}: this machine does not do this address family; use the other")
        }
        FleetError::Net(NetError::Permission { address }) if (1..1024).contains(&address.port()) => {
            let port = options.port;
            format!("--port {port}: permission denied; choose 1024 or above, or 0 for the kernel's choice")
        }
        FleetError::Net(NetError::IoUringUnavailable { reason }) => uring(reason),
        FleetError::Stream(StreamError::Uring(error)) => uring(error),
        FleetError::Option { setting, expected } => format!("--{}: {expected}", setting.replace('_', "-")),
        FleetError::Thread(error) => {
            let workers = options.workers;
            format!("--workers {workers}: no thread: {error}; use fewer, or raise the limit (`ulimit -u`)")
        }
        other => other.to_string(),
    }
}

fn uring(reason: &dyn std::fmt::Display) -> String {
    format!(
        "--driver io_uring: not available here ({reason}); use auto or mmsg, or permit it (sysctl \
         kernel.io_uring_disabled, the container's seccomp profile, Linux 6.0 or later)"
    )
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::SocketAddr;

    use super::*;

    fn told(error: &FleetError) -> String {
        of_start(&RunOptions::defaults(2000, 2), error)
    }

    #[test]
    fn every_refusal_begins_with_the_flag_that_mends_it() {
        let address = SocketAddr::from(([127, 0, 0, 1], 7001));
        let low = SocketAddr::from(([127, 0, 0, 1], 80));
        let refused = || io::Error::from_raw_os_error(1);
        let reason = "Operation not permitted".to_owned();
        for (error, flag) in [
            (NetError::PortInUse { address, protocol: "UDP" }, "--port 0: UDP port 7001 of 127.0.0.1"),
            (NetError::NoFreePort { address, tries: 64 }, "--port 0: "),
            (NetError::AddressNotLocal { address }, "--bind 127.0.0.1: "),
            (NetError::AddressFamily { address }, "--bind 127.0.0.1: "),
            (NetError::AddressUnusable { address, fault: "of many" }, "--bind 127.0.0.1: of many; use"),
            (NetError::Permission { address: low }, "--port 0: permission denied; choose 1024"),
            (
                NetError::Permission { address },
                "bind address 127.0.0.1:7001: permission denied; a seccomp profile",
            ),
            (
                NetError::Option { option: "SO_REUSEADDR", source: refused() },
                "socket option SO_REUSEADDR: refused (Operation not permitted (os error 1)); a seccomp profile or",
            ),
            (NetError::IoUringUnavailable { reason }, "--driver io_uring: not available here (Operation"),
        ] {
            let told = told(&FleetError::Net(error));
            assert!(told.starts_with(flag) && !told.contains('\n'), "{told}");
        }
        assert!(told(&FleetError::Stream(StreamError::Uring(refused()))).starts_with("--driver io_uring: "));
        assert!(told(&FleetError::Thread(refused())).starts_with("--workers 2: "));
        let option = FleetError::Option { setting: "receive_loss", expected: "has to be".to_owned() };
        assert_eq!(told(&option), "--receive-loss: has to be");
    }
}
