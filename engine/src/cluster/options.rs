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

use std::net::SocketAddr;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use swimring_codec::AddressFault;
use swimring_codec::identity::METADATA_MAX;
use xxhash_rust::xxh3::xxh3_64;

use super::address;
use super::error::ClusterError;
use super::given_address::Address;
use super::join::{self, DEFAULT_PORT, Resolve, Seed, SystemResolver};
use super::wire;
use crate::net::{DriverChoice, NetOptions};
use crate::protocol::{MemberError, SETTINGS, Settings, WireOptions, check_name};
use crate::settings_file::{self, Unsettable, read_bounded, set_protocol, toml_fault, value};
use crate::stream::StreamOptions;

/// The longest settings file read: far above any real one, far below what could hurt.
const FILE_MAX_BYTES: u64 = 1 << 20;

/// The names in files that concern the member, besides those of the wire format and of the protocol.
const KEYS: &[&str] = &[
    "name",
    "cluster",
    "bind",
    "advertise",
    "metadata",
    "driver",
    "seeds",
    "join_timeout_ms",
    "rejoin_interval_ms",
    "events_queued_max",
    "preset",
    "wire",
];

/// How to start a [`Cluster`](super::Cluster). Mostly filled in by [`ClusterBuilder`](super::ClusterBuilder).
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// The member's name, unique in the cluster: 1 to 128 bytes. Default: the host's name.
    pub name: Option<String>,
    /// The cluster's name. Members of clusters with different names ignore each other, also where one
    /// is told to join the other. Default: `default`.
    pub cluster: String,
    /// Where to receive, UDP and TCP on one port; port 0 takes a free one. Default: `0.0.0.0:7946`.
    pub bind: Address,
    /// Where the others reach this member. Port 0 stands for the port it is bound to. Default: the bound
    /// address, or, if that is unspecified (`0.0.0.0`), the address that the default route leaves from.
    pub advertise: Option<Address>,
    /// What the others get to see of this member, up to 512 bytes. In files a string. Default: none.
    pub metadata: Vec<u8>,
    /// Which datagram driver. Default: `auto`, io_uring where the kernel permits it.
    pub driver: DriverChoice,
    /// Members to join through, in the background from the start on; see
    /// [`ClusterOptions::rejoin_interval`]. A name stands for all its addresses. At most 256. Default: none.
    pub seeds: Vec<String>,
    /// What finds the addresses of seeds that are names. Not in files. Default: the system's resolver.
    pub resolver: Arc<dyn Resolve>,
    /// How long a join may take in all. 10 ms to 10 min. Default: 10 s.
    pub join_timeout: Duration,
    /// How long to wait before seeds are tried again in the background, names resolved anew: those in
    /// [`ClusterOptions::seeds`], and those of the application's joins that have succeeded since the member last
    /// left. While the member is alone this is the longest wait; the first are shorter, from 1 s doubling up to
    /// it. While it is not alone, those addresses that are not in its view are tried again after this to twice
    /// this, drawn each time (30 to 60 s by default): so a seed that comes back under another address is found,
    /// and a pool that split while it started is one again. Zero: seeds are tried once. Default: 30 s, at most
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
            bind: Address::from(([0, 0, 0, 0], DEFAULT_PORT)),
            advertise: None,
            metadata: Vec::new(),
            driver: DriverChoice::default(),
            seeds: Vec::new(),
            resolver: Arc::new(SystemResolver),
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
    /// Whether a settings file of a member may have this key, besides the protocol's settings: what other
    /// programs that read only those can tell such a file by.
    pub fn has_key(key: &str) -> bool {
        key != "preset" && (KEYS.contains(&key) || wire::KEYS.contains(&key))
    }

    /// What is allowed, and most likely not what was meant: one line each.
    pub(super) fn doubts(&self, name: &str) -> Vec<String> {
        let mut doubts = Vec::new();
        for (setting, text) in [("name", name), ("cluster", self.cluster.as_str())] {
            doubts.extend(settings_file::doubt(text).map(|doubt| format!("{setting} {doubt}")));
        }
        if let WireOptions::Memberlist(wire) = &self.wire {
            doubts.extend(settings_file::doubt(&wire.label).map(|doubt| format!("label {doubt}")));
            if self.cluster != ClusterOptions::default().cluster {
                doubts.push("cluster has no effect on memberlist's wire: set label".to_owned());
            }
        }
        doubts
    }

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
        let text = read_bounded(path, FILE_MAX_BYTES, "settings file").map_err(fault)?;
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
            self.protocol = Settings::preset(chosen("preset", preset, "lan, wan or local")?);
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
        let is = |expected: String| ClusterError::setting(key, expected);
        let text = |value| value::text(value).map_err(is);
        let millis = |value| value::whole(key, &value).map(Duration::from_millis).map_err(is);
        match key {
            "name" => self.name = Some(text(value)?),
            "cluster" => self.cluster = text(value)?,
            "bind" => self.bind = read_address(key, value, DEFAULT_PORT)?.into(),
            "advertise" => self.advertise = Some(read_address(key, value, 0)?.into()),
            "metadata" => self.metadata = text(value)?.into_bytes(),
            "driver" => self.driver = chosen(key, value, "auto, io_uring or mmsg")?,
            "seeds" => self.seeds = value::texts(value).map_err(is)?,
            "join_timeout_ms" => self.join_timeout = millis(value)?,
            "rejoin_interval_ms" => self.rejoin_interval = millis(value)?,
            "events_queued_max" => {
                let most = value::whole(key, &value).map_err(is)?;
                self.events_queued_max = usize::try_from(most).unwrap_or(usize::MAX);
            }
            _ if wire::KEYS.contains(&key) => wire::set(&mut self.wire, key, value)?,
            _ => self.set_protocol(key, &value)?,
        }
        Ok(())
    }

    fn set_protocol(&mut self, key: &str, value: &toml::Value) -> Result<(), ClusterError> {
        set_protocol(&mut self.protocol, key, value).map_err(|fault| {
            let expected = match fault {
                Unsettable::Value(expected) => expected,
                Unsettable::Unknown => unknown(key),
            };
            ClusterError::setting(key, expected)
        })
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// The first that cannot be used, with what would do.
    pub fn validate(&self) -> Result<(), ClusterError> {
        if let Some(name) = &self.name {
            check_name(name)?;
        }
        if self.cluster.trim().is_empty() {
            return Err(ClusterError::setting("cluster", "has to have at least one letter"));
        }
        if let Some(control) = self.cluster.chars().find(|c| c.is_control()) {
            return Err(ClusterError::setting(
                "cluster",
                format!("has the character {control:?} in it: leave it out"),
            ));
        }
        if self.metadata.len() > METADATA_MAX {
            return Err(MemberError::MetadataTooLarge(self.metadata.len()).into());
        }
        self.bind_address()?;
        if let Some(ip) = self.advertised_address()?.map(|address| address.ip().to_canonical())
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
            let expected = format!("has to be between 16 and 1048576, and is {}", self.events_queued_max);
            return Err(ClusterError::setting("events_queued_max", expected));
        }
        self.protocol.validate().map_err(|error| ClusterError::setting(error.setting(), error.expected()))
    }

    /// Where to receive, read.
    pub(super) fn bind_address(&self) -> Result<SocketAddr, ClusterError> {
        self.bind.of_setting("bind", DEFAULT_PORT)
    }

    /// Where the others reach this member, read; port 0 stands for the one it is bound to.
    pub(super) fn advertised_address(&self) -> Result<Option<SocketAddr>, ClusterError> {
        self.advertise.as_ref().map(|given| given.of_setting("advertise", 0)).transpose()
    }

    /// The seeds, read.
    pub(super) fn seed_list(&self) -> Result<Vec<Seed>, ClusterError> {
        join::parse_all(&self.seeds).map_err(|expected| ClusterError::setting("seeds", expected))
    }
}

fn within(setting: &str, given: Duration, least: Duration, most: Duration) -> Result<(), ClusterError> {
    if (least..=most).contains(&given) {
        return Ok(());
    }
    let [given, least, most] = [given, least, most].map(|duration| duration.as_millis());
    Err(ClusterError::setting(setting, format!("has to be between {least} and {most}, and is {given}")))
}

/// One of some words.
pub(super) fn chosen<T: FromStr>(key: &str, value: toml::Value, words: &str) -> Result<T, ClusterError> {
    let said = value::text(value).map_err(|_| ClusterError::setting(key, format!("has to be {words}")))?;
    said.parse().map_err(|_| ClusterError::setting(key, format!("has to be {words}, not `{said}`")))
}

/// What to say of a name that is none: what it is called here, or the nearest names.
fn unknown(key: &str) -> String {
    if let Some(ours) = settings_file::ours(key) {
        return format!("is no setting; here it is called {ours}");
    }
    let known = KEYS.iter().chain(wire::KEYS).copied().chain(SETTINGS.iter().map(|setting| setting.name));
    match settings_file::hint(key, known) {
        hint if hint.is_empty() => {
            "is no setting: see ClusterOptions and Settings for those there are".to_owned()
        }
        hint => format!("is no setting{hint}"),
    }
}

/// An address, with `port` if it names none.
fn read_address(key: &str, value: toml::Value, port: u16) -> Result<SocketAddr, ClusterError> {
    let text = value::text(value).map_err(|expected| ClusterError::setting(key, expected))?;
    Address::from(text).of_setting(key, port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Preset;

    #[test]
    fn a_file_changes_what_it_says() {
        let mut options = ClusterOptions { metadata: b"kept\xff".to_vec(), ..ClusterOptions::default() };
        let text = "probe_interval_ms = 700\npreset = \"local\"\nbind = \"127.0.0.1\"\nseeds = [\"a\", \"b:1\"]\n\
                    advertise = \"10.0.0.1\"\nname = \"n\"\ndriver = \"mmsg\"\nrejoin_interval_ms = 5";
        options.read_toml(text).unwrap();
        assert_eq!(options.bind, "127.0.0.1:7946".into());
        assert_eq!(options.advertise, Some("10.0.0.1:0".into()));
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
            ("bind = \"here\"", "bind has to be an IP address and port like 127.0.0.1:7946, not `here`"),
            ("name = \"a\"\nbind", "the file is no TOML: line 2"),
        ] {
            let error = ClusterOptions::default().read_toml(text).unwrap_err().to_string();
            assert!(error.starts_with(start) && !error.contains('\n'), "{text}: {error}");
        }
    }

    #[test]
    fn every_fault_is_a_sentence_for_people() {
        let whole = "has to be a whole number of milliseconds, like 1000";
        let list = "has to be a list of texts like [\"...\", \"...\"]";
        for (text, told) in [
            ("nme = \"a\"", "nme is no setting; did you mean name?".to_owned()),
            (
                "probe_interval = 1",
                "probe_interval is no setting; did you mean probe_interval_ms?".to_owned(),
            ),
            ("retry_join = [\"a\"]", "retry_join is no setting; here it is called seeds".to_owned()),
            ("bind_addr = \"::1\"", "bind_addr is no setting; here it is called bind".to_owned()),
            ("encrypt = \"k\"", "encrypt is no setting; here it is called secret_keys".to_owned()),
            ("zzz = 1", "zzz is no setting: see ClusterOptions and Settings for those there are".to_owned()),
            ("name = 3", "name has to be text in quotes, and is a whole number".to_owned()),
            ("metadata = [1]", "metadata has to be text in quotes, and is a list".to_owned()),
            ("bind = 7946", "bind has to be text in quotes, and is a whole number".to_owned()),
            ("preset = 1", "preset has to be lan, wan or local".to_owned()),
            ("preset = \"moon\"", "preset has to be lan, wan or local, not `moon`".to_owned()),
            ("driver = true", "driver has to be auto, io_uring or mmsg".to_owned()),
            ("driver = \"epoll\"", "driver has to be auto, io_uring or mmsg, not `epoll`".to_owned()),
            ("seeds = 1", format!("seeds {list}, and is a whole number")),
            ("seeds = [\"a\", 1]", format!("seeds {list}, and has a whole number in it")),
            ("join_timeout_ms = \"1s\"", format!("join_timeout_ms {whole}, and is text")),
            ("join_timeout_ms = -1", "join_timeout_ms has to be zero or more, and is -1".to_owned()),
            ("join_timeout_ms = 1.5", format!("join_timeout_ms {whole}, and is a number with a fraction")),
            (
                "events_queued_max = \"9\"",
                "events_queued_max has to be a whole number: leave the quotes out".to_owned(),
            ),
            ("probe_interval_ms = \"1s\"", format!("probe_interval_ms {whole}, and is text")),
            ("gossip_fanout = 300", "gossip_fanout has to be between 1 and 16, and is 300".to_owned()),
            (
                "stream_fallback = 1",
                "stream_fallback has to be true or false, and is a whole number".to_owned(),
            ),
            ("suspicion = \"raft\"", "suspicion has to be lifeguard or adaptive".to_owned()),
        ] {
            let error = ClusterOptions::default().read_toml(text).unwrap_err().to_string();
            assert_eq!(error, told, "{text}");
        }
    }

    #[test]
    fn one_text_is_taken_where_a_list_is() {
        let mut options = ClusterOptions::default();
        options.read_toml("seeds = \"10.0.0.1\"").unwrap();
        assert_eq!(options.seeds, ["10.0.0.1"]);
    }

    #[test]
    fn a_file_that_never_ends_is_refused() {
        let error = ClusterOptions::default().read_file(Path::new("/dev/zero")).unwrap_err().to_string();
        assert_eq!(error, "settings file /dev/zero: more than 1048576 bytes: no settings file is so long");
    }

    #[test]
    fn what_was_hardly_meant_is_doubted() {
        let doubts = |text: &str, name: &str| {
            let mut options = ClusterOptions::default();
            options.read_toml(text).unwrap();
            options.doubts(name)
        };
        assert_eq!(doubts("cluster = \"shop\"", "web-1"), [""; 0]);
        assert_eq!(
            doubts("", "${HOSTNAME}"),
            ["name is `${HOSTNAME}`, letter by letter: nothing puts a value in its place here"]
        );
        assert_eq!(doubts("", " web"), ["name has blanks at an end: ` web`"]);
        assert_eq!(
            doubts("wire = \"serf\"\ncluster = \"shop\"\nlabel = \"shop \"", "web-1"),
            ["label has blanks at an end: `shop `", "cluster has no effect on memberlist's wire: set label"]
        );
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
            (with(|o| o.name = Some(" \t".into())), "the name has a character like a newline in it ('\\t')"),
            (with(|o| o.name = Some("   ".into())), "the name has only blanks"),
            (with(|o| o.name = Some("a\nb".into())), "the name has a character like a newline in it ('\\n')"),
            (with(|o| o.name = Some("a\0".into())), "the name has a character like a newline in it ('\\0')"),
            (with(|o| o.cluster = "  ".into()), "cluster has to have at least one letter"),
            (with(|o| o.cluster = "a\n".into()), "cluster has the character '\\n' in it: leave it out"),
            (with(|o| o.name = Some("n".repeat(129))), "the name has 129 bytes: use at most 128"),
            (with(|o| o.metadata = vec![0; 513]), "the metadata has 513 bytes: use at most 512"),
            (with(|o| o.cluster.clear()), "cluster has to have"),
            (with(|o| o.bind = "here".into()), "bind has to be an IP address and port"),
            (with(|o| o.advertise = Some("there".into())), "advertise has to be an IP address and port"),
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
