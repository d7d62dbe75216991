//! Shared state as the application holds it, blocking and awaited.

use std::sync::Arc;

use bytes::Bytes;
use swimring_codec::MemberId;

use super::error::ClusterError;
use super::handle::Cluster;
use super::requests;
use super::state_watch::StateWatch;
use super::waiting::block_on;
use crate::protocol::{SharedState, StateValue};

/// A key of shared state and its value.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct StateEntry {
    /// The member whose key it is; nothing for a key of the cluster.
    pub member: Option<Arc<str>>,
    /// The key.
    pub key: Arc<str>,
    /// The value.
    pub value: Bytes,
    /// The version of its last change. Each change of the same member's keys, or of the cluster's, has a higher one; those of a
    /// member that was restarted begin anew, unless it has a snapshot.
    pub version: u64,
    /// The member that wrote it; nothing if that is no longer known.
    pub writer: Option<Arc<str>>,
}

impl StateEntry {
    /// The entry of `owner`; nothing if nobody of that id is known.
    pub(super) fn of(
        shared: &SharedState,
        owner: MemberId,
        key: &Arc<str>,
        value: &StateValue,
    ) -> Option<StateEntry> {
        let StateValue { value, version, writer } = value.clone();
        let member = if owner.is_none() { None } else { Some(name_of(shared, owner)?) };
        Some(StateEntry { member, key: Arc::clone(key), value, version, writer: name_of(shared, writer) })
    }
}

/// The name of the member `id`, if it is known.
pub(super) fn name_of(shared: &SharedState, id: MemberId) -> Option<Arc<str>> {
    shared.directory().find(id).map(|index| shared.name(index).into())
}

/// Whose key is changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Whose {
    Own,
    Clusters,
}

/// Keys and values that every member has a copy of. Made with [`Cluster::state`]; clones are handles to the same.
///
/// Each member has keys of its own, which it alone writes and all read: [`set`](ClusterState::set),
/// [`delete`](ClusterState::delete), [`get`](ClusterState::get). The cluster has keys that all write: the last to write wins,
/// by version, and among equal versions the higher member id. They are for configuration, and no lock: two members may each
/// believe for a moment to be the last.
///
/// A change is with everyone in a few round trips. A member that missed it, because it was cut off or stood still, gets it once
/// it is back; one that joins, or is restarted, has everything when its join is done. The keys of a member that dies are
/// kept until it is forgotten or room is short, those of one that leaves are gone, and a member that is restarted begins with
/// none of its own: what was there before is gone with its old life, everywhere. With a
/// [snapshot](super::ClusterOptions::snapshot_path) it begins with those that it had.
///
/// A key has 1 to 255 bytes, a value at most 64 KiB; a member's keys and values together at most `state_member_bytes_max`, all
/// of them `state_bytes_max`. On memberlist's wire there is no shared state.
///
/// ```
/// use swimring::Cluster;
///
/// # fn main() -> Result<(), swimring::ClusterError> {
/// let cluster = Cluster::builder("web-1").bind("127.0.0.1:0").start()?;
/// let state = cluster.state();
/// state.set("load", "17")?;
/// state.set_for_cluster("feature/dark-mode", "on")?;
///
/// let load = state.get("web-1", "load")?.expect("it was set");
/// assert_eq!(load.value, "17");
/// state.compare_and_set("load", Some(load.version), "18")?;
/// assert_eq!(state.get_of_cluster("feature/dark-mode")?.expect("it was set").value, "on");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ClusterState(Cluster);

impl ClusterState {
    pub(super) fn new(cluster: Cluster) -> ClusterState {
        ClusterState(cluster)
    }

    /// Sets a key of this member. Gives its version.
    ///
    /// # Errors
    /// [`ClusterError::State`] if it is too long, or too much; [`ClusterError::Busy`]; [`ClusterError::Stopped`].
    pub fn set(&self, key: &str, value: impl Into<Bytes>) -> Result<u64, ClusterError> {
        block_on(requests::set_state(self.0.shared(), Whose::Own, key, value.into(), None))
    }

    /// Sets a key of this member if its version is still `expected`; nothing if it is to have no value yet. Gives its version.
    ///
    /// # Errors
    /// [`ClusterError::State`] with [`StateError::Changed`](crate::StateError::Changed) if it is another, or as
    /// [`ClusterState::set`].
    pub fn compare_and_set(
        &self,
        key: &str,
        expected: Option<u64>,
        value: impl Into<Bytes>,
    ) -> Result<u64, ClusterError> {
        block_on(requests::set_state(self.0.shared(), Whose::Own, key, value.into(), Some(expected)))
    }

    /// Deletes a key of this member. False if it has no value.
    ///
    /// # Errors
    /// [`ClusterError::State`] if there can be no such key; [`ClusterError::Busy`]; [`ClusterError::Stopped`].
    pub fn delete(&self, key: &str) -> Result<bool, ClusterError> {
        block_on(requests::delete_state(self.0.shared(), Whose::Own, key))
    }

    /// A key of the member called `member`, as far as is known here.
    ///
    /// # Errors
    /// [`ClusterError::Busy`]; [`ClusterError::Stopped`].
    pub fn get(&self, member: &str, key: &str) -> Result<Option<StateEntry>, ClusterError> {
        block_on(requests::get_state(self.0.shared(), MemberId::of_name(member), key))
    }

    /// Sets a key of the cluster. Gives its version.
    ///
    /// # Errors
    /// As [`ClusterState::set`].
    pub fn set_for_cluster(&self, key: &str, value: impl Into<Bytes>) -> Result<u64, ClusterError> {
        block_on(requests::set_state(self.0.shared(), Whose::Clusters, key, value.into(), None))
    }

    /// Deletes a key of the cluster. False if it has no value here.
    ///
    /// # Errors
    /// As [`ClusterState::delete`].
    pub fn delete_for_cluster(&self, key: &str) -> Result<bool, ClusterError> {
        block_on(requests::delete_state(self.0.shared(), Whose::Clusters, key))
    }

    /// A key of the cluster.
    ///
    /// # Errors
    /// [`ClusterError::Busy`]; [`ClusterError::Stopped`].
    pub fn get_of_cluster(&self, key: &str) -> Result<Option<StateEntry>, ClusterError> {
        block_on(requests::get_state(self.0.shared(), MemberId::NONE, key))
    }

    /// All keys that begin with `prefix`, of the cluster and of all members, as they are at one moment.
    ///
    /// # Errors
    /// [`ClusterError::Busy`]; [`ClusterError::Stopped`].
    pub fn iter(&self, prefix: &str) -> Result<impl Iterator<Item = StateEntry> + use<>, ClusterError> {
        Ok(block_on(requests::list_state(self.0.shared(), prefix))?.into_iter())
    }

    /// All keys that begin with `prefix`, and their changes from exactly then on. After
    /// [`StateEvent::Lagged`](super::StateEvent::Lagged) a table begins again with [`ClusterState::iter`].
    ///
    /// # Errors
    /// [`ClusterError::TooManySubscribers`]; [`ClusterError::Busy`]; [`ClusterError::Stopped`].
    pub fn watch(&self, prefix: &str) -> Result<(Vec<StateEntry>, StateWatch), ClusterError> {
        block_on(requests::watch_state(self.0.shared(), prefix))
    }
}

/// A [`ClusterState`] whose methods are awaited, under the same names. Made with
/// [`AsyncCluster::state`](super::AsyncCluster::state).
#[derive(Clone, Debug)]
pub struct AsyncClusterState(ClusterState);

impl From<ClusterState> for AsyncClusterState {
    fn from(state: ClusterState) -> AsyncClusterState {
        AsyncClusterState(state)
    }
}

impl AsyncClusterState {
    fn shared(&self) -> &super::shared::Shared {
        self.0.0.shared()
    }

    /// As [`ClusterState::set`].
    ///
    /// # Errors
    /// The same.
    pub async fn set(&self, key: &str, value: impl Into<Bytes>) -> Result<u64, ClusterError> {
        requests::set_state(self.shared(), Whose::Own, key, value.into(), None).await
    }

    /// As [`ClusterState::compare_and_set`].
    ///
    /// # Errors
    /// The same.
    pub async fn compare_and_set(
        &self,
        key: &str,
        expected: Option<u64>,
        value: impl Into<Bytes>,
    ) -> Result<u64, ClusterError> {
        requests::set_state(self.shared(), Whose::Own, key, value.into(), Some(expected)).await
    }

    /// As [`ClusterState::delete`].
    ///
    /// # Errors
    /// The same.
    pub async fn delete(&self, key: &str) -> Result<bool, ClusterError> {
        requests::delete_state(self.shared(), Whose::Own, key).await
    }

    /// As [`ClusterState::get`].
    ///
    /// # Errors
    /// The same.
    pub async fn get(&self, member: &str, key: &str) -> Result<Option<StateEntry>, ClusterError> {
        requests::get_state(self.shared(), MemberId::of_name(member), key).await
    }

    /// As [`ClusterState::set_for_cluster`].
    ///
    /// # Errors
    /// The same.
    pub async fn set_for_cluster(&self, key: &str, value: impl Into<Bytes>) -> Result<u64, ClusterError> {
        requests::set_state(self.shared(), Whose::Clusters, key, value.into(), None).await
    }

    /// As [`ClusterState::delete_for_cluster`].
    ///
    /// # Errors
    /// The same.
    pub async fn delete_for_cluster(&self, key: &str) -> Result<bool, ClusterError> {
        requests::delete_state(self.shared(), Whose::Clusters, key).await
    }

    /// As [`ClusterState::get_of_cluster`].
    ///
    /// # Errors
    /// The same.
    pub async fn get_of_cluster(&self, key: &str) -> Result<Option<StateEntry>, ClusterError> {
        requests::get_state(self.shared(), MemberId::NONE, key).await
    }

    /// As [`ClusterState::iter`].
    ///
    /// # Errors
    /// The same.
    pub async fn iter(&self, prefix: &str) -> Result<impl Iterator<Item = StateEntry> + use<>, ClusterError> {
        Ok(requests::list_state(self.shared(), prefix).await?.into_iter())
    }

    /// As [`ClusterState::watch`].
    ///
    /// # Errors
    /// The same.
    pub async fn watch(&self, prefix: &str) -> Result<(Vec<StateEntry>, StateWatch), ClusterError> {
        requests::watch_state(self.shared(), prefix).await
    }
}
