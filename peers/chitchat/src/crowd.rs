//! Members of either library in this process, each with its own socket, and a watcher of all keys at each.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chitchat::transport::UdpTransport;
use chitchat::{
    ChitchatConfig, ChitchatHandle, ChitchatId, FailureDetectorConfig, ProtocolVersion, spawn_chitchat,
};
use futures_core::Stream;
use swimring::{Cluster, StateEvent, StateWatch};

use crate::arrivals::Arrivals;

/// Whatever goes wrong ends the program with one line.
pub type Fault = Box<dyn Error + Send + Sync>;

/// What Swimring's members have, and whose keys are changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Kind {
    /// No identities; each member changes its own keys.
    Plain,
    /// The same with identities: maps are signed.
    Identities,
    /// No identities; each changes keys of the cluster.
    ClusterKeys,
    /// The same with identities: each key is signed.
    ClusterKeysIdentities,
}

impl Kind {
    fn has_identities(self) -> bool {
        matches!(self, Kind::Identities | Kind::ClusterKeysIdentities)
    }

    fn of_cluster(self) -> bool {
        matches!(self, Kind::ClusterKeys | Kind::ClusterKeysIdentities)
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Plain => "Swimring, defaults",
            Kind::Identities => "Swimring, identities",
            Kind::ClusterKeys => "Swimring, keys of the cluster",
            Kind::ClusterKeysIdentities => "Swimring, keys of the cluster, identities",
        }
    }
}

/// Which library, and what is set of it.
#[derive(Clone, Copy, Debug)]
pub enum Library {
    /// Swimring with its defaults.
    Swimring(Kind),
    /// chitchat, with the interval at which its members gossip.
    Chitchat(Duration),
}

impl Library {
    /// As it stands in the table.
    pub fn name(self) -> String {
        match self {
            Library::Swimring(kind) => kind.name().into(),
            Library::Chitchat(interval) => format!("chitchat, gossip each {} ms", interval.as_millis()),
        }
    }
}

/// Members that are running.
pub enum Crowd {
    Swimring(Vec<Cluster>, Kind),
    Chitchat(Vec<ChitchatHandle>),
}

impl Crowd {
    /// Starts `members` that will know each other through the first, and tell `arrivals` what they see of each other.
    pub async fn start(library: Library, members: usize, arrivals: &Arc<Arrivals>) -> Result<Crowd, Fault> {
        match library {
            Library::Swimring(kind) => start_swimring(members, kind, arrivals).await,
            Library::Chitchat(interval) => start_chitchat(members, interval, arrivals).await,
        }
    }

    /// How many there are.
    pub fn members(&self) -> usize {
        match self {
            Crowd::Swimring(clusters, _) => clusters.len(),
            Crowd::Chitchat(handles) => handles.len(),
        }
    }

    /// Whether everybody knows that everybody lives.
    pub async fn is_complete(&self) -> Result<bool, Fault> {
        match self {
            Crowd::Swimring(clusters, _) => {
                for cluster in clusters {
                    if cluster.as_async().members().await?.len() < clusters.len() {
                        return Ok(false);
                    }
                }
            }
            Crowd::Chitchat(handles) => {
                for handle in handles {
                    if handle.with_chitchat(|chitchat| chitchat.live_nodes().count()).await < handles.len() {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    /// Sets key number `key` of member number `member`, or, of a kind that does, one of the cluster.
    pub async fn set(&self, member: usize, key: usize, value: &str) -> Result<(), Fault> {
        let own = format!("key-{key}");
        match self {
            Crowd::Swimring(clusters, kind) => {
                let state = clusters[member].as_async().state();
                if kind.of_cluster() {
                    state.set_for_cluster(&format!("{own}-{member}"), value.to_owned()).await?;
                } else {
                    state.set(&own, value.to_owned()).await?;
                }
            }
            Crowd::Chitchat(handles) => {
                handles[member]
                    .with_chitchat(|chitchat| chitchat.self_node_state().set(own.as_str(), value))
                    .await;
            }
        }
        Ok(())
    }

    /// Stops all without a word.
    pub async fn stop(self) {
        match self {
            Crowd::Swimring(clusters, _) => clusters.iter().for_each(Cluster::shutdown),
            Crowd::Chitchat(handles) => {
                for handle in handles {
                    handle.abort();
                }
            }
        }
    }
}

async fn start_swimring(members: usize, kind: Kind, arrivals: &Arc<Arrivals>) -> Result<Crowd, Fault> {
    let keys = tempfile::tempdir()?;
    let mut clusters = Vec::with_capacity(members);
    for number in 0..members {
        let name = format!("member-{number}");
        let mut builder = Cluster::builder(&name).bind("127.0.0.1:0");
        if kind.has_identities() {
            builder = builder.identity(keys.path().join(&name));
        }
        let cluster = builder.start()?;
        let (_, watch) = cluster.as_async().state().watch("").await?;
        tokio::spawn(watch_swimring(name, watch, Arc::clone(arrivals)));
        clusters.push(cluster);
    }
    let seed = clusters[0].address();
    for cluster in &clusters[1..] {
        cluster.as_async().join([seed]).await?;
    }
    Ok(Crowd::Swimring(clusters, kind))
}

async fn watch_swimring(own: String, mut watch: StateWatch, arrivals: Arc<Arrivals>) {
    loop {
        match std::future::poll_fn(|context| Pin::new(&mut watch).poll_next(context)).await {
            Some(StateEvent::Set(entry)) if entry.writer.as_deref() == Some(own.as_str()) => {}
            Some(StateEvent::Set(entry)) => arrivals.arrived(&entry.value),
            // Counted as changes that are nowhere.
            Some(other) => eprintln!("{own}: {other:?}"),
            None => return,
        }
    }
}

async fn start_chitchat(
    members: usize,
    interval: Duration,
    arrivals: &Arc<Arrivals>,
) -> Result<Crowd, Fault> {
    let mut handles: Vec<ChitchatHandle> = Vec::with_capacity(members);
    for number in 0..members {
        let address = free_address()?;
        let seeds = handles.first().map(|seed| seed.chitchat_id().gossip_advertise_addr.to_string());
        let config = ChitchatConfig {
            chitchat_id: ChitchatId::new(format!("member-{number}"), 1, address),
            cluster_id: "default".into(),
            gossip_interval: interval,
            listen_addr: address,
            seed_nodes: seeds.into_iter().collect(),
            failure_detector_config: FailureDetectorConfig::default(),
            marked_for_deletion_grace_period: Duration::from_secs(3_600),
            catchup_callback: None,
            extra_liveness_predicate: None,
            protocol_version: ProtocolVersion::V1,
        };
        let handle = spawn_chitchat(config, Vec::new(), &UdpTransport).await?;
        let (own, arrivals) = (handle.chitchat_id().clone(), Arc::clone(arrivals));
        let subscribe = |chitchat: &mut chitchat::Chitchat| {
            let (own, arrivals) = (own.clone(), Arc::clone(&arrivals));
            chitchat.subscribe_event("", move |event| {
                if *event.node != own {
                    arrivals.arrived(event.value.as_bytes());
                }
            })
        };
        handle.with_chitchat(subscribe).await.forever();
        handles.push(handle);
    }
    Ok(Crowd::Chitchat(handles))
}

/// An address of loopback at which nobody listens. chitchat has to be told where it will be reached before it listens.
fn free_address() -> Result<SocketAddr, Fault> {
    Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
