//! Memory the kernel writes received datagrams into: mapped once, touched at once, never moved.

use std::io;
use std::ptr::NonNull;

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
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new anonymous mapping at an address of the kernel's choosing touches no other memory.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, -1, 0) };
        let start = match NonNull::new(start.cast::<u8>()) {
            Some(start) if start.as_ptr().cast() != libc::MAP_FAILED => start,
            _ => return Err(NetError::system("mapping receive buffers", io::Error::last_os_error())),
        };
        let mut memory = Memory { start, len };
        // SAFETY: advice about the mapping just made; large pages save a fifth per random access, and a
        // refusal changes nothing.
        unsafe { libc::madvise(memory.start.as_ptr().cast(), len, libc::MADV_HUGEPAGE) };
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

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `map`; no slice of it outlives `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}
