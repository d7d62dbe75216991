//! A join under way, as the application holds it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use super::attempt;
use super::outcome::{JoinError, JoinReport};
use super::seed::Seed;
use crate::cluster::lossy_channel::{Receiver, Sender, lossy_channel};
use crate::cluster::mailbox::{Mailbox, Order};
use crate::cluster::shared::Shared;

/// Most joins of one member under way at once: each may have 32 streams.
const JOINS_MAX: usize = 16;

/// A join under way: wait for it with [`Join::wait`], or await it. Dropping it cancels it.
///
/// ```no_run
/// # fn main() -> Result<(), swimring::ClusterError> {
/// # let cluster = swimring::Cluster::builder("web-1").start()?;
/// let join = cluster.join(["10.0.0.1:7946", "seed.example.org"]);
/// let canceller = join.canceller();
/// std::thread::spawn(move || {
///     // Whenever something else decides that it has taken long enough.
///     canceller.cancel();
/// });
/// println!("{}", join.wait()?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping a join cancels it: wait for it or await it"]
pub struct Join {
    result: Receiver<Result<JoinReport, JoinError>>,
    canceller: Canceller,
}

/// Cancels a [`Join`] from elsewhere, while it is being waited for.
#[derive(Clone, Debug)]
pub struct Canceller {
    cancelled: Arc<AtomicBool>,
    mailbox: Mailbox,
}

impl Canceller {
    /// Ends the join at once with [`JoinError::Cancelled`]. Without effect on one that has ended.
    pub fn cancel(&self) {
        if !self.cancelled.swap(true, Ordering::AcqRel) {
            self.mailbox.wake();
        }
    }
}

impl Join {
    /// Waits for the join to end.
    ///
    /// # Errors
    /// [`JoinError`]; if no seed answered it says why for each.
    pub fn wait(mut self) -> Result<JoinReport, JoinError> {
        self.result.recv().unwrap_or(Err(JoinError::Stopped))
    }

    /// The result, if the join has ended. It is given once; [`JoinError::Stopped`] afterwards.
    pub fn try_wait(&mut self) -> Option<Result<JoinReport, JoinError>> {
        use std::sync::mpsc::TryRecvError;
        match self.result.try_recv() {
            Ok(result) => Some(result),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(JoinError::Stopped)),
        }
    }

    /// Ends the join at once; waiting for it then gives [`JoinError::Cancelled`].
    pub fn cancel(&self) {
        self.canceller.cancel();
    }

    /// Something that cancels the join from elsewhere.
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }
}

impl Drop for Join {
    fn drop(&mut self) {
        self.canceller.cancel();
    }
}

impl Future for Join {
    type Output = Result<JoinReport, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = self.get_mut().result.poll_recv(cx);
        result.map(|result| result.unwrap_or(Err(JoinError::Stopped)))
    }
}

/// A place among the joins under way, free again when dropped.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(joins: &Arc<AtomicUsize>) -> Option<Place> {
        let taken = joins.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(joins));
        (taken < JOINS_MAX).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A join that the application asked for, for the background thread to carry out.
pub(in crate::cluster) struct NewJoin {
    pub(in crate::cluster) seeds: Vec<Seed>,
    /// How often the member had been told to leave when the join was asked for.
    pub(in crate::cluster) leaves: u32,
    pub(in crate::cluster) timeout: Duration,
    pub(in crate::cluster) waiting: WaitingJoin,
}

/// The other end of a [`Join`].
pub(in crate::cluster) struct WaitingJoin {
    outcome: Sender<Result<JoinReport, JoinError>>,
    cancelled: Arc<AtomicBool>,
    place: Place,
}

impl WaitingJoin {
    /// Whether the application has no use for it any more.
    pub(in crate::cluster) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Says how the join ended.
    pub(in crate::cluster) fn end(self, result: Result<JoinReport, JoinError>) {
        // Before the result is seen: a caller that has it may count on nothing of the join being left.
        drop(self.place);
        self.outcome.send(result);
    }
}

/// Starts a join that the application asked for.
pub(in crate::cluster) fn start(shared: &Shared, seeds: Vec<Seed>, timeout: Duration) -> Join {
    let (outcome, result) = lossy_channel(1);
    let cancelled = Arc::new(AtomicBool::new(false));
    let canceller = Canceller { cancelled: Arc::clone(&cancelled), mailbox: shared.mailbox.clone() };
    let join = Join { result, canceller };
    if let Err(error) = attempt::check(&seeds) {
        outcome.send(Err(error));
        return join;
    }
    let Some(place) = Place::take(&shared.joins) else {
        outcome.send(Err(JoinError::TooManyJoins));
        return join;
    };
    let waiting = WaitingJoin { outcome, cancelled, place };
    let leaves = shared.leaves();
    shared.mailbox.post(Order::Join(Box::new(NewJoin { seeds, leaves, timeout, waiting })));
    join
}
