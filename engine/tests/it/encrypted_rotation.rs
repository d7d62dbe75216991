//! Keys are rotated through a fleet while its members tell each other events: nobody is taken for dead, and every event is with
//! everybody, once.
//!
//! Each worker has keys of its own, as a process has, and changes them after the one before it: so most of the time some have a
//! key that others have not yet, or not any more. `SWIMRING_ROTATION_MEMBERS=1000 SWIMRING_ROTATION_WORKERS=20` and
//! `-- --nocapture` run more, and say what was counted.

#![allow(clippy::disallowed_methods, reason = "a real fleet takes real time")]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use swimring::protocol::{EncryptionOptions, Event, MemberError, Settings, WireOptions};
use swimring::worker::{EventContext, Fleet, FleetOptions, Host, Observer};
use swimring_codec::memberlist::{KeyError, Keyring};
use swimring_codec::native::{Introduction, SealError};
use swimring_codec::{Incarnation, MemberId, State};

const OLD: [u8; 32] = [7; 32];
const NEW: [u8; 16] = [9; 16];
/// From one event to the next.
const EVENT_INTERVAL: Duration = Duration::from_millis(100);
/// From one worker's change of keys to the next one's.
const CHANGE_INTERVAL: Duration = Duration::from_millis(30);
/// Longer than what was sent is under way, or is sent again.
const UNDER_WAY: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(60);

/// What a worker's members noticed.
#[derive(Default)]
struct Witness {
    /// How often each of them was given each event.
    heard: HashMap<(u32, u32), u8>,
    suspected: u64,
    failed: Vec<String>,
}

impl Observer for Witness {
    fn event(&mut self, scene: &EventContext<'_>, event: &Event) {
        match *event {
            Event::UserEvent { event } => {
                let payload = scene.shared.user_event(event).payload;
                let number = u32::from_le_bytes(payload.try_into().expect("four bytes"));
                *self.heard.entry((scene.local, number)).or_default() += 1;
            }
            Event::Suspected { .. } => self.suspected += 1,
            Event::Failed { subject, .. } => self.failed.push(scene.shared.name(subject).to_owned()),
            _ => {}
        }
    }
}

fn name(member: usize) -> String {
    format!("member-{member}")
}

/// Members that know each other, member `i` on worker `i` modulo the number of workers.
fn start(members: usize, workers: usize) -> Fleet<Witness> {
    let options = FleetOptions {
        settings: Arc::new(Settings::default()),
        wire: WireOptions::Encrypted(EncryptionOptions::with_key(OLD)),
        workers,
        seed: 1,
        tick: Duration::from_millis(5),
        ..FleetOptions::default()
    };
    let fleet = Fleet::start(&options, |_| Witness::default()).unwrap();
    let addresses: Vec<_> = (0..workers).map(|worker| fleet.address(worker)).collect();
    for worker in 0..workers {
        let addresses = addresses.clone();
        let load = move |host: &mut Host<Witness>, _: &mut _| {
            host.pause();
            for member in (worker..members).step_by(workers) {
                host.add(&name(member), b"", Incarnation::new(1)).unwrap();
            }
            host.load_views(|view, settings, shared| {
                (0..members).filter(|member| member % workers != worker).try_for_each(|member| {
                    let name = name(member);
                    let introduction = Introduction {
                        subject: MemberId::of_name(&name),
                        incarnation: Incarnation::new(1),
                        state: State::Alive,
                        address: addresses[member % workers],
                        name: &name,
                        metadata: b"",
                        zone: "",
                    };
                    view.add(&introduction, settings, shared)
                })
            })
        };
        fleet.ask(worker, load).unwrap().unwrap();
    }
    fleet.ask_all(|_| Box::new(|host: &mut Host<Witness>, _: &mut _| host.resume())).unwrap();
    fleet
}

/// Has one member after the other tell an event until `done`, and gives how many.
fn tell(fleet: &Fleet<Witness>, members: usize, done: &AtomicBool) -> u32 {
    let (workers, mut told, mut next) = (fleet.len(), 0_u32, Instant::now());
    while !done.load(Ordering::Relaxed) {
        let (member, number) = (told as usize % members, told);
        let send = move |host: &mut Host<Witness>, trains: &mut swimring::net::Trains| {
            let local = (member / workers) as u32;
            let sent = host.command(local, trains, |member, now, shared, out| {
                member.send_event(now, "tick", &number.to_le_bytes(), shared, out).map(drop)
            });
            sent.expect("it lives")
        };
        let sent: Result<(), MemberError> = fleet.ask(member % workers, send).unwrap();
        sent.unwrap();
        told += 1;
        next += EVENT_INTERVAL;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    told
}

/// Changes the keys of one worker after the other.
fn change(fleet: &Fleet<Witness>, how: fn(&mut Keyring) -> Result<(), KeyError>) {
    for worker in 0..fleet.len() {
        fleet.ask(worker, move |host, _| host.change_keys(how)).unwrap().unwrap();
        std::thread::sleep(CHANGE_INTERVAL);
    }
}

/// What `of` gives for all workers together.
fn sum(fleet: &Fleet<Witness>, of: fn(&mut Host<Witness>) -> u64) -> u64 {
    let sums = fleet.ask_all(|_| Box::new(move |host: &mut Host<Witness>, _: &mut _| of(host)));
    sums.unwrap().into_iter().sum()
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

#[test]
fn a_rotation_under_load_loses_nothing_and_nobody() {
    let members = setting("SWIMRING_ROTATION_MEMBERS", 100);
    let mut fleet = start(members, setting("SWIMRING_ROTATION_WORKERS", 10));
    let (done, started) = (AtomicBool::new(false), Instant::now());
    let told = std::thread::scope(|scope| {
        let teller = scope.spawn(|| tell(&fleet, members, &done));
        std::thread::sleep(UNDER_WAY);
        change(&fleet, |keys| keys.install(&NEW));
        change(&fleet, |keys| keys.use_key(&NEW));
        // What was sealed with the old key has arrived.
        std::thread::sleep(UNDER_WAY);
        change(&fleet, |keys| keys.remove(&OLD));
        std::thread::sleep(UNDER_WAY);
        done.store(true, Ordering::Relaxed);
        teller.join().unwrap()
    });
    let wanted = u64::from(told) * (members as u64 - 1);
    let deadline = Instant::now() + PATIENCE;
    while sum(&fleet, |host| host.observer.heard.len() as u64) < wanted {
        let heard = sum(&fleet, |host| host.observer.heard.len() as u64);
        assert!(Instant::now() < deadline, "{heard} of {wanted} deliveries of {told} events");
        std::thread::sleep(Duration::from_millis(20));
    }
    let lasted = started.elapsed();
    let refused = |error: SealError| {
        let refused = fleet.ask_all(|_| {
            Box::new(move |host: &mut Host<Witness>, _: &mut _| host.counters().sealed.refused[error.index()])
        });
        refused.unwrap().into_iter().sum::<u64>()
    };
    let [unknown, forged, plain] =
        [SealError::UnknownKey, SealError::Forged, SealError::NotSealed].map(refused);
    let opened = sum(&fleet, |host| host.counters().sealed.opened_primary);
    let other = sum(&fleet, |host| host.counters().sealed.opened_other);
    let suspected = sum(&fleet, |host| host.observer.suspected);
    let alive = sum(&fleet, |host| host.members().map(|(_, member)| member.live() as u64).sum());
    let only_new = sum(&fleet, |host| {
        let mut only_new = false;
        let look = |keys: &mut Keyring| -> Result<(), KeyError> {
            only_new = keys.keys().eq([&NEW[..]]);
            Ok(())
        };
        host.change_keys(look).map_or(0, |()| u64::from(only_new))
    });
    println!(
        "{members} members on {} workers, {lasted:.1?}: {told} events, {wanted} deliveries; {opened} datagrams opened with the \
         key in use, {other} with another; {suspected} suspicions",
        fleet.len()
    );
    assert_eq!(only_new, fleet.len() as u64, "the new key alone is left everywhere");
    assert!(other > 100, "{other} datagrams were opened with a key that was not the first");
    assert_eq!((unknown, forged, plain), (0, 0, 0), "everything was opened");
    assert_eq!(alive, (members * members) as u64, "everybody holds everybody live");
    for witness in fleet.stop().unwrap() {
        assert_eq!(witness.failed, [""; 0], "nobody has died");
        assert!(witness.heard.values().all(|times| *times == 1), "no event was delivered twice");
    }
}
