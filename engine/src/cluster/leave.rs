//! Leaving: telling the others, and waiting until they have been told.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crossbeam::channel;

use super::error::ClusterError;
use super::lossy_channel::{self, Receiver};
use super::shared::{LOCAL, Shared};

/// Most leaves waited for at once: each has a thread.
const LEAVES_MAX: usize = 16;

/// A leave under way: wait for it with [`Leave::wait`], or await it. The member leaves in any case.
#[derive(Debug)]
pub struct Leave(Receiver<Result<(), ClusterError>>);

impl Leave {
    /// Waits until the others have been told.
    ///
    /// # Errors
    /// [`ClusterError::LeaveTimedOut`], [`ClusterError::Busy`], [`ClusterError::Stopped`].
    pub fn wait(mut self) -> Result<(), ClusterError> {
        self.0.recv().unwrap_or(Err(ClusterError::Stopped))
    }
}

impl Future for Leave {
    type Output = Result<(), ClusterError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = self.get_mut().0.poll_recv(cx);
        result.map(|result| result.unwrap_or(Err(ClusterError::Stopped)))
    }
}

/// Has the member leave.
pub(super) fn start(shared: &Arc<Shared>, timeout: Duration) -> Leave {
    let (sender, result) = lossy_channel::lossy_channel(1);
    let sender = Arc::new(sender);
    match begin(shared) {
        Ok(told) => {
            let (outcome, closing) = (Arc::clone(&sender), shared.closing.clone());
            let thread = std::thread::Builder::new().name("swimring-leave".to_owned());
            let spawned = thread.spawn(move || {
                let result = crossbeam::select! {
                    // The hub drops its end when the member's thread stops.
                    recv(told) -> told => told.map_err(|_| ClusterError::Stopped),
                    recv(closing) -> _ => Err(ClusterError::Stopped),
                    default(timeout) => Err(ClusterError::LeaveTimedOut(timeout)),
                };
                outcome.send(result);
            });
            if spawned.is_err() {
                sender.send(Err(ClusterError::Busy));
            }
        }
        Err(error) => {
            sender.send(Err(error));
        }
    }
    Leave(result)
}

/// Tells the member to leave. Something arrives where this says once it has been told.
fn begin(shared: &Shared) -> Result<channel::Receiver<()>, ClusterError> {
    let (tell, told) = channel::bounded(1);
    let leaves = shared.count_leave();
    let begun = shared.ask(move |host, trains| {
        host.observer.leaves = host.observer.leaves.max(leaves);
        if host.member(LOCAL).is_some_and(crate::protocol::Member::has_left) {
            // Everybody has been told before.
            let _ = tell.try_send(());
            return Ok(());
        }
        if host.observer.leaving.len() >= LEAVES_MAX {
            return Err(ClusterError::Busy);
        }
        // Before the command: alone, the member has told everyone at once.
        host.observer.leaving.push(tell);
        host.command(LOCAL, trains, |member, now, shared, out| member.leave(now, shared, out));
        Ok(())
    });
    begun.wait()?.map(|()| told)
}
