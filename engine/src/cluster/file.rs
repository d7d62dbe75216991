//! The settings of a cluster in a TOML file.
//!
//! A file is flat: the cluster's settings beside the protocol's. `preset` comes first wherever it stands,
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
//! `allowed_networks = ["10.0.0.0/8"]` says where members may be. `secret_keys = "..."`, in base64, encrypts. `wire = "memberlist"`, or `"serf"`, lets the member into such a pool; the keys that then exist are in
//! `cluster/wire.rs`.

use std::net::SocketAddr;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use super::error::ClusterError;
use super::given_address::Address;
use super::join::DEFAULT_PORT;
use super::options::ClusterOptions;
use super::wire;
use crate::identity::{self, AdmittedKeys};
use crate::protocol::{SETTINGS, Settings};
use crate::settings_file::{self, Unsettable, read_bounded, set_protocol, toml_fault, value};

/// The longest settings file read: far above any real one, far below what could hurt.
const FILE_MAX_BYTES: u64 = 1 << 20;

/// The names in files that concern the member, besides those of the wire format and of the protocol.
const KEYS: &[&str] = &[
    "name",
    "cluster",
    "bind",
    "advertise",
    "metadata",
    "identity_path",
    "admitted_keys",
    "zone",
    "driver",
    "allowed_networks",
    "seeds",
    "join_timeout_ms",
    "rejoin_interval_ms",
    "snapshot_path",
    "snapshot_interval_ms",
    "rejoin_after_leave",
    "events_queued_max",
    "preset",
    "wire",
];

impl ClusterOptions {
    /// Whether a settings file of a member may have this key, besides the protocol's settings: what other
    /// programs that read only those can tell such a file by.
    pub fn has_key(key: &str) -> bool {
        key != "preset" && (KEYS.contains(&key) || wire::KEYS.contains(&key))
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
            "identity_path" => self.identity_path = Some(text(value)?.into()),
            "admitted_keys" => self.admitted_keys = admitted_keys(value).map_err(is)?,
            "zone" => self.zone = text(value)?,
            "driver" => self.driver = chosen(key, value, "auto, io_uring or mmsg")?,
            "allowed_networks" => self.allowed_networks = value::texts(value).map_err(is)?,
            "seeds" => self.seeds = value::texts(value).map_err(is)?,
            "join_timeout_ms" => self.join_timeout = millis(value)?,
            "rejoin_interval_ms" => self.rejoin_interval = millis(value)?,
            "snapshot_path" => self.snapshot_path = Some(text(value)?.into()),
            "snapshot_interval_ms" => self.snapshot_interval = millis(value)?,
            "rejoin_after_leave" => self.rejoin_after_leave = value::truth(&value).map_err(is)?,
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
}

/// The keys, and the names of some, that a list has.
fn admitted_keys(value: toml::Value) -> Result<AdmittedKeys, String> {
    let mut admitted = AdmittedKeys::default();
    for line in value::texts(value)? {
        identity::admit(&mut admitted, &line).map_err(|error| {
            format!("has an entry that cannot be used: `{line}`: {error}, and a name may follow it")
        })?;
    }
    Ok(admitted)
}

/// One of some words.
pub(super) fn chosen<T: FromStr>(key: &str, value: toml::Value, words: &str) -> Result<T, ClusterError> {
    let said = value::text(value).map_err(|_| ClusterError::setting(key, format!("has to be {words}")))?;
    said.parse().map_err(|_| ClusterError::setting(key, format!("has to be {words}, not `{said}`")))
}

/// The error for an unknown name: what the setting is called here, or the nearest names.
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
    use crate::net::DriverChoice;
    use crate::protocol::Preset;

    #[test]
    fn a_file_changes_what_it_says() {
        let mut options = ClusterOptions { metadata: b"kept\xff".to_vec(), ..ClusterOptions::default() };
        let text = "probe_interval_ms = 700\npreset = \"local\"\nbind = \"127.0.0.1\"\nseeds = [\"a\", \"b:1\"]\n\
                    advertise = \"10.0.0.1\"\nname = \"n\"\nzone = \"eu-1\"\nallowed_networks = \"10.0.0.0/8\"\ndriver = \"mmsg\"\nrejoin_interval_ms = 5";
        options.read_toml(text).unwrap();
        assert_eq!(options.bind, "127.0.0.1:7946".into());
        assert_eq!(options.advertise, Some("10.0.0.1:0".into()));
        assert_eq!(options.metadata, b"kept\xff");
        let expected =
            Settings { probe_interval: Duration::from_millis(700), ..Settings::preset(Preset::Local) };
        assert_eq!(options.protocol, expected);
        assert_eq!(options.seeds, ["a", "b:1"]);
        assert_eq!(options.zone, "eu-1");
        assert_eq!(options.allowed_networks, ["10.0.0.0/8"]);
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
            ("suspicion = \"raft\"", "suspicion has to be automatic, lifeguard or adaptive".to_owned()),
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
}
