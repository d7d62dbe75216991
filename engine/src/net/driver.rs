//! The driver: one socket, one thread, one place to wait.

use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::slice::Chunks;
use std::time::Duration;

use swimring_codec::canonical;

use super::address::Family;
use super::counters::NetCounters;
use super::error::NetError;
use super::gso_trains::Trains;
use super::incoming::ReceiveShape;
use super::mmsg::Mmsg;
use super::options::{DriverChoice, DriverKind, NetOptions};
use super::uring::{Opened, Uring};
use super::waker::Waker;
use super::{DatagramHandler, segmentation_support, socket_options};

/// The least that the kernel charges a socket's receive buffer for a message, in bytes: its own bookkeeping and
/// the smallest stretch of memory for the payload (832 for 64 bytes on x86-64).
const MESSAGE_CHARGE_LEAST: u64 = 768;

/// Sends and receives datagrams for the thread that opened it.
///
/// ```no_run
/// use std::time::Duration;
/// use swimring::net::{Driver, Endpoint, NetOptions, Trains};
/// use swimring::protocol::FrameSink;
///
/// # fn main() -> Result<(), swimring::net::NetError> {
/// let options = NetOptions::default();
/// let endpoint = Endpoint::bind("127.0.0.1:0".parse().unwrap(), &options)?;
/// let mut driver = Driver::open(endpoint, &options)?;
/// let mut echo = |from, _to, bytes: &[u8], trains: &mut Trains| {
///     if let Some(room) = trains.reserve(from, bytes.len()) {
///         room.copy_from_slice(bytes);
///     }
/// };
/// loop {
///     driver.turn(Some(Duration::from_millis(100)), &mut echo)?;
/// }
/// # }
/// ```
pub struct Driver {
    backend: Backend,
    trains: Trains,
    counters: NetCounters,
    waker: Waker,
    address: SocketAddr,
    backlog_max: u64,
    /// A ring belongs to the thread that made it (`SINGLE_ISSUER`).
    not_send: PhantomData<*const ()>,
}

enum Backend {
    Uring(Box<Uring>),
    Mmsg(Box<Mmsg>),
}

/// What arrived as one message: a datagram, or a train of them.
#[derive(Debug)]
pub struct Arrival<'a> {
    /// Address of the sender.
    pub from: SocketAddr,
    /// The address it was sent to, where [`NetOptions::own_addresses`] is on, otherwise nothing.
    pub to: Option<IpAddr>,
    /// The datagrams: each is one frame, possibly followed by zeros up to the size class it travelled in.
    pub datagrams: Chunks<'a, u8>,
    /// Where answers are written.
    pub trains: &'a mut Trains,
}

/// What a backend works with besides its own.
pub(super) struct Shared<'a> {
    pub(super) trains: &'a mut Trains,
    pub(super) counters: &'a mut NetCounters,
}

impl Driver {
    /// Takes over `socket` (an [`Endpoint`](crate::net::Endpoint) or a bound socket) on the calling thread,
    /// which is the only one that may use the driver.
    ///
    /// # Errors
    /// [`NetError::IoUringUnavailable`] if io_uring was asked for and is not permitted or not recent enough;
    /// [`NetError::FileDescriptors`] or [`NetError::System`] for what the kernel refuses otherwise.
    pub fn open(socket: impl Into<UdpSocket>, options: &NetOptions) -> Result<Driver, NetError> {
        let socket = socket.into();
        let address =
            socket.local_addr().map_err(|error| NetError::system("asking for the local address", error))?;
        // The socket's own family, also where its address is mapped.
        let family = Family::of(address);
        let prepared = socket_options::prepare(&socket, options)?;
        let mut trains = Trains::new(options);
        if options.segmentation {
            trains.limit_segments(segmentation_support::segments_max(family));
        }
        let waker = Waker::new()?;
        let mut counters = NetCounters::default();
        let shared = Shared { trains: &mut trains, counters: &mut counters };
        let shape = ReceiveShape::new(prepared.coalescing);
        let backlog_max = prepared.receive_buffer_bytes / MESSAGE_CHARGE_LEAST;
        let backend = open_backend(socket, family, options.driver, shape, &waker, shared)?;
        let address = canonical(address);
        Ok(Driver { backend, trains, counters, waker, address, backlog_max, not_send: PhantomData })
    }

    /// Which driver runs.
    pub fn kind(&self) -> DriverKind {
        match self.backend {
            Backend::Uring(_) => DriverKind::IoUring,
            Backend::Mmsg(_) => DriverKind::Mmsg,
        }
    }

    /// The address the socket is bound to.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// Whether the last turn took in all that had arrived, and all of it has been handed over. If not, more lies
    /// unread.
    pub fn drained(&self) -> bool {
        match &self.backend {
            Backend::Uring(uring) => uring.drained(),
            Backend::Mmsg(mmsg) => mmsg.drained(),
        }
    }

    /// How long the message that was handed over last had lain unread. If [`Driver::drained`] says that more lies unread,
    /// that is younger. Nothing where the kernel does not say when a message arrived.
    pub fn age(&self) -> Option<Duration> {
        match &self.backend {
            Backend::Uring(uring) => uring.age(),
            Backend::Mmsg(mmsg) => mmsg.age(),
        }
    }

    /// Messages, trains or single datagrams, that can lie unread at once: after so many have been read since some
    /// moment, everything has been read that had arrived by then.
    pub fn backlog_max(&self) -> u64 {
        self.backlog_max
    }

    /// What ends this driver's wait from other threads.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Where frames are written.
    #[inline]
    pub fn trains(&mut self) -> &mut Trains {
        &mut self.trains
    }

    /// Begins a turn: sends what is in the trains, waits until something arrives, a waker wakes it, a signal
    /// comes, or `timeout` passes (zero: no wait; `None`: no limit), and receives what is at hand, at most 64
    /// messages (256 without coalescing), for [`Driver::next_arrival`].
    ///
    /// # Errors
    /// [`NetError::System`] only for what makes going on impossible; a datagram that cannot be sent or
    /// received is counted.
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<(), NetError> {
        let may_sleep = timeout != Some(Duration::ZERO) && self.waker.prepare_wait();
        let timeout = if may_sleep { timeout } else { Some(Duration::ZERO) };
        self.trains.paths_mut().forget_old();
        let mut shared = Shared { trains: &mut self.trains, counters: &mut self.counters };
        let result = match &mut self.backend {
            Backend::Uring(uring) => uring.wait(timeout, &mut shared),
            Backend::Mmsg(mmsg) => mmsg.wait(timeout, &mut shared),
        };
        self.counters.wakes += u64::from(self.waker.finish_wait());
        result
    }

    /// The next of what this turn received; nothing when all has been handed over, or so many datagrams that the
    /// rest is left for the next turn. Frames that are written meanwhile go out with the next turn or flush, or here
    /// once the trains are half full.
    ///
    /// # Errors
    /// As [`Driver::wait`].
    #[inline]
    pub fn next_arrival(&mut self) -> Result<Option<Arrival<'_>>, NetError> {
        let mut shared = Shared { trains: &mut self.trains, counters: &mut self.counters };
        let next = match &mut self.backend {
            Backend::Uring(uring) => uring.next(&mut shared)?,
            Backend::Mmsg(mmsg) => mmsg.next(&mut shared),
        };
        Ok(next.map(|(envelope, payload)| Arrival {
            from: envelope.from,
            to: envelope.to,
            datagrams: payload.chunks(envelope.segment),
            trains: &mut self.trains,
        }))
    }

    /// Where the message was sent to that is `nth` in line after the next, where [`NetOptions::own_addresses`] is on: so that the
    /// memory of the member there can be on its way meanwhile. Nothing where that is not known, or no so many are left.
    #[inline]
    pub(crate) fn upcoming(&self, nth: usize) -> Option<IpAddr> {
        match &self.backend {
            Backend::Uring(uring) => uring.upcoming(nth),
            Backend::Mmsg(_) => None,
        }
    }

    /// A whole turn: [`Driver::wait`], and every datagram that arrived goes to `handler`.
    ///
    /// # Errors
    /// As [`Driver::wait`].
    pub fn turn<H: DatagramHandler>(
        &mut self,
        timeout: Option<Duration>,
        handler: &mut H,
    ) -> Result<(), NetError> {
        self.wait(timeout)?;
        while let Some(Arrival { from, to, datagrams, trains }) = self.next_arrival()? {
            for datagram in datagrams {
                handler.datagram(from, to, datagram, trains);
            }
        }
        Ok(())
    }

    /// Sends what is in the trains, without waiting.
    ///
    /// # Errors
    /// As [`Driver::wait`].
    pub fn flush(&mut self) -> Result<(), NetError> {
        let mut shared = Shared { trains: &mut self.trains, counters: &mut self.counters };
        match &mut self.backend {
            Backend::Uring(uring) => uring.flush(&mut shared),
            Backend::Mmsg(mmsg) => {
                mmsg.flush(&mut shared);
                Ok(())
            }
        }
    }

    /// Totals since the driver was opened.
    pub fn counters(&self) -> NetCounters {
        NetCounters {
            shed_frames: self.trains.shed_frames(),
            unsendable_frames: self.trains.unsendable_frames(),
            ..self.counters
        }
    }
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").field("kind", &self.kind()).field("address", &self.address).finish()
    }
}

fn open_backend(
    socket: UdpSocket,
    family: Family,
    choice: DriverChoice,
    shape: ReceiveShape,
    waker: &Waker,
    mut shared: Shared<'_>,
) -> Result<Backend, NetError> {
    if choice == DriverChoice::Mmsg {
        return Ok(Backend::Mmsg(Box::new(Mmsg::open(socket, family, shape, waker)?)));
    }
    let socket = match Uring::open(socket, family, shape, waker, &mut shared)? {
        Opened::Ready(uring) => return Ok(Backend::Uring(uring)),
        Opened::Unavailable { reason, .. } if choice == DriverChoice::IoUring => {
            return Err(NetError::IoUringUnavailable { reason });
        }
        Opened::Unavailable { reason, socket } => {
            tracing::info!(%reason, "io_uring is not available: using sendmmsg and recvmmsg");
            socket
        }
    };
    Ok(Backend::Mmsg(Box::new(Mmsg::open(socket, family, shape, waker)?)))
}
