//! Every constant of the protocol, with memberlist's values as presets.
//!
//! A [`Settings`] is plain data: read from TOML, changed field by field, and checked as a whole by
//! [`Settings::validate`] before anything starts. In files, durations are whole milliseconds and the
//! unit ends the name (`probe_timeout_ms`); in code they are [`Duration`]s.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use swimring_codec::native::{EVENT_MAX, FRAME_MAX, HEADER_LEN, Introduction};
use thiserror::Error;

/// Largest retransmit limit: a broadcast's transmissions are counted in six bits.
pub const RETRANSMIT_LIMIT_MAX: u8 = 63;

/// Broadcasts are sent as often as in a cluster of at least so many members.
const MEMBERS_TOLD_LEAST: usize = 100;

/// Milliseconds in files, `Duration` in code.
mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::protocol) fn serialize<S: Serializer>(
        value: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub(in crate::protocol) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

/// A named set of settings, with memberlist's constants.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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
        match text {
            "lan" => Ok(Preset::Lan),
            "wan" => Ok(Preset::Wan),
            "local" => Ok(Preset::Local),
            _ => Err(SettingsError::new("preset", "has to be one of lan, wan, local")),
        }
    }
}

/// How long a member that does not answer has to refute.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SuspicionMode {
    /// For a constant times the logarithm of the cluster's size, as Lifeguard and memberlist have it. The
    /// default.
    #[default]
    Lifeguard,
    /// Whoever has probed the suspect in vain declares it once it was told so often, and news had so long to
    /// get around, that a refutation would have come; all others wait as with Lifeguard.
    Adaptive,
}

impl SuspicionMode {
    /// `lifeguard` or `adaptive`.
    pub const fn as_str(self) -> &'static str {
        match self {
            SuspicionMode::Lifeguard => "lifeguard",
            SuspicionMode::Adaptive => "adaptive",
        }
    }
}

impl FromStr for SuspicionMode {
    type Err = SettingsError;

    fn from_str(text: &str) -> Result<SuspicionMode, SettingsError> {
        match text {
            "lifeguard" => Ok(SuspicionMode::Lifeguard),
            "adaptive" => Ok(SuspicionMode::Adaptive),
            _ => Err(SettingsError::new("suspicion", "has to be lifeguard or adaptive")),
        }
    }
}

/// The constants of the protocol.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Time between two probes by a member. LAN 1 s, WAN 5 s, local 1 s. 10 ms to 10 min. Scaled up by
    /// local health (Lifeguard).
    #[serde(rename = "probe_interval_ms", with = "millis")]
    pub probe_interval: Duration,
    /// How long a probe waits for its direct ack before it asks others. LAN 500 ms, WAN 3 s, local
    /// 200 ms. Must be shorter than the probe interval. Scaled up by local health.
    #[serde(rename = "probe_timeout_ms", with = "millis")]
    pub probe_timeout: Duration,
    /// How many members are asked to probe in our place (SWIM's K). LAN and WAN 3, local 1. 0 to 8.
    pub indirect_checks: u8,
    /// Whether a probe that nobody answered is tried once more over a stream. Default true.
    pub stream_fallback: bool,
    /// Highest local health score (Lifeguard's S). 0 switches local health off. Default 8, at most 15.
    pub local_health_max: u8,
    /// Suspicion timeout: multiplier * max(1, log10(members)) * probe interval (Lifeguard's alpha). LAN
    /// 4, WAN 6, local 3. 1 to 9.
    pub suspicion_multiplier: u8,
    /// An unconfirmed suspicion lasts this many times as long (Lifeguard's beta). Default 6. 1 to 60.
    pub suspicion_max_timeout_multiplier: u8,
    /// How long a suspect has to refute. Default lifeguard.
    pub suspicion: SuspicionMode,
    /// With adaptive suspicion, the shortest that a window gets, however fast news is. LAN 2 s, WAN 10 s,
    /// local 2 s. 0 to 10 min; a window is never longer than Lifeguard's timeout.
    #[serde(rename = "suspicion_floor_ms", with = "millis")]
    pub suspicion_floor: Duration,
    /// With adaptive suspicion, the chance that a suspect which lives is told so rarely, at the loss that
    /// probes measure, that it does not get to answer. Default 1e-6. 1e-12 to 0.1.
    pub false_death_bound: f64,
    /// Time between two gossip rounds of a member that has something to say. LAN 200 ms, WAN 500 ms,
    /// local 100 ms. 1 ms to 1 min.
    #[serde(rename = "gossip_interval_ms", with = "millis")]
    pub gossip_interval: Duration,
    /// Members told in each gossip round. LAN 3, WAN 4, local 3. 1 to 16.
    pub gossip_fanout: u8,
    /// How long a dead member is still gossiped to, so that it can refute, and kept in push/pull. LAN
    /// 30 s, WAN 60 s, local 15 s. Up to 1 h.
    #[serde(rename = "gossip_to_the_dead_ms", with = "millis")]
    pub gossip_to_the_dead: Duration,
    /// A broadcast is sent multiplier * ceil(log10(members + 1)) times, but as often among fewer than 100
    /// members as among 100, and at most [`RETRANSMIT_LIMIT_MAX`]. LAN and WAN 4, local 2. 1 to 16.
    pub retransmit_multiplier: u8,
    /// Time between two push/pulls of a member with up to 32 members; grows with log2 of the size. Zero
    /// switches periodic push/pull off. LAN 30 s, WAN 60 s, local 15 s. Up to 1 h.
    #[serde(rename = "push_pull_interval_ms", with = "millis")]
    pub push_pull_interval: Duration,
    /// Time between two attempts to reach a member that is held dead or was forgotten, so that a healed
    /// partition finds itself again. Zero switches it off. Default 30 s (Serf's `ReconnectInterval`).
    #[serde(rename = "reconnect_interval_ms", with = "millis")]
    pub reconnect_interval: Duration,
    /// How long a dead member is remembered for that. Default 24 h (Serf's `ReconnectTimeout`).
    #[serde(rename = "reconnect_timeout_ms", with = "millis")]
    pub reconnect_timeout: Duration,
    /// Largest frame in bytes. Default and maximum 1,400; at least 800, so that any introduction fits.
    pub frame_bytes_max: usize,
    /// Share of a frame, in percent, that waiting user events get however much membership news there
    /// is. Default 25. 0 to 90.
    pub event_share_percent: u8,
    /// How long an event is remembered to drop its copies; more than a rumour lives. Default 15 s.
    #[serde(rename = "event_memory_ms", with = "millis")]
    pub event_memory: Duration,
    /// Most events remembered at once; more are shed and counted. Default 4,096. 16 to 65,536.
    pub events_max: u32,
    /// Most members known, the dead and remembered among them; more are shed and counted. Default
    /// 100,000. 2 to 4,000,000.
    pub members_max: u32,
    /// Most broadcasts queued at once; the most often sent are shed first. Default 4,096. 16 to 65,536.
    pub broadcasts_max: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings::preset(Preset::Lan)
    }
}

/// A setting that cannot be used, and what would do.
#[derive(Clone, PartialEq, Eq, Error)]
#[error("{setting} {mend}")]
pub struct SettingsError {
    /// The setting as it is spelled in files.
    pub setting: &'static str,
    /// What it has to be.
    pub mend: String,
}

crate::sentence::debug_is_the_sentence!(SettingsError);

impl SettingsError {
    fn new(setting: &'static str, mend: impl Into<String>) -> SettingsError {
        SettingsError { setting, mend: mend.into() }
    }
}

impl Settings {
    /// The settings of `preset`.
    pub fn preset(preset: Preset) -> Settings {
        let lan = Settings {
            probe_interval: Duration::from_secs(1),
            probe_timeout: Duration::from_millis(500),
            indirect_checks: 3,
            stream_fallback: true,
            local_health_max: 8,
            suspicion_multiplier: 4,
            suspicion_max_timeout_multiplier: 6,
            suspicion: SuspicionMode::Lifeguard,
            suspicion_floor: Duration::from_secs(2),
            false_death_bound: 1e-6,
            gossip_interval: Duration::from_millis(200),
            gossip_fanout: 3,
            gossip_to_the_dead: Duration::from_secs(30),
            retransmit_multiplier: 4,
            push_pull_interval: Duration::from_secs(30),
            reconnect_interval: Duration::from_secs(30),
            reconnect_timeout: Duration::from_secs(24 * 3600),
            frame_bytes_max: FRAME_MAX,
            event_share_percent: 25,
            event_memory: Duration::from_secs(15),
            events_max: 4096,
            members_max: 100_000,
            broadcasts_max: 4096,
        };
        match preset {
            Preset::Lan => lan,
            Preset::Wan => Settings {
                probe_interval: Duration::from_secs(5),
                probe_timeout: Duration::from_secs(3),
                suspicion_multiplier: 6,
                suspicion_floor: Duration::from_secs(10),
                gossip_interval: Duration::from_millis(500),
                gossip_fanout: 4,
                gossip_to_the_dead: Duration::from_secs(60),
                push_pull_interval: Duration::from_secs(60),
                event_memory: Duration::from_secs(60),
                ..lan
            },
            Preset::Local => Settings {
                probe_timeout: Duration::from_millis(200),
                indirect_checks: 1,
                suspicion_multiplier: 3,
                gossip_interval: Duration::from_millis(100),
                gossip_to_the_dead: Duration::from_secs(15),
                retransmit_multiplier: 2,
                push_pull_interval: Duration::from_secs(15),
                ..lan
            },
        }
    }

    /// Checks every setting and how they fit together.
    ///
    /// # Errors
    /// The first setting that cannot be used, with the values that can.
    pub fn validate(&self) -> Result<(), SettingsError> {
        self.validate_durations()?;
        between("indirect_checks", self.indirect_checks.into(), 0, 8)?;
        between("local_health_max", self.local_health_max.into(), 0, 15)?;
        between("suspicion_multiplier", self.suspicion_multiplier.into(), 1, 9)?;
        between("suspicion_max_timeout_multiplier", self.suspicion_max_timeout_multiplier.into(), 1, 60)?;
        if !(1e-12..=0.1).contains(&self.false_death_bound) {
            let mend = format!("has to be between 1e-12 and 0.1, and is {}", self.false_death_bound);
            return Err(SettingsError::new("false_death_bound", mend));
        }
        between("gossip_fanout", self.gossip_fanout.into(), 1, 16)?;
        between("retransmit_multiplier", self.retransmit_multiplier.into(), 1, 16)?;
        between("frame_bytes_max", self.frame_bytes_max as u64, FRAME_BYTES_MIN as u64, FRAME_MAX as u64)?;
        between("event_share_percent", self.event_share_percent.into(), 0, 90)?;
        between("events_max", self.events_max.into(), 16, 65_536)?;
        between("members_max", self.members_max.into(), 2, 4_000_000)?;
        between("broadcasts_max", self.broadcasts_max.into(), 16, 65_536)
    }

    fn validate_durations(&self) -> Result<(), SettingsError> {
        let minute = 60_000;
        let hour = 60 * minute;
        between("probe_interval_ms", millis(self.probe_interval), 10, 10 * minute)?;
        between("probe_timeout_ms", millis(self.probe_timeout), 1, 10 * minute)?;
        if self.probe_timeout >= self.probe_interval {
            return Err(SettingsError::new(
                "probe_timeout_ms",
                format!(
                    "has to be shorter than probe_interval_ms: {} is not below {}",
                    millis(self.probe_timeout),
                    millis(self.probe_interval)
                ),
            ));
        }
        between("suspicion_floor_ms", millis(self.suspicion_floor), 0, 10 * minute)?;
        between("gossip_interval_ms", millis(self.gossip_interval), 1, minute)?;
        between("gossip_to_the_dead_ms", millis(self.gossip_to_the_dead), 0, hour)?;
        between("push_pull_interval_ms", millis(self.push_pull_interval), 0, hour)?;
        between("reconnect_interval_ms", millis(self.reconnect_interval), 0, 24 * hour)?;
        between("reconnect_timeout_ms", millis(self.reconnect_timeout), 0, 30 * 24 * hour)?;
        between("event_memory_ms", millis(self.event_memory), 1000, hour)
    }

    /// Time between two probes of a member's own choice. With adaptive suspicion every second probe returns
    /// one that was received.
    pub(in crate::protocol) fn chosen_probe_interval(&self) -> Duration {
        match self.suspicion {
            SuspicionMode::Lifeguard => self.probe_interval,
            SuspicionMode::Adaptive => self.probe_interval * 2,
        }
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

/// The smallest frame that holds an introduction of the longest name and metadata, or the largest event,
/// beside a probe.
pub const FRAME_BYTES_MIN: usize = {
    use swimring_codec::identity::{METADATA_MAX, NAME_MAX};
    let introduction = Introduction::encoded_len(NAME_MAX, METADATA_MAX);
    HEADER_LEN + introduction + 90
};
const _: () = assert!(FRAME_BYTES_MIN == 800 && EVENT_MAX + HEADER_LEN + 64 < FRAME_BYTES_MIN);

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn between(setting: &'static str, value: u64, lowest: u64, highest: u64) -> Result<(), SettingsError> {
    if (lowest..=highest).contains(&value) {
        return Ok(());
    }
    Err(SettingsError::new(setting, format!("has to be between {lowest} and {highest}, and is {value}")))
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
mod tests {
    use super::*;

    #[test]
    fn presets_are_valid_and_survive_toml() {
        for preset in [Preset::Lan, Preset::Wan, Preset::Local] {
            let settings = Settings::preset(preset);
            settings.validate().unwrap();
            let text = toml::to_string(&settings).unwrap();
            assert_eq!(toml::from_str::<Settings>(&text).unwrap(), settings);
        }
    }

    #[test]
    fn retransmit_limits_are_memberlists() {
        let lan = Settings::preset(Preset::Lan);
        for (members, limit) in [(1, 4), (9, 4), (10, 8), (99, 8), (100, 12), (1000, 16), (10_000, 20)] {
            assert_eq!(lan.upstream_retransmit_limit(members), limit, "{members} members");
            assert_eq!(lan.retransmit_limit(members), limit.max(12), "{members} members");
        }
        let once = Settings { retransmit_multiplier: 1, ..lan };
        assert_eq!([1, 9, 99, 100, 1000].map(|members| once.retransmit_limit(members)), [3, 3, 3, 3, 4]);
    }

    #[test]
    fn suspicion_timeouts_are_memberlists() {
        let lan = Settings::preset(Preset::Lan);
        for (members, shortest, longest) in [(10, 4, 24), (100, 8, 48), (1000, 12, 72), (10_000, 16, 96)] {
            let expected = (Duration::from_secs(shortest), Duration::from_secs(longest));
            assert_eq!(lan.suspicion_timeouts(members), expected, "{members} members");
        }
    }

    #[test]
    fn push_pull_periods_are_memberlists() {
        let lan = Settings::preset(Preset::Lan);
        for (members, seconds) in [(32, 30), (33, 60), (64, 60), (65, 90), (1000, 180), (10_000, 300)] {
            assert_eq!(lan.push_pull_period(members), Duration::from_secs(seconds), "{members} members");
        }
    }

    #[test]
    fn errors_name_the_setting_and_the_mend() {
        let mut settings = Settings::preset(Preset::Lan);
        settings.probe_timeout = Duration::from_secs(2);
        let text = settings.validate().unwrap_err().to_string();
        assert_eq!(text, "probe_timeout_ms has to be shorter than probe_interval_ms: 2000 is not below 1000");
        settings = Settings { gossip_fanout: 0, ..Settings::default() };
        let text = settings.validate().unwrap_err().to_string();
        assert_eq!(text, "gossip_fanout has to be between 1 and 16, and is 0");
        assert!(toml::from_str::<Settings>("probe_intervall_ms = 3").is_err());
    }
}
