//! The command line of `attach`: which pool, who joins it, and what they do there.
//!
//! What `attach` has in common with `run` (sizes, times, outputs, protocol settings) is [`FleetArguments`]; only what
//! concerns the pool is declared and checked here.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Arg, Args, Parser, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use swimring::settings_file::{doubt, secret_key};
use swimring_codec::memberlist::SecretKey;
use swimring_tooling::values::{self, Rate};

use super::secret::{TypedKey, key_in};
use super::{FleetArguments, RunOptions, Start, WireChoice};
use crate::attach::identity::Identities;
use crate::attach::payload::EVENT_BYTES_LEAST;
use crate::attach::{addresses::OwnAddresses, plan};
use crate::own_addresses;

/// What an address or pool is unless it is given.
const PORT_DEFAULT: u16 = 7946;
/// Consul's port of the LAN pool.
const PORT_CONSUL: u16 = 8301;
/// Faster than this no pool takes joins, each of which moves its whole view.
const RAMP_MAX: f64 = 10_000.0;
/// Longest label; memberlist's own bound.
const LABEL_MAX: usize = 255;
/// Addresses to join through, at most.
const TARGETS_MAX: usize = 64;

/// Why members of these pools are in no zones. Who has used `run --zones` tries it here, too.
const NO_ZONES: &str = "memberlist's wire, which all these pools speak, knows no zones; leave it out";

/// What kind of pool is joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolKind {
    /// Members of plain memberlist.
    Memberlist,
    /// Serf agents.
    Serf,
    /// Consul agents (the LAN pool).
    Consul,
}

impl PoolKind {
    /// Whether Serf's messages travel in it.
    pub fn has_tags(self) -> bool {
        self != PoolKind::Memberlist
    }
}

/// The flags of `attach`, as typed.
#[derive(Args, Clone, Debug)]
pub struct AttachArguments {
    /// Members of the pool to join through, in turn: ADDRESS or ADDRESS:PORT; several with commas
    #[arg(long, required = true, value_name = "ADDRESS", value_delimiter = ',')]
    pub join: Vec<String>,

    /// What kind of pool it is
    #[arg(long, value_enum)]
    pub pool: PoolKind,

    /// What is measured, and where the results go.
    #[command(flatten)]
    pub fleet: FleetArguments,

    /// Address of the first member; the others take the next ones. This machine must have them all
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::new(127, 10, 0, 1)), value_parser = values::address)]
    pub first_address: IpAddr,

    /// Port of the first worker's members; the others take the next ones [default: 7946, or the next free]
    #[arg(long, value_name = "PORT", value_parser = values::port)]
    pub port: Option<u16>,

    /// Names of the members: PREFIX-00000 and so on
    #[arg(long, value_name = "PREFIX", default_value = "swimring")]
    pub name_prefix: String,

    /// Key of an encrypted pool, in base64: 16, 24 or 32 bytes. Everybody on this machine sees it here: better in
    /// --encrypt-file, or in SWIMRING_ENCRYPT
    #[arg(long, value_name = "KEY", value_parser = TypedKey::typed, allow_hyphen_values = true, help_heading = "Pool")]
    pub encrypt: Option<TypedKey>,

    /// File with the key of an encrypted pool, in base64
    #[arg(long, value_name = "FILE", help_heading = "Pool")]
    pub encrypt_file: Option<PathBuf>,

    /// memberlist's label of the pool
    #[arg(long, value_name = "LABEL", default_value = "", help_heading = "Pool")]
    pub label: String,

    /// Data centre that the members say they are in [default in a Consul pool: dc1]
    #[arg(long, value_name = "NAME", help_heading = "Pool")]
    pub datacenter: Option<String>,

    /// A Serf tag of every member, NAME=VALUE. Repeatable
    #[arg(long, value_name = "NAME=VALUE", value_parser = tag, help_heading = "Pool")]
    pub tag: Vec<(String, String)>,

    /// In a Consul pool: be registered in its catalogue, as client agents are
    #[arg(long, help_heading = "Pool")]
    pub catalog: bool,

    /// Refused: its pools have no zones.
    #[arg(long, value_name = "NAME", hide = true)]
    pub zone: Option<String>,

    /// Refused: its pools have no zones.
    #[arg(long, value_name = "COUNT", hide = true)]
    pub zones: Option<String>,

    /// How fast members join, and leave at the end
    #[arg(long, value_name = "RATE", default_value = "20/s", value_parser = values::rate)]
    pub ramp: Rate,

    /// Members that leave, and as many that come back, while measuring: 10/s
    #[arg(long, value_name = "RATE", default_value = "0", value_parser = values::rate)]
    pub churn: Rate,

    /// Do it, although the pool is not on this machine's loopback
    #[arg(long)]
    pub yes: bool,
}

/// Only to parse these flags by themselves.
#[derive(Parser)]
#[command(mut_args(gentler))]
struct Bare {
    #[command(flatten)]
    attach: AttachArguments,
}

/// The flags of a `run` whose defaults are too much for somebody else's pool.
pub(super) fn gentler(arg: Arg) -> Arg {
    match arg.get_id().as_str() {
        "members" => arg.default_value("100").help("Virtual members"),
        "duration" => arg.default_value("60s"),
        "warmup" => arg.help("How long to wait before measuring, once all have joined"),
        "kill" => arg.default_value("0").help("Members killed while measuring: they vanish without a word"),
        "events" => arg.default_value("0"),
        "event_bytes" => arg.help("Payload of one user event, 24 to 504 bytes [default: 100]"),
        _ => arg,
    }
}

/// An `attach` that has been checked.
#[derive(Clone, Debug, PartialEq)]
pub struct AttachOptions {
    /// The part in common with `run`. `bind` and `port` are filled in once the port is known.
    pub run: RunOptions,
    /// Members to join through, as given, with a port.
    pub join: Vec<String>,
    /// Kind of pool.
    pub pool: PoolKind,
    /// Address of member 0.
    pub first_address: IpAddr,
    /// Port of the first worker, if one was asked for.
    pub port: Option<u16>,
    /// Prefix of the members' names.
    pub name_prefix: String,
    /// The pool's key.
    pub key: Option<SecretKey>,
    /// The pool's label.
    pub label: String,
    /// The `dc` tag.
    pub datacenter: Option<String>,
    /// Further tags.
    pub tags: Vec<(String, String)>,
    /// Whether members appear in Consul's catalogue.
    pub catalog: bool,
    /// Joins a second.
    pub ramp: Rate,
    /// Leaves a second.
    pub churn: Rate,
    /// Whether a pool outside loopback may be joined.
    pub yes: bool,
}

impl AttachArguments {
    /// Checks the arguments on a machine with `cores` cores. Errors: one line per fault.
    pub fn check(self, cores: u32) -> Result<AttachOptions, Vec<String>> {
        let mut faults = Vec::new();
        let key = self.key().unwrap_or_else(|fault| {
            faults.push(fault);
            None
        });
        faults.extend(self.zone_faults());
        let port = port_of(self.pool);
        faults.extend(self.join.iter().filter_map(|target| target_fault(target.trim(), port)));
        let origins = self.fleet.origins.clone();
        let told = |faults: Vec<String>| faults.into_iter().map(|fault| origins.told(fault)).collect();
        let mut options = self.resolve(cores, key);
        faults.extend(options.faults());
        options.run.doubts = told(options.run.doubts);
        if faults.is_empty() { Ok(options) } else { Err(told(faults)) }
    }

    /// The pool's key, from wherever it is. It is not repeated in any fault: errors end up in logs.
    fn key(&self) -> Result<Option<SecretKey>, String> {
        match (&self.encrypt, &self.encrypt_file) {
            (None, None) => Ok(None),
            (Some(typed), None) => {
                secret_key(typed.text()).map(Some).map_err(|fault| format!("--encrypt: {fault}"))
            }
            (None, Some(path)) => key_in(path).map(Some),
            (Some(_), Some(path)) => {
                Err(format!("--encrypt-file {}: --encrypt gives a key too; leave one out", path.display()))
            }
        }
    }

    /// Zones that were asked for.
    fn zone_faults(&self) -> Vec<String> {
        let zones = self.zones.iter().map(|count| format!("--zones {count}: {NO_ZONES}"));
        let zone = self.zone.iter().map(|name| match self.pool.has_tags() {
            true => format!("--zone {name}: {NO_ZONES}, or say it in a tag: --tag zone={name}"),
            false => format!("--zone {name}: {NO_ZONES}"),
        });
        zone.chain(zones).collect()
    }

    /// What is allowed and odd.
    fn doubts(&self) -> Vec<String> {
        let tags = self.tag.iter().map(|(name, value)| (format!("--tag {name}"), value.as_str()));
        let datacenter = self.datacenter.iter().map(|name| ("--datacenter".to_owned(), name.as_str()));
        let label = [("--label".to_owned(), self.label.as_str())];
        let said = label.into_iter().chain(datacenter).chain(tags);
        let odd = said.filter_map(|(flag, text)| doubt(text).map(|doubt| format!("{flag}: {doubt}")));
        let in_sight = self.encrypt.is_some() && self.fleet.origins.of("encrypt").is_none();
        let seen = in_sight.then(|| {
            "--encrypt: everybody on this machine sees what is typed, in the list of processes; put the key into a \
             file and give --encrypt-file, or into SWIMRING_ENCRYPT"
                .to_owned()
        });
        odd.chain(seen).collect()
    }

    fn resolve(self, cores: u32, key: Option<SecretKey>) -> AttachOptions {
        let doubts = self.doubts();
        let mut run = RunOptions {
            start: Start::Cold,
            wire: WireChoice::Memberlist,
            ..RunOptions::of_fleet(self.fleet, cores)
        };
        run.doubts.extend(doubts);
        run.doubts.extend(run.idle_delegation());
        let port = port_of(self.pool);
        let consul = (self.pool == PoolKind::Consul).then(|| "dc1".to_owned());
        AttachOptions {
            run,
            join: self.join.iter().map(|target| with_port(target.trim(), port)).collect(),
            pool: self.pool,
            first_address: self.first_address.to_canonical(),
            port: self.port,
            name_prefix: self.name_prefix,
            key,
            label: self.label,
            datacenter: self.datacenter.or(consul),
            tags: self.tag,
            catalog: self.catalog,
            ramp: self.ramp,
            churn: self.churn,
            yes: self.yes,
        }
    }
}

impl AttachOptions {
    /// The port that is tried first.
    pub fn port_wanted(&self) -> u16 {
        self.port.unwrap_or(PORT_DEFAULT)
    }

    /// The members' addresses, with the first worker at `port`.
    pub fn addresses(&self, port: u16) -> Result<OwnAddresses, String> {
        OwnAddresses::new(self.first_address, self.run.members, port, self.run.workers).ok_or_else(|| {
            format!(
                "--first-address {}: {} members do not fit behind it",
                self.first_address, self.run.members
            )
        })
    }

    /// The settings by name, without the protocol's. The key stays secret.
    pub fn settings(&self) -> Map<String, Value> {
        let mut settings = self.run.settings();
        // These mean nothing here.
        for name in ["seeds", "bind", "loss", "segmentation"] {
            settings.remove(name);
        }
        let tags: Map<String, Value> =
            self.tags.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
        let Value::Object(own) = json!({
            "join": self.join,
            "pool": self.pool,
            "first_address": self.first_address,
            "name_prefix": self.name_prefix,
            "encrypt": self.key.is_some(),
            "label": self.label,
            "datacenter": self.datacenter,
            "tags": tags,
            "catalog": self.catalog,
            "ramp_per_second": self.ramp.per_second,
            "churn_per_second": self.churn.per_second,
        }) else {
            unreachable!("the literal above is an object")
        };
        settings.extend(own);
        settings
    }

    /// The settings of an `attach` to the same pool that was asked for nothing else.
    pub fn default_settings(&self, cores: u32) -> Map<String, Value> {
        let mut bare = Bare::parse_from([super::PROGRAM, "--join=pool", "--pool=serf"]).attach;
        let members_default = std::mem::replace(&mut bare.fleet.members, self.run.members);
        let bare = bare.resolve(cores, None);
        let run = RunOptions { members: members_default, port: self.run.port, ..bare.run };
        let (ramp, churn, name_prefix) = (bare.ramp, bare.churn, bare.name_prefix);
        AttachOptions { run, ramp, churn, name_prefix, ..self.clone() }.settings()
    }

    /// One line per fault.
    fn faults(&self) -> Vec<String> {
        let members = self.run.members;
        if members == 0 {
            return vec!["--members 0: nobody would join; at least 1".to_owned()];
        }
        let mut faults = self.run.fleet_faults();
        if !faults.is_empty() {
            // What follows takes sizes and times for granted.
            return faults;
        }
        faults.extend(self.pool_faults());
        faults.extend(self.rate_faults());
        faults.extend(Identities::new(self).err());
        let fit = own_addresses::check_kind("--first-address", self.first_address)
            .and_then(|()| self.addresses(self.port_wanted()).map(|_| ()));
        faults.extend(fit.err());
        if self.port == Some(0) {
            faults.push("--port 0: others have to know the port; name one, or leave it out".to_owned());
        }
        let highest = u32::from(self.port_wanted()) + self.run.workers - 1;
        if highest > u32::from(u16::MAX) {
            let workers = self.run.workers;
            faults.push(format!("--port {}: {workers} workers need as many ports", self.port_wanted()));
        }
        faults
    }

    fn pool_faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.join.len() > TARGETS_MAX {
            faults.push(format!("--join: {} addresses; at most {TARGETS_MAX}", self.join.len()));
        }
        for (flag, text) in [("--label", Some(&self.label)), ("--datacenter", self.datacenter.as_ref())] {
            let Some(text) = text else { continue };
            if let Some(control) = text.chars().find(|c| c.is_control()) {
                faults.push(format!("{flag}: has the character {control:?} in it; leave it out"));
            } else if !text.is_empty() && text.trim().is_empty() {
                faults.push(format!("{flag}: has only blanks; leave it out"));
            }
        }
        for (name, value) in &self.tags {
            if let Some(control) = name.chars().chain(value.chars()).find(|c| c.is_control()) {
                faults.push(format!(
                    "--tag {}: has the character {control:?} in it; leave it out",
                    name.escape_debug()
                ));
            }
        }
        if self.label.len() > LABEL_MAX {
            faults.push(format!("--label: {} bytes; at most {LABEL_MAX}", self.label.len()));
        }
        if !self.pool.has_tags() && !self.tags.is_empty() {
            faults.push("--tag: plain memberlist has no tags; leave it out, or use --pool serf".to_owned());
        }
        if !self.pool.has_tags() && self.datacenter.is_some() {
            faults.push("--datacenter: plain memberlist has no tags; leave it out".to_owned());
        }
        if self.catalog && self.pool != PoolKind::Consul {
            faults.push("--catalog: only Consul has a catalogue; use it with --pool consul".to_owned());
        }
        faults
    }

    fn rate_faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let ramp = self.ramp.per_second;
        if ramp <= 0.0 || ramp > RAMP_MAX {
            faults.push(format!("--ramp {}: has to be above 0 and at most {RAMP_MAX}/s", self.ramp));
        }
        let most = plan::churn_max(self.run.members, self.run.kills);
        if self.churn.per_second > most {
            faults.push(format!(
                "--churn {}: at most {most:.1}/s with so many members: half of them stay, and those that left \
                 stay away for a while",
                self.churn
            ));
        }
        let least = EVENT_BYTES_LEAST;
        if self.run.events.per_second > 0.0 && self.run.event_bytes < least {
            faults.push(format!("--event-bytes {}: at least {least}", self.run.event_bytes));
        }
        faults
    }
}

/// `NAME=VALUE`.
fn tag(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it like zone=b".to_owned()),
    }
}

/// The port at which members of such a pool usually gossip.
fn port_of(pool: PoolKind) -> u16 {
    if pool == PoolKind::Consul { PORT_CONSUL } else { PORT_DEFAULT }
}

/// What is wrong with an address to join through, where that can be seen without asking anybody.
fn target_fault(target: &str, port: u16) -> Option<String> {
    let example = format!("like 10.0.0.1 or 10.0.0.1:{port}");
    if target.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        return None;
    }
    if target.is_empty() || target.starts_with(':') {
        return Some(format!("--join: an address is empty; give it {example}"));
    }
    if let Some((scheme, rest)) = target.split_once("://") {
        let host = rest.split(['/', ':']).next().unwrap_or_default();
        return Some(format!(
            "--join {target}: no URL, but a member's own address and gossip port; leave out {scheme}:// and what \
             follows the host, like {host}:{port}"
        ));
    }
    if target.contains('/') {
        return Some(format!("--join {target}: no path and no net, but an address; give it {example}"));
    }
    let (_, given) = target.rsplit_once(':')?;
    let sound = given.parse::<u16>().is_ok_and(|port| port != 0);
    (!sound)
        .then(|| format!("--join {target}: the port has to be a number from 1 to 65535; give it {example}"))
}

/// `target` with `port`, unless it names one.
fn with_port(target: &str, port: u16) -> String {
    if let Ok(address) = target.trim_matches(['[', ']']).parse::<IpAddr>() {
        return SocketAddr::new(address, port).to_string();
    }
    match target.rsplit_once(':') {
        Some((_, given)) if given.parse::<u16>().is_ok() => target.to_owned(),
        _ => format!("{target}:{port}"),
    }
}

#[cfg(test)]
#[path = "attach_tests.rs"]
mod tests;
