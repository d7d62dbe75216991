//! The versions that a member speaks: six bytes in every alive message and record.

/// Versions that a member speaks: lowest, highest and current version of memberlist's protocol, then of the
/// application's ("delegate").
///
/// A push/pull is refused as a whole by peers if one record's current version lies outside what all live
/// members have in common, so these have to suit the pool.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Versions(pub [u8; 6]);

impl Versions {
    /// A plain memberlist pool.
    pub const PLAIN: Versions = Versions([1, 5, 2, 0, 0, 0]);
    /// A Serf pool with the library's defaults; Consul's as well.
    pub const SERF: Versions = Versions([1, 5, 2, 2, 5, 4]);
    /// A pool of `serf agent` with its defaults.
    pub const SERF_AGENT: Versions = Versions([1, 5, 2, 2, 5, 5]);

    /// Protocol from which members answer pings over streams.
    pub const STREAM_PING: u8 = 3;
    /// Protocol from which relays send nacks.
    pub const NACK: u8 = 4;
    /// Protocol from which members check a CRC.
    pub const CRC: u8 = 5;

    /// Lowest protocol understood.
    pub const fn protocol_min(self) -> u8 {
        self.0[0]
    }

    /// Highest protocol understood. Features go by this, not by the one in use.
    pub const fn protocol_max(self) -> u8 {
        self.0[1]
    }

    /// Protocol in use.
    pub const fn protocol_current(self) -> u8 {
        self.0[2]
    }

    /// Lowest application protocol understood.
    pub const fn delegate_min(self) -> u8 {
        self.0[3]
    }

    /// Highest application protocol understood.
    pub const fn delegate_max(self) -> u8 {
        self.0[4]
    }

    /// Application protocol in use.
    pub const fn delegate_current(self) -> u8 {
        self.0[5]
    }

    /// Whether peers accept an alive message with these: the bounds of the protocol are not zero and in order.
    pub const fn is_valid(self) -> bool {
        self.0[0] != 0 && self.0[1] != 0 && self.0[0] <= self.0[1]
    }
}
