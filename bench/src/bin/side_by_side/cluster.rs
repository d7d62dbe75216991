//! Whole clusters on loopback, each member at an address of its own, all members in one process: memberlist's
//! in the Go program, ours in the load generator, both with memberlist's constants for a LAN.
//!
//! The sides take turns, size by size. Each cluster starts from nothing, idles, has a stream of user events, and
//! loses some members. What is taken is the same on both sides: seconds by the wall, and processor time of the
//! process, kernel included.

use std::time::Duration;

use crate::results::{Cluster, Whose};
use crate::{fleet, pool};

/// Sizes of both.
const SIZES: [usize; 5] = [50, 100, 200, 250, 300];
/// Sizes that memberlist does not come near.
const LARGE: [usize; 4] = [1_000, 2_000, 5_000, 10_000];
const QUICK: [usize; 2] = [50, 100];
/// Above this memberlist is not tried: its views do not become complete any more.
const MEMBERLIST_MAX: usize = 300;
/// At this size memberlist runs without compression as well, to tell what compression costs it.
const PLAIN_AT: usize = 100;

/// Time for which a cluster idles while its processor time is measured.
pub const IDLE: Duration = Duration::from_secs(6);
/// Before that: what a start leaves behind.
pub const SETTLE: Duration = Duration::from_secs(2);
/// While events are sent: in the first two thirds of it.
pub const EVENT_WINDOW: Duration = Duration::from_secs(9);
/// Events per second, of this many bytes each.
pub const EVENTS_PER_SECOND: usize = 5;
/// Bytes of an event.
pub const EVENT_BYTES: usize = 100;
/// Members that are killed, within [`KILL_SPAN`].
pub const KILLS: usize = 3;
/// Between the first and the last kill, at most.
pub const KILL_SPAN: Duration = Duration::from_secs(2);
/// A cluster whose views are not complete by then is given up.
pub const BOOTSTRAP_MAX: Duration = Duration::from_secs(60);
/// A death that not everyone knows of by then is given up: memberlist's longest suspicion, at its largest size.
pub const DETECTION_MAX: Duration = Duration::from_secs(60);

/// Number of events of a cluster.
pub fn events() -> usize {
    EVENTS_PER_SECOND * EVENT_WINDOW.as_secs() as usize / 3 * 2
}

/// Runs the clusters of `sizes`, or of all sizes.
pub fn measure(quick: bool, sizes: &[usize]) -> Result<Vec<Cluster>, String> {
    let all: Vec<usize> = if quick { QUICK.to_vec() } else { SIZES.into_iter().chain(LARGE).collect() };
    let sizes = if sizes.is_empty() { &all } else { sizes };
    let mut clusters = Vec::new();
    // A size that does not come up in time says enough of larger ones.
    let mut cold = true;
    for members in sizes.iter().copied() {
        if members <= MEMBERLIST_MAX {
            clusters.push(tell(pool::run(Whose::Memberlist, members)?));
        }
        if members == PLAIN_AT {
            clusters.push(tell(pool::run(Whose::MemberlistPlain, members)?));
        }
        let ours = tell(fleet::run(members, cold)?);
        cold = ours.bootstrap_s.is_some();
        clusters.push(ours);
    }
    Ok(clusters)
}

/// Says on standard error how far we are.
fn tell(cluster: Cluster) -> Cluster {
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    eprintln!(
        "{:>6} {:<28} start {} s, idle {} us, event {} us, last death {} s {}",
        cluster.members,
        cluster.whose.title(),
        number(cluster.bootstrap_s),
        number(cluster.idle_us_per_member_second),
        number(cluster.us_per_event_per_member),
        number(cluster.last_detection_s),
        cluster.remarks.join("; ")
    );
    cluster
}
