//! From what was typed to what can be run: defaults that depend on each other, and the faults that no
//! single flag shows by itself.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value, json};
use swimring::protocol::{SettingValue, SuspicionMode};
use swimring_codec::native::EVENT_MAX;
use swimring_tooling::values::Rate;

use super::protocol::ProtocolSettings;
use super::{DriverChoice, Preset, RunArguments, Start, WireChoice, settings_file};
use crate::fleet::cluster::EVENT_NAME;
use crate::fleet::settings;
use crate::fleet::tracker::EVENT_NUMBER_BYTES;
use crate::own_addresses;
use crate::schedule;
use crate::slo::Slo;

/// A cluster has at least two members: one alone has nobody to probe.
const MEMBERS_MIN: u32 = 2;
/// Kills without `--kill`, where the fleet is large enough.
const KILLS_DEFAULT: u32 = 10;
/// Without `--kill`, at most one member in this many is killed.
const KILLS_DEFAULT_SHARE: u32 = 10;
/// Without `--workers`, one worker for so many members, up to the number of cores: a small fleet is cheapest on
/// one core, where nobody has to be woken on another.
const MEMBERS_PER_WORKER: u32 = 1000;
/// The longest run: a month. Counters and histograms are sized for it with room to spare.
const DURATION_MAX: Duration = Duration::from_secs(31 * 24 * 3600);
/// The engine's bound on the members of one table.
const MEMBERS_MAX: u32 = 4_000_000;
/// The engine's bound on workers.
const WORKERS_MAX: u32 = 1024;
/// What an event carries besides the name that all events of a run have.
const EVENT_BYTES: RangeInclusive<u32> = EVENT_NUMBER_BYTES as u32..=(EVENT_MAX - EVENT_NAME.len()) as u32;
/// What an objective on the real members of a pool begins with.
pub(super) const REAL_MEMBERS: &str = "real_members.";
/// The first of the members' own addresses without `--first-address`.
const FIRST_ADDRESS_DEFAULT: Ipv4Addr = Ipv4Addr::new(127, 10, 0, 1);
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
    /// Of the first member, where each has an address of its own.
    pub first_address: Ipv4Addr,
    /// Warm or cold start.
    pub start: Start,
    /// Seed members of a cold start, 1 to fewer than the members.
    pub seeds: u32,
    /// Members killed while measuring, fewer than the members.
    pub kills: u32,
    /// User events while measuring.
    pub events: Rate,
    /// Payload bytes of one user event.
    pub event_bytes: u32,
    /// Share of received datagrams dropped on purpose, 0.0 to below 1.0.
    pub loss: f64,
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
    /// its flag and the mend.
    pub fn check(self, cores: u32) -> Result<RunOptions, Vec<String>> {
        let mut faults = Vec::new();
        let file = self.config.as_deref().map_or_else(|| Ok(Default::default()), settings_file::read);
        let file = file.unwrap_or_else(|fault| {
            faults.push(fault);
            Default::default()
        });
        faults.extend(self.without_effect());
        let (config, typed) = (self.config.clone(), self.protocol.given());
        let mut of_file = file.protocol.given();
        of_file.retain(|name, _| !typed.contains_key(name));
        let options = self.resolve(file, cores);
        faults.extend(options.faults().into_iter().map(|fault| match &config {
            Some(path) => said_where(path, &of_file, fault),
            None => fault,
        }));
        if faults.is_empty() { Ok(options) } else { Err(faults) }
    }

    /// Flags that would change nothing beside the others.
    fn without_effect(&self) -> Vec<String> {
        let mut faults = Vec::new();
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
        if let Some(bind) = self.bind.filter(|_| self.wire == WireChoice::Memberlist) {
            faults.push(format!(
                "--bind {bind}: members have addresses of their own on memberlist's wire; give --first-address"
            ));
        }
        faults
    }

    /// Flags that change nothing beside the others, and do no harm.
    fn doubts(&self, protocol: &ProtocolSettings) -> Vec<String> {
        let mut doubts = Vec::new();
        if let Some(bytes) = self.event_bytes.filter(|_| self.events.per_second == 0.0) {
            doubts.push(format!(
                "--event-bytes {bytes}: has no effect, for no events are sent; add --events 1/s"
            ));
        }
        if self.no_segmentation && self.wire == WireChoice::Memberlist {
            doubts.push(
                "--no-segmentation: has no effect, for memberlist's wire sends nothing else".to_owned(),
            );
        }
        if protocol.get("suspicion") != Some(SettingValue::Choice(SuspicionMode::Adaptive.as_str())) {
            for name in ["suspicion_floor_ms", "false_death_bound"] {
                doubts.extend(protocol.get(name).map(|value| {
                    let flag = name.replace('_', "-");
                    format!("--{flag} {value}: has no effect without --suspicion adaptive")
                }));
            }
        }
        doubts
    }

    /// Fills every default.
    fn resolve(self, file: settings_file::SettingsFile, cores: u32) -> RunOptions {
        let protocol = self.protocol.clone().or(file.protocol);
        let doubts = self.doubts(&protocol);
        let kills = self.kill.unwrap_or_else(|| KILLS_DEFAULT.min(self.members / KILLS_DEFAULT_SHARE));
        RunOptions {
            members: self.members,
            duration: self.duration,
            warmup: self.warmup,
            workers: self
                .workers
                .unwrap_or_else(|| cores.min(self.members.div_ceil(MEMBERS_PER_WORKER)).max(1)),
            driver: self.driver,
            wire: self.wire,
            first_address: self.first_address.unwrap_or(FIRST_ADDRESS_DEFAULT),
            start: self.start,
            seeds: self.seeds.unwrap_or(1),
            kills,
            events: self.events,
            event_bytes: self.event_bytes.unwrap_or(EVENT_BYTES_DEFAULT),
            loss: self.loss,
            seed: self.seed,
            bind: self.bind.unwrap_or(Ipv4Addr::LOCALHOST.into()).to_canonical(),
            port: self.port,
            segmentation: !self.no_segmentation,
            json: self.output.json,
            hlog: self.output.hlog,
            slos: self.output.slo,
            quiet: self.output.quiet,
            metrics: self.output.metrics,
            preset: self.preset.or(file.preset).unwrap_or_default(),
            protocol,
            doubts,
        }
    }
}

/// A fault, in the words of the settings file where that is who said it.
fn said_where(path: &Path, of_file: &Map<String, Value>, fault: String) -> String {
    let said = of_file.keys().find_map(|name| {
        let rest = fault.strip_prefix(&format!("--{}", name.replace('_', "-")))?;
        rest.starts_with([' ', ':']).then(|| format!("--config {}: {name}{rest}", path.display()))
    });
    said.unwrap_or(fault)
}

impl RunOptions {
    /// The settings' defaults, as they follow from `members` members and `cores` cores.
    pub fn defaults(members: u32, cores: u32) -> RunOptions {
        let bare = RunArguments::bare();
        let members_default = bare.members;
        let arguments = RunArguments { members, ..bare };
        let options = arguments.resolve(settings_file::SettingsFile::default(), cores);
        RunOptions { members: members_default, ..options }
    }

    /// The run's settings by name, without the protocol's: what the report lists and compares.
    pub fn settings(&self) -> Map<String, Value> {
        let Value::Object(settings) = json!({
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
            "seed": self.seed,
            "bind": self.bind,
            "port": self.port,
            "segmentation": self.segmentation,
            "preset": self.preset,
        }) else {
            unreachable!("the literal above is an object")
        };
        settings
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
        let mut faults = self.size_faults();
        faults.extend(self.time_faults());
        faults.extend(self.output_faults());
        faults.extend(self.slo_faults());
        faults.extend(self.protocol_faults());
        faults
    }

    fn protocol_faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        // The engine counts members among its settings: a number out of bounds has been named already.
        if (MEMBERS_MIN..=MEMBERS_MAX).contains(&self.members) {
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
        let mut faults = Vec::new();
        if members < MEMBERS_MIN {
            faults.push(format!("--members {members}: a cluster has {MEMBERS_MIN} members or more"));
            return faults; // The bounds below are measured in members: they would only repeat this.
        }
        if members > MEMBERS_MAX {
            faults.push(format!("--members {members}: at most {MEMBERS_MAX}"));
            return faults;
        }
        if self.kills >= members {
            let most = members - 1;
            faults.push(format!("--kill {}: somebody must be left to notice; at most {most}", self.kills));
        }
        let workers_max = members.min(WORKERS_MAX);
        if self.workers == 0 || self.workers > workers_max {
            faults.push(format!("--workers {}: must be 1 to {workers_max} here", self.workers));
        }
        if self.start == Start::Cold && (self.seeds == 0 || self.seeds >= members) {
            faults.push(format!("--seeds {}: must be 1 to {} here", self.seeds, members - 1));
        }
        if self.events.per_second > 0.0 && !EVENT_BYTES.contains(&self.event_bytes) {
            let (least, most) = (EVENT_BYTES.start(), EVENT_BYTES.end());
            let given = self.event_bytes;
            faults.push(format!("--event-bytes {given}: an event carries {least} to {most}"));
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
            if path.starts_with(REAL_MEMBERS) {
                Some("needs attach: a run has no real members")
            } else if path.starts_with("convergence_s") && self.start == Start::Warm {
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
