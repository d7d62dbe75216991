//! How the members of one process are set up: the flags of `memberlist-peer`.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

/// memberlist's own sets of defaults.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Preset {
    /// Probes each second, gossip each 200 ms.
    #[default]
    Lan,
    /// Probes every five seconds, gossip each 500 ms.
    Wan,
    /// Probes each second with a short timeout, gossip each 100 ms.
    Local,
}

impl Preset {
    fn as_str(self) -> &'static str {
        match self {
            Preset::Lan => "lan",
            Preset::Wan => "wan",
            Preset::Local => "local",
        }
    }
}

/// Settings of a [`MemberlistPeer`](super::MemberlistPeer). `None` leaves the preset's value.
#[derive(Clone, Debug)]
pub struct MemberlistOptions {
    /// Address of the first member; the others follow it one by one. Default 127.20.0.1.
    pub first_address: Ipv4Addr,
    /// UDP and TCP port of every member. Default 7946.
    pub port: u16,
    /// How many members. Default 1.
    pub members: usize,
    /// Members are called PREFIX-0, PREFIX-1, and so on. Default `go`.
    pub name_prefix: String,
    /// Whom each member joins in turn, as `host:port`; without any they join the first member.
    pub join: Vec<String>,
    /// Only the first member joins [`join`](Self::join), the others join the first. Default false.
    pub join_first_only: bool,
    /// Default [`Preset::Lan`].
    pub preset: Preset,
    /// The cluster's label. Default empty: none.
    pub label: String,
    /// Gossip keys of 16, 24 or 32 bytes, in base64; the first is the primary. Default none: plaintext.
    pub keys: Vec<String>,
    /// Whether what is sent is compressed. Default true.
    pub compression: bool,
    /// Whether plaintext is refused where there is a key. Default true.
    pub verify_incoming: bool,
    /// Whether a key is used for sending. Default true.
    pub verify_outgoing: bool,
    /// Metadata of every member, at most 512 bytes. Default empty.
    pub meta: String,
    /// Events are only counted, for large pools. Default false.
    pub quiet_events: bool,
    /// Least level of log lines that are kept: `debug`, `info`, `warn`, `err` or `none`. Default `info`.
    pub log_level: &'static str,
    /// Overrides the preset.
    pub probe_interval: Option<Duration>,
    /// Overrides the preset.
    pub probe_timeout: Option<Duration>,
    /// Overrides the preset.
    pub gossip_interval: Option<Duration>,
    /// Overrides the preset.
    pub push_pull_interval: Option<Duration>,
    /// Overrides the preset.
    pub suspicion_mult: Option<u32>,
    /// Overrides the preset.
    pub retransmit_mult: Option<u32>,
    /// After how long the name of a dead member may come back at another address. Default never.
    pub dead_node_reclaim_time: Option<Duration>,
    /// How long the members may take to start and join. Default 60 s.
    pub start_timeout: Duration,
    /// Processors that Go uses (`GOMAXPROCS`). Default: all.
    pub processors: Option<usize>,
}

impl Default for MemberlistOptions {
    fn default() -> Self {
        MemberlistOptions {
            first_address: Ipv4Addr::new(127, 20, 0, 1),
            port: 7946,
            members: 1,
            name_prefix: "go".into(),
            join: Vec::new(),
            join_first_only: false,
            preset: Preset::Lan,
            label: String::new(),
            keys: Vec::new(),
            compression: true,
            verify_incoming: true,
            verify_outgoing: true,
            meta: String::new(),
            quiet_events: false,
            log_level: "info",
            probe_interval: None,
            probe_timeout: None,
            gossip_interval: None,
            push_pull_interval: None,
            suspicion_mult: None,
            retransmit_mult: None,
            dead_node_reclaim_time: None,
            start_timeout: Duration::from_secs(60),
            processors: None,
        }
    }
}

impl MemberlistOptions {
    /// These settings, but quick: probes each 200 ms, gossip each 50 ms, so that a dead member is known within a
    /// few seconds. Push/pull each 5 s.
    #[must_use]
    pub fn quick(self) -> Self {
        MemberlistOptions {
            probe_interval: Some(Duration::from_millis(200)),
            probe_timeout: Some(Duration::from_millis(100)),
            gossip_interval: Some(Duration::from_millis(50)),
            push_pull_interval: Some(Duration::from_secs(5)),
            ..self
        }
    }

    /// Where the member of an index listens.
    #[must_use]
    pub fn address(&self, index: usize) -> SocketAddrV4 {
        let offset = u32::try_from(index).unwrap_or(u32::MAX);
        SocketAddrV4::new(self.first_address.to_bits().wrapping_add(offset).into(), self.port)
    }

    /// What the member of an index is called.
    #[must_use]
    pub fn name(&self, index: usize) -> String {
        format!("{}-{index}", self.name_prefix)
    }

    pub(super) fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            format!("--first-address={}", self.first_address),
            format!("--port={}", self.port),
            format!("--members={}", self.members),
            format!("--name-prefix={}", self.name_prefix),
            format!("--join={}", self.join.join(",")),
            format!("--join-first-only={}", self.join_first_only),
            format!("--preset={}", self.preset.as_str()),
            format!("--label={}", self.label),
            format!("--compression={}", self.compression),
            format!("--verify-incoming={}", self.verify_incoming),
            format!("--verify-outgoing={}", self.verify_outgoing),
            format!("--meta={}", self.meta),
            format!("--quiet-events={}", self.quiet_events),
            format!("--log-level={}", self.log_level),
        ];
        arguments.extend(self.keys.iter().map(|key| format!("--key={key}")));
        let durations = [
            ("probe-interval", self.probe_interval),
            ("probe-timeout", self.probe_timeout),
            ("gossip-interval", self.gossip_interval),
            ("push-pull-interval", self.push_pull_interval),
            ("dead-node-reclaim-time", self.dead_node_reclaim_time),
        ];
        for (flag, duration) in durations {
            arguments.extend(duration.map(|duration| format!("--{flag}={}us", duration.as_micros())));
        }
        for (flag, number) in
            [("suspicion-mult", self.suspicion_mult), ("retransmit-mult", self.retransmit_mult)]
        {
            arguments.extend(number.map(|number| format!("--{flag}={number}")));
        }
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_follow_the_first_across_octets() {
        let options =
            MemberlistOptions { first_address: Ipv4Addr::new(127, 20, 0, 250), ..Default::default() };
        assert_eq!(options.address(0).to_string(), "127.20.0.250:7946");
        assert_eq!(options.address(10).to_string(), "127.20.1.4:7946");
    }

    #[test]
    fn what_is_not_set_is_left_to_the_preset() {
        let plain = MemberlistOptions::default().arguments();
        assert!(!plain.iter().any(|argument| argument.starts_with("--probe-interval")));
        let quick = MemberlistOptions::default().quick().arguments();
        assert!(quick.contains(&"--probe-interval=200000us".to_string()));
    }
}
