//! The lines to and from the process: a thread reads, puts answers where the asker waits, and keeps events.
#![allow(clippy::disallowed_methods, reason = "waits for another process, in real time")]

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::events::PeerEvent;

/// Events that are kept. Those beyond it are counted: pools that large are run with quiet events.
const EVENTS_MAX: usize = 1_000_000;

/// The events so far.
#[derive(Debug, Default)]
struct History {
    events: Vec<PeerEvent>,
    shed: u64,
    ended: bool,
}

/// Events in the order in which they came, shared by the reading thread and the holder.
#[derive(Debug, Default)]
pub(super) struct Events {
    history: Mutex<History>,
    grew: Condvar,
}

impl Events {
    fn lock(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, event: PeerEvent) {
        let mut history = self.lock();
        if history.events.len() < EVENTS_MAX {
            history.events.push(event);
        } else {
            history.shed += 1;
        }
        self.grew.notify_all();
    }

    fn end(&self) {
        self.lock().ended = true;
        self.grew.notify_all();
    }

    /// Whether the process has closed its output.
    pub(super) fn ended(&self) -> bool {
        self.lock().ended
    }

    pub(super) fn len(&self) -> usize {
        self.lock().events.len()
    }

    pub(super) fn shed(&self) -> u64 {
        self.lock().shed
    }

    pub(super) fn since(&self, mark: usize) -> Vec<PeerEvent> {
        self.lock().events.get(mark..).unwrap_or_default().to_vec()
    }

    /// The first event from `mark` on that `wanted` accepts; `None` if none comes in time or the process ends.
    pub(super) fn wait(
        &self,
        mark: usize,
        timeout: Duration,
        mut wanted: impl FnMut(&PeerEvent) -> bool,
    ) -> Option<PeerEvent> {
        let ends = Instant::now() + timeout;
        let mut next = mark;
        let mut history = self.lock();
        loop {
            while let Some(event) = history.events.get(next) {
                if wanted(event) {
                    return Some(event.clone());
                }
                next += 1;
            }
            let left = ends.saturating_duration_since(Instant::now());
            if history.ended || left.is_zero() {
                return None;
            }
            history = self.grew.wait_timeout(history, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Both directions.
#[derive(Debug)]
pub(super) struct Channel {
    to: ChildStdin,
    answers: Receiver<Value>,
    pub(super) events: Arc<Events>,
    last_id: u64,
}

impl Channel {
    pub(super) fn new(to: ChildStdin, from: ChildStdout) -> Channel {
        let events = Arc::new(Events::default());
        let (answered, answers) = channel();
        let shared = Arc::clone(&events);
        std::thread::spawn(move || read(from, &answered, &shared));
        Channel { to, answers, events, last_id: 0 }
    }

    /// Sends a command and waits for its answer; `None` if none comes in time or the process has ended. A late
    /// answer to an earlier command is passed over.
    pub(super) fn ask(&mut self, mut command: Value, timeout: Duration) -> Option<Value> {
        self.last_id += 1;
        command["id"] = self.last_id.into();
        writeln!(self.to, "{command}").ok()?;
        let ends = Instant::now() + timeout;
        loop {
            match self.answers.recv_timeout(ends.saturating_duration_since(Instant::now())) {
                Ok(answer) if answer["id"].as_u64() == Some(self.last_id) => return Some(answer),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }
}

fn read(from: ChildStdout, answered: &Sender<Value>, events: &Events) {
    for line in BufReader::new(from).lines().map_while(Result::ok) {
        let Ok(value) = serde_json::from_str::<Value>(&line) else { continue };
        if value.get("reply").is_some() {
            if answered.send(value).is_err() {
                break;
            }
        } else if let Ok(event) = serde_json::from_value(value) {
            events.push(event);
        }
    }
    events.end();
}
