//! One hot path, run a given number of times, for counting its instructions: `bench/instructions.sh`.
//!
//! Counts of instructions are the same on a busy machine and a quiet one, so that a change of a few percent
//! shows. Only what happens in [`measured`] is counted.
#![forbid(unsafe_code)]

use std::time::Duration;

use swimring_bench::{Deck, Fleet, settings};

const KNOWN: usize = 10_000;

/// Something that can be done again and again.
type Path = Box<dyn FnMut()>;

/// Makes a path ready to be run.
type Prepare = fn() -> Path;

const PATHS: [(&str, Prepare); 9] = [
    ("alive", || handle(Fleet::new(1, KNOWN), Deck::alive(KNOWN))),
    ("troubled", || {
        let mut fleet = Fleet::new(1, KNOWN);
        let deck = Deck::troubled(KNOWN, &mut fleet);
        handle(fleet, deck)
    }),
    ("introductions", || handle(Fleet::new(1, KNOWN), Deck::introductions(KNOWN))),
    ("ping", || {
        let fleet = Fleet::new(1, KNOWN);
        let deck = Deck::pings(KNOWN, fleet.members[0].root());
        handle(fleet, deck)
    }),
    ("event", || {
        let mut fleet = Fleet::new(1, KNOWN);
        let deck = Deck::events(KNOWN, &mut fleet);
        handle(fleet, deck)
    }),
    ("news", news),
    ("probe", probe),
    ("gossip", gossip),
    ("ack-with-news", ack_with_news),
];

/// What is counted.
#[inline(never)]
fn measured(times: u32, path: &mut dyn FnMut()) {
    for _ in 0..times {
        path();
    }
}

fn handle(mut fleet: Fleet, mut deck: Deck) -> Path {
    Box::new(move || {
        let (from, datagram) = deck.draw();
        fleet.handle(0, datagram, from);
    })
}

fn news() -> Path {
    let (mut fleet, mut deck) = (Fleet::new(1, KNOWN), Deck::news(KNOWN));
    Box::new(move || {
        let (from, datagram) = deck.draw_news();
        fleet.handle(0, datagram, from);
    })
}

fn probe() -> Path {
    let mut fleet = Fleet::new(1, KNOWN);
    Box::new(move || {
        fleet.scenery.now = fleet.members[0].next_timeout();
        fleet.probe(0);
    })
}

/// A member with 4,000 broadcasts queued: enough for 300 rounds of gossip.
fn talkative() -> Fleet {
    let mut settings = settings();
    settings.probe_interval = Duration::from_secs(1 << 32);
    settings.push_pull_interval = Duration::ZERO;
    let (mut fleet, mut news) = (Fleet::with(1, KNOWN, settings), Deck::news(KNOWN));
    for _ in 0..400 {
        let (from, datagram) = news.draw_news();
        fleet.handle(0, datagram, from);
    }
    fleet
}

fn gossip() -> Path {
    let mut fleet = talkative();
    let interval = settings().gossip_interval;
    Box::new(move || {
        fleet.scenery.now = fleet.scenery.now + interval;
        fleet.timeout(0);
    })
}

fn ack_with_news() -> Path {
    let (mut fleet, mut pings) = (talkative(), Deck::pings(KNOWN, 0));
    Box::new(move || {
        let (from, datagram) = pings.draw();
        fleet.handle(0, datagram, from);
    })
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_default();
    let Some((_, ready)) = PATHS.iter().find(|(name, _)| *name == path) else {
        let names: Vec<_> = PATHS.iter().map(|(name, _)| *name).collect();
        eprintln!("give the path to run: {}", names.join(", "));
        std::process::exit(2);
    };
    let times = arguments.next().and_then(|times| times.parse().ok()).unwrap_or(200);
    let mut path = ready();
    // Once through what is allocated or filled the first time.
    for _ in 0..20 {
        path();
    }
    measured(times, &mut path);
}
