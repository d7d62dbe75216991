//! The driver for where io_uring is not permitted: sendmmsg, recvmmsg and epoll.
//!
//! Batched calls cost the same per datagram as io_uring, so this is no second class; what it lacks is one
//! call that sends, waits and receives. A busy socket is asked for datagrams before epoll is.

use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use super::WAIT_MAX;
use super::address::Family;
use super::driver::Shared;
use super::error::{NetError, last_errno};
use super::incoming::{CONTROL_ROOM, Envelope, Incoming, Message, NAME_ROOM, ReceiveShape, TURN_DATAGRAMS};
use super::memory::Memory;
use super::outgoing::{Outgoing, SEND_BATCH};
use super::waker::Waker;

/// Receive errors in a row, with no datagram between, after which the socket is given up: each pending ICMP
/// error takes one call, a broken descriptor fails for ever.
pub(super) const RECEIVE_ERRORS_MAX: u32 = 1024;

/// The mmsg driver.
pub(super) struct Mmsg {
    socket: UdpSocket,
    epoll: OwnedFd,
    /// Keeps the descriptor that `epoll` watches.
    _waker: Waker,
    outgoing: Outgoing,
    incoming: Incoming,
    inbox: Inbox,
    /// Messages that lie in `inbox`, and how many of them have been handed over.
    received: usize,
    handed_over: usize,
    /// None is handed over in this turn once so many datagrams have been received in all.
    datagrams_max: u64,
    /// The last turn received something: more is likely there.
    busy: bool,
    /// The last call that received found the socket empty.
    emptied: bool,
    errors_in_a_row: u32,
    /// `epoll_pwait2` (Linux 5.11) exists.
    precise_wait: bool,
}

/// Where recvmmsg puts messages: headers wired once to parts of `memory`.
struct Inbox {
    shape: ReceiveShape,
    headers: Box<[libc::mmsghdr]>,
    /// How many of `headers`, the first ones, the kernel has written into.
    written: usize,
    _stretches: Box<[libc::iovec]>,
    memory: Memory,
}

impl Inbox {
    fn new(shape: ReceiveShape) -> Result<Inbox, NetError> {
        let stride = NAME_ROOM + CONTROL_ROOM + shape.payload;
        let mut memory = Memory::map(stride * shape.messages)?;
        let mut stretches: Box<[libc::iovec]> = (0..shape.messages)
            .map(|i| libc::iovec {
                iov_base: memory.at(i * stride + NAME_ROOM + CONTROL_ROOM).cast(),
                iov_len: shape.payload,
            })
            .collect();
        let wire = |(i, iovec_of): (usize, &mut libc::iovec)| {
            // SAFETY: a C structure of integers and pointers, for which zero is valid.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            header.msg_hdr.msg_name = memory.at(i * stride).cast();
            header.msg_hdr.msg_control = memory.at(i * stride + NAME_ROOM).cast();
            header.msg_hdr.msg_iov = iovec_of;
            header.msg_hdr.msg_iovlen = 1;
            header
        };
        let headers = stretches.iter_mut().enumerate().map(wire).collect();
        let written = shape.messages;
        Ok(Inbox { shape, headers, written, _stretches: stretches, memory })
    }

    /// Receives what is there, without waiting: how many messages, or the error.
    fn receive(&mut self, socket: &UdpSocket) -> Result<usize, i32> {
        for header in &mut self.headers[..self.written] {
            // The kernel writes back the lengths it used.
            header.msg_hdr.msg_namelen = NAME_ROOM as _;
            header.msg_hdr.msg_controllen = CONTROL_ROOM as _;
        }
        // SAFETY: the headers point into `memory` and `_stretches`, which live as long as they do.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.headers.len() as _,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        let received = usize::try_from(count).map_err(|_| last_errno());
        // The one after the last may have been begun.
        self.written = (received.unwrap_or(0) + 1).min(self.headers.len());
        received
    }

    fn message(&self, i: usize) -> Message<'_> {
        let start = i * (NAME_ROOM + CONTROL_ROOM + self.shape.payload);
        let header = &self.headers[i];
        let name = (header.msg_hdr.msg_namelen as usize).min(NAME_ROOM);
        let control: usize = header.msg_hdr.msg_controllen as _;
        let control = control.min(CONTROL_ROOM);
        let payload = (header.msg_len as usize).min(self.shape.payload);
        Message {
            name: self.memory.bytes(start, name),
            control: self.memory.bytes(start + NAME_ROOM, control),
            payload: self.memory.bytes(start + NAME_ROOM + CONTROL_ROOM, payload),
            truncated: header.msg_hdr.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0,
        }
    }
}

impl Mmsg {
    pub(super) fn open(
        socket: UdpSocket,
        family: Family,
        shape: ReceiveShape,
        waker: &Waker,
    ) -> Result<Mmsg, NetError> {
        let failed = |error| NetError::system("setting up epoll", error);
        // SAFETY: makes a new descriptor.
        let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if epoll < 0 {
            return Err(failed(io::Error::last_os_error()));
        }
        // SAFETY: just made, and owned by nobody else.
        let epoll = unsafe { OwnedFd::from_raw_fd(epoll) };
        watch(&epoll, socket.as_raw_fd(), libc::EPOLLIN).map_err(failed)?;
        // Edge-triggered, so that the wake-up descriptor need never be read.
        watch(&epoll, waker.descriptor(), libc::EPOLLIN | libc::EPOLLET).map_err(failed)?;
        Ok(Mmsg {
            socket,
            epoll,
            _waker: waker.clone(),
            outgoing: Outgoing::new(family),
            incoming: Incoming::default(),
            inbox: Inbox::new(shape)?,
            received: 0,
            handed_over: 0,
            datagrams_max: 0,
            busy: false,
            emptied: true,
            errors_in_a_row: 0,
            precise_wait: true,
        })
    }

    /// Sends, waits and receives.
    pub(super) fn wait(
        &mut self,
        timeout: Option<Duration>,
        shared: &mut Shared<'_>,
    ) -> Result<(), NetError> {
        self.flush(shared);
        self.datagrams_max = shared.counters.datagrams_received + TURN_DATAGRAMS;
        if self.handed_over < self.received {
            return Ok(());
        }
        (self.received, self.handed_over) = (0, 0);
        if self.busy || timeout == Some(Duration::ZERO) {
            self.received = self.receive(shared)?;
        }
        if self.received == 0 && timeout != Some(Duration::ZERO) {
            self.wait_readable(timeout, shared)?;
            self.received = self.receive(shared)?;
        }
        self.busy = self.received > 0;
        self.emptied = self.received < self.inbox.headers.len();
        Ok(())
    }

    /// The next message of this turn, and its payload.
    #[inline]
    pub(super) fn next(&mut self, shared: &mut Shared<'_>) -> Option<(Envelope, &[u8])> {
        let (envelope, at) = loop {
            if shared.trains.is_half_full() {
                self.flush(shared);
            }
            if self.handed_over == self.received || shared.counters.datagrams_received >= self.datagrams_max {
                return None;
            }
            let at = self.handed_over;
            self.handed_over += 1;
            if let Some(envelope) = self.incoming.open(self.inbox.message(at), shared.counters) {
                break (envelope, at);
            }
        };
        Some((envelope, self.inbox.message(at).payload))
    }

    /// Whether the last turn took all that was there, and all of it was handed over.
    pub(super) fn drained(&self) -> bool {
        self.emptied && self.handed_over == self.received
    }

    /// See [`Incoming::age`].
    pub(super) fn age(&self) -> Option<Duration> {
        self.incoming.age()
    }

    pub(super) fn flush(&mut self, shared: &mut Shared<'_>) {
        loop {
            let count = self.outgoing.fill(&self.socket, shared.trains, shared.counters);
            self.send(count, shared);
            if count < SEND_BATCH {
                break;
            }
        }
        shared.trains.clear();
    }

    /// Sends the first `count` slots. sendmmsg stops at the first message that fails; if others went before
    /// it, the error comes with the next call.
    fn send(&mut self, count: usize, shared: &mut Shared<'_>) {
        let mut done = 0;
        while done < count {
            shared.counters.system_calls += 1;
            let headers = &mut self.outgoing.headers(count)[done..];
            // SAFETY: the headers and what they point at (slots and trains) are left alone during the call.
            let sent = unsafe {
                libc::sendmmsg(
                    self.socket.as_raw_fd(),
                    headers.as_mut_ptr(),
                    headers.len() as _,
                    libc::MSG_DONTWAIT as _,
                )
            };
            match if sent < 0 { last_errno() } else { 0 } {
                0 => done += sent.max(1) as usize,
                libc::EINTR => {}
                errno => {
                    self.outgoing.failed(done, errno, &self.socket, shared.trains, shared.counters);
                    done += 1;
                }
            }
        }
    }

    fn receive(&mut self, shared: &mut Shared<'_>) -> Result<usize, NetError> {
        shared.counters.system_calls += 1;
        match self.inbox.receive(&self.socket) {
            Ok(count) => {
                self.errors_in_a_row = 0;
                Ok(count)
            }
            Err(libc::EAGAIN | libc::EINTR) => Ok(0),
            Err(errno) => {
                shared.counters.receive_errors += 1;
                self.errors_in_a_row += 1;
                if self.errors_in_a_row < RECEIVE_ERRORS_MAX {
                    return Ok(0);
                }
                Err(NetError::system("receiving datagrams", io::Error::from_raw_os_error(errno)))
            }
        }
    }

    /// Waits until a datagram is there, a waker wakes, a signal comes or `timeout` passes.
    fn wait_readable(&mut self, timeout: Option<Duration>, shared: &mut Shared<'_>) -> Result<(), NetError> {
        shared.counters.system_calls += 1;
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 2];
        let epoll = self.epoll.as_raw_fd();
        let mut errno = libc::ENOSYS;
        if self.precise_wait {
            errno = wait_precisely(epoll, &mut events, timeout);
            self.precise_wait = errno != libc::ENOSYS && errno != libc::EPERM;
        }
        if !self.precise_wait {
            errno = wait_roughly(epoll, &mut events, timeout);
        }
        match errno {
            0 | libc::EINTR => Ok(()),
            errno => Err(NetError::system("waiting for datagrams", io::Error::from_raw_os_error(errno))),
        }
    }
}

fn watch(epoll: &OwnedFd, descriptor: RawFd, events: i32) -> io::Result<()> {
    let mut event = libc::epoll_event { events: events as u32, u64: 0 };
    // SAFETY: both descriptors are open, and the kernel copies `event`.
    let result =
        unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, descriptor, &raw mut event) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `epoll_pwait2`, by number: its wrapper is younger than the oldest C library supported. The error, or 0.
fn wait_precisely(epoll: RawFd, events: &mut [libc::epoll_event], timeout: Option<Duration>) -> i32 {
    let timeout = timeout.map(|timeout| timeout.min(WAIT_MAX)).map(|timeout| libc::timespec {
        tv_sec: timeout.as_secs() as _,
        tv_nsec: timeout.subsec_nanos() as _,
    });
    let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let no_signals: *const libc::sigset_t = std::ptr::null();
    // SAFETY: `events` has room for as many as said, and `timeout` outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_epoll_pwait2,
            epoll,
            events.as_mut_ptr(),
            events.len() as libc::c_int,
            timeout,
            no_signals,
            0usize,
        )
    };
    if result < 0 { last_errno() } else { 0 }
}

/// `epoll_wait`, rounding up to a millisecond. The error, or 0.
fn wait_roughly(epoll: RawFd, events: &mut [libc::epoll_event], timeout: Option<Duration>) -> i32 {
    let timeout_ms = timeout
        .map_or(-1, |timeout| i32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX));
    // SAFETY: `events` has room for as many as said.
    let result =
        unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), events.len() as libc::c_int, timeout_ms) };
    if result < 0 { last_errno() } else { 0 }
}
