//! The ring of receive buffers: the kernel takes one per message from its head, we give them back at its tail.

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;

use crate::net::error::NetError;
use crate::net::incoming::{CONTROL_ROOM, NAME_ROOM, ReceiveShape};
use crate::net::memory::Memory;

/// The group this ring is registered as.
pub(super) const BUFFER_GROUP: u16 = 0;
/// `struct io_uring_recvmsg_out`, which the kernel puts in front of every message.
const OUT_HEADER: usize = 16;
/// Where the payload begins in a buffer: after that, the sender's address and the control messages.
pub(super) const PAYLOAD_START: usize = OUT_HEADER + NAME_ROOM + CONTROL_ROOM;

/// Buffers and the ring they go round in.
pub(super) struct BufferRing {
    entries: Memory,
    buffers: Memory,
    /// Tells the kernel how much room name and control messages get. The armed request points at it.
    header: Box<libc::msghdr>,
    count: u16,
    stride: usize,
    tail: u16,
}

impl BufferRing {
    /// As many buffers as `shape` says, all of them given to the kernel.
    pub(super) fn new(shape: ReceiveShape) -> Result<BufferRing, NetError> {
        let stride = PAYLOAD_START + shape.payload;
        // SAFETY: a C structure of integers and pointers, for which zero is valid, padding fields included.
        let mut header: Box<libc::msghdr> = Box::new(unsafe { std::mem::zeroed() });
        header.msg_namelen = NAME_ROOM as _;
        header.msg_controllen = CONTROL_ROOM as _;
        let mut ring = BufferRing {
            entries: Memory::map(shape.messages * size_of::<BufRingEntry>())?,
            buffers: Memory::map(shape.messages * stride)?,
            header,
            count: u16::try_from(shape.messages).expect("a ring has at most 32,768 buffers"),
            stride,
            tail: 0,
        };
        for buffer in 0..ring.count {
            ring.give_back(buffer);
        }
        ring.publish();
        Ok(ring)
    }

    pub(super) fn register(&self, ring: &IoUring) -> io::Result<()> {
        let entries = self.entries.bytes(0, 1).as_ptr() as u64;
        // SAFETY: the entries and the buffers they name outlive the ring, which is dropped first and
        // unregisters them before.
        unsafe { ring.submitter().register_buf_ring_with_flags(entries, self.count, BUFFER_GROUP, 0) }
    }

    /// What the armed request points at.
    pub(super) fn header(&self) -> &libc::msghdr {
        &self.header
    }

    /// The `len` bytes that the kernel put in `buffer`.
    pub(super) fn bytes(&self, buffer: u16, len: u32) -> &[u8] {
        self.buffers.bytes(usize::from(buffer) * self.stride, (len as usize).min(self.stride))
    }

    /// Puts `buffer` back; the kernel sees it with the next [`BufferRing::publish`].
    pub(super) fn give_back(&mut self, buffer: u16) {
        let address = self.buffers.at(usize::from(buffer) * self.stride) as u64;
        let place = usize::from(self.tail & (self.count - 1));
        let entry = self.entries.at(place * size_of::<BufRingEntry>()).cast::<BufRingEntry>();
        // SAFETY: an entry inside the mapping, aligned since the mapping is to a page, and past the published
        // tail, so the kernel does not look at it. Field by field: the first entry's spare field is the tail.
        let entry = unsafe { &mut *entry };
        entry.set_addr(address);
        entry.set_len(self.stride as u32);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Lets the kernel see the buffers given back.
    pub(super) fn publish(&mut self) {
        let entries = self.entries.at(0).cast::<BufRingEntry>();
        // SAFETY: the address of the first entry, whose spare field is the tail; aligned to two bytes, and
        // only ever accessed atomically, here and by the kernel.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(entries).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}
