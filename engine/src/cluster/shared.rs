//! What the application's handles and the background thread share: the ways to the member's thread and to the
//! background's.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::{Context, Poll};

use swimring_codec::canonical;

use super::dispatcher::EventDispatcher;
use super::error::ClusterError;
use super::join::{Remembered, Resolvers, Tried};
use super::lossy_channel::{Receiver, lossy_channel};
use super::mailbox::Mailbox;
use super::options::ClusterOptions;
use super::snapshot::SnapshotHandle;
use super::subscription::Events;
use super::waiting::block_on;
use crate::net::Trains;
use crate::worker::{Fleet, Host, HostedMember};

/// The member's number in its worker: it is the only one.
pub(super) const LOCAL: HostedMember = 0;

/// See the module.
pub(super) struct Shared {
    /// Nothing once it has been shut down.
    fleet: RwLock<Option<Fleet<EventDispatcher>>>,
    pub(super) name: Arc<str>,
    pub(super) cluster: String,
    /// Address that it is bound to.
    pub(super) bound: SocketAddr,
    /// Address at which the others reach it.
    pub(super) advertised: SocketAddr,
    pub(super) events_queued_max: usize,
    pub(super) mailbox: Mailbox,
    /// The way to what writes the snapshot, if there is one.
    pub(super) snapshot: Option<SnapshotHandle>,
    /// Whether it is being shut down, or has been.
    closing: AtomicBool,
    pub(super) resolvers: Resolvers,
    /// The addresses that joins have tried in vain.
    pub(super) tried: Mutex<Tried>,
    remembered: Mutex<Remembered>,
    rng: Mutex<fastrand::Rng>,
    /// Joins under way.
    pub(super) joins: Arc<AtomicUsize>,
    /// Whether the application wants it to stay away: no join in the background.
    pub(super) stays_away: AtomicBool,
    leaves: AtomicU32,
    token: AtomicU32,
}

impl Shared {
    /// A member called `name`, reached at `advertised`, which runs in `fleet`. `seed` is that of its randomness.
    pub(super) fn new(
        fleet: Fleet<EventDispatcher>,
        (name, advertised): (Arc<str>, SocketAddr),
        seed: u64,
        remembered: Remembered,
        options: &ClusterOptions,
        mailbox: Mailbox,
        snapshot: Option<SnapshotHandle>,
    ) -> Shared {
        Shared {
            bound: fleet.address(0),
            fleet: RwLock::new(Some(fleet)),
            name,
            cluster: options.cluster.clone(),
            advertised,
            events_queued_max: options.events_queued_max,
            mailbox,
            snapshot,
            closing: AtomicBool::new(false),
            resolvers: Resolvers::new(Arc::clone(&options.resolver)),
            tried: Mutex::default(),
            remembered: Mutex::new(remembered),
            rng: Mutex::new(fastrand::Rng::with_seed(seed)),
            joins: Arc::default(),
            stays_away: AtomicBool::new(false),
            leaves: AtomicU32::new(0),
            token: AtomicU32::new(0),
        }
    }

    /// Runs `use_it` with the fleet.
    pub(super) fn with<R>(
        &self,
        use_it: impl FnOnce(&Fleet<EventDispatcher>) -> Result<R, ClusterError>,
    ) -> Result<R, ClusterError> {
        // Nothing that runs under the lock can leave it half changed.
        let fleet = self.fleet.read().unwrap_or_else(PoisonError::into_inner);
        use_it(fleet.as_ref().ok_or(ClusterError::Stopped)?)
    }

    /// Has the member's thread run `call`.
    pub(super) fn call(
        &self,
        call: impl FnOnce(&mut Host<EventDispatcher>, &mut Trains) + Send + 'static,
    ) -> Result<(), ClusterError> {
        self.with(|fleet| Ok(fleet.call(0, call)?))
    }

    /// Has the member's thread run `call`: its answer, to be awaited or waited for.
    pub(super) fn ask<R: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Host<EventDispatcher>, &mut Trains) -> R + Send + 'static,
    ) -> Answer<R> {
        let (sender, receiver) = lossy_channel(1);
        let asked = self.call(move |host, trains| {
            sender.send(call(host, trains));
        });
        Answer(asked.map(|()| receiver).map_err(Some))
    }

    /// A subscription, and what `look` gives at the moment it begins.
    pub(super) async fn subscribe<R: Send + 'static>(
        &self,
        look: impl FnOnce(&Host<EventDispatcher>) -> R + Send + 'static,
    ) -> Result<(R, Events), ClusterError> {
        let (sender, receiver) = lossy_channel(self.events_queued_max);
        let subscribed = self.ask(move |host, _| host.observer.subscribe(sender, true).then(|| look(host)));
        let too_many = ClusterError::TooManySubscribers(super::dispatcher::SUBSCRIBERS_MAX);
        Ok((subscribed.await?.ok_or(too_many)?, Events::new(receiver)))
    }

    /// Has the background thread shut the member down.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        self.mailbox.wake();
    }

    /// Whether it is being shut down, or has been.
    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// Stops the member's thread and closes its sockets, unless that has been done.
    pub(super) fn stop(&self) {
        let fleet = self.fleet.write().unwrap_or_else(PoisonError::into_inner).take();
        // Without the lock: those who ask meanwhile hear at once that it has stopped.
        drop(fleet);
    }

    /// The seeds to try again later.
    pub(super) fn remembered(&self) -> MutexGuard<'_, Remembered> {
        // Nothing that runs under the lock can leave it half changed.
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Randomness of its own for one join or thread.
    pub(super) fn fork_rng(&self) -> fastrand::Rng {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).fork()
    }

    /// A new number for an address that is tried.
    pub(super) fn next_token(&self) -> u32 {
        self.token.fetch_add(1, Ordering::Relaxed)
    }

    /// How often the member has been told to leave.
    pub(super) fn leaves(&self) -> u32 {
        self.leaves.load(Ordering::SeqCst)
    }

    /// The member is to join: it stays away no longer.
    pub(super) fn comes_back(&self) {
        self.stays_away.store(false, Ordering::SeqCst);
        if let Some(snapshot) = &self.snapshot {
            snapshot.join();
        }
    }

    /// The member is being told to leave. Gives how often now.
    pub(super) fn count_leave(&self) -> u32 {
        self.stays_away.store(true, Ordering::SeqCst);
        self.remembered().forget_joined();
        self.leaves.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Whether `address` leads to this member itself.
    pub(super) fn is_own(&self, address: SocketAddr) -> bool {
        let address = canonical(address);
        let everywhere = self.bound.ip().to_canonical().is_unspecified();
        let here = everywhere && address.ip().is_loopback() && address.port() == self.bound.port();
        here || address == self.advertised || address == self.bound
    }
}

/// What the member's thread answers to a call.
#[must_use = "an answer is awaited or waited for"]
pub(super) struct Answer<R>(Result<Receiver<R>, Option<ClusterError>>);

impl<R> Answer<R> {
    /// Waits on this thread.
    pub(super) fn wait(self) -> Result<R, ClusterError> {
        block_on(self)
    }
}

impl<R> Future for Answer<R> {
    type Output = Result<R, ClusterError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().0 {
            // A call that is dropped unanswered was made of a member that stops.
            Ok(receiver) => receiver.poll_recv(cx).map(|answer| answer.ok_or(ClusterError::Stopped)),
            Err(error) => Poll::Ready(Err(error.take().unwrap_or(ClusterError::Stopped))),
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Cluster").field("name", &self.name).field("address", &self.advertised).finish()
    }
}
