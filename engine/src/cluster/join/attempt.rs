//! One join, from its seeds to its report. It never waits: it is told what it hears, and says when it wants to be
//! called again.

#![allow(clippy::disallowed_methods, reason = "a join has a time limit")]

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use hashbrown::{HashMap, HashSet};
use swimring_codec::MemberId;

use super::order::{self, Queue};
use super::outcome::{AddressOutcome, JoinError, JoinReport, SeedError, SeedOutcome};
use super::seed::{Place, Seed};
use crate::cluster::mailbox::{Mailbox, Order};
use crate::cluster::shared::{LOCAL, Shared};

/// Most seeds of one join. A list that long is a mistake: one that answers is enough.
pub(super) const SEEDS_MAX: usize = 256;
/// Addresses begun within [`SOON`]. Each that answers sends its whole view.
const FRESH_MAX: usize = 8;
/// How long an address holds back others: one that has not answered by then will hardly send much.
const SOON: Duration = Duration::from_millis(500);
/// Most addresses tried at once, those included that do not seem to answer: a stream each.
const ADDRESSES_AT_ONCE: usize = 32;
/// Most names being resolved at once.
const NAMES_AT_ONCE: usize = 16;
/// Most addresses of all seeds of one join, which is as many as fit an answer of the domain name system.
/// Which are left out beyond it is drawn anew each time, and those that have not failed yet come first.
const ADDRESSES_MAX: usize = 4096;
/// How long what does not answer is waited for once one address has answered and all others have been begun.
const GRACE: Duration = Duration::from_secs(1);
/// Addresses of a name reported as this member's own, or as none at all.
const FAULTS_MAX: usize = 16;
/// As good as no limit.
const FOREVER: Duration = Duration::from_secs(1 << 32);
/// Between two looks at what may be begun, while something waits.
const LOOK: Duration = Duration::from_millis(50);

/// A join's number among those of its member.
pub(in crate::cluster) type JoinId = u64;

/// What a join hears.
#[derive(Debug)]
pub(in crate::cluster) enum JoinProgress {
    /// A name was resolved, or not.
    Resolved {
        /// Which seed's.
        seed: usize,
        /// Its addresses.
        result: Result<Vec<SocketAddr>, String>,
    },
    /// An address answered, or not.
    Ended {
        /// Its number among all that this member has tried.
        token: u32,
        /// Whether its view came.
        result: Result<(), SeedError>,
    },
}

/// Tells a join what it is to hear, by way of the background thread.
#[derive(Clone, Debug)]
pub(in crate::cluster) struct ProgressSender {
    join: JoinId,
    mailbox: Mailbox,
}

impl ProgressSender {
    /// Tells it. Without effect on one that has ended.
    pub(in crate::cluster) fn send(&self, progress: JoinProgress) {
        self.mailbox.post(Order::Progress { join: self.join, progress });
    }
}

/// Which addresses of the seeds a join contacts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::cluster) enum Whom {
    /// All, until one has answered; then those that are not in the view.
    All,
    /// Those that are not in the view: who is in it is in the same pool.
    Missing,
}

/// How far a seed's name is.
enum Naming {
    /// Its turn has not come.
    Waiting,
    Resolving,
    /// It is resolved, or the seed has no name.
    Done,
}

/// What is known of a seed.
struct Progress {
    seed: Seed,
    naming: Naming,
    queue: Queue,
    ended: Vec<AddressOutcome>,
    left_out: usize,
    /// Why it has no addresses.
    fault: Option<SeedError>,
}

/// An address that is being tried.
struct UnderWay {
    seed: usize,
    address: SocketAddr,
    since: Instant,
}

/// See the module.
pub(in crate::cluster) struct Attempt {
    shared: Arc<Shared>,
    whom: Whom,
    seeds: Vec<Progress>,
    under_way: HashMap<u32, UnderWay>,
    /// Number of addresses of all seeds so far.
    addresses: usize,
    progress: ProgressSender,
    rng: fastrand::Rng,
    timeout: Duration,
    deadline: Instant,
    /// How often the member had been told to leave when the join began: joining brings a member that has
    /// left back, and one that is told to leave during a join has to stay away.
    leaves: u32,
    /// When the last address was begun, or the first one answered, whichever was later.
    last_begun: Instant,
    answered: bool,
    /// Whether the view is to be held against the addresses that wait.
    view_changed: bool,
}

/// Whether there is something to join through, and not too much.
pub(in crate::cluster) fn check(seeds: &[Seed]) -> Result<(), JoinError> {
    match seeds.len() {
        0 => Err(JoinError::NoSeeds),
        count if count > SEEDS_MAX => Err(JoinError::TooManySeeds(count)),
        _ => Ok(()),
    }
}

impl Attempt {
    /// A join through `seeds`, numbered `id`, for `timeout` at most. `leaves` is how often the member had been told
    /// to leave when it was asked for.
    pub(in crate::cluster) fn new(
        shared: &Arc<Shared>,
        id: JoinId,
        seeds: Vec<Seed>,
        whom: Whom,
        leaves: u32,
        timeout: Duration,
    ) -> Attempt {
        let mut rng = shared.fork_rng();
        let now = Instant::now();
        let progress = |seed| Progress {
            seed,
            naming: Naming::Done,
            queue: Queue::new(&mut rng),
            ended: Vec::new(),
            left_out: 0,
            fault: None,
        };
        let mut attempt = Attempt {
            seeds: seeds.into_iter().map(progress).collect(),
            shared: Arc::clone(shared),
            whom,
            under_way: HashMap::new(),
            addresses: 0,
            progress: ProgressSender { join: id, mailbox: shared.mailbox.clone() },
            rng,
            timeout,
            // A time that is out of the clock's reach is no limit.
            deadline: now.checked_add(timeout).unwrap_or(now + FOREVER),
            leaves,
            last_begun: now,
            answered: false,
            view_changed: false,
        };
        for seed in 0..attempt.seeds.len() {
            attempt.look_at(seed);
        }
        attempt
    }

    /// A seed at the beginning: its address, or its name, or its fault.
    fn look_at(&mut self, seed: usize) {
        let progress = &mut self.seeds[seed];
        progress.fault = progress.seed.fault();
        match progress.seed.0 {
            _ if progress.fault.is_some() => {}
            Place::Address(address) => self.add(seed, vec![address]),
            Place::Name { .. } => progress.naming = Naming::Waiting,
            Place::Unusable(_) => progress.fault = Some(SeedError::Syntax),
        }
    }

    /// Has the addresses of a seed wait for their turn.
    fn add(&mut self, seed: usize, addresses: Vec<SocketAddr>) {
        let progress = &mut self.seeds[seed];
        let mut others = Vec::with_capacity(addresses.len());
        for address in addresses {
            // Some resolvers answer with 0.0.0.0, which would be this machine.
            let fault = Seed::from(address).fault();
            match fault.or(self.shared.is_own(address).then_some(SeedError::Itself)) {
                None => others.push(address),
                Some(fault) if progress.ended.len() < FAULTS_MAX => {
                    progress.ended.push(AddressOutcome { address, result: Err(fault) });
                }
                Some(_) => {}
            }
        }
        let own_is_v4 = self.shared.advertised.ip().to_canonical().is_ipv4();
        let most = ADDRESSES_MAX - self.addresses;
        let tried = self.shared.tried.lock().unwrap_or_else(PoisonError::into_inner);
        progress.left_out = progress.queue.add(others, own_is_v4, most, &tried, &mut self.rng);
        self.addresses += progress.queue.len();
        self.view_changed |= self.answered || self.whom == Whom::Missing;
    }

    /// Begins what may be begun by now, and says when it wants to be called again, unless it hears something
    /// earlier. Nothing once it is over: all have ended; or one address has answered, all others have been begun and
    /// had a moment more; or the time is up.
    pub(in crate::cluster) fn advance(&mut self, now: Instant) -> Option<Instant> {
        self.pass_over_the_known();
        self.begin_more(now);
        if self.has_ended() {
            return None;
        }
        let waits = self.waits();
        let grace = if self.answered && !waits { self.last_begun + GRACE } else { self.deadline };
        let limit = self.deadline.min(grace);
        (limit > now).then(|| if waits { limit.min(now + LOOK) } else { limit })
    }

    /// Whether something could still be begun: an address, or the resolving of a name.
    fn waits(&self) -> bool {
        let waits = |seed: &Progress| !seed.queue.is_empty() || matches!(seed.naming, Naming::Waiting);
        self.seeds.iter().any(waits)
    }

    fn has_ended(&self) -> bool {
        let resolving = |seed: &Progress| matches!(seed.naming, Naming::Resolving);
        self.under_way.is_empty() && !self.waits() && !self.seeds.iter().any(resolving)
    }

    /// Takes those that wait and are in the view by now off the list: they are in the same pool, and would only
    /// send the same view again.
    fn pass_over_the_known(&mut self) {
        let waiting = self.seeds.iter().any(|seed| !seed.queue.is_empty());
        if !self.view_changed || !waiting {
            return;
        }
        self.view_changed = false;
        let live = self.shared.ask(|host, _| {
            let member = host.member(LOCAL)?;
            let live = member.members(host.shared()).filter(|known| known.state.is_live());
            Some(live.map(|known| known.address).collect::<Vec<_>>())
        });
        // A turn of the member's loop.
        let Ok(live) = live.wait() else { return };
        let live: HashSet<SocketAddr> = live.into_iter().flatten().collect();
        for seed in &mut self.seeds {
            let known = seed.queue.drop_those(|address| live.contains(&address));
            let outcome = |address| AddressOutcome { address, result: Err(SeedError::InView) };
            seed.ended.extend(known.into_iter().map(outcome));
        }
    }

    fn begin_more(&mut self, now: Instant) {
        self.resolve_more();
        let mut fresh = self.under_way.values().filter(|tried| now < tried.since + SOON).count();
        while fresh < FRESH_MAX && self.under_way.len() < ADDRESSES_AT_ONCE {
            let Some(seed) = order::next(self.seeds.iter().map(|seed| &seed.queue)) else { return };
            if !self.begin(seed, now) {
                return;
            }
            fresh += 1;
        }
    }

    fn resolve_more(&mut self) {
        let resolving = |seed: &&Progress| matches!(seed.naming, Naming::Resolving);
        let mut places = NAMES_AT_ONCE.saturating_sub(self.seeds.iter().filter(resolving).count());
        let mut waiting: Vec<usize> = (0..self.seeds.len())
            .filter(|seed| matches!(self.seeds[*seed].naming, Naming::Waiting))
            .collect();
        self.rng.shuffle(&mut waiting);
        for seed in waiting {
            let progress = &mut self.seeds[seed];
            let Place::Name { host, port } = &progress.seed.0 else { continue };
            if places == 0 || !self.shared.resolvers.resolve(host, *port, seed, self.progress.clone()) {
                return;
            }
            progress.naming = Naming::Resolving;
            places -= 1;
        }
    }

    /// Tries the next address of a seed. False if the member has too much to do, so that it waits on.
    fn begin(&mut self, seed: usize, now: Instant) -> bool {
        let (token, leaves) = (self.shared.next_token(), self.leaves);
        let queue = &mut self.seeds[seed].queue;
        let Some(address) = queue.peek() else { return false };
        let progress = self.progress.clone();
        let asked = self.shared.call(move |host, trains| {
            if host.observer.leaves > leaves {
                return progress.send(JoinProgress::Ended { token, result: Err(SeedError::Left) });
            }
            host.observer.joins.insert(token, progress);
            host.command(LOCAL, trains, |member, now, shared, out| {
                member.join(now, address, MemberId::NONE, token, shared, out);
            });
        });
        if asked.is_err() {
            return false;
        }
        queue.pop();
        self.shared.tried.lock().unwrap_or_else(PoisonError::into_inner).begin(address);
        self.under_way.insert(token, UnderWay { seed, address, since: now });
        self.last_begun = now;
        true
    }

    /// Takes in what it hears.
    pub(in crate::cluster) fn hear(&mut self, progress: JoinProgress) {
        match progress {
            JoinProgress::Resolved { seed, result } => {
                self.seeds[seed].naming = Naming::Done;
                match result {
                    Ok(addresses) if addresses.is_empty() => {
                        let none = SeedError::Unresolved("the name has no address".to_owned());
                        self.seeds[seed].fault = Some(none);
                    }
                    Ok(addresses) => self.add(seed, addresses),
                    Err(reason) => self.seeds[seed].fault = Some(SeedError::Unresolved(reason)),
                }
            }
            JoinProgress::Ended { token, result } => {
                let Some(UnderWay { seed, address, .. }) = self.under_way.remove(&token) else { return };
                if result.is_ok() {
                    self.shared.tried.lock().unwrap_or_else(PoisonError::into_inner).answered(address);
                    self.last_begun = Instant::now();
                    (self.answered, self.view_changed) = (true, true);
                }
                self.seeds[seed].ended.push(AddressOutcome { address, result });
            }
        }
    }

    /// Ends the join. Gives its seeds, and what became of each.
    pub(in crate::cluster) fn finish(self) -> (Vec<Seed>, Result<JoinReport, JoinError>) {
        let seeds = self.seeds.iter().map(|progress| progress.seed.clone()).collect();
        let report = self.report();
        if report.answered() > 0 || report.seeds.is_empty() {
            (seeds, Ok(report))
        } else {
            (seeds, Err(JoinError::NoneAnswered(report)))
        }
    }

    /// Gives up what is under way, and says what became of each seed.
    fn report(mut self) -> JoinReport {
        let gave_up = if self.answered { SeedError::NotAwaited } else { SeedError::TimedOut(self.timeout) };
        let tokens: Vec<u32> = self.under_way.keys().copied().collect();
        for (_, UnderWay { seed, address, .. }) in self.under_way.drain() {
            self.seeds[seed].ended.push(AddressOutcome { address, result: Err(gave_up.clone()) });
        }
        if !tokens.is_empty() {
            // A member that has stopped has nothing to give up.
            let _ = self.shared.call(move |host, _| {
                for token in tokens {
                    host.observer.joins.remove(&token);
                    host.cancel_join(LOCAL, token);
                }
            });
        }
        let (whom, timeout) = (self.whom, self.timeout);
        let seeds = self.seeds.into_iter().map(|seed| seed.outcome(&gave_up, timeout));
        let is_news = |outcome: &SeedOutcome| {
            whom == Whom::All || !matches!(outcome.result, Err(SeedError::InView | SeedError::Itself))
        };
        JoinReport { seeds: seeds.filter(is_news).collect() }
    }
}

impl Progress {
    fn outcome(self, gave_up: &SeedError, timeout: Duration) -> SeedOutcome {
        let mut addresses = self.ended;
        let untried = |address| AddressOutcome { address, result: Err(SeedError::NotTried(timeout)) };
        addresses.extend(self.queue.into_waiting().map(untried));
        let all_left_out = addresses.is_empty() && self.left_out > 0;
        let fault = self.fault.or(match self.naming {
            Naming::Done => all_left_out.then_some(SeedError::NotTried(timeout)),
            Naming::Resolving => Some(gave_up.clone()),
            Naming::Waiting => Some(SeedError::NotTried(timeout)),
        });
        SeedOutcome::new(self.seed.to_string(), addresses, self.left_out, fault)
    }
}
