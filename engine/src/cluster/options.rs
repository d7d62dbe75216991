//! Everything that can be set about a cluster, in code or in a TOML file.
//!
//! A file is flat: the cluster's settings beside the protocol's. `preset` comes first whatever its place,
//! and every other key changes one setting of it.
//!
//! ```toml
//! cluster = "shop"
//! bind = "0.0.0.0:7946"
//! seeds = ["10.0.0.1", "seed.example.org:7946"]
//! preset = "lan"
//! probe_interval_ms = 500
//! ```
//!
//! `wire = "memberlist"`, or `"serf"`, lets the member into such a pool; the keys that then exist are in
//! `cluster/wire.rs`.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;
use swimring_codec::AddressFault;
use swimring_codec::identity::{METADATA_MAX, NAME_MAX};
use xxhash_rust::xxh3::xxh3_64;

use super::address;
use super::error::ClusterError;
use super::join::{self, DEFAULT_PORT, Seed};
use super::toml_fault::toml_fault;
use super::wire;
use crate::net::{DriverChoice, NetOptions};
use crate::stream::StreamOptions;
use crate::swim::{MemberError, Preset, Settings, WireOptions};

/// The longest settings file read: far above any real one, far below what could hurt.
const FILE_MAX_BYTES: u64 = 1 << 20;

/// How to start a [`Cluster`](super::Cluster). Mostly filled in by [`ClusterBuilder`](super::ClusterBuilder).
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// The member's name, unique in the cluster: 1 to 128 bytes. Default: the host's name.
    pub name: Option<String>,
    /// The cluster's name. Members of clusters with different names ignore each other, also where one
    /// is told to join the other. Default: `default`.
    pub cluster: String,
    /// Where to receive, UDP and TCP on one port; port 0 takes a free one. Default: `0.0.0.0:7946`.
    pub bind: SocketAddr,
    /// Where the others reach this member. Port 0 stands for the port it is bound to. Default: the bound
    /// address, or, if that is unspecified (`0.0.0.0`), the address that the default route leaves from.
    pub advertise: Option<SocketAddr>,
    /// What the others get to see of this member, up to 512 bytes. In files a string. Default: none.
    pub metadata: Vec<u8>,
    /// Which datagram driver. Default: `auto`, io_uring where the kernel permits it.
    pub driver: DriverChoice,
    /// Members to join through, in the background from the start on; see
    /// [`ClusterOptions::rejoin_interval`]. Default: none.
    pub seeds: Vec<String>,
    /// How long a join may take in all. 10 ms to 10 min. Default: 10 s.
    pub join_timeout: Duration,
    /// How long to wait, at most, before the seeds are tried again while the member is alone. The first waits
    /// are shorter: from 1 s they double up to this. Zero: the seeds are tried once. Default: 30 s, at most
    /// 1 h.
    pub rejoin_interval: Duration,
    /// Events that may wait for each subscriber; more are lost to it. 16 to 1,048,576. Default: 4,096.
    pub events_queued_max: usize,
    /// The protocol's constants. Default: the `lan` preset.
    pub protocol: Settings,
    /// The wire format. Default: the native one.
    pub wire: WireOptions,
    /// Of the datagram path, but for its driver. Not in files.
    pub net: NetOptions,
    /// Of the stream service: how long connecting to a seed may take, for instance. Not in files.
    pub stream: StreamOptions,
}

impl Default for ClusterOptions {
    fn default() -> ClusterOptions {
        ClusterOptions {
            name: None,
            cluster: "default".to_owned(),
            bind: SocketAddr::from(([0, 0, 0, 0], DEFAULT_PORT)),
            advertise: None,
            metadata: Vec::new(),
            driver: DriverChoice::default(),
            seeds: Vec::new(),
            join_timeout: Duration::from_secs(10),
            rejoin_interval: Duration::from_secs(30),
            events_queued_max: 4096,
            protocol: Settings::default(),
            wire: WireOptions::Native,
            net: NetOptions::default(),
            stream: StreamOptions::default(),
        }
    }
}

impl ClusterOptions {
    /// The cluster's number on the wire: 32 bits of XXH3-64 of its name.
    pub fn cluster_id(&self) -> u32 {
        xxh3_64(self.cluster.as_bytes()) as u32
    }

    /// Changes what a settings file says and leaves the rest.
    ///
    /// # Errors
    /// [`ClusterError::File`], on one line with the setting's name, if it cannot be read or says what
    /// cannot be.
    pub fn read_file(&mut self, path: &Path) -> Result<(), ClusterError> {
        let fault = |reason: String| ClusterError::File { path: path.to_owned(), reason };
        let size = std::fs::metadata(path).map_err(|error| fault(error.to_string()))?.len();
        if size > FILE_MAX_BYTES {
            return Err(fault(format!(
                "{size} bytes is no settings file: give one of at most {FILE_MAX_BYTES}"
            )));
        }
        let text = std::fs::read_to_string(path).map_err(|error| fault(error.to_string()))?;
        self.read_toml(&text).map_err(|error| fault(error.to_string()))
    }

    /// Changes what `text`, in TOML, says and leaves the rest.
    ///
    /// # Errors
    /// [`ClusterError::Setting`] with the setting's name.
    pub fn read_toml(&mut self, text: &str) -> Result<(), ClusterError> {
        let mut table: toml::Table = toml::from_str(text).map_err(|error| {
            ClusterError::setting("the file", format!("is no TOML: {}", toml_fault(text, &error)))
        })?;
        if let Some(preset) = table.remove("preset") {
            self.protocol = Settings::preset(read::<Preset>("preset", preset)?);
        }
        if let Some(wire) = table.remove("wire") {
            self.wire = wire::named(wire)?;
        }
        for (key, value) in table {
            self.set(&key, value)?;
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: toml::Value) -> Result<(), ClusterError> {
        match key {
            "name" => self.name = Some(read(key, value)?),
            "cluster" => self.cluster = read(key, value)?,
            "bind" => self.bind = read_address(key, value, DEFAULT_PORT)?,
            "advertise" => self.advertise = Some(read_address(key, value, 0)?),
            "metadata" => self.metadata = read::<String>(key, value)?.into_bytes(),
            "driver" => self.driver = read(key, value)?,
            "seeds" => self.seeds = read(key, value)?,
            "join_timeout_ms" => self.join_timeout = Duration::from_millis(read(key, value)?),
            "rejoin_interval_ms" => self.rejoin_interval = Duration::from_millis(read(key, value)?),
            "events_queued_max" => self.events_queued_max = read(key, value)?,
            _ if wire::KEYS.contains(&key) => wire::set(&mut self.wire, key, value)?,
            _ => self.set_protocol(key, value)?,
        }
        Ok(())
    }

    fn set_protocol(&mut self, key: &str, value: toml::Value) -> Result<(), ClusterError> {
        let unusable = |error: toml::ser::Error| ClusterError::setting(key, error.to_string());
        let mut settings = toml::Table::try_from(&self.protocol).map_err(unusable)?;
        if settings.insert(key.to_owned(), value).is_none() {
            return Err(ClusterError::setting(
                key,
                "is no setting: see ClusterOptions and Settings for those there are",
            ));
        }
        self.protocol = read(key, toml::Value::Table(settings))?;
        Ok(())
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// The first that cannot be used, with what would do.
    pub fn validate(&self) -> Result<(), ClusterError> {
        if let Some(name) = &self.name {
            check_name(name)?;
        }
        if self.cluster.is_empty() {
            return Err(ClusterError::setting("cluster", "has to have at least one byte"));
        }
        if self.metadata.len() > METADATA_MAX {
            return Err(MemberError::MetadataTooLarge(self.metadata.len()).into());
        }
        if let Some(ip) = self.advertise.map(|address| address.ip().to_canonical())
            && let Some(fault) = AddressFault::of_ip(ip)
        {
            return Err(address::unusable(ip, fault));
        }
        self.wire
            .validate()
            .map_err(|error| ClusterError::setting("wire", format!("cannot be so: {error}")))?;
        self.seed_list()?;
        within("join_timeout_ms", self.join_timeout, Duration::from_millis(10), Duration::from_secs(600))?;
        within("rejoin_interval_ms", self.rejoin_interval, Duration::ZERO, Duration::from_secs(3600))?;
        if !(16..=1 << 20).contains(&self.events_queued_max) {
            let mend = format!("has to be between 16 and 1048576, and is {}", self.events_queued_max);
            return Err(ClusterError::setting("events_queued_max", mend));
        }
        self.protocol.validate().map_err(|error| ClusterError::setting(error.setting, error.mend))
    }

    /// The seeds, read.
    pub(super) fn seed_list(&self) -> Result<Vec<Seed>, ClusterError> {
        join::parse_all(&self.seeds).map_err(|mend| ClusterError::setting("seeds", mend))
    }
}

/// Checks a member's name.
pub(super) fn check_name(name: &str) -> Result<(), ClusterError> {
    match name.len() {
        0 => Err(MemberError::NameEmpty.into()),
        1..=NAME_MAX => Ok(()),
        length => Err(MemberError::NameTooLong(length).into()),
    }
}

fn within(setting: &str, given: Duration, least: Duration, most: Duration) -> Result<(), ClusterError> {
    if (least..=most).contains(&given) {
        return Ok(());
    }
    let [given, least, most] = [given, least, most].map(|duration| duration.as_millis());
    Err(ClusterError::setting(setting, format!("has to be between {least} and {most}, and is {given}")))
}

pub(super) fn read<T: DeserializeOwned>(key: &str, value: toml::Value) -> Result<T, ClusterError> {
    value.try_into().map_err(|error: toml::de::Error| {
        ClusterError::setting(key, format!("cannot be that: {}", error.message().replace('\n', " ")))
    })
}

/// An address, with `port` if it names none.
fn read_address(key: &str, value: toml::Value, port: u16) -> Result<SocketAddr, ClusterError> {
    let text: String = read(key, value)?;
    let alone = |_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, port));
    text.parse().or_else(alone).map_err(|_| {
        ClusterError::setting(
            key,
            format!("has to be an IP address and port like 10.0.0.1:{DEFAULT_PORT}, not `{text}`"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_changes_what_it_says() {
        let mut options = ClusterOptions { metadata: b"kept\xff".to_vec(), ..ClusterOptions::default() };
        let text = "probe_interval_ms = 700\npreset = \"local\"\nbind = \"127.0.0.1\"\nseeds = [\"a\", \"b:1\"]\n\
                    advertise = \"10.0.0.1\"\nname = \"n\"\ndriver = \"mmsg\"\nrejoin_interval_ms = 5";
        options.read_toml(text).unwrap();
        assert_eq!(options.bind, "127.0.0.1:7946".parse().unwrap());
        assert_eq!(options.advertise, Some("10.0.0.1:0".parse().unwrap()));
        assert_eq!(options.metadata, b"kept\xff");
        let expected =
            Settings { probe_interval: Duration::from_millis(700), ..Settings::preset(Preset::Local) };
        assert_eq!(options.protocol, expected);
        assert_eq!(options.seeds, ["a", "b:1"]);
        assert_eq!(options.driver, DriverChoice::Mmsg);
        options.validate().unwrap();
    }

    #[test]
    fn faults_name_the_setting_on_one_line() {
        for (text, start) in [
            ("nme = \"a\"", "nme is no setting"),
            ("name = 3", "name cannot be that"),
            ("probe_interval_ms = \"1s\"", "probe_interval_ms cannot be that"),
            ("bind = \"here\"", "bind has to be an IP address and port like 10.0.0.1:7946, not `here`"),
            ("name = \"a\"\nbind", "the file is no TOML: line 2"),
            ("preset = \"moon\"", "preset cannot be that"),
        ] {
            let error = ClusterOptions::default().read_toml(text).unwrap_err().to_string();
            assert!(error.starts_with(start) && !error.contains('\n'), "{text}: {error}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        let with = |change: fn(&mut ClusterOptions)| {
            let mut options = ClusterOptions::default();
            change(&mut options);
            options.validate().unwrap_err().to_string()
        };
        for (error, start) in [
            (with(|o| o.name = Some(String::new())), "the name is empty"),
            (with(|o| o.name = Some("n".repeat(129))), "the name has 129 bytes: use at most 128"),
            (with(|o| o.metadata = vec![0; 513]), "the metadata has 513 bytes: use at most 512"),
            (with(|o| o.cluster.clear()), "cluster has to have"),
            (with(|o| o.advertise = Some(([0, 0, 0, 0], 1).into())), "advertise has to be"),
            (with(|o| o.advertise = Some(([224, 0, 0, 1], 1).into())), "advertise has to be"),
            (with(|o| o.seeds = vec!["a:0".into()]), "seeds has an entry that cannot be used: `a:0`"),
            (with(|o| o.events_queued_max = 1), "events_queued_max has to be between 16"),
            (with(|o| o.join_timeout = Duration::ZERO), "join_timeout_ms has to be between 10 and"),
            (with(|o| o.protocol.gossip_fanout = 0), "gossip_fanout has to be between 1 and 16"),
        ] {
            assert!(error.starts_with(start), "{error}");
        }
    }

    #[test]
    fn clusters_of_different_names_have_different_numbers() {
        let named = |name: &str| ClusterOptions { cluster: name.into(), ..ClusterOptions::default() };
        assert_ne!(named("a").cluster_id(), named("b").cluster_id());
        assert_eq!(named("default").cluster_id(), ClusterOptions::default().cluster_id());
    }
}
