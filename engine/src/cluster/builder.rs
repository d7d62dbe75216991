//! From settings to a running member.

#![allow(clippy::disallowed_methods, reason = "the first incarnation comes from the wall clock")]

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use swimring_codec::Incarnation;

use super::address;
use super::admission::{AdmissionHook, Asker, Candidate, WireKind, asking};
use super::background::{Background, Rejoin};
use super::dispatcher::EventDispatcher;
use super::error::ClusterError;
use super::given_address::Address;
use super::handle::Cluster;
use super::join::{Remembered, Resolve, Seed};
use super::lossy_channel::lossy_channel;
use super::mailbox::mailbox;
use super::options::ClusterOptions;
use super::shared::Shared;
use super::snapshot::{self, Begun, Notes};
use super::subscription::Events;
use crate::identity::{IdentityKey, PublicKey};
use crate::net::DriverChoice;
use crate::protocol::{AdmissionRules, Preset, SavedState, Settings, WireOptions, check_name};
use crate::worker::{Fleet, FleetError, FleetOptions};

/// 2020-01-01, in seconds since 1970: incarnations count from then.
const EPOCH_S: u64 = 1_577_836_800;

/// Sets up a [`Cluster`]. What is set later wins, whether by a file or by a method.
///
/// ```
/// use std::time::Duration;
/// use swimring::{Cluster, Preset};
///
/// # fn main() -> Result<(), swimring::ClusterError> {
/// let cluster = Cluster::builder("web-1")
///     .cluster("shop")
///     .bind("127.0.0.1:0")
///     .metadata("zone=a")
///     .preset(Preset::Local)
///     .tune(|protocol| protocol.probe_interval = Duration::from_millis(500))
///     .start()?;
/// assert_eq!(cluster.local()?.metadata, "zone=a".as_bytes());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "nothing runs before `start`"]
pub struct ClusterBuilder {
    options: ClusterOptions,
}

impl ClusterBuilder {
    /// The default settings, with the host's name.
    pub fn new() -> ClusterBuilder {
        ClusterBuilder::default()
    }

    /// The member's name, unique in the cluster: 1 to 128 bytes.
    pub fn name(mut self, name: impl Into<String>) -> ClusterBuilder {
        self.options.name = Some(name.into());
        self
    }

    /// The cluster's name: members of clusters with different names ignore each other.
    pub fn cluster(mut self, cluster: impl Into<String>) -> ClusterBuilder {
        self.options.cluster = cluster.into();
        self
    }

    /// Where to receive: a text such as `127.0.0.1:7946`, or anything else that an [`Address`] is made from; checked
    /// at the start. Default `0.0.0.0:7946`; port 0 takes a free one, no port is 7946.
    pub fn bind(mut self, address: impl Into<Address>) -> ClusterBuilder {
        self.options.bind = address.into();
        self
    }

    /// Where the others reach this member, if not where it is bound; as in [`ClusterBuilder::bind`]. No port, or
    /// port 0, stands for the bound port.
    pub fn advertise(mut self, address: impl Into<Address>) -> ClusterBuilder {
        self.options.advertise = Some(address.into());
        self
    }

    /// What the others get to see of this member, up to 512 bytes.
    pub fn metadata(mut self, metadata: impl Into<Vec<u8>>) -> ClusterBuilder {
        self.options.metadata = metadata.into();
        self
    }

    /// Path of the file with the member's key, which is made if it is not there: [`ClusterOptions::identity_path`].
    pub fn identity(mut self, path: impl Into<PathBuf>) -> ClusterBuilder {
        self.options.identity_path = Some(path.into());
        self
    }

    /// Admits `key`, under `name` alone if there is one, and from then on nobody who is not admitted so:
    /// [`ClusterOptions::admitted_keys`].
    pub fn admit_key(mut self, key: PublicKey, name: Option<&str>) -> ClusterBuilder {
        self.options.admitted_keys.add(key, name);
        self
    }

    /// The zone that this member is in, like `eu-west-1a`; see [`ClusterOptions::zone`].
    pub fn zone(mut self, zone: impl Into<String>) -> ClusterBuilder {
        self.options.zone = zone.into();
        self
    }

    /// Networks that members may be in, like `10.0.0.0/8` or `fd00::/8`; see [`ClusterOptions::allowed_networks`]. Default:
    /// everywhere.
    pub fn allowed_networks<T: Into<String>>(
        mut self,
        networks: impl IntoIterator<Item = T>,
    ) -> ClusterBuilder {
        self.options.allowed_networks = networks.into_iter().map(Into::into).collect();
        self
    }

    /// Asks the application about every member that is not known before it is taken into the view: admitted if `hook` says
    /// true. It is called on a thread of its own, one candidate at a time, and may block: the protocol does not wait for it.
    /// What it has not said within `admission_timeout_ms` the setting `admit_on_timeout` decides. Its word is remembered for
    /// `admission_memory_ms`, so that one who was refused is asked about once in that time, unless its address, metadata or
    /// zone is another. Members in the view are not asked about again, whatever they change; one that was away so long that it
    /// was forgotten is. A hook that panics has said nothing.
    ///
    /// It is this member's own judgement: others may admit whom it refuses, and then tell it of that one again and again. So
    /// give all members the same.
    ///
    /// ```
    /// use swimring::Cluster;
    ///
    /// # fn main() -> Result<(), swimring::ClusterError> {
    /// let cluster = Cluster::builder("web-1")
    ///     .bind("127.0.0.1:0")
    ///     .allowed_networks(["127.0.0.0/8", "10.0.0.0/8"])
    ///     .admit(|candidate| candidate.name.starts_with("web-"))
    ///     .start()?;
    /// # drop(cluster);
    /// # Ok(())
    /// # }
    /// ```
    pub fn admit(mut self, hook: impl Fn(&Candidate) -> bool + Send + Sync + 'static) -> ClusterBuilder {
        self.options.admission = Some(AdmissionHook::new(hook));
        self
    }

    /// The same with an answer that is awaited: up to 64 at one time, on the same thread, in no runtime. Whoever needs one
    /// has its own run the work, and awaits that: `handle.spawn(..)` of Tokio's for instance.
    pub fn admit_async<F>(mut self, hook: impl Fn(Candidate) -> F + Send + Sync + 'static) -> ClusterBuilder
    where
        F: Future<Output = bool> + Send + 'static,
    {
        self.options.admission = Some(AdmissionHook::new_async(hook));
        self
    }

    /// Members to join through in the background: from the start on until one answers, again whenever this
    /// member finds itself alone, and now and then those that are not in its view; see
    /// [`ClusterBuilder::rejoin_interval`].
    pub fn retry_join<S: Into<Seed>>(mut self, seeds: impl IntoIterator<Item = S>) -> ClusterBuilder {
        self.options.seeds = seeds.into_iter().map(|seed| seed.into().to_string()).collect();
        self
    }

    /// How long to wait between two joins in the background; see [`ClusterOptions::rejoin_interval`]. Default
    /// 30 s; zero joins once.
    pub fn rejoin_interval(mut self, interval: Duration) -> ClusterBuilder {
        self.options.rejoin_interval = interval;
        self
    }

    /// What finds the addresses of seeds that are names. Default: [`SystemResolver`](super::SystemResolver).
    pub fn resolver(mut self, resolver: impl Resolve + 'static) -> ClusterBuilder {
        self.options.resolver = Arc::new(resolver);
        self
    }

    /// A file in which the member keeps what is to outlive its process; see [`ClusterOptions::snapshot_path`]. Default:
    /// none.
    ///
    /// ```
    /// use swimring::Cluster;
    ///
    /// # fn main() -> Result<(), swimring::ClusterError> {
    /// # let path = std::env::temp_dir().join(format!("swimring-doc-{}", std::process::id()));
    /// let start = || Cluster::builder("web-1").bind("127.0.0.1:0").snapshot(&path).start();
    /// let cluster = start()?;
    /// cluster.state().set("load", "17")?;
    /// // Whatever happens to the process from here on, it is there again.
    /// cluster.flush_snapshot()?;
    /// drop(cluster);
    ///
    /// let cluster = start()?;
    /// assert_eq!(cluster.state().get("web-1", "load")?.expect("it was kept").value, "17");
    /// # drop(cluster);
    /// # for ending in ["", ".lock"] {
    /// #     let _ = std::fs::remove_file(format!("{}{ending}", path.display()));
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    pub fn snapshot(mut self, path: impl Into<PathBuf>) -> ClusterBuilder {
        self.options.snapshot_path = Some(path.into());
        self
    }

    /// How long what has changed may wait to be written in the snapshot. Default 1 s.
    pub fn snapshot_interval(mut self, interval: Duration) -> ClusterBuilder {
        self.options.snapshot_interval = interval;
        self
    }

    /// Whether a member whose snapshot says that it left on purpose joins again through the members in it. Default:
    /// no.
    pub fn rejoin_after_leave(mut self, rejoin: bool) -> ClusterBuilder {
        self.options.rejoin_after_leave = rejoin;
        self
    }

    /// How long a join may take in all. Default 10 s.
    pub fn join_timeout(mut self, timeout: Duration) -> ClusterBuilder {
        self.options.join_timeout = timeout;
        self
    }

    /// Events that may wait for each subscriber. Default 4,096.
    pub fn events_queued_max(mut self, events: usize) -> ClusterBuilder {
        self.options.events_queued_max = events;
        self
    }

    /// Which datagram driver. Default: io_uring where the kernel permits it.
    pub fn driver(mut self, driver: DriverChoice) -> ClusterBuilder {
        self.options.driver = driver;
        self
    }

    /// The wire format. Default: the native one. In memberlist's a cluster's name does not count; its label
    /// takes that place.
    pub fn wire(mut self, wire: WireOptions) -> ClusterBuilder {
        self.options.wire = wire;
        self
    }

    /// The protocol's constants from `preset`, in place of all set so far.
    pub fn preset(self, preset: Preset) -> ClusterBuilder {
        self.protocol(Settings::preset(preset))
    }

    /// The protocol's constants.
    pub fn protocol(mut self, settings: Settings) -> ClusterBuilder {
        self.options.protocol = settings;
        self
    }

    /// Changes single constants of the protocol.
    pub fn tune(mut self, change: impl FnOnce(&mut Settings)) -> ClusterBuilder {
        change(&mut self.options.protocol);
        self
    }

    /// Changes what a TOML file says; see [`ClusterOptions`] and [`Settings`] for the names, durations in
    /// milliseconds with `_ms` at their end.
    ///
    /// # Errors
    /// [`ClusterError::File`] with the file's and the setting's name.
    #[cfg(feature = "toml")]
    #[cfg_attr(docsrs, doc(cfg(feature = "toml")))]
    pub fn file(mut self, path: impl AsRef<std::path::Path>) -> Result<ClusterBuilder, ClusterError> {
        self.options.read_file(path.as_ref())?;
        Ok(self)
    }

    /// Changes any setting.
    pub fn options(mut self, change: impl FnOnce(&mut ClusterOptions)) -> ClusterBuilder {
        change(&mut self.options);
        self
    }

    /// Starts the member, alone for now: [`Cluster::join`] finds the others.
    ///
    /// # Errors
    /// [`ClusterError`], on one line that names the setting and what it has to be: a port in use, a name too long.
    pub fn start(self) -> Result<Cluster, ClusterError> {
        start(self.options)
    }
}

impl From<ClusterOptions> for ClusterBuilder {
    fn from(options: ClusterOptions) -> ClusterBuilder {
        ClusterBuilder { options }
    }
}

fn start(options: ClusterOptions) -> Result<Cluster, ClusterError> {
    options.validate()?;
    let seeds = options.seed_list()?;
    let name = match options.name.clone() {
        Some(name) => name,
        None => address::host_name()?,
    };
    check_name(&name)?;
    for doubt in options.doubts(&name) {
        tracing::warn!("{doubt}");
    }
    let resumed = snapshot::open(&options, &name)?;
    let seed = RandomState::new().hash_one(&name);
    let key = options.identity_key()?;
    let fleet = Fleet::start(&fleet_options(&options, seed)?, |_| EventDispatcher::default())?;
    let bound = fleet.address(0);
    let advertised = address::advertised(options.advertised_address()?, bound)?;
    let incarnation = snapshot::first_incarnation(first_incarnation(), resumed.as_ref());
    let Begun { state, earlier, handle, recorder } =
        snapshot::begin(resumed, &options, &name, incarnation, seed)?;
    if !options.networks()?.allow(advertised.ip()) {
        tracing::warn!(
            "allowed_networks do not have {} in them, where this member is: those that have the same will refuse it",
            advertised.ip()
        );
    }
    let (asker, asking) =
        options.admission.clone().map(|hook| asking(hook, options.protocol.admission_timeout)).unzip();
    let keeps_notes = recorder.is_some();
    let begins = MemberBegins { name: &name, advertised, incarnation, key, keeps_notes, state, asker };
    let events = add_member(&fleet, &options, begins)?;
    let (mailbox, inbox) = mailbox();
    let remembered = Remembered::new(seeds, earlier);
    let own = (name.into(), advertised);
    let shared = Arc::new(Shared::new(fleet, own, seed, remembered, &options, mailbox, handle));
    let cluster = Arc::downgrade(&shared);
    shared.ask(move |host, _| host.observer.cluster = cluster).wait()?;
    if let Some(asking) = asking {
        asking.start(Arc::downgrade(&shared)).map_err(FleetError::Thread)?;
    }
    let rejoin = Rejoin { timeout: options.join_timeout, interval: options.rejoin_interval };
    let background = Background::new(Arc::clone(&shared), inbox, events, rejoin);
    let background = std::thread::Builder::new()
        .name("swimring-bg".to_owned())
        .spawn(move || background.run())
        .map_err(FleetError::Thread)?;
    // From here on an error ends the member: its only handle goes.
    let cluster = Cluster::new(Arc::clone(&shared), background, options.join_timeout);
    if let Some(recorder) = recorder {
        recorder.run(Arc::clone(&shared)).map_err(FleetError::Thread)?;
    }
    tracing::info!(
        local = &*shared.name, cluster = shared.cluster, %bound, %advertised,
        incarnation = incarnation.get(), "member started"
    );
    Ok(cluster)
}

/// What the member of a fleet of one begins with.
struct MemberBegins<'a> {
    name: &'a str,
    advertised: SocketAddr,
    incarnation: Incarnation,
    /// What it signs with.
    key: Option<IdentityKey>,
    /// For a snapshot.
    keeps_notes: bool,
    state: Option<SavedState>,
    /// For an application that is asked who may come into the view.
    asker: Option<Asker>,
}

/// Adds the member to its fleet. Gives what happens to it from then on.
fn add_member(
    fleet: &Fleet<EventDispatcher>,
    options: &ClusterOptions,
    begins: MemberBegins<'_>,
) -> Result<Events, ClusterError> {
    let MemberBegins { name, advertised, incarnation, key, keeps_notes, state, asker } = begins;
    let wire = WireKind::from(&options.wire);
    let (name, metadata, zone) = (name.to_owned(), options.metadata.clone(), options.zone.clone());
    let (sender, receiver) = lossy_channel(options.events_queued_max);
    let added = fleet.ask(0, move |host, trains| {
        // Before the member is there: others that know its address may join it at once.
        host.observer.subscribe(sender, false);
        host.observer.notes = keeps_notes.then(Notes::default);
        host.observer.asker = asker;
        host.observer.wire = Some(wire);
        let local = host.add_with_key((advertised, &zone), &name, &metadata, incarnation, key.as_ref())?;
        let restored = state.and_then(|state| {
            host.command(local, trains, |member, now, shared, out| {
                member.restore_state(now, state, shared, out)
            })
        });
        Ok::<_, ClusterError>(restored.unwrap_or(Ok(())))
    })?;
    added?.map_err(|error| {
        let expected = format!("names a snapshot that does not fit the other settings: {error}");
        ClusterError::setting("snapshot_path", expected)
    })?;
    Ok(Events::new(receiver))
}

fn fleet_options(options: &ClusterOptions, seed: u64) -> Result<FleetOptions, ClusterError> {
    Ok(FleetOptions {
        settings: Arc::new(options.protocol.clone()),
        wire: options.wire.clone(),
        identities: options.identities(),
        net: options.net(),
        stream: options.stream(),
        bind: options.bind_address()?,
        cluster: options.cluster_id(),
        seed,
        admission: AdmissionRules { networks: options.networks()?, asks: options.admission.is_some() },
        ..FleetOptions::default()
    })
}

/// Seconds since 2020, so that a restart outranks its own past.
fn first_incarnation() -> Incarnation {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    // A clock before 2020 leaves it to refutation.
    Incarnation::new(now.saturating_sub(EPOCH_S).max(1))
}
