//! Everything that can be set about a cluster.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use swimring_codec::AddressFault;
use swimring_codec::identity::METADATA_MAX;
use swimring_codec::native::IDENTITY_METADATA_MAX;
use xxhash_rust::xxh3::xxh3_64;

use super::address;
use super::admission::AdmissionHook;
use super::error::ClusterError;
use super::given_address::Address;
use super::join::{self, DEFAULT_PORT, Resolve, Seed, SystemResolver};
use crate::identity::{self, AdmittedKeys, IdentityKey, IdentityOptions};
use crate::net::{DriverChoice, NetOptions};
use crate::protocol::{MemberError, Networks, Settings, WireOptions, check_name, check_zone};
use crate::settings_file;
use crate::stream::StreamOptions;

/// How to start a [`Cluster`](super::Cluster). Mostly filled in by [`ClusterBuilder`](super::ClusterBuilder).
///
/// Made with `default` and changed field by field: later releases will have more of them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClusterOptions {
    /// The member's name, unique in the cluster: 1 to 128 bytes. Default: the host's name.
    pub name: Option<String>,
    /// The cluster's name. Members of clusters with different names ignore each other, also where one
    /// is told to join the other. Default: `default`.
    pub cluster: String,
    /// Address to receive at, UDP and TCP on one port; port 0 takes a free one. Default: `0.0.0.0:7946`.
    pub bind: Address,
    /// Address at which the others reach this member. Port 0 stands for the port it is bound to. Default: the bound
    /// address, or, if that is unspecified (`0.0.0.0`), the address that the default route leaves from.
    pub advertise: Option<Address>,
    /// Metadata that the others see, up to 512 bytes, or 408 where members have identities. In files a string. Default: none.
    pub metadata: Vec<u8>,
    /// Path of the file with this member's key, where the members of the cluster have identities ([`crate::identity`]): all have one,
    /// or none has, as with encryption. The file is made if it is not there, its folder is not; nobody else may read it. Without
    /// effect on others than the native wire, which refuse it. Default: none.
    pub identity_path: Option<PathBuf>,
    /// The keys that are admitted, and the names that belong to them, where members have identities; this member's own among them.
    /// In files a list of texts, each 64 hexadecimal digits and, behind a blank, the one name that this key may have, if it
    /// is to have one. Default: none, and all are admitted.
    pub admitted_keys: AdmittedKeys,
    /// The zone that this member is in, as operators call what is near each other: an availability zone, a data
    /// centre. Up to 32 bytes. Of everything that is told to all, one copy goes to each zone and is told on there
    /// (delegated broadcast on the native wire; elsewhere it has no effect). Takes effect when the member starts.
    /// Default: none, like all others without one.
    pub zone: String,
    /// Datagram driver. Default: `auto`, io_uring where the kernel permits it.
    pub driver: DriverChoice,
    /// Networks that members may be in, as CIDR writes them: `10.0.0.0/8`, `fd00::/8`, or one address; memberlist's
    /// `CIDRsAllowed`. Datagrams and connections from elsewhere are dropped unread, and members elsewhere are not taken into
    /// the view, whoever tells of them. The same in all members of a cluster. At most 256. Default: none, which is everywhere.
    pub allowed_networks: Vec<String>,
    /// What the application says of members that are not known, before they are taken into the view; see
    /// [`ClusterBuilder::admit`](super::ClusterBuilder::admit). Not in files. Default: nothing, all are.
    pub admission: Option<AdmissionHook>,
    /// Members to join through, in the background from the start on; see
    /// [`ClusterOptions::rejoin_interval`]. A name stands for all its addresses. At most 256. Default: none.
    pub seeds: Vec<String>,
    /// Resolver of seeds that are names. Not in files. Default: the system's resolver.
    pub resolver: Arc<dyn Resolve>,
    /// Time limit of a join. 10 ms to 10 min. Default: 10 s.
    pub join_timeout: Duration,
    /// Time before seeds are tried again in the background, names resolved anew: those in
    /// [`ClusterOptions::seeds`], and those of the application's joins that have succeeded since the member last
    /// left. While the member is alone this is the longest wait; the first are shorter, from 1 s doubling up to
    /// it. While it is not alone, those addresses that are not in its view are tried again after this to twice
    /// this, drawn each time (30 to 60 s by default): so a seed that comes back under another address is found,
    /// and a pool that split while it started is one again. Zero: seeds are tried once. Default: 30 s, at most
    /// 1 h.
    pub rejoin_interval: Duration,
    /// Path of the file in which the member keeps what is to outlive its process: members to come back through, how far its
    /// incarnation has come, its keys of shared state and the cluster's. A process that is killed and started again with it
    /// joins without seeds, and with its keys. It is made if it is not there, its folder is not; beside it a file with
    /// `.lock` at the end keeps others from using it, and one with `.new` is there while it is written anew. It needs
    /// room twice. `docs/SNAPSHOT.md` says more. Default: none.
    pub snapshot_path: Option<PathBuf>,
    /// Time that what has changed may wait before it is written in the snapshot and brought to the disk. What has changed
    /// since can be lost if the process is killed; [`Cluster::flush_snapshot`](super::Cluster::flush_snapshot) waits for it.
    /// 10 ms to 1 h. Default: 1 s.
    pub snapshot_interval: Duration,
    /// Whether a member whose snapshot says that it left on purpose joins again through the members in it (Serf's
    /// `rejoin_after_leave`). Seeds are joined in any case. Default: no.
    pub rejoin_after_leave: bool,
    /// Events that may wait for each subscriber; more are lost to it. 16 to 1,048,576. Default: 4,096.
    pub events_queued_max: usize,
    /// The protocol's constants. Default: the `lan` preset.
    pub protocol: Settings,
    /// The wire format. Default: the native one.
    pub wire: WireOptions,
    /// Kernel memory for datagrams that wait to be received, in bytes; the kernel caps it at
    /// `net.core.rmem_max`. Not in files. Default: 4 MiB.
    pub receive_buffer_bytes: usize,
    /// Kernel memory for datagrams on their way out, in bytes; the kernel caps it at `net.core.wmem_max`. Not in
    /// files. Default: 1 MiB.
    pub send_buffer_bytes: usize,
    /// Time limit of connecting to another member's TCP port, above zero. Not in files. Default: 3 s.
    pub connect_timeout: Duration,
    /// Time limit of a TCP exchange without a byte moving either way, above zero. Not in files. Default: 5 s.
    pub exchange_idle_timeout: Duration,
    /// Time limit of a whole TCP exchange, connecting included, above zero. Not in files. Default: 10 s.
    pub exchange_timeout: Duration,
}

impl Default for ClusterOptions {
    fn default() -> ClusterOptions {
        let (net, stream) = (NetOptions::default(), StreamOptions::default());
        ClusterOptions {
            name: None,
            cluster: "default".to_owned(),
            bind: Address::from(([0, 0, 0, 0], DEFAULT_PORT)),
            advertise: None,
            metadata: Vec::new(),
            identity_path: None,
            admitted_keys: AdmittedKeys::default(),
            zone: String::new(),
            driver: DriverChoice::default(),
            allowed_networks: Vec::new(),
            admission: None,
            seeds: Vec::new(),
            resolver: Arc::new(SystemResolver),
            join_timeout: Duration::from_secs(10),
            rejoin_interval: Duration::from_secs(30),
            snapshot_path: None,
            snapshot_interval: Duration::from_secs(1),
            rejoin_after_leave: false,
            events_queued_max: 4096,
            protocol: Settings::default(),
            wire: WireOptions::Native,
            receive_buffer_bytes: net.receive_buffer_bytes,
            send_buffer_bytes: net.send_buffer_bytes,
            connect_timeout: stream.connect_timeout,
            exchange_idle_timeout: stream.idle_timeout,
            exchange_timeout: stream.exchange_timeout,
        }
    }
}

impl ClusterOptions {
    /// Settings that are allowed, and most likely not what was meant: one line each.
    pub(super) fn doubts(&self, name: &str) -> Vec<String> {
        let mut doubts = Vec::new();
        for (setting, text) in [("name", name), ("cluster", &*self.cluster), ("zone", &*self.zone)] {
            doubts.extend(settings_file::doubt(text).map(|doubt| format!("{setting} {doubt}")));
        }
        if let WireOptions::Memberlist(wire) = &self.wire {
            doubts.extend(settings_file::doubt(&wire.label).map(|doubt| format!("label {doubt}")));
            if self.cluster != ClusterOptions::default().cluster {
                doubts.push("cluster has no effect on memberlist's wire: set label".to_owned());
            }
            if !self.zone.is_empty() {
                doubts.push("zone has no effect on memberlist's wire: leave it out".to_owned());
            }
        }
        doubts
    }

    /// The cluster's number on the wire: 32 bits of XXH3-64 of its name. Where members have identities, some of these are
    /// inverted there (`docs/PROTOCOL.md`, section 12).
    pub fn cluster_id(&self) -> u32 {
        xxh3_64(self.cluster.as_bytes()) as u32
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
        self.check_identity()?;
        check_zone(&self.zone)?;
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
        self.networks()?;
        within("join_timeout_ms", self.join_timeout, Duration::from_millis(10), Duration::from_secs(600))?;
        within("rejoin_interval_ms", self.rejoin_interval, Duration::ZERO, Duration::from_secs(3600))?;
        let interval = self.snapshot_interval;
        within("snapshot_interval_ms", interval, Duration::from_millis(10), Duration::from_secs(3600))?;
        if self.snapshot_path.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
            return Err(ClusterError::setting("snapshot_path", "has to be the path of a file, or left out"));
        }
        if !(16..=1 << 20).contains(&self.events_queued_max) {
            let expected = format!("has to be between 16 and 1048576, and is {}", self.events_queued_max);
            return Err(ClusterError::setting("events_queued_max", expected));
        }
        for (setting, given) in [
            ("connect_timeout", self.connect_timeout),
            ("exchange_idle_timeout", self.exchange_idle_timeout),
            ("exchange_timeout", self.exchange_timeout),
        ] {
            if given.is_zero() {
                return Err(ClusterError::setting(setting, "has to be above zero"));
            }
        }
        self.protocol.validate().map_err(|error| ClusterError::setting(error.setting(), error.expected()))
    }

    fn check_identity(&self) -> Result<(), ClusterError> {
        let Some(path) = &self.identity_path else {
            if self.admitted_keys.is_empty() {
                return Ok(());
            }
            let expected = "needs identity_path: members without identities have no keys";
            return Err(ClusterError::setting("admitted_keys", expected));
        };
        if !self.wire.is_native() {
            let expected = "needs wire = \"native\": members of the others have no identities";
            return Err(ClusterError::setting("identity_path", expected));
        }
        if path.as_os_str().is_empty() {
            return Err(ClusterError::setting("identity_path", "has to be the path of a file, or left out"));
        }
        if self.metadata.len() > IDENTITY_METADATA_MAX {
            return Err(MemberError::SignedMetadataTooLarge(self.metadata.len()).into());
        }
        Ok(())
    }

    /// Reads the member's key, or makes it, if it is to have one.
    pub(super) fn identity_key(&self) -> Result<Option<IdentityKey>, ClusterError> {
        let key = self.identity_path.as_ref().map(identity::load_or_generate).transpose();
        key.map_err(|error| ClusterError::setting("identity_path", format!("cannot be used: {error}")))
    }

    /// Who is admitted, if members have identities.
    pub(super) fn identities(&self) -> Option<IdentityOptions> {
        let admitted = Arc::new(self.admitted_keys.clone());
        self.identity_path.as_ref().map(|_| IdentityOptions { admitted })
    }

    /// The options of the datagram path.
    pub(super) fn net(&self) -> NetOptions {
        NetOptions {
            driver: self.driver,
            receive_buffer_bytes: self.receive_buffer_bytes,
            send_buffer_bytes: self.send_buffer_bytes,
            ..NetOptions::default()
        }
    }

    /// The options of the stream service.
    pub(super) fn stream(&self) -> StreamOptions {
        StreamOptions {
            connect_timeout: self.connect_timeout,
            idle_timeout: self.exchange_idle_timeout,
            exchange_timeout: self.exchange_timeout,
            ..StreamOptions::default()
        }
    }

    /// Where to receive, read.
    pub(super) fn bind_address(&self) -> Result<SocketAddr, ClusterError> {
        self.bind.of_setting("bind", DEFAULT_PORT)
    }

    /// Where the others reach this member, read; port 0 stands for the one it is bound to.
    pub(super) fn advertised_address(&self) -> Result<Option<SocketAddr>, ClusterError> {
        self.advertise.as_ref().map(|given| given.of_setting("advertise", 0)).transpose()
    }

    /// The networks that members may be in, read.
    pub(super) fn networks(&self) -> Result<Networks, ClusterError> {
        Networks::parse(&self.allowed_networks)
            .map_err(|expected| ClusterError::setting("allowed_networks", expected))
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

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(doubts("zone = \" eu\"", "web-1"), ["zone has blanks at an end: ` eu`"]);
        assert_eq!(
            doubts("wire = \"memberlist\"\nzone = \"eu\"", "web-1"),
            ["zone has no effect on memberlist's wire: leave it out"]
        );
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
            (with(|o| o.identity_path = Some("".into())), "identity_path has to be the path of a file"),
            (
                with(|o| o.admitted_keys.add(IdentityKey::from_seed(&[1; 32]).public(), None)),
                "admitted_keys needs identity_path",
            ),
            (
                with(|o| (o.identity_path, o.metadata) = (Some("key".into()), vec![0; 409])),
                "the metadata has 409 bytes: use at most 408",
            ),
            (
                with(|o| {
                    o.identity_path = Some("key".into());
                    o.wire = WireOptions::Memberlist(crate::protocol::MemberlistOptions::default());
                }),
                "identity_path needs wire = \"native\"",
            ),
            (with(|o| o.zone = "z".repeat(33)), "the zone has 33 bytes: use at most 32"),
            (with(|o| o.zone = "  ".into()), "the zone has only blanks"),
            (with(|o| o.zone = "a\tb".into()), "the zone has a character like a newline in it ('\\t')"),
            (with(|o| o.cluster.clear()), "cluster has to have"),
            (with(|o| o.bind = "here".into()), "bind has to be an IP address and port"),
            (with(|o| o.advertise = Some("there".into())), "advertise has to be an IP address and port"),
            (with(|o| o.advertise = Some(([0, 0, 0, 0], 1).into())), "advertise has to be"),
            (with(|o| o.advertise = Some(([224, 0, 0, 1], 1).into())), "advertise has to be"),
            (with(|o| o.seeds = vec!["a:0".into()]), "seeds has an entry that cannot be used: `a:0`"),
            (with(|o| o.allowed_networks = vec!["10/8".into()]), "allowed_networks has an entry that is no"),
            (with(|o| o.events_queued_max = 1), "events_queued_max has to be between 16"),
            (with(|o| o.join_timeout = Duration::ZERO), "join_timeout_ms has to be between 10 and"),
            (with(|o| o.snapshot_interval = Duration::ZERO), "snapshot_interval_ms has to be between 10 and"),
            (with(|o| o.snapshot_path = Some("".into())), "snapshot_path has to be the path of a file"),
            (with(|o| o.connect_timeout = Duration::ZERO), "connect_timeout has to be above zero"),
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
