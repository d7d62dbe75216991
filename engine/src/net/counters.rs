//! What a driver has done, counted.

/// Totals since the driver was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NetCounters {
    /// Datagrams the kernel took; each segment of a train counts.
    pub datagrams_sent: u64,
    /// Datagrams handed to the handler; each segment of a train counts.
    pub datagrams_received: u64,
    /// Bytes of the datagrams sent, padding included, UDP and IP headers not.
    pub bytes_sent: u64,
    /// Bytes of the datagrams received, padding included, UDP and IP headers not.
    pub bytes_received: u64,
    /// Messages handed to the kernel: trains and single datagrams.
    pub messages_sent: u64,
    /// Messages taken from the kernel: trains and single datagrams.
    pub messages_received: u64,
    /// Of the messages sent, those that were trains of two datagrams or more.
    pub trains_sent: u64,
    /// Trains the kernel would not segment, whose datagrams were then sent one by one.
    pub trains_refused: u64,
    /// Times that a path was found to take fewer bytes than were sent: frames that way are shorter from then
    /// on, for [`NetOptions::path_memory`](crate::net::NetOptions::path_memory).
    pub paths_narrowed: u64,
    /// Of the datagrams sent, those that were longer than their path takes and could not be shorter, which
    /// the kernel fragmented.
    pub datagrams_fragmented: u64,
    /// Datagrams the kernel did not take: unreachable network, no buffer.
    pub send_errors: u64,
    /// Errors on receive, such as a pending ICMP error. Reception goes on after each.
    pub receive_errors: u64,
    /// Frames refused because all trains were open or their memory full.
    pub shed_frames: u64,
    /// Frames refused because they were empty or longer than a frame may be.
    pub unsendable_frames: u64,
    /// Messages dropped because they were longer than the receive buffer.
    pub receive_truncated: u64,
    /// Datagrams without a byte, dropped.
    pub receive_empty: u64,
    /// Datagrams the kernel dropped because the socket's receive buffer was full (`SO_RXQ_OVFL`), as far as
    /// datagrams received since have told. A train that GRO put together counts once.
    pub receive_overflow: u64,
    /// Times io_uring ran out of receive buffers and reception was armed anew; nothing is lost by it.
    pub receive_pauses: u64,
    /// System calls made.
    pub system_calls: u64,
    /// Turns that found the driver woken by a [`Waker`](crate::net::Waker).
    pub wakes: u64,
}
