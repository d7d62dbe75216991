//! The datagram path: frames leave as trains and arrive as datagrams, over io_uring or sendmmsg/recvmmsg.
//!
//! Moving one datagram through the kernel costs microseconds whichever system call does it; moving a
//! *train*, up to 128 datagrams to one address handed over at once (UDP GSO on send, UDP GRO on receive),
//! costs about as much for all of them together. So everything written to one address in a loop turn is
//! gathered in [`Trains`] and leaves when the turn ends.
//!
//! ```text
//! main thread:    Endpoint::bind      a UDP socket and a TCP listener on one address
//! worker thread:  Driver::open        the socket moves into a driver, which never leaves the thread
//!                 loop {
//!                     driver.wait(timeout)?;
//!                     while let Some(arrival) = driver.next_arrival()? { ... }
//!                 }
//! other threads:  waker.wake()        ends the wait of the turn in progress
//! ```
//!
//! The two drivers are interchangeable: same trains, same splitting, same test suite. io_uring gives one
//! point to wait at; where it is forbidden (container profiles, `kernel.io_uring_disabled`) the other takes
//! over with one line in the log.

mod address;
mod control;
mod counters;
mod driver;
mod endpoint;
mod error;
mod gso_trains;
mod incoming;
mod large_pages;
mod memory;
mod mmsg;
mod options;
mod outgoing;
mod paths;
mod prefetch;
#[cfg(test)]
mod refusal_test;
mod segmentation_support;
mod size_class;
mod socket_options;
mod train_index;
#[cfg(test)]
mod trains_test;
mod uring;
mod waker;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

pub use counters::NetCounters;
pub use driver::{Arrival, Driver};
pub use endpoint::Endpoint;
pub use error::NetError;
pub use gso_trains::Trains;
pub(crate) use large_pages::ask_for_large_pages;
pub use options::{DriverChoice, DriverKind, NetOptions, UnknownDriver};
pub(crate) use prefetch::prefetch;
pub use size_class::padded_len;
pub(crate) use socket_options::bind_address_without_port;
pub use waker::Waker;

/// A longer wait is cut to this, a day, so that no timeout overflows what the kernel counts in.
const WAIT_MAX: Duration = Duration::from_secs(86_400);

/// Takes what arrives in a [`Driver::turn`].
pub trait DatagramHandler {
    /// One datagram of an [`Arrival`]. Frames written to `trains` leave from wherever [`Trains::set_source`] last
    /// said: an answer in the name of the member that was written to sets the source to `to` first.
    fn datagram(&mut self, from: SocketAddr, to: Option<IpAddr>, bytes: &[u8], trains: &mut Trains);
}

impl<F: FnMut(SocketAddr, Option<IpAddr>, &[u8], &mut Trains)> DatagramHandler for F {
    #[inline]
    fn datagram(&mut self, from: SocketAddr, to: Option<IpAddr>, bytes: &[u8], trains: &mut Trains) {
        self(from, to, bytes, trains);
    }
}
