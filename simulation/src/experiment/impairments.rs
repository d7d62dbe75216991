//! What is wrong with some members: slow, half deaf, half mute, far away; always or on and off.

use std::time::Duration;

use super::options::{TrialError, time_within, within};
use crate::Slowness;

/// Longest half of a cycle, and longest added delay.
const CYCLE_MAX: Duration = Duration::from_secs(24 * 3600);
const DELAY_MAX: Duration = Duration::from_secs(60);

/// How many members.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Affected {
    /// So many.
    Count(u32),
    /// This share of all, rounded: 0 to 1.
    Share(f64),
}

impl Affected {
    /// How many of `members`.
    pub fn of(self, members: u32) -> u32 {
        match self {
            Affected::Count(count) => count,
            Affected::Share(share) => (share * f64::from(members)).round() as u32,
        }
    }
}

/// On and off in turn, beginning with on when the measured time begins, the same for all affected members.
/// Lifeguard's blocked and open intervals are a cycle of [`ImpairmentKind::Slow`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cycle {
    /// 1 ms to a day.
    pub on_for: Duration,
    /// 1 ms to a day.
    pub off_for: Duration,
}

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum ImpairmentKind {
    /// While on, the member does nothing (or, with [`Slowness::Reading`], reads nothing); what arrives waits
    /// in an inbox of [`INBOX_MAX`] and is dropped beyond.
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

/// Something wrong with some members.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Impairment {
    /// With how many.
    pub members: Affected,
    /// What.
    pub kind: ImpairmentKind,
    /// On and off; nothing for always.
    pub cycle: Option<Cycle>,
}

/// Frames that wait for a slow member at most: what 208 KiB, Linux's default receive buffer, hold of small
/// datagrams.
pub const INBOX_MAX: usize = 256;

impl Impairment {
    pub(super) fn validate(&self, members: u32) -> Result<(), TrialError> {
        if let Affected::Share(share) = self.members {
            within("impaired: the share of members", share, 0.0, 1.0)?;
        }
        if self.members.of(members) >= members {
            let expected = format!("has to be less than all {members} members");
            return Err(TrialError::option("impaired", expected));
        }
        match self.kind {
            ImpairmentKind::LossIn(loss) => within("impaired: the loss of what arrives", loss, 0.0, 1.0)?,
            ImpairmentKind::LossOut(loss) => within("impaired: the loss of what is sent", loss, 0.0, 1.0)?,
            ImpairmentKind::Delay(delay) => {
                time_within("impaired: the delay", delay, Duration::ZERO, DELAY_MAX)?;
            }
            ImpairmentKind::Slow(Slowness::Reading) => {}
            ImpairmentKind::Slow(_) | ImpairmentKind::Held if self.cycle.is_none() => {
                let expected = "that is slow all the time would never run: give it a cycle, or have it crash";
                return Err(TrialError::option("impaired: a member", expected));
            }
            ImpairmentKind::Slow(_) | ImpairmentKind::Held => {}
        }
        if let Some(Cycle { on_for, off_for }) = self.cycle {
            let shortest = Duration::from_millis(1);
            time_within("impaired: the cycle's on_for", on_for, shortest, CYCLE_MAX)?;
            time_within("impaired: the cycle's off_for", off_for, shortest, CYCLE_MAX)?;
        }
        Ok(())
    }
}
