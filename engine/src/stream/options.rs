//! What can be set about the stream service, and what can be wrong with it.

use std::io;
use std::ops::RangeInclusive;
use std::time::Duration;

use swimring_codec::native::STREAM_MESSAGE_MAX;

use super::event::PORTS_MAX;
use super::framing::Framing;
use crate::protocol::Networks;

/// Largest accepted value of [`StreamOptions::exchanges_max`]: two descriptors and two operations each
/// stay far below what a process and a ring may have.
const EXCHANGES_LIMIT: usize = 16_384;
/// Largest accepted value of [`StreamOptions::queue_depth`]: a queue is allocated whole at start.
const QUEUE_DEPTH_LIMIT: usize = 1 << 16;

/// Accepted values of [`StreamOptions::message_bytes_max`]: no format known needs more, and each exchange may
/// hold one message.
const MESSAGE_BYTES_LIMITS: RangeInclusive<usize> = 1 << 10..=64 << 20;

/// The system interface that moves the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum StreamDriver {
    /// io_uring where the kernel permits it, else readiness (epoll), with one log line.
    #[default]
    Automatic,
    /// io_uring, or an error.
    Uring,
    /// Readiness (epoll), for hosts that forbid io_uring.
    Readiness,
}

/// Settings of the stream service.
#[derive(Clone, Debug)]
pub struct StreamOptions {
    /// System interface that moves the bytes. Default: automatic.
    pub driver: StreamDriver,
    /// How connections are cut into messages. Default: each follows its length.
    pub framing: Framing,
    /// Where those may be whose connections are accepted. Default: anywhere. Workers take it from the admission of their
    /// members.
    pub networks: Networks,
    /// Bytes of one message that is received. Default 1 MiB
    /// ([`STREAM_MESSAGE_MAX`](swimring_codec::native::STREAM_MESSAGE_MAX)), at least 1 KiB, at most 64 MiB.
    pub message_bytes_max: usize,
    /// Bytes held for messages that have not arrived whole, in all exchanges together. Default 256 MiB, at
    /// least `message_bytes_max`. An exchange that would need more is ended; those that fit one read of
    /// 16 KiB always may go on.
    pub assembled_bytes_max: usize,
    /// Exchanges at one time, opened and accepted together. Default 256, at most 16,384.
    ///
    /// Each may hold a message being assembled, which `assembled_bytes_max` bounds.
    pub exchanges_max: usize,
    /// Accepted exchanges at one time. Default 192; less than `exchanges_max`, so that a flood of
    /// connections cannot keep this process from opening exchanges of its own.
    pub accepted_max: usize,
    /// Commands from, and events to, each worker that may wait. Default 1,024, at most 65,536.
    pub queue_depth: usize,
    /// Bytes of messages that may wait for each worker. Default 64 MiB, at least `message_bytes_max`.
    pub queued_bytes_max: usize,
    /// Bytes of spare buffers kept for each worker. Default 16 MiB.
    pub pooled_bytes_max: usize,
    /// How long connecting may take. Default 3 s.
    pub connect_timeout: Duration,
    /// How long an exchange may go without a byte moving either way. Default 5 s.
    pub idle_timeout: Duration,
    /// How long a whole exchange may take, connecting included. Default 10 s.
    pub exchange_timeout: Duration,
    /// How long an exchange waits for room in its worker's full queue before it is closed. Default 1 s.
    ///
    /// Meanwhile its socket is not read, so TCP slows the peer down. Other exchanges are not held up.
    pub queue_wait: Duration,
    /// Bytes one exchange may receive. Default 256 MiB, at least `message_bytes_max`.
    pub exchange_bytes_max: u64,
}

impl Default for StreamOptions {
    fn default() -> StreamOptions {
        StreamOptions {
            driver: StreamDriver::Automatic,
            framing: Framing::LengthPrefixed,
            networks: Networks::default(),
            message_bytes_max: STREAM_MESSAGE_MAX,
            assembled_bytes_max: 256 << 20,
            exchanges_max: 256,
            accepted_max: 192,
            queue_depth: 1024,
            queued_bytes_max: 64 << 20,
            pooled_bytes_max: 16 << 20,
            connect_timeout: Duration::from_secs(3),
            idle_timeout: Duration::from_secs(5),
            exchange_timeout: Duration::from_secs(10),
            queue_wait: Duration::from_secs(1),
            exchange_bytes_max: 256 << 20,
        }
    }
}

impl StreamOptions {
    /// Checks every bound for `ports` workers.
    pub(super) fn check(&self, ports: usize) -> Result<(), StreamError> {
        let refuse = |setting, expected: String| Err(StreamError::Option { setting, expected });
        if ports == 0 || ports > PORTS_MAX {
            return refuse("listeners", format!("give one per worker, 1 to {PORTS_MAX}, not {ports}"));
        }
        if !(2..=EXCHANGES_LIMIT).contains(&self.exchanges_max) {
            let given = self.exchanges_max;
            return refuse("exchanges_max", format!("give 2 to {EXCHANGES_LIMIT}, not {given}"));
        }
        if !(1..self.exchanges_max).contains(&self.accepted_max) {
            let (given, most) = (self.accepted_max, self.exchanges_max - 1);
            return refuse("accepted_max", format!("give 1 to {most} (exchanges_max - 1), not {given}"));
        }
        if !(1..=QUEUE_DEPTH_LIMIT).contains(&self.queue_depth) {
            let given = self.queue_depth;
            return refuse("queue_depth", format!("give 1 to {QUEUE_DEPTH_LIMIT}, not {given}"));
        }
        let message = self.message_bytes_max;
        if !MESSAGE_BYTES_LIMITS.contains(&message) {
            let (least, most) = (MESSAGE_BYTES_LIMITS.start(), MESSAGE_BYTES_LIMITS.end());
            return refuse("message_bytes_max", format!("give {least} to {most}, not {message}"));
        }
        for (setting, given) in [
            ("assembled_bytes_max", self.assembled_bytes_max as u64),
            ("queued_bytes_max", self.queued_bytes_max as u64),
            ("exchange_bytes_max", self.exchange_bytes_max),
        ] {
            if given < message as u64 {
                let expected = format!("give at least {message} (message_bytes_max), not {given}");
                return refuse(setting, expected);
            }
        }
        for (setting, given) in [
            ("connect_timeout", self.connect_timeout),
            ("idle_timeout", self.idle_timeout),
            ("exchange_timeout", self.exchange_timeout),
        ] {
            if given.is_zero() {
                return refuse(setting, "give a time above zero".to_owned());
            }
        }
        Ok(())
    }
}

/// Why the stream service could not start.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// A setting is out of its bounds.
    #[error("stream setting `{setting}`: {expected}")]
    Option {
        /// Its name in [`StreamOptions`], or `listeners`.
        setting: &'static str,
        /// The values that would do.
        expected: String,
    },
    /// io_uring was asked for and is not available.
    #[error("stream setting `driver`: io_uring is not available here ({0}); use `Automatic` or `Readiness`")]
    Uring(#[source] io::Error),
    /// The operating system refused something else.
    #[error("cannot {action}: {source}")]
    Os {
        /// What was attempted.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

crate::error_text::debug_is_the_sentence!(StreamError);

impl StreamError {
    pub(super) fn os(action: &'static str) -> impl FnOnce(io::Error) -> StreamError {
        move |source| StreamError::Os { action, source }
    }
}
