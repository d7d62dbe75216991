//! What may be chosen about the datagram path.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use swimring_codec::native::FRAME_MAX;

/// Choice of the driver.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(any(docsrs, not(feature = "net")), non_exhaustive)]
pub enum DriverChoice {
    /// io_uring where the kernel permits it, otherwise sendmmsg/recvmmsg with one line in the log. Default.
    #[default]
    Auto,
    /// io_uring, or an error that says why not.
    IoUring,
    /// sendmmsg/recvmmsg with epoll.
    Mmsg,
}

impl DriverChoice {
    /// As written in settings: `auto`, `io_uring` or `mmsg`.
    pub fn as_str(self) -> &'static str {
        match self {
            DriverChoice::Auto => "auto",
            DriverChoice::IoUring => "io_uring",
            DriverChoice::Mmsg => "mmsg",
        }
    }
}

impl fmt::Display for DriverChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An unknown driver name.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("driver `{0}` does not exist: use auto, io_uring or mmsg")]
pub struct UnknownDriver(String);

crate::error_text::debug_is_the_sentence!(UnknownDriver);

impl FromStr for DriverChoice {
    type Err = UnknownDriver;

    fn from_str(name: &str) -> Result<DriverChoice, UnknownDriver> {
        [DriverChoice::Auto, DriverChoice::IoUring, DriverChoice::Mmsg]
            .into_iter()
            .find(|choice| choice.as_str() == name)
            .ok_or_else(|| UnknownDriver(name.to_owned()))
    }
}

/// The driver that actually runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriverKind {
    /// io_uring.
    IoUring,
    /// sendmmsg/recvmmsg with epoll.
    Mmsg,
}

impl DriverKind {
    /// `io_uring` or `mmsg`.
    pub fn as_str(self) -> &'static str {
        match self {
            DriverKind::IoUring => "io_uring",
            DriverKind::Mmsg => "mmsg",
        }
    }
}

impl fmt::Display for DriverKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Settings of one [`Driver`](crate::net::Driver). Values out of bounds are brought to the nearest bound.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetOptions {
    /// Driver. Default: [`DriverChoice::Auto`].
    pub driver: DriverChoice,
    /// Whether the handler is told which of this machine's addresses each datagram was sent to (`IP_PKTINFO`), so that
    /// many members, each at an address of its own, share one socket. Default: false. Bind `0.0.0.0` or
    /// `[::]` to receive for all addresses; [`Trains::set_source`](crate::net::Trains::set_source) says which
    /// one to send from.
    pub own_addresses: bool,
    /// Kernel memory for datagrams that wait to be received, in bytes. Default: 4 MiB, which at full rate
    /// is about 25 ms of datagrams; much more only turns overload into seconds of queueing. The kernel caps
    /// it at `net.core.rmem_max` (a warning says so).
    pub receive_buffer_bytes: usize,
    /// Kernel memory for datagrams on their way out, in bytes. Default: 1 MiB, capped at
    /// `net.core.wmem_max`.
    pub send_buffer_bytes: usize,
    /// Send trains as one segmented send (UDP GSO), padding frames to their size class. Default: true; off
    /// by itself where the kernel refuses. When off every frame is a datagram of its exact length, which
    /// formats that do not tolerate padding need.
    pub segmentation: bool,
    /// Receive trains as one message (UDP GRO). Default: true.
    pub coalescing: bool,
    /// Most datagrams in one train. Default and upper bound: 128, the kernel's limit (64 before Linux 6.9,
    /// found out when the driver opens).
    pub train_segments_max: usize,
    /// Most bytes in one train, 1,400 to 65,000. Default: 65,000, a little under what one IP packet carries.
    pub train_bytes_max: usize,
    /// Most trains open at once, that is distinct (source, destination, size class) triples between two
    /// flushes, or frames where `segmentation` is off; 1 to 16,384. Default: 1,024, at half of which the
    /// driver flushes by itself while it receives.
    pub trains_max: usize,
    /// Memory for frames that wait for the next flush, in bytes, 64 KiB to 64 MiB. Default: 2 MiB.
    pub train_memory_bytes: usize,
    /// The longest frame that is written, in bytes: none is padded beyond it. Default and upper bound: 1,400. A
    /// fleet takes it from its [`Settings`](crate::protocol::Settings).
    pub frame_bytes_max: usize,
    /// How long a path is held to be as narrow as the kernel has said when it refused a datagram that was too
    /// long, at least 1 ms. Default: 1 min, after which the next long frame finds out whether it still is, at
    /// the cost of one refused system call. (The kernel itself remembers what routers tell it for ten.)
    pub path_memory: Duration,
}

impl Default for NetOptions {
    fn default() -> NetOptions {
        NetOptions {
            driver: DriverChoice::Auto,
            own_addresses: false,
            receive_buffer_bytes: 4 << 20,
            send_buffer_bytes: 1 << 20,
            segmentation: true,
            coalescing: true,
            train_segments_max: TRAIN_SEGMENTS_MAX,
            train_bytes_max: TRAIN_BYTES_MAX,
            trains_max: 1024,
            train_memory_bytes: 2 << 20,
            frame_bytes_max: FRAME_MAX,
            path_memory: Duration::from_secs(60),
        }
    }
}

/// The kernel's `UDP_MAX_SEGMENTS`: one more is EINVAL.
pub(super) const TRAIN_SEGMENTS_MAX: usize = 128;
/// An IPv4 packet carries 65,507 bytes of UDP payload, segmented or not: one more is EMSGSIZE.
pub(super) const TRAIN_BYTES_MAX: usize = 65_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn driver_names_round_trip() {
        for choice in [DriverChoice::Auto, DriverChoice::IoUring, DriverChoice::Mmsg] {
            assert_eq!(choice.to_string().parse(), Ok(choice));
            let quoted = format!("driver = \"{choice}\"");
            let table: std::collections::BTreeMap<String, DriverChoice> = toml::from_str(&quoted).unwrap();
            assert_eq!(table["driver"], choice);
        }
        let error = "epoll".parse::<DriverChoice>().unwrap_err();
        assert_eq!(error.to_string(), "driver `epoll` does not exist: use auto, io_uring or mmsg");
    }
}
