//! A fleet of real members over real sockets: joins, failures, events and departures, on both drivers.

#![allow(clippy::disallowed_methods, reason = "a real fleet is waited for in real time")]

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use swimring::net::{DriverChoice, NetOptions};
use swimring::protocol::{Event, MemberlistOptions, Preset, Settings, Time, WireOptions};
use swimring::worker::{EventContext, Fleet, FleetOptions, Host, Observer};
use swimring_codec::{Incarnation, MemberId};

/// Remembers who noticed what.
#[derive(Default)]
struct Witness {
    failed: HashSet<(u32, String)>,
    left: HashSet<(u32, String)>,
    events: Vec<(u32, Vec<u8>)>,
    joins: Vec<bool>,
    acked: usize,
}

impl Observer for Witness {
    fn event(&mut self, scene: &EventContext<'_>, event: &Event) {
        match *event {
            Event::Failed { subject, .. } => {
                self.failed.insert((scene.local, scene.shared.name(subject).to_owned()));
            }
            Event::Left { subject } => {
                self.left.insert((scene.local, scene.shared.name(subject).to_owned()));
            }
            Event::UserEvent { event } => {
                self.events.push((scene.local, scene.shared.user_event(event).payload.to_vec()));
            }
            Event::JoinFinished { joined, .. } => self.joins.push(joined),
            Event::ProbeAcked { .. } => self.acked += 1,
            _ => {}
        }
    }
}

/// Settings under which a failure is declared within a second or two.
fn quick() -> Settings {
    Settings {
        probe_interval: Duration::from_millis(200),
        probe_timeout: Duration::from_millis(80),
        gossip_interval: Duration::from_millis(20),
        suspicion_multiplier: 3,
        ..Settings::preset(Preset::Lan)
    }
}

fn start(driver: DriverChoice, workers: usize) -> Fleet<Witness> {
    let options = FleetOptions {
        settings: Arc::new(quick()),
        net: NetOptions { driver, ..NetOptions::default() },
        workers,
        seed: 1,
        ..FleetOptions::default()
    };
    Fleet::start(&options, |_| Witness::default()).unwrap()
}

fn name(member: usize) -> String {
    format!("member-{member}")
}

/// Adds `count` members, member `i` to worker `i` modulo the number of workers.
fn populate(fleet: &Fleet<Witness>, count: usize) {
    let workers = fleet.len();
    for worker in 0..workers {
        let add = move |host: &mut Host<Witness>, _: &mut _| {
            for member in (worker..count).step_by(workers) {
                host.add(&name(member), b"metadata", Incarnation::new(1)).unwrap();
            }
        };
        fleet.ask(worker, add).unwrap();
    }
}

/// Waits until `done` says so of the sum over all workers.
fn wait_for(fleet: &Fleet<Witness>, what: &str, count: usize, of: fn(&Host<Witness>) -> usize) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let sums = fleet.ask_all(|_| Box::new(move |host: &mut Host<Witness>, _: &mut _| of(host))).unwrap();
        let sum: usize = sums.iter().sum();
        if sum == count {
            return;
        }
        assert!(Instant::now() < deadline, "{what}: {sum} instead of {count} after 30 s");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn join_all(fleet: &Fleet<Witness>, count: usize) {
    populate(fleet, count);
    let (seed, workers) = (fleet.address(0), fleet.len());
    for worker in 0..workers {
        let join = move |host: &mut Host<Witness>, trains: &mut swimring::net::Trains| {
            for local in 0..host.len() as u32 {
                if worker == 0 && local == 0 {
                    continue;
                }
                host.command(local, trains, |member, now: Time, commons, out| {
                    member.join(now, seed, MemberId::of_name(&name(0)), local, commons, out);
                });
            }
        };
        fleet.ask(worker, join).unwrap();
    }
    wait_for(fleet, "joins", count - 1, |host| host.observer.joins.iter().filter(|joined| **joined).count());
}

fn complete_views(host: &Host<Witness>) -> usize {
    host.members().map(|(_, member)| member.live()).sum()
}

fn life_of_a_cluster(driver: DriverChoice) {
    const COUNT: usize = 40;
    let mut fleet = start(driver, 2);
    join_all(&fleet, COUNT);
    wait_for(&fleet, "complete views", COUNT * COUNT, complete_views);

    // Member 0 tells everyone else something.
    fleet
        .ask(0, |host, trains| {
            host.command(0, trains, |member, now, commons, out| {
                member.send_event(now, "deploy", b"v2", commons, out).unwrap();
            });
        })
        .unwrap();
    wait_for(&fleet, "event deliveries", COUNT - 1, |host| {
        host.observer.events.iter().filter(|(_, payload)| payload == b"v2").count()
    });

    // Member 2, which is number 1 on worker 0, vanishes.
    fleet.ask(0, |host, _| host.kill(1)).unwrap();
    wait_for(&fleet, "declared dead", COUNT - 1, |host| {
        host.observer.failed.iter().filter(|(_, subject)| *subject == name(2)).count()
    });

    // Member 3, number 1 on worker 1, says goodbye.
    fleet
        .ask(1, |host, trains| {
            host.command(1, trains, |member, now, commons, out| member.leave(now, commons, out))
        })
        .unwrap();
    wait_for(&fleet, "seen leaving", COUNT - 2, |host| {
        host.observer.left.iter().filter(|(_, subject)| *subject == name(3)).count()
    });
    let witnesses = fleet.stop().unwrap();
    let failed: usize = witnesses.iter().map(|witness| witness.failed.len()).sum();
    assert_eq!(failed, COUNT - 1, "nobody else was declared dead");
    assert!(witnesses.iter().all(|witness| witness.acked > 0));
}

#[test]
fn a_cluster_lives_over_io_uring_where_there_is_one() {
    life_of_a_cluster(DriverChoice::Auto);
}

#[test]
fn a_cluster_lives_over_sendmmsg() {
    life_of_a_cluster(DriverChoice::Mmsg);
}

#[test]
fn a_complete_view_can_be_loaded() {
    let mut fleet = start(DriverChoice::Auto, 1);
    populate(&fleet, 100);
    fleet.ask(0, |host, _| host.load_views(|_, _, _| Ok(())).unwrap()).unwrap();
    wait_for(&fleet, "complete views", 100 * 100, complete_views);
    let roots =
        fleet.ask(0, |host, _| host.members().map(|(_, m)| m.root()).collect::<HashSet<_>>()).unwrap();
    assert_eq!(roots.len(), 1);
    wait_for(&fleet, "every member has been acked", 1, |host| usize::from(host.observer.acked >= 100));
    fleet.stop().unwrap();
}

#[test]
fn a_seed_that_does_not_answer_fails_the_join() {
    let mut fleet = start(DriverChoice::Auto, 1);
    populate(&fleet, 1);
    fleet
        .ask(0, |host, trains| {
            host.command(0, trains, |member, now, commons, out| {
                let nobody = "127.0.0.1:9".parse().unwrap();
                member.join(now, nobody, MemberId::NONE, 7, commons, out);
            })
        })
        .unwrap();
    wait_for(&fleet, "failed joins", 1, |host| host.observer.joins.iter().filter(|joined| !**joined).count());
    fleet.stop().unwrap();
}

#[test]
fn an_option_that_another_one_decides_is_refused() {
    let with = |change: fn(&mut FleetOptions)| {
        let mut options = FleetOptions::default();
        change(&mut options);
        Fleet::start(&options, |_| Witness::default()).unwrap_err().to_string()
    };
    for (error, expected) in [
        (
            with(|o| o.net.own_addresses = true),
            "net.own_addresses follows from own_addresses: leave it as it is",
        ),
        (
            with(|o| o.net.frame_bytes_max = 600),
            "net.frame_bytes_max follows from settings: leave it as it is",
        ),
        (
            with(|o| {
                o.wire = WireOptions::Memberlist(MemberlistOptions::default());
                o.stream.message_bytes_max = 2 << 20;
            }),
            "stream.message_bytes_max follows from wire: leave it as it is",
        ),
    ] {
        assert_eq!(error, expected);
    }
}
