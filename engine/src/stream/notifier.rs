//! Wakes the stream thread when a worker has queued a command.
//!
//! A pipe with at most one byte per drain in it: a worker that finds the bell already rung does not even
//! make the system call. Unlike the wakers of an async runtime it takes no lock and allocates nothing, so
//! a worker may ring it from its loop.

use std::io::{self, PipeReader, PipeWriter, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::unix::pipe::Receiver;

/// The workers' end.
#[derive(Debug)]
pub(super) struct Notifier {
    rung: AtomicBool,
    stopping: AtomicBool,
    writer: PipeWriter,
}

impl Notifier {
    /// A doorbell, and the end that the stream thread listens at.
    pub(super) fn new() -> io::Result<(Notifier, PipeReader)> {
        let (reader, writer) = io::pipe()?;
        Ok((Notifier { rung: AtomicBool::new(false), stopping: AtomicBool::new(false), writer }, reader))
    }

    /// Wakes the thread. Call it after queuing.
    pub(super) fn ring(&self) {
        // The swap orders the caller's push before the bell. If it was rung already, the thread has yet
        // to answer, and will see the push when it does.
        if !self.rung.swap(true, Ordering::AcqRel) {
            // It fails only when the thread is gone, and then there is nobody to wake. It cannot block:
            // the pipe holds thousands of bytes and never more than two are in it.
            let _ = (&self.writer).write(&[1]);
        }
    }

    /// Asks the thread to end.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.ring();
    }

    pub(super) fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Waits until the bell is rung, and makes it ready to ring again. Drain the queues afterwards.
    pub(super) async fn answer(&self, listener: &Receiver) -> io::Result<()> {
        let mut byte = [0; 16];
        loop {
            listener.readable().await?;
            match listener.try_read(&mut byte) {
                Ok(0) => return Err(io::ErrorKind::BrokenPipe.into()),
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        self.rung.swap(false, Ordering::AcqRel);
        Ok(())
    }
}
