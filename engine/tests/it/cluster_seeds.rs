//! Seeds that are names: several addresses of one, addresses that change, dead ones before the live.

#![allow(clippy::disallowed_methods, reason = "the seeds that do not answer are sockets of the test")]

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use crate::cluster_support::*;
use swimring::{AddressOutcome, Cluster, ClusterBuilder, Events, JoinError, JoinReport, Resolve, SeedError};

/// Names and their addresses. Clones share it.
#[derive(Clone, Debug, Default)]
struct Table(Arc<Mutex<HashMap<String, Vec<SocketAddr>>>>);

impl Table {
    fn set(&self, name: &str, addresses: &[SocketAddr]) {
        self.0.lock().unwrap().insert(name.to_owned(), addresses.to_vec());
    }

    fn with(name: &str, addresses: &[SocketAddr]) -> Table {
        let table = Table::default();
        table.set(name, addresses);
        table
    }
}

impl Resolve for Table {
    fn resolve(&self, host: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        let known = self.0.lock().unwrap().get(host).cloned();
        known.ok_or_else(|| io::Error::other("no such name in the table"))
    }
}

/// Between two looks of a member at its seeds, so that a test need not wait for the usual half a minute.
const SOON: Duration = Duration::from_millis(200);

fn resolving(name: &str, table: &Table) -> ClusterBuilder {
    member(name).resolver(table.clone()).rejoin_interval(SOON)
}

/// Waits until `events` have told of `name` at `address`.
fn until_joined(events: &mut Events, name: &str, address: SocketAddr) {
    let at = |event: &swimring::ClusterEvent| {
        is_joined(event, name) && event.member().is_some_and(|member| member.address == address)
    };
    until(events, name, at);
}

/// Waits until each of `members` sees all of them.
fn until_one_pool(members: &[Cluster]) {
    for member in members {
        let (seen, mut events) = member.watch().unwrap();
        let mut seen: HashSet<_> = seen.into_iter().map(|member| member.name).collect();
        while seen.len() < members.len() {
            let (event, _) =
                until(&mut events, "the rest", |event| matches!(event, swimring::ClusterEvent::Joined(_)));
            seen.extend(event.member().map(|member| Arc::clone(&member.name)));
        }
    }
}

fn outcome(report: &JoinReport, address: SocketAddr) -> &Result<(), SeedError> {
    let found = report.seeds[0].addresses.iter().find(|outcome| outcome.address == address);
    &found.unwrap_or_else(|| panic!("{address} in {report}")).result
}

#[test]
fn members_that_start_together_through_one_name_are_one_pool() {
    let tables: [Table; 4] = Default::default();
    let members: Vec<_> = ["a", "b", "c", "d"]
        .iter()
        .zip(&tables)
        .map(|(name, table)| resolving(name, table).start().unwrap())
        .collect();
    let all: Vec<_> = members.iter().map(Cluster::address).collect();
    // Whoever takes the first address that answers is in a pool of two: a with b, c with d.
    for (table, first) in tables.iter().zip([1, 0, 3, 2]) {
        let mut order = all.clone();
        order.swap(0, first);
        table.set("pool", &order);
    }
    let joins: Vec<_> = members.iter().map(|member| member.join(["pool"])).collect();
    for (member, join) in members.iter().zip(joins) {
        let report = join.wait().unwrap();
        for address in &all {
            let expected = if *address == member.address() { Err(SeedError::Itself) } else { Ok(()) };
            let outcome = outcome(&report, *address);
            assert!(*outcome == expected || *outcome == Err(SeedError::InView), "{report}");
        }
    }
    until_one_pool(&members);
}

#[test]
fn pools_that_started_apart_find_each_other_although_nobody_is_alone() {
    let tables = [Table::default(), Table::default()];
    let started: Vec<_> = (["a", "b", "c", "d"].iter().enumerate())
        .map(|(at, name)| resolving(name, &tables[at / 2]).retry_join(["pool"]).start().unwrap())
        .collect();
    let all: Vec<_> = started.iter().map(Cluster::address).collect();
    // The name knows half of them at first, for each pair the other half.
    tables[0].set("pool", &all[..2]);
    tables[1].set("pool", &all[2..]);
    until_one_pool(&started[..2]);
    until_one_pool(&started[2..]);
    assert_eq!((started[0].len().unwrap(), started[2].len().unwrap()), (2, 2));
    tables[0].set("pool", &all);
    until_one_pool(&started);
}

/// A seed dies and comes back with another address under its name. `start` has the member find it at first.
fn a_seed_that_moved_is_found(start: fn(&Table) -> Cluster) {
    let seed = member("seed").start().unwrap();
    let table = Table::with("seed", &[seed.address()]);
    let one = start(&table);
    let mut events = one.subscribe().unwrap();
    if one.len().unwrap() < 2 {
        until_joined(&mut events, "seed", seed.address());
    }
    // So that the member is not alone when the seed is gone.
    let _two = joined("two", &one);
    seed.shutdown();
    until(&mut events, "the seed is gone", |event| is_failed(event, "seed"));
    let seed = member("seed").bind("127.0.0.2:0").start().unwrap();
    table.set("seed", &[seed.address()]);
    until_joined(&mut events, "seed", seed.address());
}

#[test]
fn a_seed_of_the_settings_is_found_under_its_new_address() {
    a_seed_that_moved_is_found(|table| resolving("one", table).retry_join(["seed"]).start().unwrap());
}

#[test]
fn a_seed_of_a_join_is_found_under_its_new_address() {
    a_seed_that_moved_is_found(|table| {
        let one = resolving("one", table).start().unwrap();
        one.join(["seed"]).wait().unwrap();
        one
    });
}

/// Addresses where nobody listens, of both families.
fn refusing(count: u8) -> Vec<SocketAddr> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let v4 = (0..count).map(|number| SocketAddr::from(([127, 0, 9, number], port)));
    v4.chain([SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port))]).collect()
}

#[test]
fn every_address_of_a_name_is_tried_and_the_error_names_each() {
    let one = start("one");
    let mut addresses = refusing(40);
    let table = Table::with("stale", &addresses);
    let two = resolving("two", &table).start().unwrap();
    let error = two.join(["stale"]).wait().unwrap_err();
    let JoinError::NoneAnswered(report) = &error else { panic!("{error}") };
    assert_eq!(report.seeds[0].result, Err(SeedError::NoneOf(41)));
    let tried: HashSet<_> = report.seeds[0].addresses.iter().map(|outcome| outcome.address).collect();
    assert_eq!(tried, addresses.iter().copied().collect());
    let told = error.to_string();
    let start = "no seed answered: stale:7946: none of its 41 addresses answered (";
    assert!(told.starts_with(start) && told.contains("connection refused"), "{told}");
    // One more, the last of them, lives; what is no address beside it is not taken for this machine.
    addresses.extend([SocketAddr::from(([0, 0, 0, 0], one.address().port())), one.address()]);
    table.set("stale", &addresses);
    let report = two.join(["stale"]).wait().unwrap();
    assert_eq!(report.seeds[0].result, Ok(one.address()));
    assert_eq!(*outcome(&report, addresses[41]), Err(SeedError::Syntax));
}

#[test]
fn a_live_seed_after_forty_silent_ones_is_found_by_going_on() {
    let silent = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let one = start("one");
    let mut seeds: Vec<_> = (0..40).map(|number| SocketAddr::from(([127, 0, 8, number], port))).collect();
    seeds.push(one.address());
    let patience = Duration::from_secs(500);
    let patient = member("two").options(|options| {
        options.exchange_idle_timeout = patience;
        options.exchange_timeout = patience;
    });
    let two = patient.start().unwrap();
    let mut tried = HashSet::new();
    let found = loop {
        let error = match two.join_within(seeds.clone(), Duration::from_millis(50)).wait() {
            Ok(report) => break report,
            Err(error) => error,
        };
        let JoinError::NoneAnswered(report) = &error else { panic!("{error}") };
        for AddressOutcome { address, result, .. } in report.seeds.iter().flat_map(|seed| &seed.addresses) {
            match result {
                Err(SeedError::TimedOut(_)) if *address == one.address() => {}
                // Nobody has a second turn before everybody has had one.
                Err(SeedError::TimedOut(_)) => assert!(tried.insert(*address), "{address} again: {report}"),
                other => assert!(matches!(other, Err(SeedError::NotTried(_))), "{address}: {other:?}"),
            }
        }
    };
    assert!(found.answered() == 1, "{found}");
}

#[test]
fn who_is_in_the_view_is_not_asked_again() {
    let first = start("first");
    let others: Vec<_> = (0..9).map(|number| joined(&format!("other-{number}"), &first)).collect();
    let pool: Vec<_> = others.into_iter().chain([first]).collect();
    until_one_pool(&pool);
    let table = Table::with("pool", &pool.iter().map(Cluster::address).collect::<Vec<_>>());
    let report = resolving("one", &table).start().unwrap().join(["pool"]).wait().unwrap();
    let results: Vec<_> = report.seeds[0].addresses.iter().map(|outcome| &outcome.result).collect();
    assert_eq!(results.len(), pool.len());
    assert!(results.iter().all(|result| matches!(result, Ok(()) | Err(SeedError::InView))), "{report}");
    assert!(results.contains(&&Err(SeedError::InView)), "{report}");
}

/// Resolves any name to what the test sends.
#[derive(Debug)]
struct Gate(Mutex<mpsc::Receiver<SocketAddr>>);

impl Resolve for Gate {
    fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        self.0.lock().unwrap().recv().map(|address| vec![address]).map_err(io::Error::other)
    }
}

#[test]
fn leaving_ends_a_join_for_good() {
    let one = start("one");
    let (open, gate) = mpsc::channel();
    let two = member("two").resolver(Gate(Mutex::new(gate))).start().unwrap();
    let join = two.join(["later"]);
    two.leave(PATIENCE).wait().unwrap();
    // Only now the name is known, and whom it stands for would bring the member back.
    open.send(one.address()).unwrap();
    let error = join.wait().unwrap_err();
    let JoinError::NoneAnswered(report) = &error else { panic!("{error}") };
    assert_eq!(report.seeds[0].result, Err(SeedError::Left), "{report}");
    assert!(matches!(two.send_event("x", ""), Err(swimring::ClusterError::Left)));
    assert_eq!(one.len().unwrap(), 1);
    two.join([one.address()]).wait().unwrap();
    two.send_event("x", "").unwrap();
}

/// Resolves nothing, and does not come back before it is let go.
#[derive(Debug)]
struct Hanging(Mutex<mpsc::Receiver<()>>);

impl Resolve for Hanging {
    fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        // Lost with its other end, when the test is over.
        let _ = self.0.lock().unwrap().recv();
        Err(io::Error::other("let go"))
    }
}

#[test]
fn a_resolver_that_hangs_holds_up_no_other_join_and_no_leave() {
    let one = start("one");
    let (let_go, hanging) = mpsc::channel();
    let two = member("two").resolver(Hanging(Mutex::new(hanging))).start().unwrap();
    let mut stuck: Vec<_> = (0..15).map(|at| two.join([format!("name-{at}.example.org")])).collect();
    assert_eq!(two.join([one.address()]).wait().unwrap().answered(), 1);
    two.leave(PATIENCE).wait().unwrap();
    assert!(stuck.iter_mut().all(|join| join.try_wait().is_none()), "they still wait");
    two.shutdown();
    for join in stuck {
        assert_eq!(join.wait(), Err(JoinError::Stopped));
    }
    drop(let_go);
}
