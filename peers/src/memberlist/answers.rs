//! What the process answers to commands.

use serde::Deserialize;

/// A member as one member sees it.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its `address:port`.
    pub address: String,
    /// `alive`, `suspect`, `dead` or `left`.
    pub state: String,
    /// Its incarnation.
    pub incarnation: u32,
    /// Its metadata, as far as it is text.
    pub meta: String,
    /// Its metadata in hexadecimal, where it is not text.
    pub meta_hex: Option<String>,
    /// Protocol minimum, maximum, current; delegate minimum, maximum, current.
    pub versions: [u8; 6],
}

/// When one member of the process got a message for the first time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub struct Heard {
    /// The member's index.
    pub at: usize,
    /// Microseconds since 1970.
    pub time_us: i64,
}

/// When one member of the process learned that another is gone.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Departure {
    /// The member's index.
    pub at: usize,
    /// `dead` or `left`.
    pub state: String,
    /// Microseconds since 1970.
    pub time_us: i64,
}

/// What the process has used, and what its members have gone through since it began.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct Stats {
    /// Processor seconds, [`user_s`](Self::user_s) and [`system_s`](Self::system_s) together.
    pub cpu_s: f64,
    /// Processor seconds in the program itself.
    pub user_s: f64,
    /// Processor seconds in the kernel.
    pub system_s: f64,
    /// Memory in use.
    pub resident_bytes: u64,
    /// Go's threads of control.
    pub goroutines: usize,
    /// Each member's local health score, 0 being well; `None` for those that do not run.
    pub health: Vec<Option<u32>>,
    /// User messages that still wait to be passed on, over all members.
    pub messages_queued: usize,
    /// Events that were not printed because nobody read them fast enough.
    pub lines_lost: u64,
    /// Events so far, over all members.
    pub events: Totals,
    /// What is only found in memberlist's log, over all members.
    pub log: LogCounts,
    /// When, in microseconds since 1970.
    pub time_us: i64,
}

/// Events so far, over all members of the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub struct Totals {
    /// Members that became alive, in somebody's eyes; everyone sees itself too.
    pub join: u64,
    /// Members that left or were declared dead.
    pub leave: u64,
    /// Changes of metadata.
    pub update: u64,
    /// User messages new to their receiver.
    pub user: u64,
    /// Names claimed from two addresses.
    pub conflict: u64,
}

/// Lines of memberlist's log that matter, over all members of the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub struct LogCounts {
    /// Own probes that failed for good.
    pub suspected: u64,
    /// Own suspicions that ran out.
    pub marked_failed: u64,
    /// Accusations of ours that were refuted.
    pub refuted: u64,
    /// Messages dropped because the handler's queue was full.
    pub queue_full: u64,
    /// Members that answer over streams only.
    pub stream_only: u64,
    /// Other lines at level error.
    pub errors: u64,
}
