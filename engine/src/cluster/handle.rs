//! The cluster as the application holds it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;

use super::async_cluster::AsyncCluster;
use super::builder::ClusterBuilder;
use super::detail::MemberDetail;
use super::error::ClusterError;
use super::event::MemberInfo;
use super::join::{self, Join, Seed};
use super::leave::{self, Leave};
use super::message::SentMessage;
use super::requests;
use super::sent_event::SentEvent;
use super::shared::Shared;
use super::state::ClusterState;
use super::subscription::Events;
use super::waiting::block_on;

/// This process's member of a cluster. Clones are handles to the same member; it can be shared between
/// threads.
///
/// Methods that ask the member wait for one turn of its loop, microseconds to a few milliseconds; none of
/// them waits for the network. What does, [`Cluster::join`], [`Cluster::leave`] and what
/// [`Cluster::send_event`] returns, can be waited for or awaited; [`Cluster::as_async`] has all others to be awaited. There are no callbacks: nothing that an
/// application does can hold the protocol up.
///
/// When the last handle is dropped the member is shut down without leaving, and the others find out that
/// it is gone as if it had crashed. [`Cluster::leave`] first spares them that.
///
/// ```no_run
/// use std::time::Duration;
/// use swimring::Cluster;
///
/// # fn main() -> Result<(), swimring::ClusterError> {
/// let cluster = Cluster::builder("web-1").metadata("zone=a").start()?;
/// cluster.join(["10.0.0.1", "seed.example.org:7946"]).wait()?;
/// for member in cluster.members()? {
///     println!("{} at {}", member.name, member.address);
/// }
/// cluster.leave(Duration::from_secs(5)).wait()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Cluster {
    handle: Arc<Handle>,
    join_timeout: Duration,
}

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    background: Mutex<Option<JoinHandle<()>>>,
}

impl Cluster {
    /// Begins to set up a member called `name`.
    pub fn builder(name: impl Into<String>) -> ClusterBuilder {
        ClusterBuilder::new().name(name)
    }

    pub(super) fn new(shared: Arc<Shared>, background: JoinHandle<()>, join_timeout: Duration) -> Cluster {
        let handle = Handle { shared, background: Mutex::new(Some(background)) };
        Cluster { handle: Arc::new(handle), join_timeout }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }

    /// The same member, for applications that await instead of blocking.
    pub fn as_async(&self) -> AsyncCluster {
        AsyncCluster::from(self.clone())
    }

    /// The member's name.
    pub fn name(&self) -> &str {
        &self.shared().name
    }

    /// The cluster's name.
    pub fn cluster_name(&self) -> &str {
        &self.shared().cluster
    }

    /// Where the others reach this member.
    pub fn address(&self) -> SocketAddr {
        self.shared().advertised
    }

    /// Where this member's sockets are bound.
    pub fn bound_address(&self) -> SocketAddr {
        self.shared().bound
    }

    /// Joins the cluster through `seeds`: `host:port`, or `host` for port 7946, where host is an address or a
    /// name; or a [`SocketAddr`]. All are tried, and every address that a name stands for, in an order that is
    /// drawn each time; it has succeeded if one of them answers. At most `join_timeout`. A member that has left
    /// comes back.
    ///
    /// The join runs in the background; wait for it with [`Join::wait`], or await it. Then the view is complete as far
    /// as those who answered know it, and [`ClusterEvent::Joined`](super::ClusterEvent::Joined) has been sent
    /// for every member of it. The seeds of a join that has succeeded are tried again in the background, at
    /// [`rejoin_interval`](super::ClusterOptions::rejoin_interval), until the member leaves.
    pub fn join<S: Into<Seed>>(&self, seeds: impl IntoIterator<Item = S>) -> Join {
        self.join_within(seeds, self.join_timeout)
    }

    /// As [`Cluster::join`], with `timeout` as the limit for all of it.
    pub fn join_within<S: Into<Seed>>(&self, seeds: impl IntoIterator<Item = S>, timeout: Duration) -> Join {
        self.shared().comes_back();
        join::start(self.shared(), seeds.into_iter().map(Into::into).collect(), timeout)
    }

    /// The live members, this one among them, sorted by name: those that are alive, and those that are
    /// suspect, which may still refute. What the view was at one moment.
    ///
    /// # Errors
    /// [`ClusterError::Busy`], [`ClusterError::Stopped`].
    pub fn members(&self) -> Result<Vec<MemberInfo>, ClusterError> {
        block_on(requests::members(self.shared(), |state| state.is_live()))
    }

    /// The members that failed or left a short while ago, until they are reaped, sorted by name.
    ///
    /// # Errors
    /// [`ClusterError::Busy`], [`ClusterError::Stopped`].
    pub fn departed(&self) -> Result<Vec<MemberInfo>, ClusterError> {
        block_on(requests::members(self.shared(), |state| !state.is_live()))
    }

    /// The member called `name`, in any state, while it is part of the view.
    ///
    /// # Errors
    /// [`ClusterError::Busy`], [`ClusterError::Stopped`].
    pub fn member(&self, name: &str) -> Result<Option<MemberInfo>, ClusterError> {
        block_on(requests::member(self.shared(), name))
    }

    /// What is known of the member called `name` beyond its place in the view, in any state, while it is part of it: its
    /// round trip, when it was last heard, since when it is in its state, who suspects it.
    ///
    /// # Errors
    /// [`ClusterError::Busy`], [`ClusterError::Stopped`].
    pub fn detail(&self, name: &str) -> Result<Option<MemberDetail>, ClusterError> {
        block_on(requests::detail(self.shared(), name))
    }

    /// The same of all live members, this one among them, sorted by name. The protocol's thread makes owned copies of all:
    /// to be asked now and then.
    ///
    /// # Errors
    /// [`ClusterError::Busy`], [`ClusterError::Stopped`].
    pub fn details(&self) -> Result<Vec<MemberDetail>, ClusterError> {
        block_on(requests::details(self.shared()))
    }

    /// This member as it describes itself to the others.
    ///
    /// # Errors
    /// [`ClusterError::Busy`], [`ClusterError::Stopped`].
    pub fn local(&self) -> Result<MemberInfo, ClusterError> {
        block_on(requests::local(self.shared()))
    }

    /// How many live members there are, this one among them.
    ///
    /// # Errors
    /// [`ClusterError::Busy`], [`ClusterError::Stopped`].
    #[expect(clippy::len_without_is_empty, reason = "a cluster has at least this member")]
    pub fn len(&self) -> Result<usize, ClusterError> {
        block_on(requests::of_member(self.shared(), |member, _| member.live()))
    }

    /// The local health score: 0 is healthy; the higher, the less this member trusts its own probes,
    /// because they went unanswered or others had to be told that it is alive.
    ///
    /// # Errors
    /// [`ClusterError::Busy`], [`ClusterError::Stopped`].
    pub fn local_health(&self) -> Result<u8, ClusterError> {
        block_on(requests::of_member(self.shared(), |member, _| member.local_health()))
    }

    /// Events from now on. Each subscriber gets all of them. For a table of the members use
    /// [`Cluster::watch`] instead, since others may have joined before this is called.
    ///
    /// # Errors
    /// [`ClusterError::TooManySubscribers`], [`ClusterError::Busy`], [`ClusterError::Stopped`].
    pub fn subscribe(&self) -> Result<Events, ClusterError> {
        block_on(requests::subscribe(self.shared()))
    }

    /// The live members, and the events from exactly then on: what a table needs that is to be kept up
    /// to date without a gap. After [`ClusterEvent::Lagged`](super::ClusterEvent::Lagged) it begins again with
    /// [`Cluster::members`]; events that were queued before then lead to the same members.
    ///
    /// # Errors
    /// [`ClusterError::TooManySubscribers`], [`ClusterError::Busy`], [`ClusterError::Stopped`].
    pub fn watch(&self) -> Result<(Vec<MemberInfo>, Events), ClusterError> {
        block_on(requests::watch(self.shared()))
    }

    /// Sends a user event to every other member: a name of up to 255 bytes and a payload, together at most
    /// 512 bytes. Returns once it is on its way; it reaches everyone soon, once, in no particular order. Alone it
    /// reaches nobody. What is returned can be waited for until it has been told, or dropped.
    ///
    /// # Errors
    /// [`ClusterError::Refused`] if it is too large, or too many are under way; [`ClusterError::Left`];
    /// [`ClusterError::Busy`], also while 1,024 events are waited for; [`ClusterError::Stopped`]. Nothing is sent then.
    pub fn send_event(&self, name: &str, payload: impl AsRef<[u8]>) -> Result<SentEvent, ClusterError> {
        block_on(requests::send_event(self.shared(), name, payload.as_ref()))
    }

    /// Sends `payload` to the application of the live member called `member`, which gets it as
    /// [`ClusterEvent::Message`](super::ClusterEvent::Message) if it subscribes to events: in one datagram, once, and so
    /// perhaps not at all. Returns once it has been written. On memberlist's wire it is a user message, as upstream's
    /// `SendBestEffort`, which does not say whom it is from; members of this library deliver it as
    /// [`ClusterEvent::User`](super::ClusterEvent::User) without a name, and the same bytes once in a while.
    ///
    /// # Errors
    /// [`ClusterError::Refused`] if no other live member has the name, or the message does not fit a datagram on the way
    /// there: the error says how much does, 1,360 bytes or less (1,100 on memberlist's wire). [`ClusterError::Left`],
    /// [`ClusterError::Busy`], [`ClusterError::Stopped`].
    pub fn send(&self, member: &str, payload: impl AsRef<[u8]>) -> Result<(), ClusterError> {
        block_on(requests::send(self.shared(), member, payload.as_ref()))
    }

    /// Sends up to 512 KiB to the application of the live member called `member` over a stream: acknowledged, once, and in the
    /// order in which this member sends to that one. Returns once it is queued; what is returned can be waited for until the
    /// other application has it, or dropped. Given up after 10 s, or at once if nobody listens at the member's address.
    ///
    /// On memberlist's wire it is a user message on a stream of its own, as upstream's `SendReliable`, which does not say whom it
    /// is from: it has arrived when the receiver has read it and closes the stream, and one whose stream breaks is given up, since
    /// nobody there would know it from a second. memberlist drops empty ones; members of this library take up to 1,100 bytes
    /// and deliver them as [`Cluster::send`] says.
    ///
    /// At most 1,024 messages and 4 MiB wait for one receiver, and 64 MiB for all.
    /// [`AsyncCluster::send_reliable`] waits for room.
    ///
    /// # Errors
    /// [`ClusterError::QueueFull`]; [`ClusterError::Refused`] if no other live member has the name, the message is too long, or
    /// the pool is Serf's; [`ClusterError::Left`], [`ClusterError::Busy`], [`ClusterError::Stopped`].
    pub fn send_reliable(
        &self,
        member: &str,
        payload: impl Into<Bytes>,
    ) -> Result<SentMessage, ClusterError> {
        block_on(requests::send_reliable(self.shared(), member, payload.into(), false))
    }

    /// Asks the application of the live member called `member` something, up to 512 KiB, and waits for its reply no longer than
    /// `timeout`. It comes there as [`ClusterEvent::Question`](super::ClusterEvent::Question). At most 1,024 questions wait
    /// for their replies. Only on the native wire: memberlist's has nothing like it.
    ///
    /// # Errors
    /// [`ClusterError::NoReply`]; [`ClusterError::Refused`] on memberlist's wire; otherwise as [`Cluster::send_reliable`].
    pub fn ask(
        &self,
        member: &str,
        payload: impl Into<Bytes>,
        timeout: Duration,
    ) -> Result<Bytes, ClusterError> {
        block_on(requests::ask(self.shared(), member, payload.into(), timeout, false))
    }

    /// Publishes new metadata, at most 512 bytes. The others are told; subscribers here see it as
    /// [`ClusterEvent::Updated`](super::ClusterEvent::Updated) too.
    ///
    /// # Errors
    /// [`ClusterError::Refused`] if it is too large, [`ClusterError::Left`], [`ClusterError::Busy`],
    /// [`ClusterError::Stopped`].
    pub fn update_metadata(&self, metadata: impl Into<Vec<u8>>) -> Result<(), ClusterError> {
        block_on(requests::update_metadata(self.shared(), metadata.into()))
    }

    /// Shared state: the keys and values that members and the cluster have.
    pub fn state(&self) -> ClusterState {
        ClusterState::new(self.clone())
    }

    /// Waits until what this member has said and set before is in its snapshot and on the disk. Without it that is so
    /// [`snapshot_interval`](super::ClusterOptions::snapshot_interval) later, if the disk takes it.
    ///
    /// # Errors
    /// [`ClusterError::NotWritten`] if the disk does not take it; it is tried again all the same.
    /// [`ClusterError::Setting`] if there is no snapshot, [`ClusterError::Busy`], also while 1,024 others wait,
    /// [`ClusterError::Stopped`].
    pub fn flush_snapshot(&self) -> Result<(), ClusterError> {
        block_on(requests::flush_snapshot(self.shared()))
    }

    /// Leaves the cluster: the others are told, and see it as left instead of failed. Done once that has
    /// been said as often as any news, and is in the snapshot if there is one, or after `timeout`; at once if it had
    /// left before. The member stays here, silent; it can [`join`](Cluster::join) again, or be shut down.
    pub fn leave(&self, timeout: Duration) -> Leave {
        leave::start(self.shared(), timeout)
    }

    /// Stops the member at once and without a word; its port is free when this returns. Every handle then
    /// gives [`ClusterError::Stopped`], and subscribers come to their end.
    pub fn shutdown(&self) {
        self.handle.shutdown();
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = out.debug_struct("Cluster");
        shown.field("name", &self.name()).field("cluster", &self.cluster_name());
        shown.field("address", &self.address()).finish_non_exhaustive()
    }
}

impl Handle {
    fn shutdown(&self) {
        self.shared.close();
        // Under the lock: other callers, too, come back when the port is free.
        let mut background = self.background.lock().unwrap_or_else(PoisonError::into_inner);
        if background.take().is_some_and(|background| background.join().is_err()) {
            tracing::error!("the background thread panicked");
        }
        // Left to do where it panicked.
        self.shared.stop();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shutdown();
    }
}
