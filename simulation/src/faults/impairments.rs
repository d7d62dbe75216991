//! Impairments of chosen members: slow, losing what they send or receive, far away; always or in cycles.

use std::time::Duration;

use super::Slowness;

/// The members that an impairment falls on.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Affected {
    /// This many.
    Count(u32),
    /// This share of all, rounded: 0 to 1.
    Share(f64),
}

impl Affected {
    /// Number of affected members among `members`.
    pub fn of(self, members: u32) -> u32 {
        match self {
            Affected::Count(count) => count,
            Affected::Share(share) => (share * f64::from(members)).round() as u32,
        }
    }
}

/// On and off in turn, from the beginning of the measured time, for all affected members at once.
/// Lifeguard's blocked and open intervals are a cycle of [`ImpairmentKind::Slow`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cycle {
    /// 1 ms to a day.
    pub on_for: Duration,
    /// 1 ms to a day.
    pub off_for: Duration,
}

/// The kind of an impairment.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum ImpairmentKind {
    /// While on, the member does nothing (or, with [`Slowness::Reading`], reads nothing). What arrives waits in an
    /// inbox of [`INBOX_MAX`] frames; more are dropped.
    Slow(Slowness),
    /// While on, all that the member sends and receives waits, up to [`INBOX_MAX`] of what arrives, and its
    /// timers run on: how Lifeguard's experiments made members slow, and how upstream is measured in
    /// `peers/virtual`.
    Held,
    /// This share of what is sent to the member is lost, beside the loss of all: 0 to 1.
    LossIn(f64),
    /// This share of what the member sends is lost, beside the loss of all: 0 to 1.
    LossOut(f64),
    /// All that the member sends takes this much longer: up to a minute.
    Delay(Duration),
}

/// An impairment of some members.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Impairment {
    /// The members that have it.
    pub members: Affected,
    /// What is wrong with them.
    pub kind: ImpairmentKind,
    /// When they have it; `None` for always.
    pub cycle: Option<Cycle>,
}

/// Most frames that wait for a slow member: what 208 KiB, Linux's default receive buffer, hold of small
/// datagrams.
pub const INBOX_MAX: usize = 256;
