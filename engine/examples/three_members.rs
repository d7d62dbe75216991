//! Three members in one process: they join, one is killed, and the others tell how they find out.
//!
//! ```sh
//! cargo run --example three_members
//! ```
//!
//! Each line says at which member something was seen. The first second goes by in joining; then `carol`
//! vanishes without a word, is suspected by whoever probes it first, and is declared dead once it had its
//! time to refute. It ends by itself.

#![allow(clippy::disallowed_methods, reason = "an application has threads and a clock")]

use std::sync::mpsc;
use std::time::{Duration, Instant};

use swimring::{Cluster, ClusterError, ClusterEvent, Preset};

/// The whole demonstration takes some five seconds; this is for a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // RUST_LOG=swimring=info shows the members' own log beside this.
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let started = Instant::now();
    let [alice, bob, carol] = [start("alice")?, start("bob")?, start("carol")?];
    let (tell, told) = mpsc::channel();
    for cluster in [&alice, &bob, &carol] {
        watch(cluster, tell.clone())?;
    }
    let mut story = Story { started, told };

    story.say("bob and carol join through alice");
    let seed = alice.address();
    bob.join([seed]).wait()?;
    carol.join([seed]).wait()?;
    story.until(6, |event| matches!(event, ClusterEvent::Joined(_)))?;

    story.say("carol is killed");
    carol.shutdown();
    story.until(2, |event| matches!(event, ClusterEvent::Failed { .. }))?;

    story.say("bob leaves, and alice sees that it did not fail");
    bob.leave(Duration::from_secs(5)).wait()?;
    story.until(1, |event| matches!(event, ClusterEvent::Left(_)))?;
    Ok(())
}

/// A member on a free port of this machine, with settings that make a short demonstration.
fn start(name: &str) -> Result<Cluster, ClusterError> {
    Cluster::builder(name)
        .cluster("demo")
        .bind("127.0.0.1:0")
        .preset(Preset::Local)
        .tune(|protocol| {
            protocol.probe_interval = Duration::from_millis(500);
            protocol.stream_fallback = true;
        })
        .start()
}

/// Passes on what `cluster` sees, with its name.
fn watch(cluster: &Cluster, tell: mpsc::Sender<(String, ClusterEvent)>) -> Result<(), ClusterError> {
    let (name, events) = (cluster.name().to_owned(), cluster.subscribe()?);
    std::thread::spawn(move || {
        for event in events {
            if tell.send((name.clone(), event)).is_err() {
                return;
            }
        }
    });
    Ok(())
}

struct Story {
    started: Instant,
    told: mpsc::Receiver<(String, ClusterEvent)>,
}

impl Story {
    fn say(&self, what: &str) {
        println!("{:>7.3} s  -- {what}", self.started.elapsed().as_secs_f64());
    }

    /// Prints what is seen until `wanted` has been seen `count` times.
    fn until(
        &mut self,
        count: usize,
        wanted: fn(&ClusterEvent) -> bool,
    ) -> Result<(), mpsc::RecvTimeoutError> {
        let mut seen = 0;
        while seen < count {
            let (at, event) = self.told.recv_timeout(PATIENCE)?;
            println!("{:>7.3} s  {at}: {}", self.started.elapsed().as_secs_f64(), describe(&event));
            seen += usize::from(wanted(&event));
        }
        Ok(())
    }
}

fn describe(event: &ClusterEvent) -> String {
    match event {
        ClusterEvent::Joined(member) => format!("{} is alive, at {}", member.name, member.address),
        ClusterEvent::Suspected { member, accuser } => {
            format!("{} is suspect, accused by {accuser}", member.name)
        }
        ClusterEvent::Recovered { member, .. } => format!("{} is alive after all", member.name),
        ClusterEvent::Failed { member, suspicion, .. } => match suspicion {
            Some(suspicion) => {
                format!("{} has failed, after {:.1?} of suspicion", member.name, suspicion.lasted)
            }
            None => format!("{} has failed, as others say", member.name),
        },
        ClusterEvent::Left(member) => format!("{} has left", member.name),
        other => format!("{other:?}"),
    }
}
