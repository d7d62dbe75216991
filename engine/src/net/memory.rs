//! Memory the kernel writes received datagrams into: mapped once, touched at once, never moved.

use std::io;
use std::ptr::{self, NonNull};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

use super::error::NetError;

const PAGE: usize = 4096;

/// An anonymous mapping, all zeros at first, aligned to a page.
#[derive(Debug)]
pub(super) struct Memory {
    start: NonNull<u8>,
    len: usize,
}

impl Memory {
    /// Maps `len` bytes and touches them: a first touch in the data path would cost microseconds a page.
    pub(super) fn map(len: usize) -> Result<Memory, NetError> {
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: a new anonymous mapping at an address of the kernel's choosing touches no other memory.
        let start = unsafe { mmap_anonymous(ptr::null_mut(), len, protection, flags) };
        let start = start.map_err(|error| NetError::system("mapping receive buffers", error.into()))?;
        let mut memory = Memory { start: NonNull::new(start.cast()).ok_or_else(at_zero)?, len };
        // SAFETY: advice about the mapping just made; large pages save a fifth per random access, and a
        // refusal changes nothing.
        let _ = unsafe { madvise(memory.start.as_ptr().cast(), len, Advice::LinuxHugepage) };
        for offset in (0..len).step_by(PAGE) {
            // SAFETY: `offset` is inside the mapping. Volatile, because writing a zero over a zero would be
            // optimised away.
            unsafe { memory.at(offset).write_volatile(0) };
        }
        Ok(memory)
    }

    /// The address of byte `offset`.
    pub(super) fn at(&mut self, offset: usize) -> *mut u8 {
        assert!(offset < self.len);
        // SAFETY: inside the mapping.
        unsafe { self.start.as_ptr().add(offset) }
    }

    /// The bytes from `offset`, which the caller knows the kernel is not writing.
    pub(super) fn bytes(&self, offset: usize, len: usize) -> &[u8] {
        assert!(offset <= self.len && len <= self.len - offset);
        // SAFETY: inside the mapping, which lives as long as `self`. The kernel writes a buffer only between
        // its being handed over and its completion; both drivers read between completion and the next
        // handing over.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().add(offset), len) }
    }
}

/// A mapping at address zero, where the kernel puts none that it chooses the address of.
fn at_zero() -> NetError {
    NetError::system("mapping receive buffers", io::ErrorKind::Other.into())
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `map`; no slice of it outlives `self`.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
    }
}
