//! What the tests of embedded members have in common: members with quick settings, and waits that end.

#![allow(
    dead_code,
    unused_imports,
    clippy::disallowed_methods,
    reason = "each test file uses a part; tests wait"
)]

mod process;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use swimring::{Cluster, ClusterBuilder, ClusterEvent, Events, MemberInfo, Preset};

pub use self::process::TestProcess;

/// Far longer than anything takes: a wait that reaches it has failed.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A member on a free port, with settings under which a failure is found within a second or two.
pub fn member(name: &str) -> ClusterBuilder {
    Cluster::builder(name).bind(([127, 0, 0, 1], 0)).preset(Preset::Local).tune(|protocol| {
        protocol.probe_interval = Duration::from_millis(200);
        protocol.probe_timeout = Duration::from_millis(100);
        protocol.gossip_interval = Duration::from_millis(20);
    })
}

pub fn start(name: &str) -> Cluster {
    member(name).start().unwrap()
}

/// `name`, joined through `seed`.
pub fn joined(name: &str, seed: &Cluster) -> Cluster {
    let cluster = start(name);
    cluster.join([seed.address()]).wait().unwrap();
    cluster
}

pub fn names(members: &[MemberInfo]) -> Vec<&str> {
    members.iter().map(|member| &*member.name).collect()
}

/// The first event that `wanted` accepts, and those before it.
pub fn until(
    events: &mut Events,
    what: &str,
    wanted: impl Fn(&ClusterEvent) -> bool,
) -> (ClusterEvent, Vec<ClusterEvent>) {
    let deadline = Instant::now() + PATIENCE;
    let mut before = Vec::new();
    loop {
        match events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(event) if wanted(&event) => return (event, before),
            Ok(event) => before.push(event),
            Err(error) => panic!("{what}: {error} after {before:?}"),
        }
    }
}

/// Waits until `condition` holds.
pub fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn is_joined(event: &ClusterEvent, name: &str) -> bool {
    matches!(event, ClusterEvent::Joined(member) if &*member.name == name)
}

pub fn is_failed(event: &ClusterEvent, name: &str) -> bool {
    matches!(event, ClusterEvent::Failed { member, .. } if &*member.name == name)
}

pub fn is_left(event: &ClusterEvent, name: &str) -> bool {
    matches!(event, ClusterEvent::Left(member) if &*member.name == name)
}

/// Runs a future on this thread: all the executor that these futures need.
pub fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        assert!(Instant::now() < deadline, "the future was not woken");
        std::thread::park_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}
