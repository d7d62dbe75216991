//! Two members share state: what each says of itself, and configuration that both may change.
//!
//! ```sh
//! cargo run --example key_value
//! ```
//!
//! `store` watches what `worker` says of its load. Then a third member joins late, and has everything when its join is done.
//! It ends by itself.

#![allow(clippy::disallowed_methods, reason = "an application has threads and a clock")]

use std::time::Duration;

use swimring::{Cluster, ClusterError, StateError, StateEvent};

/// The whole demonstration takes less than a second; this is for a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = start("store")?;
    let worker = start("worker")?;
    worker.join([store.address()]).wait()?;

    // What there is that begins like this, and every change from then on, without a gap between.
    let (known, mut changes) = store.state().watch("load/")?;
    println!("store: {} loads are known", known.len());
    worker.state().set("load/cpu", "17 %")?;
    println!("store: {}", told(changes.recv_timeout(PATIENCE)?));

    // A member's own keys have one writer; a version says whether it is still what was read.
    let read = worker.state().get("worker", "load/cpu")?.ok_or("it was set")?;
    worker.state().compare_and_set("load/cpu", Some(read.version), "18 %")?;
    match worker.state().compare_and_set("load/cpu", Some(read.version), "19 %") {
        Err(ClusterError::State(StateError::Changed { .. })) => println!("worker: it has changed meanwhile"),
        other => return Err(format!("{other:?}").into()),
    }
    println!("store: {}", told(changes.recv_timeout(PATIENCE)?));

    // The cluster's keys are everyone's, and the last to write wins.
    let (_, mut features) = store.state().watch("feature/")?;
    worker.state().set_for_cluster("feature/compression", "zstd")?;
    println!("store: {}", told(features.recv_timeout(PATIENCE)?));

    let late = start("late")?;
    late.join([store.address()]).wait()?;
    for entry in late.state().iter("")? {
        let whose = entry.member.as_deref().unwrap_or("the cluster");
        println!("late: {} of {whose} is {}", entry.key, String::from_utf8_lossy(&entry.value));
    }
    Ok(())
}

/// A member on a free port of this machine.
fn start(name: &str) -> Result<Cluster, ClusterError> {
    Cluster::builder(name).cluster("demo").bind("127.0.0.1:0").start()
}

fn told(event: StateEvent) -> String {
    match event {
        StateEvent::Set(entry) => format!("{} is {}", entry.key, String::from_utf8_lossy(&entry.value)),
        StateEvent::Deleted { key, .. } => format!("{key} is gone"),
        StateEvent::Lagged(lost) => format!("{lost} changes were lost: read all again"),
        _ => "something new".to_owned(),
    }
}
