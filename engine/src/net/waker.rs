//! Ends a driver's wait from another thread.
//!
//! The driver says when it is about to wait; only then does waking cost a system call. A wake that comes
//! earlier is remembered and keeps the driver from sleeping, so none is lost: both sides change one atomic
//! word, and the second sees what the first did.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::event::{EventfdFlags, eventfd};

use super::error::NetError;

const AWAKE: u32 = 0;
const ASLEEP: u32 = 1;
const NOTIFIED: u32 = 2;

#[derive(Debug)]
struct Shared {
    state: AtomicU32,
    /// An eventfd: the driver's wait ends when it is written.
    event: File,
}

/// Wakes a [`Driver`](crate::net::Driver); cheap to clone, for any thread.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Shared>);

impl Waker {
    pub(super) fn new() -> Result<Waker, NetError> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|error| NetError::system("making a wake-up descriptor", error.into()))?;
        Ok(Waker(Arc::new(Shared { state: AtomicU32::new(AWAKE), event: File::from(event) })))
    }

    /// Ends the driver's wait, or keeps its next [`turn`](crate::net::Driver::turn) from waiting. What the
    /// caller did before is visible to the driver's thread when that turn returns. Costs a system call only
    /// if the driver sleeps, and then only the first time.
    pub fn wake(&self) {
        if self.0.state.swap(NOTIFIED, Ordering::AcqRel) == ASLEEP {
            // Fails only when the count stands at its maximum, and then the descriptor is readable anyway.
            let _ = (&self.0.event).write(&1u64.to_ne_bytes());
        }
    }

    /// The driver is about to sleep; false if it must not, because it has been woken.
    pub(super) fn prepare_wait(&self) -> bool {
        self.0.state.compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The driver is up; whether it was woken since it last asked.
    pub(super) fn finish_wait(&self) -> bool {
        self.0.state.swap(AWAKE, Ordering::AcqRel) == NOTIFIED
    }

    /// The descriptor that becomes readable. It is never read: the drivers wait for the write, not the state.
    pub(super) fn descriptor(&self) -> RawFd {
        self.0.event.as_raw_fd()
    }
}
