//! What shared state costs while nobody changes it: a fleet over real sockets with so many keys of 100 bytes a member, and the
//! same fleet without, measured one after the other.
//!
//! ```text
//! cargo run --release -p swimring-loadgen --example resting_state -- [MEMBERS [KEYS [SECONDS]]]
//! ```
//!
//! Every member holds a copy of every map, of which members of a worker share the entries: this takes some 50 bytes of memory for
//! each key of each pair of members.

#![allow(clippy::disallowed_methods, reason = "a real fleet takes real time")]

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use swimring::net::Trains;
use swimring::protocol::{SavedKey, SavedState, Settings};
use swimring::worker::{EventContext, Fleet, FleetOptions, Host, Observer};
use swimring_codec::native::Introduction;
use swimring_codec::{Incarnation, MemberId, State};

const WORKERS: usize = 2;
const VALUE_BYTES: usize = 100;
const INCARNATION: Incarnation = Incarnation::new(1);
/// All have everything by then, or never will.
const PATIENCE: Duration = Duration::from_secs(900);
/// From the last change on roots are sent more often for a while.
const SETTLING: Duration = Duration::from_secs(25);

type Failure = Box<dyn Error>;

/// Nothing is looked at but what is counted anyway.
struct Nobody;

impl Observer for Nobody {
    fn event(&mut self, _: &EventContext<'_>, _: &swimring::protocol::Event) {}
}

/// What was sent until a moment, by all workers together.
#[derive(Clone, Copy, Default)]
struct Sent {
    bytes: u64,
    datagrams: u64,
    roots: u64,
    exchanges: u64,
    suspicions: u64,
}

impl Sent {
    fn until_now(fleet: &Fleet<Nobody>) -> Result<Sent, Failure> {
        let sent = fleet.ask_all(|_| {
            Box::new(|host: &mut Host<Nobody>, _: &mut Trains| {
                let (net, protocol) = (host.net_counters(), host.shared().counters);
                Sent {
                    bytes: net.bytes_sent,
                    datagrams: net.datagrams_sent,
                    roots: protocol.state_roots_sent,
                    exchanges: protocol.state_exchanges_begun,
                    suspicions: protocol.suspicions_started,
                }
            })
        })?;
        Ok(sent.into_iter().fold(Sent::default(), |sum, sent| sum.with(sent, u64::wrapping_add)))
    }

    fn with(self, other: Sent, how: fn(u64, u64) -> u64) -> Sent {
        Sent {
            bytes: how(self.bytes, other.bytes),
            datagrams: how(self.datagrams, other.datagrams),
            roots: how(self.roots, other.roots),
            exchanges: how(self.exchanges, other.exchanges),
            suspicions: how(self.suspicions, other.suspicions),
        }
    }
}

fn name_of(number: usize) -> String {
    format!("m{number}")
}

/// Members that know each other, every second one on each worker; each with a map of `keys` of its own, unless that is none.
fn start(members: usize, keys: usize) -> Result<Fleet<Nobody>, Failure> {
    let options = FleetOptions {
        settings: Arc::new(Settings::default()),
        workers: WORKERS,
        seed: 1,
        ..FleetOptions::default()
    };
    let fleet = Fleet::start(&options, |_| Nobody)?;
    let addresses: Vec<_> = (0..WORKERS).map(|worker| fleet.address(worker)).collect();
    let loaded = fleet.ask_all(|worker| {
        let addresses = addresses.clone();
        Box::new(move |host: &mut Host<Nobody>, trains: &mut Trains| -> Result<(), String> {
            host.pause();
            for number in (worker..members).step_by(WORKERS) {
                let local =
                    host.add(&name_of(number), b"", INCARNATION).map_err(|error| error.to_string())?;
                if keys > 0 {
                    let restored = host.command(local, trains, |member, now, shared, out| {
                        member.restore_state(now, map_of(number, keys), shared, out)
                    });
                    restored.ok_or("it is there")?.map_err(|error| error.to_string())?;
                }
            }
            let loaded = host.load_views(|view, settings, shared| {
                (0..members).filter(|number| number % WORKERS != worker).try_for_each(|number| {
                    let name = name_of(number);
                    let introduction = Introduction {
                        subject: MemberId::of_name(&name),
                        incarnation: INCARNATION,
                        state: State::Alive,
                        address: addresses[number % WORKERS],
                        name: &name,
                        metadata: b"",
                        zone: "",
                    };
                    view.add(&introduction, settings, shared)
                })
            });
            loaded.map_err(|error| error.to_string())
        })
    })?;
    loaded.into_iter().collect::<Result<(), String>>()?;
    fleet.ask_all(|_| Box::new(|host: &mut Host<Nobody>, _: &mut Trains| host.resume()))?;
    Ok(fleet)
}

/// No two members' values are the same: what they share is what they have of each other.
fn map_of(number: usize, keys: usize) -> SavedState {
    let own = (0..keys).map(|key| SavedKey {
        key: format!("key-{key}").into(),
        version: 1 + key as u64,
        value: Some(format!("{number:0>VALUE_BYTES$}").into()),
    });
    SavedState { epoch: 1, version: keys as u64, own: own.collect(), ..SavedState::default() }
}

/// Waits until each member holds all maps.
fn wait_for_state(fleet: &Fleet<Nobody>, members: usize, keys: usize) -> Result<(), Failure> {
    let map: usize = (0..keys).map(|key| format!("key-{key}").len() + VALUE_BYTES).sum();
    let (began, wanted) = (Instant::now(), map * members);
    loop {
        let lacking = fleet.ask_all(|_| {
            Box::new(move |host: &mut Host<Nobody>, _: &mut Trains| {
                host.members().filter(|(_, member)| member.state_bytes() != wanted).count()
            })
        })?;
        let lacking: usize = lacking.into_iter().sum();
        eprintln!("{:.0?}: {lacking} of {members} lack something", began.elapsed());
        if lacking == 0 {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("{lacking} of {members} still lack something").into());
        }
        std::thread::sleep(Duration::from_secs(2));
    }
}

/// Bytes that a member sends in a second at rest.
fn measure(members: usize, keys: usize, seconds: u64) -> Result<f64, Failure> {
    let mut fleet = start(members, keys)?;
    if keys > 0 {
        wait_for_state(&fleet, members, keys)?;
    }
    std::thread::sleep(SETTLING);
    let before = Sent::until_now(&fleet)?;
    let began = Instant::now();
    std::thread::sleep(Duration::from_secs(seconds));
    let sent = Sent::until_now(&fleet)?.with(before, u64::wrapping_sub);
    let member_seconds = members as f64 * began.elapsed().as_secs_f64();
    let each = |count: u64| count as f64 / member_seconds;
    println!(
        "{members} members, {keys} keys each: {:.2} bytes in {:.3} datagrams a member-second; {:.4} roots; {} exchanges, {} \
         suspicions; {} MiB resident",
        each(sent.bytes),
        each(sent.datagrams),
        each(sent.roots),
        sent.exchanges,
        sent.suspicions,
        resident_mib()?
    );
    fleet.stop()?;
    Ok(each(sent.bytes))
}

fn resident_mib() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? / 1024)
}

fn main() -> Result<(), Failure> {
    let mut numbers = [1_000, 10, 60];
    for (number, argument) in numbers.iter_mut().zip(std::env::args().skip(1)) {
        *number = argument.parse()?;
    }
    let [members, keys, seconds] = numbers;
    let without = measure(members, 0, seconds as u64)?;
    let with = measure(members, keys, seconds as u64)?;
    println!("shared state at rest: {:.2} bytes a member-second", with - without);
    Ok(())
}
