//! Forgeries by the hundred million against real members that encrypt.
//!
//! Members on a few workers talk to each other, and somebody without a key stands between them. For each datagram and each message
//! of a stream it first offers the receiver what it can make of that and of all that went by: bits and fields that are others, what
//! is cut, longer, spliced or damaged, what the receiver has had, what it ought to have had long ago, what is not for it, what
//! another key has sealed or none. Then it passes the genuine one on, which has to be taken: so nothing was refused but for what
//! was wrong with it. A forgery counts as accepted once a member is handed it.

mod adversary;
mod cluster;
mod forgery;
mod tally;

use swimring::protocol::WireOptions;
use swimring_testing::sealed;

use adversary::Adversary;
use cluster::Cluster;
pub use tally::Tally;

/// The key of the members, and that of others.
const KEYS: [u8; 2] = [1, 2];
/// Forgeries for each datagram.
const INPUTS_EACH: u32 = 64;
/// 10 ms each, in which other members are listened to.
const LISTENED_STEPS: usize = 500;
/// And at most so many until there is something of every kind to repeat.
const RECORDED_STEPS_MAX: usize = 60_000;

/// What the members of `cluster` say to each other.
fn recorded(mut cluster: Cluster, seed: u64) -> Vec<Vec<u8>> {
    let mut listener = Adversary::new(seed, None);
    (0..LISTENED_STEPS).for_each(|_| cluster.step(&mut listener));
    listener.heard().cloned().collect()
}

/// Offers at least `inputs` forgeries, drawn with `seed`, to members that encrypt. `watch` is shown from time to time how far that is.
///
/// # Panics
/// If members panic, or a member was declared dead.
pub fn forge(inputs: u64, seed: u64, mut watch: impl FnMut(&Tally)) -> Tally {
    let [key, other_key] = KEYS;
    let restarted = sealed::opener_with(sealed::keys(&[&[key; 32]]), true);
    let mut adversary = Adversary::new(seed, Some(restarted));
    adversary.other_key = recorded(Cluster::encrypted(other_key), seed);
    adversary.plain = recorded(Cluster::new(&WireOptions::Native, 0), seed);
    let mut cluster = Cluster::encrypted(key);
    let mut steps = 0;
    while !adversary.is_ready(cluster.time_s()) {
        assert!(steps < RECORDED_STEPS_MAX, "nothing to forge");
        cluster.step(&mut adversary);
        steps += 1;
    }
    adversary.inputs_each = INPUTS_EACH;
    while adversary.tally.offered() < inputs {
        cluster.step(&mut adversary);
        watch(&adversary.tally);
    }
    for worker in &cluster.workers {
        let counters = worker.counters();
        assert!(counters.events_delivered > 0 && counters.probes_acked > 0, "members that do nothing");
        assert_eq!((worker.failed, counters.decode_errors), (0, 0), "members were disturbed");
    }
    adversary.tally
}
