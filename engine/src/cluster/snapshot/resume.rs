//! The next life of a member that has a snapshot: what it is, by what the last one has written.
//!
//! A life that was killed may have said more than it had written. So the next one begins above all that it can have
//! said: its incarnation above the reserved ones, the versions of its keys and of those of the cluster by steps that no life
//! takes between two batches, and its map with an epoch of its own, so that copies of the old one are replaced.

use std::net::SocketAddr;
use std::sync::Arc;

use swimring_codec::{Incarnation, State};

use super::handle::SnapshotHandle;
use super::peers::PEERS_MAX;
use super::recorder::Pending;
use crate::cluster::error::ClusterError;
use crate::cluster::join::Seed;
use crate::cluster::options::ClusterOptions;
use crate::protocol::{SavedClusterKey, SavedKey, SavedState};
use crate::snapshot::{CLUSTER_NAME_MAX, Contents, Log, Peer};

/// How far above the last incarnation a life begins that ended in order: so far that the others see that it is another.
const LIFE_STEP: u64 = 4;

/// More changes of its own keys than a member can have made that it has not written.
const VERSION_STEP: u64 = 1 << 32;

/// The same of keys of the cluster. Less: others follow a version no further than 2^32.
const CLOCK_STEP: u64 = 1 << 20;

/// Longest file read: so many times what may be kept, and so much more.
const FILES_OF_STATE: u64 = 8;
const FILE_MIN_MAX: u64 = 64 << 20;

/// A life that may begin.
#[derive(Debug)]
pub(in crate::cluster) struct Resumed {
    pub(super) log: Log,
    /// Bytes at the end of the file that were half written.
    pub(super) torn: usize,
    /// No incarnation below this one.
    incarnation: u64,
    /// Shared state to go on with.
    pub(super) state: Option<SavedState>,
    /// Members to join through.
    seeds: Vec<Seed>,
    pub(super) peers: Vec<(Arc<str>, Peer)>,
    /// The member has left on purpose, and is not to come back unasked.
    pub(super) left: bool,
}

/// Opens the snapshot of the member `name`, if it is to have one.
pub(in crate::cluster) fn open(
    options: &ClusterOptions,
    name: &str,
) -> Result<Option<Resumed>, ClusterError> {
    let Some(path) = &options.snapshot_path else { return Ok(None) };
    if options.cluster.len() > CLUSTER_NAME_MAX {
        let expected = format!("has to have at most {CLUSTER_NAME_MAX} bytes for there to be a snapshot");
        return Err(ClusterError::setting("cluster", expected));
    }
    let protocol = &options.protocol;
    let bytes_max = FILES_OF_STATE * u64::from(protocol.state_member_bytes_max) + FILE_MIN_MAX;
    let told = |expected: String| {
        ClusterError::setting("snapshot_path", format!("is {}, which {expected}", path.display()))
    };
    let opened =
        Log::open(path, bytes_max, &options.cluster, name).map_err(|error| told(error.to_string()))?;
    let path = path.display();
    if opened.torn > 0 {
        tracing::warn!(
            local = name, %path, bytes = opened.torn,
            "the end of the snapshot was half written, and is cut off: the process was killed, or the disk was full"
        );
    }
    let has_state = protocol.state_bytes_max > 0 && options.wire.is_native();
    let contents = opened.contents;
    let kept = contents.as_ref().map_or(0, |contents| contents.own.len() + contents.keys.len());
    if kept > 0 && !has_state {
        tracing::warn!(
            local = name, %path, keys = kept,
            "the snapshot has keys of shared state, which is switched off here: they are dropped"
        );
    }
    let is_new = contents.is_none();
    let life = contents.map(|contents| resume(contents, options.rejoin_after_leave)).unwrap_or_default();
    if !is_new {
        tracing::info!(
            local = name, %path, keys = kept, peers = life.peers.len(), left = life.left, "snapshot read"
        );
    }
    Ok(Some(Resumed {
        log: opened.log,
        torn: opened.torn,
        incarnation: life.incarnation,
        state: life.state.filter(|_| has_state),
        seeds: if life.left { Vec::new() } else { seeds(&life.peers) },
        peers: life.peers,
        left: life.left,
    }))
}

/// See [`Resumed`].
#[derive(Default)]
struct Life {
    incarnation: u64,
    state: Option<SavedState>,
    peers: Vec<(Arc<str>, Peer)>,
    left: bool,
}

fn resume(contents: Contents, rejoin_after_leave: bool) -> Life {
    let (incarnation, versions, clocks) = match contents.closed {
        Some(last) => (last.saturating_add(LIFE_STEP), 0, 0),
        None => (contents.reserved.saturating_add(1), VERSION_STEP, CLOCK_STEP),
    };
    let own = contents.own.into_iter();
    let own = own.map(|(key, kept)| SavedKey { key, version: kept.version, value: kept.value });
    let cluster = contents.keys.into_iter().map(|(key, kept)| SavedClusterKey {
        key,
        version: kept.version,
        writer: kept.writer,
        value: kept.value,
        statement: kept.statement,
    });
    let state = SavedState {
        epoch: contents.epoch,
        version: contents.version.saturating_add(versions),
        clock: contents.clock.saturating_add(clocks),
        own: own.collect(),
        cluster: cluster.collect(),
    };
    // One that never had any begins without: shared state costs something as soon as there is some.
    let used = (state.version, state.clock) != (0, 0) || !state.own.is_empty() || !state.cluster.is_empty();
    Life {
        incarnation,
        state: used.then_some(state),
        peers: contents.peers.into_iter().take(PEERS_MAX).collect(),
        left: contents.left && !rejoin_after_leave,
    }
}

/// Members to join through: those that were alive first.
fn seeds(peers: &[(Arc<str>, Peer)]) -> Vec<Seed> {
    let mut peers: Vec<&Peer> =
        peers.iter().map(|(_, peer)| peer).filter(|peer| peer.state != State::Left).collect();
    peers.sort_by_key(|peer| peer.state as u8);
    let addresses = peers.into_iter().map(|peer| peer.address);
    addresses.map(|address: SocketAddr| Seed::from(address)).collect()
}

/// A life that begins.
pub(in crate::cluster) struct Begun {
    /// Shared state to go on with.
    pub(in crate::cluster) state: Option<SavedState>,
    /// Members of an earlier life, to join through.
    pub(in crate::cluster) earlier: Vec<Seed>,
    /// The way to what writes the snapshot, and that itself, if there is to be one.
    pub(in crate::cluster) handle: Option<SnapshotHandle>,
    pub(in crate::cluster) recorder: Option<Pending>,
}

/// Begins the life of `name` with the incarnation `first`, with what it goes on from if it has a snapshot, which says so from
/// now on.
///
/// # Errors
/// If the file cannot be written.
pub(in crate::cluster) fn begin(
    resumed: Option<Resumed>,
    options: &ClusterOptions,
    name: &str,
    first: Incarnation,
    seed: u64,
) -> Result<Begun, ClusterError> {
    let Some(mut resumed) = resumed else {
        return Ok(Begun { state: None, earlier: Vec::new(), handle: None, recorder: None });
    };
    let (state, earlier) = (resumed.state.clone(), std::mem::take(&mut resumed.seeds));
    let (whose, interval) = ((&*options.cluster, name), options.snapshot_interval);
    let (handle, recorder) = Pending::begin(resumed, whose, first.get(), interval, seed)?;
    Ok(Begun { state, earlier, handle: Some(handle), recorder: Some(recorder) })
}

/// The first incarnation of a life that would begin with `first`.
pub(in crate::cluster) fn first_incarnation(first: Incarnation, resumed: Option<&Resumed>) -> Incarnation {
    Incarnation::new(first.get().max(resumed.map_or(0, |resumed| resumed.incarnation)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::snapshot::OwnKey;

    fn contents() -> Contents {
        let peer = |state| Peer { address: SocketAddr::from(([10, 0, 0, state as u8], 1)), state };
        let states = [State::Dead, State::Left, State::Suspect, State::Alive];
        let peers = states.map(|state| (Arc::from(format!("{state:?}")), peer(state)));
        Contents {
            reserved: 100,
            epoch: 5,
            version: 7,
            clock: 9,
            own: BTreeMap::from([(Arc::from("a"), OwnKey { version: 7, value: None })]),
            peers: BTreeMap::from(peers),
            ..Contents::default()
        }
    }

    #[test]
    fn a_life_that_was_killed_is_followed_by_one_above_all_it_can_have_said() {
        let life = resume(contents(), false);
        let state = life.state.unwrap();
        assert_eq!(life.incarnation, 101);
        assert_eq!((state.epoch, state.version, state.clock), (5, 7 + VERSION_STEP, 9 + CLOCK_STEP));
    }

    #[test]
    fn one_that_ended_in_order_is_gone_on_with() {
        let life = resume(Contents { closed: Some(90), ..contents() }, false);
        let state = life.state.unwrap();
        assert_eq!((life.incarnation, state.version, state.clock), (94, 7, 9));
    }

    #[test]
    fn whoever_was_alive_is_asked_first_and_whoever_left_is_not() {
        let peers = resume(contents(), false).peers;
        let seeds: Vec<_> = seeds(&peers).iter().map(ToString::to_string).collect();
        assert_eq!(seeds, ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"]);
    }

    #[test]
    fn whoever_left_on_purpose_stays_away_unless_asked() {
        let left = || Contents { left: true, ..contents() };
        assert!(resume(left(), false).left);
        assert!(!resume(left(), true).left);
    }
}
