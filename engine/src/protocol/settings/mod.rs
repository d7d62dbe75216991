//! Every constant of the protocol, with memberlist's values as presets.
//!
//! A [`Settings`] is plain data: read from TOML, changed by name or field by field, and checked as a whole by
//! [`Settings::validate`] before anything starts. In files, durations are whole milliseconds and the unit ends the
//! name (`probe_timeout_ms`); in code they are [`Duration`]s. [`SETTINGS`] is the one declaration of them all.

mod error;
mod files;
mod table;

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use swimring_codec::native::{EVENT_MAX, FRAME_MAX, HEADER_LEN, Introduction};

pub use error::SettingsError;
use table::{Field, declared, settings_table};
pub use table::{Setting, SettingKind, SettingValue};

/// Largest retransmit limit: a broadcast's transmissions are counted in six bits.
pub const RETRANSMIT_LIMIT_MAX: u8 = 63;

/// Broadcasts are sent as often as in a cluster of at least so many members.
const MEMBERS_TOLD_LEAST: usize = 100;

/// A named set of settings, with memberlist's constants.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(any(docsrs, not(feature = "protocol")), non_exhaustive)]
pub enum Preset {
    /// One data centre: memberlist's `DefaultLANConfig`. The default.
    #[default]
    Lan,
    /// Between data centres: memberlist's `DefaultWANConfig`.
    Wan,
    /// One machine: memberlist's `DefaultLocalConfig`.
    Local,
}

impl Preset {
    /// All of them, in the order in which settings list their values.
    pub const ALL: [Preset; 3] = [Preset::Lan, Preset::Wan, Preset::Local];

    /// `lan`, `wan` or `local`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Preset::Lan => "lan",
            Preset::Wan => "wan",
            Preset::Local => "local",
        }
    }
}

impl FromStr for Preset {
    type Err = SettingsError;

    fn from_str(text: &str) -> Result<Preset, SettingsError> {
        let found = Preset::ALL.into_iter().find(|preset| preset.as_str() == text);
        found.ok_or(SettingsError::NotAmong { setting: "preset", names: &["lan", "wan", "local"] })
    }
}

/// How long a member that does not answer has to refute.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(any(docsrs, not(feature = "protocol")), non_exhaustive)]
pub enum SuspicionMode {
    /// `Adaptive` on the native wire, `Lifeguard` on memberlist's, whose other members have no more than that. The
    /// default.
    #[default]
    Automatic,
    /// For a constant times the logarithm of the cluster's size, as Lifeguard and memberlist have it.
    Lifeguard,
    /// Whoever has probed the suspect in vain, and has heard from its host that it is gone, declares it once it was told
    /// so often, and news had so long to get around, that a refutation would have come; all others wait as with Lifeguard.
    Adaptive,
}

impl SuspicionMode {
    /// All of them.
    pub const ALL: [SuspicionMode; 3] =
        [SuspicionMode::Automatic, SuspicionMode::Lifeguard, SuspicionMode::Adaptive];

    /// What it is on the native wire, or else on memberlist's: `Automatic` is one of the others.
    pub const fn on(self, native: bool) -> SuspicionMode {
        match self {
            SuspicionMode::Automatic if native => SuspicionMode::Adaptive,
            SuspicionMode::Automatic => SuspicionMode::Lifeguard,
            SuspicionMode::Lifeguard | SuspicionMode::Adaptive => self,
        }
    }

    /// `automatic`, `lifeguard` or `adaptive`.
    pub const fn as_str(self) -> &'static str {
        match self {
            SuspicionMode::Automatic => "automatic",
            SuspicionMode::Lifeguard => "lifeguard",
            SuspicionMode::Adaptive => "adaptive",
        }
    }
}

impl FromStr for SuspicionMode {
    type Err = SettingsError;

    fn from_str(text: &str) -> Result<SuspicionMode, SettingsError> {
        let found = SuspicionMode::ALL.into_iter().find(|mode| mode.as_str() == text);
        found.ok_or(SettingsError::NotAmong {
            setting: "suspicion",
            names: &["automatic", "lifeguard", "adaptive"],
        })
    }
}

/// How a member tells others what it knows, on the native wire. Members of a cluster are to have the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dissemination {
    /// To one member of each part of the cluster, which tells the rest of that part, and acknowledges. The default.
    /// On memberlist's wire, whose peers rely on gossip, the same as `Gossip`.
    #[default]
    Delegated,
    /// To a few random members at a time, each of which does the same (SWIM, memberlist).
    Gossip,
}

impl Dissemination {
    /// Both of them.
    pub const ALL: [Dissemination; 2] = [Dissemination::Delegated, Dissemination::Gossip];

    /// `delegated` or `gossip`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Dissemination::Gossip => "gossip",
            Dissemination::Delegated => "delegated",
        }
    }
}

impl FromStr for Dissemination {
    type Err = SettingsError;

    fn from_str(text: &str) -> Result<Dissemination, SettingsError> {
        let found = Dissemination::ALL.into_iter().find(|way| way.as_str() == text);
        found.ok_or(SettingsError::NotAmong { setting: "dissemination", names: &["delegated", "gossip"] })
    }
}

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

settings_table! {
    /// Time between two probes by a member. Scaled up by local health (Lifeguard).
    probe_interval: Duration = millis("probe_interval_ms", [1_000, 5_000, 1_000], [10, 10 * MINUTE]);

    /// How long a probe waits for its direct ack before it asks others. Shorter than the probe interval, and scaled
    /// up by local health.
    probe_timeout: Duration = millis("probe_timeout_ms", [500, 3_000, 200], [1, 10 * MINUTE]);

    /// Members asked to probe in our place (SWIM's K).
    indirect_checks: u8 = whole("indirect_checks", "COUNT", [3, 3, 1], [0, 8]);

    /// Whether a probe that nobody answered is tried once more over a stream.
    stream_fallback: bool = flag("stream_fallback", true);

    /// Highest local health score; it scales the probe's interval and timeout (Lifeguard's S). 0 switches local
    /// health off.
    local_health_max: u8 = whole("local_health_max", "SCORE", [8, 8, 8], [0, 15]);

    /// Suspicion timeout in probe intervals times log10(members) (Lifeguard's alpha).
    suspicion_multiplier: u8 = whole("suspicion_multiplier", "FACTOR", [4, 6, 3], [1, 9]);

    /// Longest suspicion timeout, without confirmations, as a multiple of the shortest (Lifeguard's beta).
    suspicion_max_timeout_multiplier: u8 =
        whole("suspicion_max_timeout_multiplier", "FACTOR", [6, 6, 6], [1, 60]);

    /// How long a suspect has to refute: a constant, or from the measured spread and what its host says. Automatic is
    /// adaptive, and on memberlist's wire Lifeguard's constant.
    suspicion: SuspicionMode = choice("suspicion", &["automatic", "lifeguard", "adaptive"]);

    /// Shortest window of adaptive suspicion, however fast news is, for a member whose host says that it is gone. A window
    /// is never longer than Lifeguard's timeout.
    suspicion_floor: Duration = millis("suspicion_floor_ms", [750, 4_000, 750], [0, 10 * MINUTE]);

    /// Shortest window of adaptive suspicion for a member whose host neither accepts nor refuses a connection. One whose
    /// host does accept connections has Lifeguard's timeout. Not below `suspicion_floor_ms`, whatever is given.
    unreachable_floor: Duration = millis("unreachable_floor_ms", [4_000, 20_000, 4_000], [0, 10 * MINUTE]);

    /// Chance that a suspect which lives cannot answer in an adaptive window. It is told so often, at the loss that
    /// probes measure, that this bound is kept.
    false_death_bound: f64 = chance("false_death_bound", 1e-6, [1e-12, 0.1]);

    /// How members tell each other what they know. The same in all members of a cluster; memberlist's wire always
    /// gossips.
    dissemination: Dissemination = choice("dissemination", &["delegated", "gossip"]);

    /// Bits of the id space that one step of a delegated broadcast divides: 2 to the power of it is how many parts
    /// each step has. More makes it faster, and gives those that divide more to send.
    delegation_bits: u8 = whole("delegation_bits", "BITS", [2, 2, 2], [1, 4]);

    /// Shortest time between two moments at which a member passes delegated updates on. A member that has passed
    /// none on for so long does it at once.
    delegation_pacing: Duration = millis("delegation_pacing_ms", [20, 20, 20], [0, MINUTE]);

    /// Least time that the acknowledgement of a delegation has before it is sent again. Longer where round trips are.
    delegation_timeout_min: Duration = millis("delegation_timeout_min_ms", [20, 40, 20], [1, MINUTE]);

    /// Time between two gossip rounds of a member that has something to say.
    gossip_interval: Duration = millis("gossip_interval_ms", [200, 500, 100], [1, MINUTE]);

    /// Members told in each gossip round.
    gossip_fanout: u8 = whole("gossip_fanout", "COUNT", [3, 4, 3], [1, 16]);

    /// How long a dead member is still gossiped to, so that it can refute, and kept in push/pull.
    gossip_to_the_dead: Duration = millis("gossip_to_the_dead_ms", [30_000, 60_000, 15_000], [0, HOUR]);

    /// Transmissions of a broadcast in ceil(log10(members + 1)). At most 63 in all, and among fewer than 100 members
    /// as many as among 100.
    retransmit_multiplier: u8 = whole("retransmit_multiplier", "FACTOR", [4, 4, 2], [1, 16]);

    /// Time between two push/pulls of a member with up to 32 members; 0 turns them off. It grows with log2 of the
    /// size.
    push_pull_interval: Duration = millis("push_pull_interval_ms", [30_000, 60_000, 15_000], [0, HOUR]);

    /// Time between two attempts to reach a member that is held dead or was forgotten; 0 turns them off. A healed
    /// partition finds itself again by them (Serf's `ReconnectInterval`).
    reconnect_interval: Duration =
        millis("reconnect_interval_ms", [30_000, 30_000, 30_000], [0, 24 * HOUR]);

    /// How long a dead member is remembered for reconnecting (Serf's `ReconnectTimeout`).
    reconnect_timeout: Duration =
        millis("reconnect_timeout_ms", [24 * HOUR, 24 * HOUR, 24 * HOUR], [0, 30 * 24 * HOUR]);

    /// Largest frame in bytes. At least so large that any introduction fits.
    frame_bytes_max: usize = whole(
        "frame_bytes_max",
        "BYTES",
        [FRAME_MAX as u64, FRAME_MAX as u64, FRAME_MAX as u64],
        [FRAME_BYTES_MIN as u64, FRAME_MAX as u64]
    );

    /// Share of a frame, in percent, that waiting user events get however much membership news there is.
    event_share_percent: u8 = whole("event_share_percent", "PERCENT", [25, 25, 25], [0, 90]);

    /// How long an event is remembered to drop its copies; more than a rumour lives.
    event_memory: Duration = millis("event_memory_ms", [15_000, 60_000, 15_000], [1_000, HOUR]);

    /// Most events remembered at once; more are shed and counted.
    events_max: u32 = whole("events_max", "COUNT", [4_096, 4_096, 4_096], [16, 65_536]);

    /// Most members known, the dead and remembered among them; more are shed and counted.
    members_max: u32 = whole("members_max", "COUNT", [100_000, 100_000, 100_000], [2, 4_000_000]);

    /// Most bytes of keys and values of shared state that a member holds, of all members together; what others have beyond it
    /// is refused. 0 switches shared state off here. The same in all members of a cluster.
    state_bytes_max: u32 = whole("state_bytes_max", "BYTES", [128 << 20, 128 << 20, 128 << 20], [0, (4 << 30) - 1]);

    /// The same of one member's map, and of the keys of the cluster.
    state_member_bytes_max: u32 =
        whole("state_member_bytes_max", "BYTES", [10 << 20, 10 << 20, 10 << 20], [1 << 10, (4 << 30) - 1]);

    /// How long the application has to say whether a member that is not known is admitted, where it is asked. The protocol
    /// goes on meanwhile.
    admission_timeout: Duration = millis("admission_timeout_ms", [1_000, 1_000, 1_000], [10, 10 * MINUTE]);

    /// Whether a member is admitted about which the application has said nothing in that time. It counts for as long again,
    /// then the application is asked anew.
    admit_on_timeout: bool = flag("admit_on_timeout", false);

    /// How long the application's word about a member is remembered. One that was refused and is still heard of is asked
    /// about again afterwards.
    admission_memory: Duration =
        millis("admission_memory_ms", [5 * MINUTE, 5 * MINUTE, 5 * MINUTE], [100, 24 * HOUR]);

    /// Most broadcasts queued at once; the most often sent are shed first.
    broadcasts_max: u32 = whole("broadcasts_max", "COUNT", [4_096, 4_096, 4_096], [16, 65_536]);
}

impl Default for Settings {
    fn default() -> Settings {
        Settings::preset(Preset::Lan)
    }
}

impl Settings {
    /// Sets the setting that files call `name` from text.
    ///
    /// # Errors
    /// [`SettingsError`] if there is none of that name, or the value is of another kind or out of range; how settings
    /// fit together is checked by [`Settings::validate`].
    pub fn set(&mut self, name: &str, text: &str) -> Result<(), SettingsError> {
        let setting = Settings::named(name)?;
        let value = setting.parse(text)?;
        self.set_value(setting, value)
    }

    /// Sets `setting` to `value`.
    ///
    /// # Errors
    /// [`SettingsError`] if the value is of another kind or out of range.
    pub fn set_value(&mut self, setting: &Setting, value: SettingValue) -> Result<(), SettingsError> {
        setting.check(value)?;
        if self.put(setting, value) {
            Ok(())
        } else {
            Err(SettingsError::Unknown { name: setting.name.to_owned() })
        }
    }

    /// The setting that files call `name`.
    ///
    /// # Errors
    /// [`SettingsError::Unknown`].
    pub fn named(name: &str) -> Result<&'static Setting, SettingsError> {
        let found = SETTINGS.iter().find(|setting| setting.name == name);
        found.ok_or_else(|| SettingsError::Unknown { name: name.to_owned() })
    }

    /// Every setting with its value.
    pub fn values(&self) -> impl Iterator<Item = (&'static Setting, SettingValue)> + '_ {
        SETTINGS.iter().filter_map(|setting| Some((setting, self.get(setting.name)?)))
    }

    /// Checks every setting and how they fit together.
    ///
    /// # Errors
    /// The first setting that cannot be used, with the values that can.
    pub fn validate(&self) -> Result<(), SettingsError> {
        self.values().try_for_each(|(setting, value)| setting.check(value))?;
        if self.probe_timeout >= self.probe_interval {
            return Err(SettingsError::NotShorter {
                setting: "probe_timeout_ms",
                other: "probe_interval_ms",
                got: millis(self.probe_timeout),
                limit: millis(self.probe_interval),
            });
        }
        Ok(())
    }

    /// How often each member sends a broadcast in a cluster of `members`: memberlist's `retransmitLimit`
    /// ([`Settings::upstream_retransmit_limit`]), with fewer than 100 members as with 100.
    ///
    /// A broadcast that each sends L times to random others misses one with a probability of about e^-L,
    /// whatever the size. With memberlist's logarithm L is 2 below ten members in the `local` preset: simulated
    /// without any loss, 8 % of deliveries were missed among 4 members and 17 % among 9, and confirmations that
    /// shorten a suspicion as often. Some copies more among so few cost next to nothing.
    pub fn retransmit_limit(&self, members: usize) -> u8 {
        self.upstream_retransmit_limit(members.max(MEMBERS_TOLD_LEAST))
    }

    /// memberlist's `retransmitLimit` in a cluster of `members`.
    pub fn upstream_retransmit_limit(&self, members: usize) -> u8 {
        let digits = ceil_log10(members as u64 + 1);
        let limit = u32::from(self.retransmit_multiplier) * digits;
        limit.clamp(1, RETRANSMIT_LIMIT_MAX.into()) as u8
    }

    /// Shortest and longest suspicion timeout in a cluster of `members` (memberlist's
    /// `suspicionTimeout`, with its logarithm cut to three decimals).
    pub fn suspicion_timeouts(&self, members: usize) -> (Duration, Duration) {
        let scale = (members.max(1) as f64).log10().max(1.0);
        let scale = (scale * 1000.0).floor() / 1000.0;
        let shortest = self.probe_interval.mul_f64(f64::from(self.suspicion_multiplier) * scale);
        (shortest, shortest * u32::from(self.suspicion_max_timeout_multiplier))
    }

    /// Time between two push/pulls in a cluster of `members` (memberlist's `pushPullScale`): doubles
    /// its logarithm's step above 32 members.
    pub fn push_pull_period(&self, members: usize) -> Duration {
        const THRESHOLD: f64 = 32.0;
        if members as f64 <= THRESHOLD {
            return self.push_pull_interval;
        }
        let multiplier = ((members as f64).log2() - THRESHOLD.log2()).ceil() + 1.0;
        self.push_pull_interval * multiplier as u32
    }
}

/// The smallest frame that holds an introduction of the longest name, metadata and zone, or the largest event,
/// beside a probe.
pub const FRAME_BYTES_MIN: usize = {
    use swimring_codec::identity::{METADATA_MAX, NAME_MAX, ZONE_MAX};
    let introduction = Introduction::encoded_len(NAME_MAX, METADATA_MAX, ZONE_MAX);
    HEADER_LEN + introduction + 58
};
const _: () = assert!(FRAME_BYTES_MIN == 800 && EVENT_MAX + HEADER_LEN + 64 < FRAME_BYTES_MIN);

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The smallest `e` with 10^e >= `value`.
fn ceil_log10(value: u64) -> u32 {
    let mut exponent = 0;
    let mut power: u64 = 1;
    while power < value {
        power = power.saturating_mul(10);
        exponent += 1;
    }
    exponent
}

#[cfg(test)]
#[path = "settings_test.rs"]
mod tests;
