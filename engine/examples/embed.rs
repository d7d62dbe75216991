//! A service that keeps a routing table: which instance is responsible for which key.
//!
//! Every instance keeps a consistent-hash ring of the live members, from nothing but the events of its
//! embedded member, and weights each by the `weight=` in its metadata. No instance asks another; once the
//! news has spread all of them route alike.
//!
//! ```sh
//! cargo run --example embed            # three instances in one process, which ends by itself
//!
//! # or one instance each in two terminals, with metrics for Prometheus
//! cargo run --example embed -- one 127.0.0.1:7101 127.0.0.1:9101
//! cargo run --example embed -- two 127.0.0.1:7102 127.0.0.1:9102 127.0.0.1:7101
//! curl -s 127.0.0.1:9102/metrics | grep swimring_members
//! ```

#![allow(clippy::disallowed_methods, reason = "an application has threads and a clock")]

use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, RwLock, mpsc};
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::PrometheusBuilder;
use swimring::{Cluster, ClusterEvent, MemberId, MemberInfo, Preset};

/// Places on the ring per unit of weight: enough that shares come out within a tenth or so.
const PLACES: u32 = 128;
/// How long the demonstration waits for news that takes a fraction of a second.
const PATIENCE: Duration = Duration::from_secs(30);

/// A consistent-hash ring. The same members with the same weights give the same ring everywhere.
#[derive(Default)]
struct Ring {
    weights: BTreeMap<Arc<str>, u32>,
    places: BTreeMap<u64, Arc<str>>,
}

impl Ring {
    fn of(members: &[MemberInfo]) -> Ring {
        let mut ring = Ring::default();
        for member in members {
            ring.set(member);
        }
        ring
    }

    /// Adds a member, or changes its weight.
    fn set(&mut self, member: &MemberInfo) {
        self.remove(&member.name);
        let weight = weight_of(&member.metadata);
        for place in 0..weight * PLACES {
            self.places.insert(hash(&format!("{}#{place}", member.name)), Arc::clone(&member.name));
        }
        self.weights.insert(Arc::clone(&member.name), weight);
    }

    fn remove(&mut self, name: &str) {
        self.places.retain(|_, owner| &**owner != name);
        self.weights.remove(name);
    }

    /// Who is responsible for `key`: the next place on the ring.
    fn owner(&self, key: &str) -> Option<&str> {
        let mut following = self.places.range(hash(key)..).chain(&self.places);
        following.next().map(|(_, owner)| &**owner)
    }
}

/// XXH3, as member ids are made: the same in every process and release.
fn hash(text: &str) -> u64 {
    MemberId::of_name(text).0
}

fn weight_of(metadata: &[u8]) -> u32 {
    let text = std::str::from_utf8(metadata).unwrap_or_default();
    text.strip_prefix("weight=").and_then(|weight| weight.parse().ok()).unwrap_or(1)
}

/// An instance of the service: its member, and the ring that a thread keeps up to date.
struct Service {
    cluster: Cluster,
    ring: Arc<RwLock<Ring>>,
}

impl Service {
    /// Starts routing over the members of `cluster`; `changed` hears of every change of the ring.
    fn start(cluster: Cluster, changed: mpsc::Sender<()>) -> Result<Service, Box<dyn Error>> {
        // The members of one moment and the events from that moment on: nothing is missed in between.
        let (members, events) = cluster.watch()?;
        let ring = Arc::new(RwLock::new(Ring::of(&members)));
        let (kept, handle) = (Arc::clone(&ring), cluster.clone());
        std::thread::spawn(move || {
            for event in events {
                if let ClusterEvent::Lagged(_) = event {
                    // Too many changes at once to follow one by one: begin again with the members there are.
                    let Ok(members) = handle.members() else { return };
                    *kept.write().expect("the ring") = Ring::of(&members);
                } else if !apply(&mut kept.write().expect("the ring"), &event) {
                    continue;
                }
                if changed.send(()).is_err() {
                    return;
                }
            }
        });
        Ok(Service { cluster, ring })
    }

    /// The weights that this instance routes by, and how many of a thousand keys each member gets.
    fn shares(&self) -> BTreeMap<String, (u32, u32)> {
        let ring = self.ring.read().expect("the ring");
        let weights = ring.weights.iter();
        let mut shares: BTreeMap<_, _> =
            weights.map(|(name, weight)| (name.to_string(), (*weight, 0))).collect();
        for key in 0..1000 {
            if let Some((_, share)) = ring.owner(&format!("user-{key}")).and_then(|o| shares.get_mut(o)) {
                *share += 1;
            }
        }
        shares
    }
}

/// The thread that follows the events has a handle too, so that dropping this one alone would not stop the
/// member.
impl Drop for Service {
    fn drop(&mut self) {
        self.cluster.shutdown();
    }
}

/// Brings the ring up to date. False if the event is none of its business: a suspect member, for
/// instance, keeps its keys, because it may well refute.
fn apply(ring: &mut Ring, event: &ClusterEvent) -> bool {
    match event {
        ClusterEvent::Joined(member) | ClusterEvent::Updated(member) | ClusterEvent::Restarted(member) => {
            ring.set(member);
        }
        ClusterEvent::Failed { member, .. } | ClusterEvent::Left(member) => ring.remove(&member.name),
        _ => return false,
    }
    true
}

fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => demonstrate(),
        [name, bind, metrics, seeds @ ..] => serve(name, bind.parse()?, metrics.parse()?, seeds),
        _ => Err("usage: embed [NAME BIND_ADDRESS METRICS_ADDRESS [SEED]...]".into()),
    }
}

/// One instance, until it is killed: prints its shares at every change.
fn serve(name: &str, bind: SocketAddr, metrics: SocketAddr, seeds: &[String]) -> Result<(), Box<dyn Error>> {
    // Before the member starts, so that the exporter is also told what the names mean.
    PrometheusBuilder::new().with_http_listener(metrics).install()?;
    let cluster = Cluster::builder(name).cluster("routing").bind(bind).retry_join(seeds).start()?;
    let (changed, changes) = mpsc::channel();
    let service = Service::start(cluster, changed)?;
    loop {
        println!("{name} routes over {}", told(&service.shares()));
        changes.recv()?;
    }
}

/// Three instances: they find each other, one gets more weight, one leaves.
fn demonstrate() -> Result<(), Box<dyn Error>> {
    let prometheus = PrometheusBuilder::new().install_recorder()?;
    let (changed, changes) = mpsc::channel();
    let mut services = Vec::new();
    for name in ["one", "two", "three"] {
        let member = Cluster::builder(name).cluster("routing").bind("127.0.0.1:0").preset(Preset::Local);
        services.push(Service::start(member.start()?, changed.clone())?);
    }
    let seed = services[0].cluster.address();
    for service in &services[1..] {
        service.cluster.join([seed]).wait()?;
    }
    agree(&services, &changes, "all have joined", &[("one", 1), ("three", 1), ("two", 1)])?;
    services[1].cluster.update_metadata("weight=3")?;
    agree(&services, &changes, "two says weight=3", &[("one", 1), ("three", 1), ("two", 3)])?;
    let leaving = services.pop().ok_or("three")?;
    leaving.cluster.leave(Duration::from_secs(5)).wait()?;
    drop(leaving);
    agree(&services, &changes, "three has left", &[("one", 1), ("two", 3)])?;
    let sample = metrics_when(&prometheus, "swimring_probes_acked_total")?;
    println!("and among the metrics: {sample}");
    Ok(())
}

/// Waits until every service routes by the weights `expected`, and prints the shares.
fn agree(
    services: &[Service],
    changes: &mpsc::Receiver<()>,
    what: &str,
    expected: &[(&str, u32)],
) -> Result<(), Box<dyn Error>> {
    for service in services {
        loop {
            let shares = service.shares();
            let weights = shares.iter().map(|(name, (weight, _))| (name.as_str(), *weight));
            if weights.eq(expected.iter().copied()) {
                println!("{what:<18} {:>5} routes over {}", service.cluster.name(), told(&shares));
                break;
            }
            changes.recv_timeout(PATIENCE)?;
        }
    }
    Ok(())
}

fn told(shares: &BTreeMap<String, (u32, u32)>) -> String {
    let shares = shares.iter().map(|(name, (_, share))| format!("{name} {:.1} %", f64::from(*share) / 10.0));
    shares.collect::<Vec<_>>().join(", ")
}

/// The first line of `name`, once it has been published, which happens once a second.
fn metrics_when(
    prometheus: &metrics_exporter_prometheus::PrometheusHandle,
    name: &str,
) -> Result<String, Box<dyn Error>> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let page = prometheus.render();
        if let Some(line) = page.lines().find(|line| line.starts_with(name) && !line.ends_with(" 0")) {
            return Ok(line.to_owned());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Err(format!("{name} was not published").into())
}
