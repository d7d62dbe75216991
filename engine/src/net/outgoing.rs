//! Messages to send: the structures the kernel reads, wired to each other once.
//!
//! A slot holds a `mmsghdr` and what it points to: the address, the stretches of memory and the control
//! message that asks for segmentation. Filling a slot only writes values into them. Both drivers send from
//! these slots, sendmmsg as an array, io_uring one by one. A slot's contents, and the trains it points into,
//! must stay until the kernel has taken the message; with `MSG_DONTWAIT` it has when the call returns.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use super::address::{Family, NAME_LEN};
use super::control::SendControl;
use super::counters::NetCounters;
use super::error::last_errno;
use super::gso_trains::{CHUNKS_MAX, Train, Trains};
use super::paths;
use super::socket_options::allow_fragments;
use crate::protocol::settings::FRAME_BYTES_MIN;

/// Messages handed to the kernel at once. More than 32 gain nothing, and this many sends of one datagram
/// take under a millisecond.
pub(super) const SEND_BATCH: usize = 256;

/// Trains refused one after another until segmentation is switched off: one destination behind a narrow
/// tunnel must not switch it off for all, a device that cannot segment must.
const REFUSALS_MAX: u32 = 8;

/// What a slot carries.
#[derive(Clone, Copy, Debug, Default)]
struct Origin {
    train: u16,
    /// Datagrams in the message.
    datagrams: u16,
    bytes: u32,
}

/// The slots.
pub(super) struct Outgoing {
    family: Family,
    headers: Box<[libc::mmsghdr]>,
    // Pointed into by `headers`.
    names: Box<[[u8; NAME_LEN]]>,
    stretches: Box<[[libc::iovec; CHUNKS_MAX]]>,
    controls: Box<[SendControl]>,
    origins: Box<[Origin]>,
    /// The next train to be put into a slot, and its next segment if they go one by one.
    next: (usize, usize),
    /// Trains refused since one was taken.
    refusals: u32,
    /// Trains in the batch at hand that were not refused so far.
    trains_taken: u32,
    /// Whether the log has said that a rule of the firewall forbids sending.
    forbidden_told: bool,
    /// A narrow path has been warned of.
    warned: bool,
}

impl Outgoing {
    /// Slots for a socket of `family`.
    pub(super) fn new(family: Family) -> Outgoing {
        let empty = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        let mut outgoing = Outgoing {
            family,
            headers: (0..SEND_BATCH).map(|_| zeroed_header()).collect(),
            names: vec![[0; NAME_LEN]; SEND_BATCH].into(),
            stretches: vec![[empty; CHUNKS_MAX]; SEND_BATCH].into(),
            controls: vec![SendControl::new(family); SEND_BATCH].into(),
            origins: vec![Origin::default(); SEND_BATCH].into(),
            next: (0, 0),
            refusals: 0,
            trains_taken: 0,
            forbidden_told: false,
            warned: false,
        };
        for slot in 0..SEND_BATCH {
            let header = &mut outgoing.headers[slot].msg_hdr;
            header.msg_name = outgoing.names[slot].as_mut_ptr().cast();
            header.msg_iov = outgoing.stretches[slot].as_mut_ptr();
        }
        outgoing
    }

    /// The headers of the first `count` slots, for sendmmsg.
    pub(super) fn headers(&mut self, count: usize) -> &mut [libc::mmsghdr] {
        &mut self.headers[..count]
    }

    /// The header of `slot`, for SENDMSG. It stays where it is as long as `self`.
    pub(super) fn header(&self, slot: usize) -> *const libc::msghdr {
        &raw const self.headers[slot].msg_hdr
    }

    /// Fills slots with the next messages of `trains`; how many. When fewer than [`SEND_BATCH`], all have been
    /// through and the next call starts anew. The messages count as sent; [`Outgoing::failed`] takes back
    /// those that are not. Frames that are longer than their path takes are not put into slots but sent from
    /// here, in fragments.
    pub(super) fn fill(&mut self, socket: &UdpSocket, trains: &Trains, counters: &mut NetCounters) -> usize {
        if std::mem::take(&mut self.trains_taken) > 0 {
            self.refusals = 0;
        }
        let mut slot = 0;
        while slot < SEND_BATCH {
            let Some(train) = trains.open().get(self.next.0) else { break };
            self.fill_slot(slot, trains, train);
            if train.is_oversize() {
                self.send_in_fragments(slot, train.to(), socket, counters);
                continue;
            }
            let origin = &self.origins[slot];
            counters.messages_sent += 1;
            counters.trains_sent += u64::from(origin.datagrams > 1);
            self.trains_taken += u32::from(origin.datagrams > 1);
            counters.datagrams_sent += u64::from(origin.datagrams);
            counters.bytes_sent += u64::from(origin.bytes);
            slot += 1;
        }
        if slot < SEND_BATCH {
            self.next = (0, 0);
        }
        slot
    }

    /// Puts the next message of `train` into `slot`: all of it, or a segment where trains do not leave whole.
    fn fill_slot(&mut self, slot: usize, trains: &Trains, train: &Train) {
        let mut name_len = self.family.write(train.to(), &mut self.names[slot]);
        let whole = trains.segmentation() && train.segments() > 1;
        let (stretches, datagrams, bytes) = if whole {
            (self.point_at_train(slot, trains, train), train.segments(), train.bytes())
        } else {
            let (start, len) = trains.frame(train, self.next.1);
            self.stretches[slot][0] = iovec_of(trains, start, len);
            (1, 1, len)
        };
        let number = self.next.0;
        self.origins[slot] =
            Origin { train: number as u16, datagrams: datagrams as u16, bytes: bytes as u32 };
        self.next = match self.next.1 + datagrams {
            segment if segment < train.segments() => (number, segment),
            _ => (number + 1, 0),
        };
        let header = &mut self.headers[slot].msg_hdr;
        let segment = whole.then_some(train.segment_bytes() as u16);
        let (control, control_len) = match self.controls[slot].set(train.source(), segment) {
            Some(control) => control,
            // Rather nowhere than from the wrong address: without a destination the kernel refuses it, and
            // it is counted like any send error.
            None => {
                name_len = 0;
                (std::ptr::null_mut(), 0)
            }
        };
        header.msg_namelen = name_len as _;
        header.msg_iovlen = stretches as _;
        header.msg_control = control.cast();
        header.msg_controllen = control_len as _;
    }

    fn point_at_train(&mut self, slot: usize, trains: &Trains, train: &Train) -> usize {
        let mut count = 0;
        for (start, len) in train.stretches() {
            self.stretches[slot][count] = iovec_of(trains, start, len);
            count += 1;
        }
        count
    }

    /// The message in `slot` was not taken, for `errno`: sends a refused train datagram by datagram, what is
    /// too long for its path in fragments, and counts the rest as lost. Call before the slots are filled anew.
    pub(super) fn failed(
        &mut self,
        slot: usize,
        errno: i32,
        socket: &UdpSocket,
        trains: &mut Trains,
        counters: &mut NetCounters,
    ) {
        let origin = self.origins[slot];
        let train = trains.open()[usize::from(origin.train)];
        if matches!(errno, libc::EPERM | libc::EACCES) && !std::mem::replace(&mut self.forbidden_told, true) {
            let error = std::io::Error::from_raw_os_error(errno);
            tracing::warn!(
                %error, to = %train.to(),
                "sending is forbidden to this process, at least there: look at the firewall's output rules and \
                 the seccomp profile; send_errors counts it from now on"
            );
        }
        counters.messages_sent -= 1;
        counters.datagrams_sent -= u64::from(origin.datagrams);
        counters.bytes_sent -= u64::from(origin.bytes);
        if origin.datagrams == 1 {
            if errno != libc::EMSGSIZE {
                counters.send_errors += 1;
                return;
            }
            self.learn_path(train.to(), origin.bytes as usize, trains, counters);
            return self.send_in_fragments(slot, train.to(), socket, counters);
        }
        counters.trains_sent -= 1;
        self.trains_taken -= 1;
        if !refuses_segmentation(errno) {
            counters.send_errors += u64::from(origin.datagrams);
            return;
        }
        // Which error means that segments are too long for the path depends on the kernel's version.
        let narrow = errno == libc::EMSGSIZE || paths::longest(train.to()) < train.segment_bytes();
        if narrow {
            self.learn_path(train.to(), train.segment_bytes(), trains, counters);
        }
        let taken = self.send_one_by_one(&train, socket, trains, counters);
        // None, if not for being a train: an address that cannot be sent to.
        if taken > 0 && !narrow {
            self.train_refused(errno, trains, counters);
        }
    }

    /// Keeps account of trains that cannot be segmented, and gives up on them.
    fn train_refused(&mut self, errno: i32, trains: &mut Trains, counters: &mut NetCounters) {
        counters.trains_refused += 1;
        self.refusals += 1;
        if self.refusals >= REFUSALS_MAX && trains.segmentation() {
            tracing::info!(errno, "segmented sends are refused: datagrams go one by one from now on");
            trains.limit_segments(1);
        }
    }

    /// A datagram of `refused` bytes was too long for the path to `to`: frames that way will be shorter.
    fn learn_path(
        &mut self,
        to: SocketAddr,
        refused: usize,
        trains: &mut Trains,
        counters: &mut NetCounters,
    ) {
        counters.paths_narrowed += 1;
        let bytes = trains.paths_mut().learn(to, refused);
        if !std::mem::replace(&mut self.warned, true) {
            let mtu = bytes + paths::headers(to);
            tracing::warn!(
                to = %to.ip(), mtu, frame_bytes_max = bytes,
                "the path takes packets of {mtu} bytes only: frames that way are kept to {bytes} bytes, and \
                 what cannot be shorter is fragmented. Setting frame_bytes_max = {} keeps all so, also where \
                 a router that drops what is too long does not say so",
                bytes.max(FRAME_BYTES_MIN)
            );
        }
    }

    /// Sends the datagram in `slot`, in fragments if its path takes no longer ones.
    fn send_in_fragments(&self, slot: usize, to: SocketAddr, socket: &UdpSocket, counters: &mut NetCounters) {
        let sent = send_in_fragments(socket, self.header(slot), to, counters);
        note(sent, self.origins[slot].bytes as usize, counters);
    }

    /// Sends the frames of `train`, which is in no slot any more, as a datagram each; how many the kernel took.
    fn send_one_by_one(
        &self,
        train: &Train,
        socket: &UdpSocket,
        trains: &Trains,
        counters: &mut NetCounters,
    ) -> usize {
        let mut taken = 0;
        let mut name = [0; NAME_LEN];
        let name_len = self.family.write(train.to(), &mut name);
        let mut control = SendControl::new(self.family);
        // The train would not have come as far as being refused as one.
        let Some(control) = control.set(train.source(), None) else { return 0 };
        for segment in 0..train.segments() {
            let (start, len) = trains.frame(train, segment);
            let mut iovec_of = iovec_of(trains, start, len);
            let mut header = zeroed_header().msg_hdr;
            header.msg_name = name.as_mut_ptr().cast();
            header.msg_namelen = name_len as _;
            header.msg_iov = &raw mut iovec_of;
            header.msg_iovlen = 1;
            header.msg_control = control.0.cast();
            header.msg_controllen = control.1 as _;
            counters.system_calls += 1;
            let mut sent = send(socket, &raw const header);
            if sent == Err(libc::EMSGSIZE) {
                sent = send_in_fragments(socket, &raw const header, train.to(), counters);
            }
            taken += usize::from(sent.is_ok());
            note(sent, len, counters);
        }
        taken
    }
}

/// Whether `errno` to a train may mean that it cannot be segmented: no support in the kernel, none in the
/// device, or a path narrower than the segments.
fn refuses_segmentation(errno: i32) -> bool {
    matches!(errno, libc::EINVAL | libc::EIO | libc::ENOPROTOOPT | libc::EOPNOTSUPP | libc::EMSGSIZE)
}

fn iovec_of(trains: &Trains, start: usize, len: usize) -> libc::iovec {
    // The kernel only reads what a send points at.
    libc::iovec { iov_base: trains.memory()[start..].as_ptr().cast_mut().cast(), iov_len: len }
}

fn zeroed_header() -> libc::mmsghdr {
    // SAFETY: a C structure of integers and pointers, for which zero is valid, padding fields included.
    unsafe { std::mem::zeroed() }
}

/// Counts a datagram of `len` bytes as sent or not.
fn note(sent: Result<(), i32>, len: usize, counters: &mut NetCounters) {
    match sent {
        Ok(()) => {
            counters.messages_sent += 1;
            counters.datagrams_sent += 1;
            counters.bytes_sent += len as u64;
        }
        Err(_) => counters.send_errors += 1,
    }
}

/// Sends the message that `header` describes to `to`, in fragments if its path takes no longer ones.
fn send_in_fragments(
    socket: &UdpSocket,
    header: *const libc::msghdr,
    to: SocketAddr,
    counters: &mut NetCounters,
) -> Result<(), i32> {
    counters.system_calls += 3;
    let allowed = allow_fragments(socket, to, true).map_err(|_| libc::EMSGSIZE);
    let sent = allowed.and_then(|()| send(socket, header));
    // This thread alone sends on the socket, so nothing else has been fragmented.
    let _ = allow_fragments(socket, to, false);
    counters.datagrams_fragmented += u64::from(sent.is_ok());
    sent
}

/// Sends the message that `header` describes, without waiting.
fn send(socket: &UdpSocket, header: *const libc::msghdr) -> Result<(), i32> {
    loop {
        // SAFETY: the descriptor is open, and the callers' headers and all that these point at stay as they
        // are during the call, which is as long as they are read.
        let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), header, libc::MSG_DONTWAIT) };
        match if sent < 0 { last_errno() } else { return Ok(()) } {
            libc::EINTR => {}
            errno => return Err(errno),
        }
    }
}
