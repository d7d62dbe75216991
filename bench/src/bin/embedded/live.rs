//! A real member: [`Cluster`] in a process of its own, which joins a fleet of real members of another process over
//! loopback, learns of all of them from one of these, and goes on as one of them.
//!
//! What it costs is that of the whole process: its three threads, its sockets, and the kernel's work on their behalf.

use std::error::Error;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use swimring::protocol::{Event, Preset, Settings};
use swimring::worker::{EventContext, Fleet, FleetOptions, Host, Observer};
use swimring::{Cluster, ClusterOptions};
use swimring_codec::Incarnation;
use swimring_tooling::cpu::{CpuTime, resident_bytes};

use crate::case::name_of;

/// The cluster of the fleet and the member that is measured.
const CLUSTER: &str = "embedded";
/// Seconds from its join until it is measured.
const SETTLING_S: u64 = 20;
/// How often it is asked whether it knows all, in milliseconds, and how often at most.
const LOOK_EVERY_MS: u64 = 100;
const LOOKS_MAX: usize = 600;

/// What a real member costs.
#[derive(Debug, Serialize, Deserialize)]
pub struct LiveCost {
    pub known: usize,
    /// By how much the process grew, from before it joined.
    pub resident_bytes: u64,
    /// From the call to join until it knew everyone.
    pub joined_ms: f64,
    /// Processor time of a second.
    pub cpu_us: f64,
    /// The kernel's part of it.
    pub kernel_us: f64,
    pub seconds: u64,
}

struct Nobody;

impl Observer for Nobody {
    fn event(&mut self, _: &EventContext<'_>, _: &Event) {}
}

/// Starts `known` members in this process, and measures one in another for so many seconds.
pub fn measure(known: usize, seconds: u64) -> Result<LiveCost, Box<dyn Error>> {
    let mut options = ClusterOptions::default();
    options.cluster = CLUSTER.to_owned();
    let settings = Settings { members_max: known as u32 + 16, ..Settings::preset(Preset::Lan) };
    let options = FleetOptions {
        settings: Arc::new(settings),
        cluster: options.cluster_id(),
        bind: SocketAddr::from(([127, 0, 0, 1], 0)),
        workers: 1,
        members_expected: known,
        known_expected: known + 1,
        seed: 1,
        ..FleetOptions::default()
    };
    let fleet = Fleet::start(&options, |_| Nobody)?;
    fleet.ask(0, move |host: &mut Host<Nobody>, _| -> Result<(), String> {
        host.pause();
        for number in 0..known {
            let added = host.add(&name_of(number), &[], Incarnation::new(1));
            added.map_err(|error| error.to_string())?;
        }
        host.load_views(|_, _, _| Ok(())).map_err(|error| error.to_string())?;
        host.resume();
        Ok(())
    })??;
    let mut member = Command::new(std::env::current_exe()?);
    member
        .arg("live-member")
        .arg(fleet.address(0).to_string())
        .args([known.to_string(), seconds.to_string()]);
    let output = member.output()?;
    if !output.status.success() {
        return Err(format!("the member: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The member that is measured: joins through `seed` and waits until it knows `known` others.
#[allow(clippy::disallowed_methods, reason = "a real member is waited for in real time")]
pub fn member(seed: SocketAddr, known: usize, seconds: u64) -> Result<LiveCost, Box<dyn Error>> {
    let cluster = Cluster::builder("self")
        .cluster(CLUSTER)
        .bind(SocketAddr::from(([127, 0, 0, 1], 0)))
        .preset(Preset::Lan)
        .tune(|protocol| protocol.members_max = known as u32 + 16)
        .start()?;
    let resident = resident_bytes().unwrap_or(0);
    let began = std::time::Instant::now();
    cluster.join([seed]).wait()?;
    let mut looks = 0;
    while cluster.len()? <= known {
        looks += 1;
        if looks > LOOKS_MAX {
            return Err(format!("it knows {} of {known}", cluster.len()? - 1).into());
        }
        sleep(Duration::from_millis(LOOK_EVERY_MS));
    }
    let joined = began.elapsed();
    sleep(Duration::from_secs(SETTLING_S));
    let before = CpuTime::of_process();
    sleep(Duration::from_secs(seconds));
    let spent = CpuTime::of_process().since(before);
    let each = |spent: Duration| spent.as_secs_f64() * 1e6 / seconds as f64;
    let known = cluster.len()? - 1;
    Ok(LiveCost {
        known,
        resident_bytes: resident_bytes().unwrap_or(0).saturating_sub(resident),
        joined_ms: joined.as_secs_f64() * 1e3,
        cpu_us: each(spent.total()),
        kernel_us: each(spent.kernel),
        seconds,
    })
}
