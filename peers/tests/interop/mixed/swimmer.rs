//! One Swimring member as an application embeds it, with everything that it was told.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use swimring::{Cluster, ClusterBuilder, ClusterEvent, MemberlistOptions, Settings, State, WireOptions};

use super::{PATIENCE, eventually, now_us};

/// A member. Dropping it shuts it down.
pub struct Swimmer {
    pub cluster: Cluster,
    seen: Arc<Mutex<Vec<(i64, ClusterEvent)>>>,
}

impl Swimmer {
    /// Starts a member that speaks memberlist's format.
    pub fn start(
        name: &str,
        address: SocketAddrV4,
        metadata: &[u8],
        settings: &Settings,
        wire: &MemberlistOptions,
    ) -> Swimmer {
        let builder = Cluster::builder(name).bind(address).metadata(metadata).protocol(settings.clone());
        Swimmer::build(builder.wire(WireOptions::Memberlist(wire.clone())))
    }

    pub fn build(builder: ClusterBuilder) -> Swimmer {
        let cluster = builder.start().unwrap();
        let mut events = cluster.subscribe().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&seen);
        std::thread::spawn(move || {
            while let Some(event) = events.recv() {
                assert!(!matches!(event, ClusterEvent::Lagged(_)), "an event was lost");
                lock(&notes).push((now_us(), event));
            }
        });
        Swimmer { cluster, seen }
    }

    pub fn name(&self) -> String {
        self.cluster.name().to_owned()
    }

    /// Joins through `seed`, which has to answer.
    pub fn join(&self, seed: SocketAddrV4) {
        self.cluster.join_within([std::net::SocketAddr::from(seed)], PATIENCE).wait().unwrap();
    }

    /// Everything so far, with its time.
    pub fn seen(&self) -> Vec<(i64, ClusterEvent)> {
        lock(&self.seen).clone()
    }

    /// When the first event from `since_us` on came that `wanted` accepts.
    pub fn first(&self, since_us: i64, wanted: impl Fn(&ClusterEvent) -> bool) -> Option<i64> {
        let seen = lock(&self.seen);
        seen.iter().find(|(at, event)| *at >= since_us && wanted(event)).map(|(at, _)| *at)
    }

    /// Waits for such an event.
    pub fn wait(&self, since_us: i64, what: &str, wanted: impl Fn(&ClusterEvent) -> bool) -> i64 {
        let what = format!("{what} at {}", self.cluster.name());
        eventually(&what, || {
            self.first(since_us, &wanted).ok_or_else(|| format!("not among {:?}", self.seen()))
        })
    }

    /// How many user events of this name and payload came.
    pub fn heard(&self, name: &str, payload: &[u8]) -> usize {
        let is_it = |event: &ClusterEvent| is_user(event, name, payload);
        lock(&self.seen).iter().filter(|(_, event)| is_it(event)).count()
    }

    /// Names of the members that it declared dead, or was told are.
    pub fn failed(&self) -> Vec<String> {
        let name = |event: &ClusterEvent| match event {
            ClusterEvent::Failed { member, .. } => Some(member.name.to_string()),
            _ => None,
        };
        lock(&self.seen).iter().filter_map(|(_, event)| name(event)).collect()
    }

    /// Name, address and metadata of every member it holds alive.
    pub fn view(&self) -> Vec<(String, String, Vec<u8>)> {
        let members = self.cluster.members().unwrap();
        let alive = members.into_iter().filter(|member| member.state == State::Alive);
        alive
            .map(|member| (member.name.to_string(), member.address.to_string(), member.metadata.to_vec()))
            .collect()
    }
}

pub fn is_user(event: &ClusterEvent, name: &str, payload: &[u8]) -> bool {
    matches!(event, ClusterEvent::User(user) if &*user.name == name && user.payload == payload)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The address `offset` after `first`.
pub fn after(first: Ipv4Addr, offset: u32) -> Ipv4Addr {
    (first.to_bits() + offset).into()
}
