//! The cluster as an application holds it that awaits instead of blocking.

use std::fmt;
use std::time::Duration;

use super::detail::MemberDetail;
use bytes::Bytes;

use super::error::ClusterError;
use super::event::MemberInfo;
use super::handle::Cluster;
use super::join::{Join, Seed};
use super::leave::Leave;
use super::message::SentMessage;
use super::requests;
use super::sent_event::SentEvent;
use super::shared::Shared;
use super::state::AsyncClusterState;
use super::subscription::Events;

/// A [`Cluster`] whose methods are awaited, on any executor: everything of a cluster that can block, under the
/// same name. Made with [`Cluster::as_async`]; clones and cluster are handles to the same member.
///
/// A request is on its way once its future has been polled; dropping the future then gives up the answer only.
///
/// ```no_run
/// use std::time::Duration;
/// use swimring::{Cluster, ClusterError};
///
/// async fn live(cluster: &Cluster) -> Result<(), ClusterError> {
///     let cluster = cluster.as_async();
///     cluster.join(["10.0.0.1", "seed.example.org:7946"]).await?;
///     let sent = cluster.send_event("deploy", b"v2").await?;
///     println!("told, with {} parts given up", sent.await?.given_up);
///     println!("{} members", cluster.members().await?.len());
///     cluster.leave(Duration::from_secs(5)).await
/// }
/// ```
#[derive(Clone)]
pub struct AsyncCluster(Cluster);

impl From<Cluster> for AsyncCluster {
    fn from(cluster: Cluster) -> AsyncCluster {
        AsyncCluster(cluster)
    }
}

impl fmt::Debug for AsyncCluster {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("AsyncCluster").field(&self.0).finish()
    }
}

impl AsyncCluster {
    fn shared(&self) -> &Shared {
        self.0.shared()
    }

    /// The same member, for what never blocks, such as [`Cluster::name`], or where blocking is meant.
    pub fn cluster(&self) -> &Cluster {
        &self.0
    }

    /// As [`Cluster::join`].
    pub fn join<S: Into<Seed>>(&self, seeds: impl IntoIterator<Item = S>) -> Join {
        self.0.join(seeds)
    }

    /// As [`Cluster::join_within`].
    pub fn join_within<S: Into<Seed>>(&self, seeds: impl IntoIterator<Item = S>, timeout: Duration) -> Join {
        self.0.join_within(seeds, timeout)
    }

    /// As [`Cluster::state`].
    pub fn state(&self) -> AsyncClusterState {
        AsyncClusterState::from(self.0.state())
    }

    /// As [`Cluster::leave`].
    pub fn leave(&self, timeout: Duration) -> Leave {
        self.0.leave(timeout)
    }

    /// As [`Cluster::flush_snapshot`].
    ///
    /// # Errors
    /// The same.
    pub async fn flush_snapshot(&self) -> Result<(), ClusterError> {
        requests::flush_snapshot(self.shared()).await
    }

    /// As [`Cluster::shutdown`].
    pub async fn shutdown(&self) {
        requests::shutdown(self.shared()).await;
    }

    /// As [`Cluster::members`].
    ///
    /// # Errors
    /// [`ClusterError::Busy`], [`ClusterError::Stopped`].
    pub async fn members(&self) -> Result<Vec<MemberInfo>, ClusterError> {
        requests::members(self.shared(), |state| state.is_live()).await
    }

    /// As [`Cluster::departed`].
    ///
    /// # Errors
    /// [`ClusterError::Busy`], [`ClusterError::Stopped`].
    pub async fn departed(&self) -> Result<Vec<MemberInfo>, ClusterError> {
        requests::members(self.shared(), |state| !state.is_live()).await
    }

    /// As [`Cluster::member`].
    ///
    /// # Errors
    /// [`ClusterError::Busy`], [`ClusterError::Stopped`].
    pub async fn member(&self, name: &str) -> Result<Option<MemberInfo>, ClusterError> {
        requests::member(self.shared(), name).await
    }

    /// As [`Cluster::detail`].
    ///
    /// # Errors
    /// [`ClusterError::Busy`], [`ClusterError::Stopped`].
    pub async fn detail(&self, name: &str) -> Result<Option<MemberDetail>, ClusterError> {
        requests::detail(self.shared(), name).await
    }

    /// As [`Cluster::details`].
    ///
    /// # Errors
    /// [`ClusterError::Busy`], [`ClusterError::Stopped`].
    pub async fn details(&self) -> Result<Vec<MemberDetail>, ClusterError> {
        requests::details(self.shared()).await
    }

    /// As [`Cluster::local`].
    ///
    /// # Errors
    /// [`ClusterError::Busy`], [`ClusterError::Stopped`].
    pub async fn local(&self) -> Result<MemberInfo, ClusterError> {
        requests::local(self.shared()).await
    }

    /// As [`Cluster::len`].
    ///
    /// # Errors
    /// [`ClusterError::Busy`], [`ClusterError::Stopped`].
    #[expect(clippy::len_without_is_empty, reason = "a cluster has at least this member")]
    pub async fn len(&self) -> Result<usize, ClusterError> {
        requests::of_member(self.shared(), |member, _| member.live()).await
    }

    /// As [`Cluster::local_health`].
    ///
    /// # Errors
    /// [`ClusterError::Busy`], [`ClusterError::Stopped`].
    pub async fn local_health(&self) -> Result<u8, ClusterError> {
        requests::of_member(self.shared(), |member, _| member.local_health()).await
    }

    /// As [`Cluster::subscribe`].
    ///
    /// # Errors
    /// [`ClusterError::TooManySubscribers`], [`ClusterError::Busy`], [`ClusterError::Stopped`].
    pub async fn subscribe(&self) -> Result<Events, ClusterError> {
        requests::subscribe(self.shared()).await
    }

    /// As [`Cluster::watch`].
    ///
    /// # Errors
    /// [`ClusterError::TooManySubscribers`], [`ClusterError::Busy`], [`ClusterError::Stopped`].
    pub async fn watch(&self) -> Result<(Vec<MemberInfo>, Events), ClusterError> {
        requests::watch(self.shared()).await
    }

    /// As [`Cluster::send_event`]. What it gives can be awaited in turn, until the event has been told.
    ///
    /// # Errors
    /// [`ClusterError::Refused`] if it is too large, or too many are under way; [`ClusterError::Left`];
    /// [`ClusterError::Busy`], also while 1,024 events are waited for; [`ClusterError::Stopped`]. Nothing is sent then.
    pub async fn send_event(&self, name: &str, payload: impl AsRef<[u8]>) -> Result<SentEvent, ClusterError> {
        requests::send_event(self.shared(), name, payload.as_ref()).await
    }

    /// As [`Cluster::send`].
    ///
    /// # Errors
    /// As [`Cluster::send`].
    pub async fn send(&self, member: &str, payload: impl AsRef<[u8]>) -> Result<(), ClusterError> {
        requests::send(self.shared(), member, payload.as_ref()).await
    }

    /// As [`Cluster::send_reliable`], once there is room for it. What it gives can be awaited in turn, until it has been
    /// delivered.
    ///
    /// # Errors
    /// As [`Cluster::send_reliable`]; [`ClusterError::QueueFull`] only while 1,024 others wait for room.
    pub async fn send_reliable(
        &self,
        member: &str,
        payload: impl Into<Bytes>,
    ) -> Result<SentMessage, ClusterError> {
        requests::send_reliable(self.shared(), member, payload.into(), true).await
    }

    /// As [`Cluster::ask`], once there is room for it; `timeout` counts from then on.
    ///
    /// # Errors
    /// As [`Cluster::ask`]; [`ClusterError::QueueFull`] only while 1,024 others wait for room.
    pub async fn ask(
        &self,
        member: &str,
        payload: impl Into<Bytes>,
        timeout: Duration,
    ) -> Result<Bytes, ClusterError> {
        requests::ask(self.shared(), member, payload.into(), timeout, true).await
    }

    /// As [`Cluster::update_metadata`].
    ///
    /// # Errors
    /// [`ClusterError::Refused`] if it is too large, [`ClusterError::Left`], [`ClusterError::Busy`],
    /// [`ClusterError::Stopped`].
    pub async fn update_metadata(&self, metadata: impl Into<Vec<u8>>) -> Result<(), ClusterError> {
        requests::update_metadata(self.shared(), metadata.into()).await
    }

    /// As [`Cluster::install_key`].
    ///
    /// # Errors
    /// [`ClusterError::Key`], [`ClusterError::Busy`], [`ClusterError::Stopped`].
    pub async fn install_key(&self, key: &[u8]) -> Result<(), ClusterError> {
        let key = key.to_vec();
        requests::change_keys(self.shared(), move |keys| keys.install(&key)).await
    }

    /// As [`Cluster::use_key`].
    ///
    /// # Errors
    /// [`ClusterError::Key`], [`ClusterError::Busy`], [`ClusterError::Stopped`].
    pub async fn use_key(&self, key: &[u8]) -> Result<(), ClusterError> {
        let key = key.to_vec();
        requests::change_keys(self.shared(), move |keys| keys.use_key(&key)).await
    }

    /// As [`Cluster::remove_key`].
    ///
    /// # Errors
    /// [`ClusterError::Key`], [`ClusterError::Busy`], [`ClusterError::Stopped`].
    pub async fn remove_key(&self, key: &[u8]) -> Result<(), ClusterError> {
        let key = key.to_vec();
        requests::change_keys(self.shared(), move |keys| keys.remove(&key)).await
    }
}
