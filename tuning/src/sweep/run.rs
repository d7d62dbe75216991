//! Runs on several threads: each takes the next job, and what is finished is handed over in the order of the
//! jobs or as it comes, as the caller likes.

use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::time::Instant;

use swimring_simulation::experiment::{TrialError, TrialOptions, run_with};
use swimring_tooling::interrupt::Interrupt;

use super::Digest;
use super::progress::Watch;

/// When to stop before the end: on request, or at a time.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    interrupt: Interrupt,
    deadline: Option<Instant>,
}

impl Stop {
    /// Stops when Ctrl-C, SIGTERM or SIGHUP asks for it, as [`Interrupt`] has it.
    ///
    /// # Errors
    /// If signals are already taken.
    pub fn on_signals() -> Result<Stop, String> {
        Ok(Stop { interrupt: Interrupt::install(crate::cli::PROGRAM)?, deadline: None })
    }

    /// The same, and also at `deadline`.
    #[must_use]
    pub fn at(&self, deadline: Instant) -> Stop {
        let deadline = self.deadline.map_or(deadline, |earlier| earlier.min(deadline));
        Stop { interrupt: self.interrupt.clone(), deadline: Some(deadline) }
    }

    /// Asks.
    pub fn ask(&self) {
        self.interrupt.ask();
    }

    /// Whether somebody asked, whatever the time.
    pub fn asked(&self) -> bool {
        self.interrupt.requested()
    }

    /// Whether to stop now.
    pub fn now(&self) -> bool {
        self.asked() || self.deadline.is_some_and(|deadline| now() >= deadline)
    }
}

/// The real time. Simulations have their own; only their deadlines and speeds are real.
#[allow(clippy::disallowed_methods, reason = "deadlines and speeds of simulations are in real time")]
pub fn now() -> Instant {
    Instant::now()
}

/// One run.
#[derive(Clone, Debug)]
pub struct Job {
    /// Index among the jobs, for the caller.
    pub index: usize,
    /// Options of the simulation.
    pub options: TrialOptions,
}

/// Runs `jobs` on `threads` threads and hands over each as it is done, until `stop`. A run that was stopped
/// halfway is not handed over.
///
/// # Errors
/// What a trial refused, or `done` did.
pub fn run_all(
    jobs: &[Job],
    threads: usize,
    stop: &Stop,
    watch: &Watch,
    mut done: impl FnMut(&Job, Digest) -> Result<(), String>,
) -> Result<(), String> {
    let next = AtomicUsize::new(0);
    let threads = threads.clamp(1, jobs.len().max(1));
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        let spawn = |_| {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || take_jobs(jobs, next, stop, watch, &sender))
        };
        let workers: Vec<_> = (0..threads).map(spawn).collect();
        drop(sender);
        // If a result is not taken, the receiver goes, and workers that would send another end.
        receiver.into_iter().try_for_each(|(job, digest)| done(job, digest))?;
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

/// Runs one job after the other, until there is none left, somebody says stop, or nobody takes the results.
fn take_jobs<'a>(
    jobs: &'a [Job],
    next: &AtomicUsize,
    stop: &Stop,
    watch: &Watch,
    finished: &Sender<(&'a Job, Digest)>,
) -> Result<(), String> {
    while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
        // After a failure the others end at their next job.
        let digest = run_one(job, stop, watch).inspect_err(|_| next.store(jobs.len(), Ordering::Relaxed))?;
        let Some(digest) = digest else { break };
        if finished.send((job, digest)).is_err() {
            break;
        }
    }
    Ok(())
}

fn run_one(job: &Job, stop: &Stop, watch: &Watch) -> Result<Option<Digest>, String> {
    if stop.now() {
        return Ok(None);
    }
    let mut run = watch.run(&job.options);
    let outcome = run_with(&job.options, &mut |progress| {
        run.at(progress.simulated_s);
        if stop.now() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    match outcome {
        Ok(outcome) => {
            run.finish();
            Ok(Some(Digest::of(&outcome)))
        }
        Err(TrialError::Stopped { .. }) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}
