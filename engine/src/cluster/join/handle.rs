//! A join under way, as the application holds it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use crossbeam::channel;

use super::attempt::{self, Whom};
use super::outcome::{JoinError, JoinReport};
use super::seed::Seed;
use crate::cluster::lossy_channel::{self, Receiver};
use crate::cluster::shared::Shared;

/// Most joins of one member under way at once: each has a thread.
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
pub struct Canceller(channel::Sender<()>);

impl Canceller {
    /// Ends the join at once with [`JoinError::Cancelled`]. Without effect on one that has ended.
    pub fn cancel(&self) {
        // Full means cancelled before; disconnected means over.
        let _ = self.0.try_send(());
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

/// Starts a join that the application asked for. If it succeeds its seeds are remembered.
pub(in crate::cluster) fn start(shared: &Arc<Shared>, seeds: Vec<Seed>, timeout: Duration) -> Join {
    let leaves = shared.leaves();
    begin(shared, seeds, Whom::All, leaves, timeout, move |shared, seeds| {
        if shared.leaves() == leaves {
            shared.remembered().add(seeds);
        }
    })
}

/// Starts a join through seeds that were remembered. It comes to nothing if the member has been told to leave
/// more than `leaves` times when it gets that far.
pub(in crate::cluster) fn start_in_the_background(
    shared: &Arc<Shared>,
    seeds: Vec<Seed>,
    whom: Whom,
    leaves: u32,
    timeout: Duration,
) -> Join {
    begin(shared, seeds, whom, leaves, timeout, |_, _| ())
}

fn begin(
    shared: &Arc<Shared>,
    seeds: Vec<Seed>,
    whom: Whom,
    leaves: u32,
    timeout: Duration,
    succeeded: impl FnOnce(&Shared, Vec<Seed>) + Send + 'static,
) -> Join {
    let (sender, result) = lossy_channel::lossy_channel(1);
    let (cancel, cancelled) = channel::bounded(1);
    let join = Join { result, canceller: Canceller(cancel) };
    let Some(place) = Place::take(&shared.joins) else {
        sender.send(Err(JoinError::TooManyJoins));
        return join;
    };
    let shared = Arc::clone(shared);
    let thread = std::thread::Builder::new().name("swimring-join".to_owned());
    let sender = Arc::new(sender);
    let outcome = Arc::clone(&sender);
    let spawned = thread.spawn(move || {
        let result = attempt::run(&shared, seeds.clone(), whom, leaves, timeout, &cancelled);
        if result.is_ok() {
            succeeded(&shared, seeds);
        }
        // Before the result is seen: whoever has it may count on nothing of the join being left.
        drop((place, shared));
        outcome.send(result);
    });
    if let Err(error) = spawned {
        sender.send(Err(JoinError::NoThread(error.to_string())));
    }
    join
}
