//! From what was typed to what can be run: defaults that depend on each other, and the faults that no
//! single flag shows by itself.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value, json};
use swimring::protocol::settings::Dissemination;
use swimring::protocol::{SettingValue, Settings};
use swimring::worker::ZoneLatency;
use swimring_codec::MemberId;
use swimring_codec::memberlist::SecretKey;
use swimring_codec::native::{EVENT_MAX, IdentityKey};
use swimring_tooling::values::Rate;

use super::protocol::ProtocolSettings;
use super::secret::key_in;
use super::{DriverChoice, FleetArguments, Preset, RunArguments, Start, WireChoice};
use crate::fleet::cluster::EVENT_NAME;
use crate::fleet::settings;
use crate::fleet::tracker::{EVENT_NUMBER_BYTES, zone_name};
use crate::own_addresses;
use crate::schedule;
use crate::slo::Slo;

/// A cluster has at least two members: one alone has nobody to probe.
const MEMBERS_MIN: u32 = 2;
/// The longest run: a month. Counters and histograms are sized for it with room to spare.
const DURATION_MAX: Duration = Duration::from_secs(31 * 24 * 3600);
/// The engine's bound on the members of one table.
const MEMBERS_MAX: u32 = 4_000_000;
/// The engine's bound on workers.
const WORKERS_MAX: u32 = 1024;
/// Most zones: the engine knows one more, of members without a zone.
const ZONES_MAX: u32 = 255;
/// The longest round trip between zones, in milliseconds: half way round the Earth and back is a third of it.
const ZONE_RTT_MS_MAX: u32 = 1_000;
/// What an event carries besides the name that all events of a run have.
const EVENT_BYTES: RangeInclusive<u32> = EVENT_NUMBER_BYTES as u32..=(EVENT_MAX - EVENT_NAME.len()) as u32;
/// What an objective on the real members of a pool begins with.
const REAL_MEMBERS: &str = "real_members.";
/// The first of the members' own addresses without `--first-address`.
const FIRST_ADDRESS_DEFAULT: Ipv4Addr = Ipv4Addr::new(127, 10, 0, 1);
/// The settings of delegated broadcast. The first chooses it.
const DELEGATION: [&str; 4] =
    ["dissemination", "delegation_bits", "delegation_pacing_ms", "delegation_timeout_min_ms"];
/// Payload of an event without `--event-bytes`.
const EVENT_BYTES_DEFAULT: u32 = 100;

/// A run that has been checked. Later parts trust every value.
#[derive(Clone, Debug, PartialEq)]
pub struct RunOptions {
    /// Members, at least 2.
    pub members: u32,
    /// Measured duration; more than zero.
    pub duration: Duration,
    /// Time between a finished start and the measured duration.
    pub warmup: Duration,
    /// Worker threads, 1 to the number of members.
    pub workers: u32,
    /// Datagram driver.
    pub driver: DriverChoice,
    /// Wire format.
    pub wire: WireChoice,
    /// The key that members encrypt with, if they do.
    pub key: Option<SecretKey>,
    /// Whether members have identities.
    pub identities: bool,
    /// Address of the first member, where each has one of its own.
    pub first_address: Ipv4Addr,
    /// Warm or cold start.
    pub start: Start,
    /// Seed members of a cold start, 1 to fewer than the members.
    pub seeds: u32,
    /// Members killed while measuring, fewer than the members.
    pub kills: u32,
    /// The first part of the measured duration in which all of them lie, at most two thirds of it; the default is that.
    pub kill_within: Option<Duration>,
    /// User events while measuring.
    pub events: Rate,
    /// Payload bytes of one user event.
    pub event_bytes: u32,
    /// Share of received datagrams dropped on purpose, 0.0 to below 1.0.
    pub loss: f64,
    /// Zones that the members are spread over, 1 to 255; 1 for none.
    pub zones: u32,
    /// Round trip between two of them in milliseconds, at most 1,000.
    pub zone_rtt_ms: u32,
    /// Whether members say which zone they are in.
    pub zones_told: bool,
    /// Seed of every random choice.
    pub seed: u64,
    /// Address the workers' sockets are bound to.
    pub bind: IpAddr,
    /// Port of the first worker, or 0 for the kernel's choice.
    pub port: u16,
    /// Whether GSO and GRO may be used.
    pub segmentation: bool,
    /// Where the JSON report goes.
    pub json: Option<PathBuf>,
    /// Where the interval histograms go.
    pub hlog: Option<PathBuf>,
    /// Objectives to judge at the end.
    pub slos: Vec<Slo>,
    /// No progress line.
    pub quiet: bool,
    /// Where Prometheus metrics are served.
    pub metrics: Option<SocketAddr>,
    /// Protocol constants to start from.
    pub preset: Preset,
    /// What overrides the preset: the flags, then the settings file.
    pub protocol: ProtocolSettings,
    /// What was asked for, is allowed, and has no effect or an odd one: one line each, to be said before the run.
    pub doubts: Vec<String>,
}

impl RunArguments {
    /// Checks the arguments on a machine with `cores` cores. Errors: one line per fault, each naming
    /// its flag, or where else the value stands, and the mend.
    pub fn check(self, cores: u32) -> Result<RunOptions, Vec<String>> {
        let origins = self.fleet.origins.clone();
        let mut faults = self.without_effect();
        let key = self.encrypt_file.as_deref().map(key_in).transpose().unwrap_or_else(|fault| {
            faults.push(fault);
            None
        });
        let mut options = RunOptions { key, ..self.resolve(cores) };
        faults.extend(options.faults());
        let told = |faults: Vec<String>| faults.into_iter().map(|fault| origins.told(fault)).collect();
        options.doubts = told(options.doubts);
        if faults.is_empty() { Ok(options) } else { Err(told(faults)) }
    }

    /// Flags that would change nothing beside the others.
    fn without_effect(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.identities && self.wire == WireChoice::Memberlist {
            faults.push("--identities: members of memberlist's wire have none; leave it out".to_owned());
        }
        if let Some(seeds) = self.seeds.filter(|_| self.start == Start::Warm) {
            faults.push(format!(
                "--seeds {seeds}: nobody joins in a warm start; add --start cold, or leave it out"
            ));
        }
        if let Some(first) = self.first_address.filter(|_| self.wire == WireChoice::Native) {
            faults.push(format!(
                "--first-address {first}: members share --bind on the native wire; add --wire memberlist, or leave \
                 it out"
            ));
        }
        if self.wire == WireChoice::Memberlist && self.zones > 1 {
            faults.push(format!(
                "--zones {}: memberlist's wire knows no zones; leave --wire memberlist out, or this",
                self.zones
            ));
        } else if self.zones <= 1 {
            if let Some(rtt) = self.zone_rtt_ms {
                faults.push(format!("--zone-rtt-ms {rtt}: there are no zones; add --zones 2 or more"));
            }
            if self.zones_untold {
                faults.push("--zones-untold: there are no zones; add --zones 2 or more".to_owned());
            }
        }
        if let Some(bind) = self.bind.filter(|_| self.wire == WireChoice::Memberlist) {
            faults.push(format!(
                "--bind {bind}: members have addresses of their own on memberlist's wire; give --first-address"
            ));
        }
        faults
    }

    /// Fills every default.
    fn resolve(self, cores: u32) -> RunOptions {
        let mut options = RunOptions {
            wire: self.wire,
            identities: self.identities,
            first_address: self.first_address.unwrap_or(FIRST_ADDRESS_DEFAULT),
            start: self.start,
            seeds: self.seeds.unwrap_or(1),
            kill_within: self.kill_within,
            loss: self.loss,
            zones: self.zones,
            zone_rtt_ms: self.zone_rtt_ms.unwrap_or(0),
            zones_told: !self.zones_untold,
            bind: self.bind.unwrap_or(Ipv4Addr::LOCALHOST.into()).to_canonical(),
            port: self.port,
            segmentation: !self.no_segmentation,
            ..RunOptions::of_fleet(self.fleet, cores)
        };
        if self.no_segmentation && self.wire == WireChoice::Memberlist {
            options.doubts.push(
                "--no-segmentation: has no effect, for memberlist's wire sends nothing else".to_owned(),
            );
        }
        options.doubts.extend(options.idle_delegation());
        options
    }
}

impl RunOptions {
    /// How far apart the members' zones are, if they are in some.
    pub fn zone_latency(&self) -> Option<ZoneLatency> {
        let one_way = Duration::from_millis(self.zone_rtt_ms.into()) / 2;
        (self.zones > 1).then_some(ZoneLatency { zones: self.zones, one_way })
    }

    /// The zone that the member called `name` says it is in; empty for none.
    pub fn zone(&self, name: &str) -> String {
        let told = self.zone_latency().filter(|_| self.zones_told);
        told.map_or(String::new(), |zones| zone_name(zones.zone_of(MemberId::of_name(name))))
    }

    /// The settings' defaults, as they follow from `members` members and `cores` cores.
    pub fn defaults(members: u32, cores: u32) -> RunOptions {
        let mut bare = RunArguments::bare();
        let members_default = std::mem::replace(&mut bare.fleet.members, members);
        RunOptions { members: members_default, ..bare.resolve(cores) }
    }

    /// What `fleet` asks for on a machine with `cores` cores: a warm start on the native wire, over loopback.
    pub(super) fn of_fleet(fleet: FleetArguments, cores: u32) -> RunOptions {
        RunOptions {
            members: fleet.members,
            duration: fleet.duration,
            warmup: fleet.warmup,
            workers: fleet.workers(cores),
            driver: fleet.driver,
            wire: WireChoice::Native,
            key: None,
            identities: false,
            first_address: FIRST_ADDRESS_DEFAULT,
            start: Start::Warm,
            seeds: 1,
            kills: fleet.kills(),
            kill_within: None,
            events: fleet.events,
            event_bytes: fleet.event_bytes.unwrap_or(EVENT_BYTES_DEFAULT),
            loss: 0.0,
            zones: 1,
            zone_rtt_ms: 0,
            zones_told: true,
            seed: fleet.seed,
            bind: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            segmentation: true,
            doubts: fleet.doubts(),
            json: fleet.output.json,
            hlog: fleet.output.hlog,
            slos: fleet.output.slo,
            quiet: fleet.output.quiet,
            metrics: fleet.output.metrics,
            preset: fleet.preset.unwrap_or_default(),
            protocol: fleet.protocol,
        }
    }

    /// Settings of delegated broadcast that change nothing, because members gossip.
    pub(super) fn idle_delegation(&self) -> Vec<String> {
        let delegated = Dissemination::Delegated.as_str();
        let given = self.protocol.get("dissemination");
        let set = given.unwrap_or(SettingValue::Choice(Settings::preset(self.preset).dissemination.as_str()));
        let (names, why) = match self.wire {
            WireChoice::Memberlist => (&DELEGATION[..], "has no effect, for memberlist's wire gossips"),
            WireChoice::Native if set == SettingValue::Choice(delegated) => return Vec::new(),
            WireChoice::Native => (&DELEGATION[1..], "has no effect with --dissemination gossip"),
        };
        let gossips = SettingValue::Choice(Dissemination::Gossip.as_str());
        let given = names.iter().filter_map(|name| Some((name, self.protocol.get(name)?)));
        given
            .filter(|(_, value)| *value != gossips)
            .map(|(name, value)| format!("--{} {value}: {why}", name.replace('_', "-")))
            .collect()
    }

    /// The run's settings by name, without the protocol's: what the report lists and compares.
    pub fn settings(&self) -> Map<String, Value> {
        let Value::Object(mut settings) = json!({
            "members": self.members,
            "duration_s": self.duration.as_secs_f64(),
            "warmup_s": self.warmup.as_secs_f64(),
            "workers": self.workers,
            "driver": self.driver,
            "wire": self.wire,
            "first_address": self.first_address,
            "start": self.start,
            "seeds": self.seeds,
            "kill": self.kills,
            "events_per_second": self.events.per_second,
            "event_bytes": self.event_bytes,
            "loss": self.loss,
            "zones": self.zones,
            "zone_rtt_ms": self.zone_rtt_ms,
            "zones_told": self.zones_told,
            "seed": self.seed,
            "bind": self.bind,
            "port": self.port,
            "segmentation": self.segmentation,
            "preset": self.preset,
        }) else {
            unreachable!("the literal above is an object")
        };
        if self.key.is_some() {
            settings.insert("encrypt".to_owned(), json!(true));
        }
        if self.identities {
            settings.insert("identities".to_owned(), json!(true));
        }
        if let Some(within) = self.kill_within {
            settings.insert("kill_within_s".to_owned(), json!(within.as_secs_f64()));
        }
        settings
    }

    /// The key of a member with an identity: of the run's seed, so that nothing is to be kept.
    pub fn identity_key(&self, member: u32) -> Option<IdentityKey> {
        let mut rng = fastrand::Rng::with_seed(self.seed ^ (u64::from(member) + 1) << 32);
        self.identities.then(|| IdentityKey::from_seed(&std::array::from_fn(|_| rng.u8(..))))
    }

    /// The address of a member that has one of its own; nothing past the end of the address space, or where
    /// members share one.
    pub fn member_address(&self, member: u32) -> Option<Ipv4Addr> {
        let own = self.wire == WireChoice::Memberlist;
        let address = Ipv4Addr::from(u32::from(self.first_address).checked_add(member)?);
        let same_kind = address.is_loopback() == self.first_address.is_loopback();
        (own && same_kind && !address.is_broadcast()).then_some(address)
    }

    /// One line per fault.
    fn faults(&self) -> Vec<String> {
        let members = self.members;
        if members < MEMBERS_MIN {
            // The bounds of most others are measured in members: they would only repeat this.
            let fault = format!("--members {members}: a cluster has {MEMBERS_MIN} members or more");
            return std::iter::once(fault).chain(self.time_faults()).collect();
        }
        let mut faults = self.fleet_faults();
        if self.zones == 0 || self.zones > ZONES_MAX {
            faults.push(format!("--zones {}: must be 1 to {ZONES_MAX}", self.zones));
        }
        if self.zone_rtt_ms > ZONE_RTT_MS_MAX {
            faults.push(format!("--zone-rtt-ms {}: at most {ZONE_RTT_MS_MAX}", self.zone_rtt_ms));
        }
        if members <= MEMBERS_MAX {
            faults.extend(self.address_faults());
        }
        let real = self.slos.iter().filter(|slo| slo.path().starts_with(REAL_MEMBERS));
        faults.extend(
            real.map(|slo| format!("--slo {slo}: not measured; needs attach: a run has no real members")),
        );
        faults
    }

    /// One line per fault of what every command that measures has.
    pub(super) fn fleet_faults(&self) -> Vec<String> {
        let mut faults = self.size_faults();
        faults.extend(self.time_faults());
        faults.extend(self.output_faults());
        faults.extend(self.slo_faults());
        // The engine counts members among its settings: a number out of bounds has been named already.
        if self.members <= MEMBERS_MAX {
            faults.extend(settings::faults(self));
        }
        faults
    }

    fn output_faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if let Some(address) = self.metrics.filter(|address| address.port() == 0) {
            faults.push(format!("--metrics {address}: nobody would know the port; name one"));
        }
        if self.hlog.as_deref().is_some_and(|path| path == Path::new("-")) {
            faults.push("--hlog -: only --json goes to standard output; name a file".to_owned());
        } else if self.hlog.is_some() && self.hlog == self.json {
            let path = self.hlog.as_deref().unwrap_or_else(|| "".as_ref()).display();
            faults.push(format!("--hlog {path}: --json writes there too; name another file"));
        }
        faults
    }

    fn size_faults(&self) -> Vec<String> {
        let members = self.members;
        if members > MEMBERS_MAX {
            // The bounds below are measured in members: they would only repeat this.
            return vec![format!("--members {members}: at most {MEMBERS_MAX}")];
        }
        let mut faults = Vec::new();
        if self.kills >= members {
            let most = members - 1;
            faults.push(format!("--kill {}: somebody must be left to notice; at most {most}", self.kills));
        }
        if let Some(within) = self.kill_within {
            let within_max = schedule::window(self.duration);
            if self.kills == 0 {
                faults.push(format!("--kill-within {within:?}: nobody is killed; add --kill 1 or more"));
            } else if within > within_max {
                faults.push(format!(
                    "--kill-within {within:?}: at most {within_max:?}, two thirds of --duration"
                ));
            }
        }
        let workers_max = members.min(WORKERS_MAX);
        if self.workers == 0 || self.workers > workers_max {
            let range = if workers_max == 1 { "1".to_owned() } else { format!("1 to {workers_max}") };
            faults.push(format!("--workers {}: must be {range} here", self.workers));
        }
        if self.events.per_second > 0.0 && !EVENT_BYTES.contains(&self.event_bytes) {
            let (least, most) = (EVENT_BYTES.start(), EVENT_BYTES.end());
            let given = self.event_bytes;
            faults.push(format!("--event-bytes {given}: an event carries {least} to {most}"));
        }
        faults
    }

    /// Faults of where the members are, and whom they join through.
    fn address_faults(&self) -> Vec<String> {
        let members = self.members;
        let mut faults = Vec::new();
        if self.start == Start::Cold && (self.seeds == 0 || self.seeds >= members) {
            faults.push(format!("--seeds {}: must be 1 to {} here", self.seeds, members - 1));
        }
        let is_broadcast = matches!(self.bind, IpAddr::V4(address) if address.is_broadcast());
        if self.bind.is_multicast() || is_broadcast {
            faults.push(format!("--bind {}: an address of many; give one of this machine's own", self.bind));
        }
        if self.bind.to_canonical().is_unspecified() {
            faults.push(format!(
                "--bind {}: stands for every address, and members have to be sent to at one; give one of this \
                 machine's own, like 127.0.0.1",
                self.bind
            ));
        }
        if self.wire == WireChoice::Memberlist {
            let first = self.first_address;
            match own_addresses::check_kind("--first-address", first.into()) {
                Err(fault) => faults.push(fault),
                Ok(()) if self.member_address(members - 1).is_none() => {
                    faults.push(format!("--first-address {first}: {members} addresses do not fit after it"));
                }
                Ok(()) => {}
            }
        }
        if self.port != 0 && u32::from(self.port) + self.workers - 1 > u32::from(u16::MAX) {
            let highest = u32::from(u16::MAX) + 1 - self.workers.min(u32::from(u16::MAX));
            let workers = self.workers;
            faults.push(format!("--port {}: {workers} workers need a port up to {highest}, or 0", self.port));
        }
        faults
    }

    fn time_faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.duration.is_zero() {
            faults.push("--duration 0: nothing would be measured; give it like 30s".to_owned());
        }
        for (flag, time) in [("--duration", self.duration), ("--warmup", self.warmup)] {
            if time > DURATION_MAX {
                let most = humantime::format_duration(DURATION_MAX);
                faults.push(format!("{flag} {}: at most {most}", humantime::format_duration(time)));
            }
        }
        let planned = schedule::event_count(self.duration, self.events);
        if planned > schedule::EVENTS_MAX {
            let most = schedule::EVENTS_MAX;
            faults.push(format!("--events {}: {planned} events in one run; at most {most}", self.events));
        }
        faults
    }

    /// An objective on something this run does not do can only be missed: a slip better told now.
    fn slo_faults(&self) -> Vec<String> {
        let absent = |path: &str| {
            if path.starts_with("convergence_s") && self.start == Start::Warm {
                Some("needs --start cold")
            } else if path.starts_with("detection_s") && self.kills == 0 {
                Some("needs --kill 1 or more")
            } else if path.starts_with("events.")
                && !["events.sent", "events.refused"].contains(&path)
                && self.events.per_second == 0.0
            {
                Some("needs --events above 0")
            } else {
                None
            }
        };
        let fault = |slo: &Slo| absent(slo.path()).map(|mend| format!("--slo {slo}: not measured; {mend}"));
        self.slos.iter().filter_map(fault).collect()
    }
}
