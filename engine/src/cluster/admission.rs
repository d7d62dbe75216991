//! Asking the application who may come into the view.
//!
//! The protocol's thread copies a candidate to a queue and goes on. A thread of its own, which is there only where the
//! application is asked, calls what the application gave for it, waits for its futures, and calls the answers back. So a hook
//! that blocks holds up the candidates behind it and nothing else: what is not answered in time the setting
//! `admit_on_timeout` decides, on the protocol's side.

#![allow(clippy::disallowed_methods, reason = "a candidate whose time is over is not asked about any more")]

use std::fmt;
use std::future::ready;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use swimring_codec::{MemberId, canonical};

use super::error::ClusterError;
use super::lossy_channel::{Receiver, Sender, lossy_channel};
use super::shared::{LOCAL, Shared};
use super::waiting::thread_waker;
use crate::identity::PublicKey;
use crate::protocol::{CANDIDATES_MAX, CandidateRef, MemberlistDialect, WireOptions};

/// Futures of the application that are waited for at one time.
const ASKED_AT_ONCE: usize = 64;

/// Answers that are called back together at most, and how old the first of them may become meanwhile.
const ANSWERS_AT_ONCE: usize = 64;
const ANSWERS_AGE_MAX: Duration = Duration::from_millis(1);

/// Until the protocol's thread is called again after it had too many calls waiting.
const BUSY_PAUSE: Duration = Duration::from_millis(1);

/// The wire that a candidate was heard of on: that of the cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum WireKind {
    /// Swimring's own, encrypted or not.
    Native,
    /// memberlist's.
    Memberlist,
    /// memberlist's with Serf's messages.
    Serf,
}

impl From<&WireOptions> for WireKind {
    fn from(wire: &WireOptions) -> WireKind {
        match wire {
            WireOptions::Memberlist(options) if options.dialect == MemberlistDialect::Serf => WireKind::Serf,
            WireOptions::Memberlist(_) => WireKind::Memberlist,
            WireOptions::Native | WireOptions::Encrypted(_) => WireKind::Native,
        }
    }
}

/// A member that is not in the view, and may be admitted: see [`ClusterBuilder::admit`](super::ClusterBuilder::admit).
///
/// It is what somebody says of it. Nothing of it has been checked but its address against
/// [`ClusterOptions::allowed_networks`](super::ClusterOptions::allowed_networks) and, with identities, that the member itself
/// has said it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Candidate {
    /// Its name.
    pub name: Arc<str>,
    /// Address at which it says that it receives.
    pub address: SocketAddr,
    /// Metadata that it publishes.
    pub metadata: Bytes,
    /// Key that it signs with, where members have [identities](crate::identity): that it has it has been checked.
    pub public_key: Option<PublicKey>,
    /// Zone that it is in; empty for none.
    pub zone: Arc<str>,
    /// The wire that it was heard of on.
    pub wire: WireKind,
}

impl Candidate {
    pub(super) fn new(known: &CandidateRef<'_>, wire: WireKind) -> Candidate {
        Candidate {
            name: known.name.into(),
            address: canonical(known.address),
            metadata: Bytes::copy_from_slice(known.metadata),
            public_key: known.public_key,
            zone: known.zone.into(),
            wire,
        }
    }
}

/// An answer of the application, or one that will come.
type Answer = Pin<Box<dyn Future<Output = bool> + Send>>;

/// What the application has to say about candidates.
#[derive(Clone)]
pub struct AdmissionHook(Arc<dyn Fn(Candidate) -> Answer + Send + Sync>);

impl AdmissionHook {
    /// One that answers before it returns: see [`ClusterBuilder::admit`](super::ClusterBuilder::admit).
    pub fn new(hook: impl Fn(&Candidate) -> bool + Send + Sync + 'static) -> AdmissionHook {
        AdmissionHook(Arc::new(move |candidate| Box::pin(ready(hook(&candidate)))))
    }

    /// One whose answer is awaited: see [`ClusterBuilder::admit_async`](super::ClusterBuilder::admit_async).
    pub fn new_async<F>(hook: impl Fn(Candidate) -> F + Send + Sync + 'static) -> AdmissionHook
    where
        F: Future<Output = bool> + Send + 'static,
    {
        AdmissionHook(Arc::new(move |candidate| Box::pin(hook(candidate))))
    }
}

impl fmt::Debug for AdmissionHook {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("AdmissionHook")
    }
}

/// A candidate on its way to the application.
#[derive(Debug)]
struct Asked {
    candidate: Candidate,
    key: (MemberId, u64),
    at: Instant,
}

/// The protocol's end: asks about candidates, and never waits.
#[derive(Debug)]
pub(super) struct Asker(Sender<Asked>);

impl Asker {
    /// Asks about `known`, whose id is `subject`.
    pub(super) fn ask(&self, subject: MemberId, known: &CandidateRef<'_>, wire: WireKind) {
        let (candidate, key) = (Candidate::new(known, wire), (subject, known.identity));
        // The protocol waits for no more than fit. What goes to make room is older, and its time is over.
        self.0.send(Asked { candidate, key, at: Instant::now() });
    }
}

/// The application's end, which a thread of its own runs.
pub(super) struct Asking {
    hook: AdmissionHook,
    asked: Receiver<Asked>,
    /// How long the protocol waits for an answer.
    timeout: Duration,
}

/// Both ends of the way to `hook`.
pub(super) fn asking(hook: AdmissionHook, timeout: Duration) -> (Asker, Asking) {
    let (sender, asked) = lossy_channel(CANDIDATES_MAX);
    (Asker(sender), Asking { hook, asked, timeout })
}

/// A future of the application.
struct UnderWay {
    key: (MemberId, u64),
    at: Instant,
    answer: Answer,
}

/// What the application has said.
type Said = Vec<((MemberId, u64), bool)>;

impl Asking {
    /// Starts the thread. It ends with the member's.
    pub(super) fn start(self, cluster: Weak<Shared>) -> std::io::Result<()> {
        let thread = std::thread::Builder::new().name("swimring-admit".to_owned());
        // Nobody waits for it: the application may block it for as long as it likes.
        thread.spawn(move || self.run(&cluster)).map(drop)
    }

    fn run(mut self, cluster: &Weak<Shared>) {
        let waker = thread_waker();
        let cx = &mut Context::from_waker(&waker);
        let mut under_way = Vec::new();
        loop {
            let mut said = Said::new();
            under_way.retain_mut(|asked| go_on(asked, cx, &mut said));
            let taken = self.take(cx, &mut under_way, &mut said);
            if taken == Taken::Ended || !said.is_empty() && !call_back(cluster, said.into()) {
                return;
            }
            match taken {
                Taken::All => std::thread::park(),
                Taken::Full => std::thread::park_timeout(self.make_room(&mut under_way)),
                Taken::Ended | Taken::Some => {}
            }
        }
    }

    /// Begins with candidates that wait, as far as there is room.
    fn take(&mut self, cx: &mut Context<'_>, under_way: &mut Vec<UnderWay>, said: &mut Said) -> Taken {
        let begun = Instant::now();
        while under_way.len() < ASKED_AT_ONCE {
            if said.len() >= ANSWERS_AT_ONCE || !said.is_empty() && begun.elapsed() >= ANSWERS_AGE_MAX {
                return Taken::Some;
            }
            let Asked { candidate, key, at } = match self.asked.poll_recv(cx) {
                Poll::Ready(Some(asked)) => asked,
                Poll::Ready(None) => return Taken::Ended,
                Poll::Pending => return if said.is_empty() { Taken::All } else { Taken::Some },
            };
            if at.elapsed() >= self.timeout {
                continue;
            }
            let Some(answer) = guarded(|| (self.hook.0)(candidate)) else { continue };
            let mut asked = UnderWay { key, at, answer };
            if go_on(&mut asked, cx, said) {
                under_way.push(asked);
            }
        }
        Taken::Full
    }

    /// Gives up futures whose time is over. Gives how long until the next is.
    fn make_room(&self, under_way: &mut Vec<UnderWay>) -> Duration {
        under_way.retain(|asked| asked.at.elapsed() < self.timeout);
        let left = under_way.iter().map(|asked| self.timeout.saturating_sub(asked.at.elapsed()));
        if under_way.len() < ASKED_AT_ONCE { Duration::ZERO } else { left.min().unwrap_or_default() }
    }
}

/// How many of the candidates that wait were taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// All of them.
    All,
    /// Some, to say what came of them.
    Some,
    /// As many as there is room for.
    Full,
    /// There are none to come.
    Ended,
}

/// Polls a future of the application. True if it has to be polled again.
fn go_on(asked: &mut UnderWay, cx: &mut Context<'_>, said: &mut Said) -> bool {
    match guarded(|| asked.answer.as_mut().poll(cx)) {
        Some(Poll::Pending) => true,
        Some(Poll::Ready(admitted)) => {
            said.push((asked.key, admitted));
            false
        }
        None => false,
    }
}

/// What `call` gives, of the application's; nothing if it panics, which leaves a candidate without an answer.
fn guarded<R>(call: impl FnOnce() -> R) -> Option<R> {
    let result = catch_unwind(AssertUnwindSafe(call));
    if result.is_err() {
        tracing::error!(
            "the application's admission hook has panicked: the candidate stays without an answer"
        );
    }
    result.ok()
}

/// Tells the protocol what was `said`. False once the member has stopped.
fn call_back(cluster: &Weak<Shared>, said: Arc<[((MemberId, u64), bool)]>) -> bool {
    while let Some(shared) = cluster.upgrade() {
        let answers = Arc::clone(&said);
        let called = shared.call(move |host, trains| {
            host.command(LOCAL, trains, |member, now, state, out| {
                for (key, admitted) in answers.iter() {
                    member.judge_candidate(now, *key, *admitted, state, out);
                }
            });
        });
        match called {
            Err(ClusterError::Busy) => std::thread::sleep(BUSY_PAUSE),
            called => return called.is_ok(),
        }
    }
    false
}
