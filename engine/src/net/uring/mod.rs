//! The io_uring driver: one call per turn that sends, waits and receives.
//!
//! One multishot RECVMSG stays armed and puts every message into a buffer that the kernel chooses from a ring;
//! sends are SENDMSG entries that the kernel executes while it takes them (`MSG_DONTWAIT`), so only failures report
//! back and a slot is free again when the call returns. What the kernel completes it does when asked
//! (`DEFER_TASKRUN`), never by interrupting this thread.
//!
//! A multishot receive ends by itself when the buffers run out, on errors, and on a datagram without a byte,
//! which anybody can send. So every completion is asked whether more will follow, and reception is armed
//! anew, after the buffers have been given back, whenever the answer is no.

mod buffers;
mod setup;

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use io_uring::types::{CancelBuilder, Fixed, RecvMsgOut, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, cqueue, opcode, squeue};

use self::buffers::{BUFFER_GROUP, BufferRing, PAYLOAD_START};
use super::address::Family;
use super::control::ReceiveControl;
use super::driver::Shared;
use super::error::NetError;
use super::incoming::{Envelope, Incoming, Message, ReceiveShape, TURN_DATAGRAMS};
use super::mmsg::RECEIVE_ERRORS_MAX;
use super::outgoing::{Outgoing, SEND_BATCH};
use super::waker::Waker;

/// Who a completion is for; a send's is its slot.
const RECEIVE: u64 = u64::MAX;
const WAKE: u64 = u64::MAX - 1;
/// The registered files.
const SOCKET: Fixed = Fixed(0);
const EVENT: Fixed = Fixed(1);
/// The kernel hands over at most so many messages in a run of a multishot receive (`MULTISHOT_MAX_RETRY`), then
/// lets other work go first: only fewer say that the socket is empty.
const RUN_MESSAGES: usize = 32;
/// Calls made to hand over one batch. Each takes at least one entry unless the kernel is out of memory.
const ENTER_TRIES: u32 = 2 * SEND_BATCH as u32;

/// The io_uring driver.
pub(super) struct Uring {
    // First, so that the ring is gone before what it points into.
    ring: IoUring,
    buffers: BufferRing,
    outgoing: Outgoing,
    socket: UdpSocket,
    /// Keeps the descriptor that the ring polls.
    _waker: Waker,
    incoming: Incoming,
    /// Messages received and not handed over yet: at most one per buffer.
    received: VecDeque<Received>,
    /// How many of them are still to be handed over in this turn. A flush may receive more: those are for the next.
    left: usize,
    /// None is handed over in this turn once so many datagrams have been received in all.
    datagrams_max: u64,
    /// The buffer of the message that was handed over last, and is being read.
    lent: Option<u16>,
    /// Messages that had been received when this turn's wait ended.
    run: usize,
    receive_armed: bool,
    wake_armed: bool,
    errors_in_a_row: u32,
    last_error: i32,
    /// How to wait: without being shown as waiting for a disk, if the kernel (6.15) can.
    wait_flags: EnterFlags,
}

/// A message in buffer `buffer`, using `len` bytes of it.
#[derive(Clone, Copy)]
struct Received {
    buffer: u16,
    len: u32,
}

/// What came of opening.
pub(super) enum Opened {
    Ready(Box<Uring>),
    /// Not permitted, or too old a kernel; the socket comes back.
    Unavailable {
        reason: String,
        socket: UdpSocket,
    },
}

impl Uring {
    /// Makes a ring for `socket`, on the thread that will use it.
    pub(super) fn open(
        socket: UdpSocket,
        family: Family,
        shape: ReceiveShape,
        waker: &Waker,
        shared: &mut Shared<'_>,
    ) -> Result<Opened, NetError> {
        let ring = match setup::ring(&[socket.as_raw_fd(), waker.descriptor()]) {
            Ok(ring) => ring,
            Err(setup::Refused::Limit(error)) => return Err(error),
            Err(setup::Refused::Unavailable(reason)) => return Ok(Opened::Unavailable { reason, socket }),
        };
        let buffers = BufferRing::new(shape)?;
        if let Err(error) = buffers.register(&ring) {
            let reason = format!("registering receive buffers: {error}");
            return Ok(Opened::Unavailable { reason, socket });
        }
        let wait_flags = match ring.params().is_feature_no_iowait() {
            true => EnterFlags::GETEVENTS | EnterFlags::NO_IOWAIT,
            false => EnterFlags::GETEVENTS,
        };
        let mut uring = Box::new(Uring {
            wait_flags,
            ring,
            buffers,
            outgoing: Outgoing::new(family),
            socket,
            _waker: waker.clone(),
            incoming: Incoming::default(),
            received: VecDeque::with_capacity(shape.messages),
            left: 0,
            datagrams_max: 0,
            lent: None,
            run: 0,
            receive_armed: false,
            wake_armed: false,
            errors_in_a_row: 0,
            last_error: 0,
        });
        match uring.arm_first(shared) {
            Ok(()) => Ok(Opened::Ready(uring)),
            Err(reason) => match uring.socket.try_clone() {
                Ok(socket) => Ok(Opened::Unavailable { reason, socket }),
                Err(error) => Err(NetError::system("opening the driver", error)),
            },
        }
    }

    /// Arms reception for the first time, which tells whether the kernel has multishot receives.
    fn arm_first(&mut self, shared: &mut Shared<'_>) -> Result<(), String> {
        self.arm();
        let entered = self.enter(EnterFlags::GETEVENTS, Some(Duration::ZERO), shared);
        entered.map_err(|error| error.to_string())?;
        match self.errors_in_a_row {
            0 => Ok(()),
            _ => Err(format!("multishot receive: {}", io::Error::from_raw_os_error(self.last_error))),
        }
    }

    /// Sends, waits and receives.
    pub(super) fn wait(
        &mut self,
        timeout: Option<Duration>,
        shared: &mut Shared<'_>,
    ) -> Result<(), NetError> {
        self.give_back();
        self.arm();
        self.queue_sends(shared)?;
        let timeout = if self.received.is_empty() { timeout } else { Some(Duration::ZERO) };
        self.enter(self.wait_flags, timeout, shared)?;
        shared.trains.clear();
        self.run = self.received.len();
        self.left = self.run;
        self.datagrams_max = shared.counters.datagrams_received + TURN_DATAGRAMS;
        if self.run == 0 && self.errors_in_a_row >= RECEIVE_ERRORS_MAX {
            let error = io::Error::from_raw_os_error(self.last_error);
            return Err(NetError::system("receiving datagrams", error));
        }
        Ok(())
    }

    /// The next message of this turn, and its payload, which stays until the next call.
    #[inline]
    pub(super) fn next(&mut self, shared: &mut Shared<'_>) -> Result<Option<(Envelope, &[u8])>, NetError> {
        let (envelope, received) = loop {
            if let Some(buffer) = self.lent.take() {
                self.buffers.give_back(buffer);
            }
            if shared.trains.is_half_full() {
                self.flush(shared)?;
            }
            let more = self.left > 0 && shared.counters.datagrams_received < self.datagrams_max;
            let next = if more { self.received.pop_front() } else { None };
            let Some(received) = next else {
                self.buffers.publish();
                return Ok(None);
            };
            self.left -= 1;
            self.lent = Some(received.buffer);
            if let Some(envelope) = self.open_message(received, shared) {
                break (envelope, received);
            }
        };
        let bytes = self.buffers.bytes(received.buffer, received.len);
        Ok(Some((envelope, &bytes[PAYLOAD_START..PAYLOAD_START + envelope.bytes])))
    }

    /// See [`Driver::upcoming`](super::Driver::upcoming).
    #[inline]
    pub(super) fn upcoming(&self, nth: usize) -> Option<IpAddr> {
        let received = self.received.get(nth)?;
        let bytes = self.buffers.bytes(received.buffer, received.len);
        let out = RecvMsgOut::parse(bytes, self.buffers.header()).ok()?;
        ReceiveControl::read(out.control_data()).to
    }

    /// What a message says besides its payload, if it is one.
    #[inline]
    fn open_message(&mut self, received: Received, shared: &mut Shared<'_>) -> Option<Envelope> {
        let bytes = self.buffers.bytes(received.buffer, received.len);
        let out = RecvMsgOut::parse(bytes, self.buffers.header()).ok()?;
        self.errors_in_a_row = 0;
        let message = Message {
            name: out.name_data(),
            control: out.control_data(),
            payload: out.payload_data(),
            truncated: out.is_payload_truncated() || out.is_control_data_truncated(),
        };
        self.incoming.open(message, shared.counters)
    }

    /// Gives the kernel what was handed over last.
    fn give_back(&mut self) {
        if let Some(buffer) = self.lent.take() {
            self.buffers.give_back(buffer);
            self.buffers.publish();
        }
    }

    /// Whether the last turn took all that was there, and all of it was handed over.
    pub(super) fn drained(&self) -> bool {
        // What ended has not looked again, and a flush in between may have received more.
        self.run < RUN_MESSAGES && self.receive_armed && self.received.is_empty()
    }

    /// See [`Incoming::age`].
    pub(super) fn age(&self) -> Option<Duration> {
        self.incoming.age()
    }

    pub(super) fn flush(&mut self, shared: &mut Shared<'_>) -> Result<(), NetError> {
        if shared.trains.is_empty() {
            return Ok(());
        }
        self.queue_sends(shared)?;
        if self.queued() > 0 {
            self.enter(EnterFlags::empty(), Some(Duration::ZERO), shared)?;
        }
        shared.trains.clear();
        Ok(())
    }

    /// Queues sends for everything in the trains. Full batches are handed over at once; the last one is left
    /// to the call that follows.
    fn queue_sends(&mut self, shared: &mut Shared<'_>) -> Result<(), NetError> {
        loop {
            let count = self.outgoing.fill(&self.socket, shared.trains, shared.counters);
            for slot in 0..count {
                let entry = opcode::SendMsg::new(SOCKET, self.outgoing.header(slot))
                    .flags(libc::MSG_DONTWAIT as u32)
                    .build()
                    .flags(squeue::Flags::SKIP_SUCCESS)
                    .user_data(slot as u64);
                self.push(&entry);
            }
            if count < SEND_BATCH {
                return Ok(());
            }
            self.enter(EnterFlags::empty(), Some(Duration::ZERO), shared)?;
        }
    }

    /// Arms what has ended or was never armed.
    fn arm(&mut self) {
        if !self.receive_armed {
            let receive = opcode::RecvMsgMulti::new(SOCKET, self.buffers.header(), BUFFER_GROUP);
            self.push(&receive.build().user_data(RECEIVE));
            self.receive_armed = true;
        }
        if !self.wake_armed {
            let poll = opcode::PollAdd::new(EVENT, libc::POLLIN as u32).multi(true);
            self.push(&poll.build().user_data(WAKE));
            self.wake_armed = true;
        }
    }

    /// Queues an entry; there is room for a batch and both of `arm`.
    fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: what the entry points at lives in `self.outgoing` or `self.buffers`, behind boxes that
        // outlive the ring, and in the trains, which stay as they are until the entry has been executed.
        let pushed = unsafe { self.ring.submission().push(entry) };
        debug_assert!(pushed.is_ok(), "the submission queue holds a batch and what is armed");
    }

    fn queued(&mut self) -> u32 {
        self.ring.submission().len() as u32
    }

    /// Hands over what is queued, waits until something has completed or `timeout` passes, and takes the
    /// completions. Returns only when every entry has been executed.
    fn enter(
        &mut self,
        flags: EnterFlags,
        timeout: Option<Duration>,
        shared: &mut Shared<'_>,
    ) -> Result<(), NetError> {
        let timespec = Timespec::from(timeout.unwrap_or_default().min(super::WAIT_MAX));
        let args = SubmitArgs::new().timespec(&timespec);
        for _ in 0..ENTER_TRIES {
            let wait = timeout != Some(Duration::ZERO) && self.received.is_empty();
            let (flags, args) = match timeout {
                Some(_) if wait => (flags | EnterFlags::EXT_ARG, Some(&args)),
                _ => (flags, None),
            };
            let queued = self.queued();
            shared.counters.system_calls += 1;
            // SAFETY: the arguments are of the size their flag says and outlive the call; for the entries
            // see `push`.
            let entered = unsafe { self.ring.submitter().enter(queued, u32::from(wait), flags.bits(), args) };
            self.drain(shared);
            match entered.as_ref().map_err(io::Error::raw_os_error) {
                // Time is up, a signal came, or the kernel is short of something for now.
                Ok(_) | Err(Some(libc::ETIME | libc::EINTR | libc::EAGAIN | libc::EBUSY)) => {}
                Err(_) => return entered.map(drop).map_err(|e| NetError::system("calling io_uring", e)),
            }
            if self.queued() == 0 {
                return Ok(());
            }
        }
        let error = io::Error::from_raw_os_error(libc::EAGAIN);
        Err(NetError::system("handing datagrams to io_uring", error))
    }

    /// Takes all completions: remembers what was received, deals with sends that failed.
    fn drain(&mut self, shared: &mut Shared<'_>) {
        for completion in self.ring.completion() {
            let (result, flags) = (completion.result(), completion.flags());
            match completion.user_data() {
                RECEIVE => {
                    self.receive_armed &= cqueue::more(flags);
                    let buffer = cqueue::buffer_select(flags);
                    match (buffer, u32::try_from(result)) {
                        (Some(buffer), Ok(len)) => self.received.push_back(Received { buffer, len }),
                        (Some(buffer), Err(_)) => self.buffers.give_back(buffer),
                        (None, _) => {}
                    }
                    if result == -libc::ENOBUFS {
                        shared.counters.receive_pauses += 1;
                    } else if result < 0 {
                        shared.counters.receive_errors += 1;
                        self.errors_in_a_row += 1;
                        self.last_error = -result;
                    }
                }
                WAKE => self.wake_armed &= cqueue::more(flags),
                slot if result < 0 => {
                    let (slot, trains) = (slot as usize, &mut *shared.trains);
                    self.outgoing.failed(slot, -result, &self.socket, trains, shared.counters);
                }
                _ => {}
            }
        }
    }
}

impl Drop for Uring {
    /// Ends what is armed before the memory goes. Without it the kernel would let go of the socket some time
    /// after the ring is closed, and its port would stay taken until then.
    fn drop(&mut self) {
        let submitter = self.ring.submitter();
        let second = Timespec::new().sec(1);
        let _ = submitter.register_sync_cancel(Some(second), CancelBuilder::any());
        let flags = EnterFlags::GETEVENTS.bits();
        // SAFETY: no entry is submitted; only what was cancelled is completed.
        let _ = unsafe { submitter.enter::<libc::sigset_t>(0, 0, flags, None) };
        let _ = submitter.unregister_buf_ring(BUFFER_GROUP);
        let _ = submitter.unregister_files();
    }
}
