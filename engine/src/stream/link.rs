//! One TCP connection, over io_uring or over readiness: the only part that differs between the drivers.
//!
//! Buffers are passed by value because io_uring needs them to stay put until the kernel is done.

use std::future::Future;
use std::io;
use std::net::Shutdown;

use bytes::BufMut;
use socket2::SockRef;
use tokio_uring::buf::BoundedBuf;

/// A connection that can read and write at the same time.
pub(super) trait Link: Sized + 'static {
    /// Takes over a connected socket.
    fn new(stream: tokio::net::TcpStream) -> io::Result<Self>;

    /// Appends what has arrived to `buffer`, at most `limit` bytes, which its spare capacity must hold.
    /// Nothing read means that the peer has closed. Dropping the future loses the buffer and what was
    /// read into it.
    fn read(&self, buffer: Vec<u8>, limit: usize) -> impl Future<Output = (io::Result<usize>, Vec<u8>)>;

    /// Sends bytes of `buffer` beginning at `start`, which must be inside it; says how many.
    fn write(&self, buffer: Vec<u8>, start: usize) -> impl Future<Output = (io::Result<usize>, Vec<u8>)>;

    /// Ends one or both directions at once, which also completes what is in flight on them.
    fn shutdown(&self, how: Shutdown);
}

/// A connection whose bytes io_uring moves.
pub(super) struct UringLink(tokio_uring::net::TcpStream);

impl Link for UringLink {
    fn new(stream: tokio::net::TcpStream) -> io::Result<UringLink> {
        let stream = stream.into_std()?;
        // io_uring answers EAGAIN on a non-blocking socket instead of waiting for it.
        stream.set_nonblocking(false)?;
        Ok(UringLink(tokio_uring::net::TcpStream::from_std(stream)))
    }

    async fn read(&self, buffer: Vec<u8>, limit: usize) -> (io::Result<usize>, Vec<u8>) {
        let start = buffer.len();
        let (result, slice) = self.0.read(buffer.slice(start..start + limit)).await;
        (result, slice.into_inner())
    }

    async fn write(&self, buffer: Vec<u8>, start: usize) -> (io::Result<usize>, Vec<u8>) {
        let (result, slice) = self.0.write(buffer.slice(start..)).submit().await;
        (result, slice.into_inner())
    }

    fn shutdown(&self, how: Shutdown) {
        // It fails only where the peer has already done it.
        let _ = self.0.shutdown(how);
    }
}

/// A connection that is polled for readiness.
pub(super) struct ReadinessLink(tokio::net::TcpStream);

impl Link for ReadinessLink {
    fn new(stream: tokio::net::TcpStream) -> io::Result<ReadinessLink> {
        Ok(ReadinessLink(stream))
    }

    async fn read(&self, mut buffer: Vec<u8>, limit: usize) -> (io::Result<usize>, Vec<u8>) {
        loop {
            // A peer that always has more must not keep the thread from the others.
            tokio::task::consume_budget().await;
            if let Err(error) = self.0.readable().await {
                return (Err(error), buffer);
            }
            match self.0.try_read_buf(&mut (&mut buffer).limit(limit)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return (result, buffer),
            }
        }
    }

    async fn write(&self, buffer: Vec<u8>, start: usize) -> (io::Result<usize>, Vec<u8>) {
        loop {
            tokio::task::consume_budget().await;
            if let Err(error) = self.0.writable().await {
                return (Err(error), buffer);
            }
            match self.0.try_write(&buffer[start..]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return (result, buffer),
            }
        }
    }

    fn shutdown(&self, how: Shutdown) {
        let _ = SockRef::from(&self.0).shutdown(how);
    }
}
