//! What a trial simulates: size, settings, network, and faults.

use std::mem::discriminant;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::latency::Latency;
use crate::faults::{Affected, Cycle, Impairment, ImpairmentKind, Slowness};
use swimring::protocol::{Behaviour, MemberlistOptions, Settings, WireOptions, typed};

/// Most members of a trial.
pub const MEMBERS_MAX: u32 = 1_000_000;

/// Highest loss: with more, no protocol does anything that is worth measuring.
pub const LOSS_MAX: f64 = 0.95;

/// Most events of a trial: each is followed to its last delivery.
pub const EVENTS_MAX: u32 = 1_000_000;

/// As [`TrialOptions::drain_max`]: as long as the suspicion settings make a last detection take. The default.
pub const DRAIN_FROM_SETTINGS: Duration = Duration::MAX;

/// Longest of any time in the options: a simulated week.
const TIME_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Longest half of an impairment's cycle.
const CYCLE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Longest delay that an impairment adds.
const DELAY_MAX: Duration = Duration::from_secs(60);
/// Most zones: the engine knows one more, of members without a zone.
const ZONES_MAX: u32 = 255;
/// Most zones that so many members may be in: two members in each at least.
pub fn zones_max(members: u32) -> u32 {
    ZONES_MAX.min(members / 2).max(1)
}

/// Longest way between two zones beyond that within one.
const ZONE_DELAY_MAX: Duration = Duration::from_secs(10);
const EVENT_BYTES_MAX: u16 = swimring_codec::native::EVENT_MAX as u16;

const _: () = assert!(MEMBERS_MAX < typed::NUMBERS_MAX);

/// The wire format that the members of a trial speak, whose sizes are counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WireSizes {
    /// Swimring's own. The default.
    #[default]
    Native,
    /// That of hashicorp/memberlist, plain: without compression and encryption. Acks carry no state root
    /// then, and push/pulls send whole views.
    Memberlist,
}

impl WireSizes {
    /// Both.
    pub const ALL: [WireSizes; 2] = [WireSizes::Native, WireSizes::Memberlist];

    /// `native` or `memberlist`.
    pub const fn as_str(self) -> &'static str {
        match self {
            WireSizes::Native => "native",
            WireSizes::Memberlist => "memberlist",
        }
    }

    pub(super) fn options(self) -> WireOptions {
        match self {
            WireSizes::Native => WireOptions::Native,
            WireSizes::Memberlist => WireOptions::Memberlist(MemberlistOptions::default()),
        }
    }
}

/// What a crash takes along.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CrashKind {
    /// The member's process: its host goes on, and refuses connections to it. The default.
    #[default]
    Process,
    /// Its whole host: nothing that is sent there is answered.
    Host,
}

/// When a member may act on its timers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Wakes {
    /// At the very microsecond. The default.
    #[default]
    Exact,
    /// At the ticks of a driver, this far apart (a worker's: 1 ms). 1 us to 1 s.
    Every(Duration),
}

/// What one trial simulates. See the module.
#[derive(Clone, Debug)]
pub struct TrialOptions {
    /// Seed for every random choice. Default 1.
    pub seed: u64,
    /// Members, all known to all from the start. 2 to [`MEMBERS_MAX`]. Default 100.
    pub members: u32,
    /// The settings of every member. `members_max` is raised to the size. Default LAN.
    pub settings: Settings,
    /// The format the members speak. Default native.
    pub wire: WireSizes,
    /// Protocol that the members follow: Swimring's, or upstream's in some or all of its items. Default Swimring's.
    pub behaviour: Behaviour,
    /// Time before anything is measured. Default 5 s.
    pub warm_up: Duration,
    /// Measured time; crashes and events lie in its first two thirds. 1 ms to a week. Default 60 s.
    pub duration: Duration,
    /// Longest time after `duration` until everyone holds the crashed dead and every event has arrived. Default
    /// [`DRAIN_FROM_SETTINGS`].
    pub drain_max: Duration,
    /// Delay of a datagram, one way. Default 1 ms.
    pub latency: Latency,
    /// Zones that the members are in, in turn, and say so on the native wire; 1 for none. 1 to [`zones_max`]. Default 1.
    pub zones: u32,
    /// What a datagram from one zone to another takes longer than within one, one way. At most 10 s. Default 0.
    pub zone_delay: Duration,
    /// Share of all datagrams that is lost: 0 to [`LOSS_MAX`]. Default 0.
    pub loss: f64,
    /// Impairments of some members, each kind at most once. Default none. All fall on the same members, the
    /// first of one random order, so that a member can have several; they begin with the measured time.
    pub impaired: Vec<Impairment>,
    /// Members that crash without notice, none of the impaired among them, spread evenly over the first two thirds of
    /// `duration`, or over `crashes_within`. At most half of the members. Default 0.
    pub crashes: u32,
    /// The first part of `duration` in which all crashes lie; zero has them at one moment. Default two thirds of it.
    pub crashes_within: Option<Duration>,
    /// What a crash takes along. Default the process.
    pub crash_kind: CrashKind,
    /// User events by random healthy members, per second in the whole cluster. Default 0.
    pub events_per_second: f64,
    /// Payload of an event in bytes, 4 to 512. Default 32.
    pub event_bytes: u16,
    /// Times at which a member may act. Default any.
    pub wakes: Wakes,
    /// Longest real time that the trial may take; beyond it the trial fails. Default no limit.
    pub wall_limit: Option<Duration>,
    /// Writes every frame to bytes and reads it again as on a wire: several times slower, and the same
    /// outcome, which a test compares. Default false.
    pub encoded: bool,
}

impl Default for TrialOptions {
    fn default() -> TrialOptions {
        TrialOptions {
            seed: 1,
            members: 100,
            settings: Settings::default(),
            wire: WireSizes::Native,
            behaviour: Behaviour::swimring(),
            warm_up: Duration::from_secs(5),
            duration: Duration::from_secs(60),
            drain_max: DRAIN_FROM_SETTINGS,
            latency: Latency::Fixed(Duration::from_millis(1)),
            zones: 1,
            zone_delay: Duration::ZERO,
            loss: 0.0,
            impaired: Vec::new(),
            crashes: 0,
            crashes_within: None,
            crash_kind: CrashKind::Process,
            events_per_second: 0.0,
            event_bytes: 32,
            wakes: Wakes::Exact,
            wall_limit: None,
            encoded: false,
        }
    }
}

/// Why a trial was not run to its end. One line.
#[derive(Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum TrialError {
    /// An option that cannot be used.
    #[error("{option} {expected}")]
    Option {
        /// The option, as its field is called.
        option: &'static str,
        /// What to give instead.
        expected: String,
    },
    /// It took too long.
    #[error(
        "the trial took longer than its limit of {limit:?} and was at {simulated_s:.1} simulated seconds: simulate fewer members or less time, or raise wall_limit"
    )]
    TooSlow {
        /// The limit.
        limit: Duration,
        /// Simulated seconds until then.
        simulated_s: f64,
    },
    /// The caller stopped it.
    #[error("the trial was stopped at {simulated_s:.1} simulated seconds")]
    Stopped {
        /// Simulated seconds until then.
        simulated_s: f64,
    },
}

/// An error that is unwrapped prints its sentence, as every error of the engine does.
impl std::fmt::Debug for TrialError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, out)
    }
}

impl TrialError {
    pub(super) fn option(option: &'static str, expected: impl Into<String>) -> TrialError {
        TrialError::Option { option, expected: expected.into() }
    }
}

/// Checks that `value` lies within `lowest` and `highest`. Not a number lies nowhere.
pub(super) fn within(option: &'static str, value: f64, lowest: f64, highest: f64) -> Result<(), TrialError> {
    if (lowest..=highest).contains(&value) {
        return Ok(());
    }
    Err(TrialError::option(option, format!("has to be between {lowest} and {highest}, and is {value}")))
}

/// The same for a time.
pub(super) fn time_within(
    option: &'static str,
    value: Duration,
    lowest: Duration,
    highest: Duration,
) -> Result<(), TrialError> {
    if (lowest..=highest).contains(&value) {
        return Ok(());
    }
    Err(TrialError::option(option, format!("has to be between {lowest:?} and {highest:?}, and is {value:?}")))
}

/// Checks one impairment of a cluster of `members`.
fn validate_impairment(impairment: &Impairment, members: u32) -> Result<(), TrialError> {
    if let Affected::Share(share) = impairment.members {
        within("impaired: the share of members", share, 0.0, 1.0)?;
    }
    if impairment.members.of(members) >= members {
        let expected = format!("has to be less than all {members} members");
        return Err(TrialError::option("impaired", expected));
    }
    match impairment.kind {
        ImpairmentKind::LossIn(loss) => within("impaired: the loss of what arrives", loss, 0.0, 1.0)?,
        ImpairmentKind::LossOut(loss) => within("impaired: the loss of what is sent", loss, 0.0, 1.0)?,
        ImpairmentKind::Delay(delay) => {
            time_within("impaired: the delay", delay, Duration::ZERO, DELAY_MAX)?;
        }
        ImpairmentKind::Slow(Slowness::Reading) => {}
        ImpairmentKind::Slow(_) | ImpairmentKind::Held if impairment.cycle.is_none() => {
            let expected = "that is slow all the time would never run: give it a cycle, or have it crash";
            return Err(TrialError::option("impaired: a member", expected));
        }
        ImpairmentKind::Slow(_) | ImpairmentKind::Held => {}
    }
    if let Some(Cycle { on_for, off_for }) = impairment.cycle {
        let shortest = Duration::from_millis(1);
        time_within("impaired: the cycle's on_for", on_for, shortest, CYCLE_MAX)?;
        time_within("impaired: the cycle's off_for", off_for, shortest, CYCLE_MAX)?;
    }
    Ok(())
}

impl TrialOptions {
    /// The defaults with `members` members and this `seed`.
    pub fn new(seed: u64, members: u32) -> TrialOptions {
        TrialOptions { seed, members, ..TrialOptions::default() }
    }

    /// Checks every option.
    ///
    /// # Errors
    /// The first option that cannot be used, and what to give instead.
    pub fn validate(&self) -> Result<(), TrialError> {
        if !(2..=MEMBERS_MAX).contains(&self.members) {
            let expected = format!("has to be between 2 and {MEMBERS_MAX}, and is {}", self.members);
            return Err(TrialError::option("members", expected));
        }
        self.settings.validate().map_err(|error| TrialError::option("settings:", error.to_string()))?;
        time_within("warm_up", self.warm_up, Duration::ZERO, TIME_MAX)?;
        time_within("duration", self.duration, Duration::from_millis(1), TIME_MAX)?;
        if self.drain_max != DRAIN_FROM_SETTINGS {
            time_within("drain_max", self.drain_max, Duration::ZERO, TIME_MAX)?;
        }
        self.latency.validate()?;
        within("zones", self.zones.into(), 1.0, zones_max(self.members).into())?;
        time_within("zone_delay", self.zone_delay, Duration::ZERO, ZONE_DELAY_MAX)?;
        within("loss", self.loss, 0.0, LOSS_MAX)?;
        if self.crashes > self.members / 2 {
            let expected =
                format!("has to be at most half of the {} members, and is {}", self.members, self.crashes);
            return Err(TrialError::option("crashes", expected));
        }
        if let Some(within) = self.crashes_within {
            time_within("crashes_within", within, Duration::ZERO, self.duration)?;
        }
        self.validate_impaired()?;
        self.validate_events()?;
        if let Wakes::Every(grain) = self.wakes {
            time_within("wakes", grain, Duration::from_micros(1), Duration::from_secs(1))?;
        }
        Ok(())
    }

    fn validate_impaired(&self) -> Result<(), TrialError> {
        for (number, impairment) in self.impaired.iter().enumerate() {
            validate_impairment(impairment, self.members)?;
            let same = |other: &Impairment| discriminant(&other.kind) == discriminant(&impairment.kind);
            if self.impaired[..number].iter().any(same) {
                let expected = format!("has two of one kind, {:?}: give each kind once", impairment.kind);
                return Err(TrialError::option("impaired", expected));
            }
        }
        if self.crashes + self.impaired_members() >= self.members {
            let expected = format!(
                "and crashes have to leave a member that has no trouble, and make {} of {}",
                self.crashes + self.impaired_members(),
                self.members
            );
            return Err(TrialError::option("impaired", expected));
        }
        Ok(())
    }

    fn validate_events(&self) -> Result<(), TrialError> {
        within("events_per_second", self.events_per_second, 0.0, f64::from(EVENTS_MAX))?;
        within("event_bytes", self.event_bytes.into(), 4.0, EVENT_BYTES_MAX.into())?;
        let events = self.events_per_second * self.duration.as_secs_f64() * 2.0 / 3.0;
        if events > f64::from(EVENTS_MAX) {
            let expected = format!("makes {events:.0} events: at most {EVENTS_MAX} are followed");
            return Err(TrialError::option("events_per_second", expected));
        }
        Ok(())
    }

    /// Members that have some impairment.
    pub(super) fn impaired_members(&self) -> u32 {
        self.impaired.iter().map(|impairment| impairment.members.of(self.members)).max().unwrap_or(0)
    }

    /// The settings as the members have them.
    pub(super) fn member_settings(&self) -> Arc<Settings> {
        let mut settings = self.settings.clone();
        settings.members_max = settings.members_max.max(self.members);
        Arc::new(settings)
    }

    /// Longest time that the trial goes on after the measured time.
    pub(super) fn drain(&self) -> Duration {
        if self.drain_max != DRAIN_FROM_SETTINGS {
            return self.drain_max;
        }
        let (settings, members) = (&self.settings, self.members as usize);
        let doubt = u32::from(settings.local_health_max) + 1;
        let (_, longest) = settings.suspicion_timeouts(members);
        let told = settings.gossip_interval * u32::from(settings.retransmit_limit(members)) * 4;
        longest + settings.probe_interval * 2 * doubt + told
    }
}
