//! Joining: through live seeds, past dead ones, cancelled, in the background.

#![allow(clippy::disallowed_methods, reason = "the seeds that do not answer are sockets of the test")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use crate::cluster_support::*;
use swimring::stream::CloseReason;
use swimring::worker::JoinFailure;
use swimring::{Cluster, JoinError, Seed, SeedError};

#[test]
fn members_find_each_other_through_one_seed() {
    let one = start("one");
    let two = start("two");
    // However long it may take, it takes a moment.
    let report = two.join_within([one.address().to_string()], Duration::MAX).wait().unwrap();
    assert_eq!(report.answered(), 1);
    assert_eq!(report.seeds[0].result, Ok(one.address()));
    // The view is complete when the join is.
    assert_eq!(names(&two.members().unwrap()), ["one", "two"]);
    let mut events = two.subscribe().unwrap();
    let three = joined("three", &one);
    until(&mut events, "three comes by gossip", |event| is_joined(event, "three"));
    assert_eq!(names(&three.members().unwrap()), ["one", "three", "two"]);
    assert_eq!(three.len().unwrap(), 3);
    let found = three.member("two").unwrap().unwrap();
    assert_eq!((found.address, found.state), (two.address(), swimring::State::Alive));
    assert_eq!(three.member("four").unwrap(), None);
    assert_eq!(three.local().unwrap().address, three.address());
}

#[test]
fn each_seed_is_told_apart() {
    let one = start("one");
    let stranger = member("stranger").cluster("elsewhere").start().unwrap();
    let two = start("two");
    let own = two.address();
    let seeds = [
        Seed::from(refusing()),
        Seed::from(stranger.address()),
        Seed::from("no seed at all"),
        Seed::from(own),
        Seed::from(one.address()),
    ];
    let report = two.join(&seeds).wait().unwrap();
    let results: Vec<_> = report.seeds.iter().map(|seed| seed.result.clone()).collect();
    assert!(
        matches!(results[0], Err(SeedError::Failed(JoinFailure::Closed(CloseReason::Refused(_))))),
        "{report}"
    );
    assert_eq!(results[1], Err(SeedError::Failed(JoinFailure::OtherCluster)), "{report}");
    assert_eq!(results[2..4], [Err(SeedError::Syntax), Err(SeedError::Itself)], "{report}");
    assert_eq!(results[4], Ok(one.address()), "{report}");
    let told = report.to_string();
    for words in ["connection refused", "belongs to another cluster", "is no seed", "is this member itself"] {
        assert!(told.contains(words), "{told}");
    }
    // Clusters do not mix, whoever asked whom.
    assert_eq!(names(&two.members().unwrap()), ["one", "two"]);
    assert_eq!(stranger.len().unwrap(), 1);
}

/// An address where nobody listens.
fn refusing() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn a_join_without_an_answer_says_why_for_each_seed() {
    let one = start("one");
    let error = one.join([refusing(), refusing()]).wait().unwrap_err();
    let JoinError::NoneAnswered(report) = &error else { panic!("{error}") };
    assert_eq!(report.failures().count(), 2);
    assert!(error.to_string().starts_with("no seed answered: 127.0.0.1:"), "{error}");
    assert_eq!(one.join([] as [&str; 0]).wait(), Err(JoinError::NoSeeds));
    let too_many = vec!["127.0.0.1"; 257];
    assert_eq!(one.join(too_many).wait(), Err(JoinError::TooManySeeds(257)));
}

#[test]
fn a_name_is_resolved() {
    let one = start("one");
    let two = start("two");
    let report = two.join([format!("localhost:{}", one.address().port())]).wait().unwrap();
    assert_eq!(report.seeds[0].result, Ok(one.address()));
    let error = two.join(["no-such-host.invalid"]).wait().unwrap_err();
    let JoinError::NoneAnswered(report) = error else { panic!("{error}") };
    let outcome = &report.seeds[0].result;
    // A resolver that takes its time is not waited for.
    assert!(matches!(outcome, Err(SeedError::Unresolved(_) | SeedError::TimedOut(_))), "{report}");
}

/// What a join through a server that answers everyone with `answer` ends with.
fn answered_with(answer: Vec<u8>) -> SeedError {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let seed = server.local_addr().unwrap();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        stream.write_all(&answer).unwrap();
        ends(stream);
    });
    let error = start("one").join([seed]).wait().unwrap_err();
    serving.join().unwrap();
    let JoinError::NoneAnswered(report) = error else { panic!("{error}") };
    report.seeds[0].result.clone().unwrap_err()
}

#[test]
fn a_seed_that_is_no_member_is_named_as_such() {
    let error = answered_with(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec());
    assert!(error.to_string().ends_with("is no member of such a cluster"), "{error}");
    let mut nonsense = vec![b'?'; 4 + 64];
    nonsense[..4].copy_from_slice(&64u32.to_le_bytes());
    let error = answered_with(nonsense);
    assert_eq!(error, SeedError::Failed(JoinFailure::Unreadable));
}

/// A member whose streams may be silent for long, so that only what is tested ends a join.
fn patient(name: &str) -> Cluster {
    let patience = Duration::from_secs(500);
    let patient = member(name).join_timeout(patience).options(|options| {
        options.exchange_idle_timeout = patience;
        options.exchange_timeout = patience;
    });
    patient.start().unwrap()
}

#[test]
fn a_silent_seed_costs_no_more_than_the_time_limit() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let (one, two) = (start("one"), patient("two"));
    let limit = Duration::from_millis(50);
    let error = two.join_within([silent.local_addr().unwrap()], limit).wait().unwrap_err();
    let JoinError::NoneAnswered(report) = error else { panic!("{error}") };
    assert_eq!(report.seeds[0].result, Err(SeedError::TimedOut(limit)));
    // Beside one that answers it is not waited for.
    let report = two.join([silent.local_addr().unwrap(), one.address()]).wait().unwrap();
    assert_eq!(report.seeds[0].result, Err(SeedError::NotAwaited));
    assert_eq!(report.seeds[1].result, Ok(one.address()));
}

#[test]
fn a_join_can_be_cancelled_and_dropping_it_does() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let one = patient("one");
    let join = one.join([silent.local_addr().unwrap()]);
    let canceller = join.canceller();
    let waiting = std::thread::spawn(move || join.wait());
    let (first, _) = silent.accept().unwrap();
    canceller.cancel();
    assert_eq!(waiting.join().unwrap(), Err(JoinError::Cancelled));
    ends(first);
    let dropped = one.join([silent.local_addr().unwrap()]);
    let (second, _) = silent.accept().unwrap();
    drop(dropped);
    ends(second);
}

/// Reads until the other side closes or resets; fails if it does neither.
fn ends(mut stream: std::net::TcpStream) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    if let Err(error) = stream.read_to_end(&mut Vec::new()) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
    }
}

#[test]
fn shutting_down_ends_a_join() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let one = patient("one");
    let join = one.join([silent.local_addr().unwrap()]);
    let (_stream, _) = silent.accept().unwrap();
    one.shutdown();
    assert_eq!(join.wait(), Err(JoinError::Stopped));
}

#[test]
fn seeds_are_retried_in_the_background_and_when_alone() {
    let seed = start("seed");
    let address = seed.address();
    seed.shutdown();
    let retrying = member("one").retry_join([address]);
    let one = retrying.rejoin_interval(Duration::from_millis(200)).start().unwrap();
    let mut events = one.subscribe().unwrap();
    // The seed comes later than the member that looks for it.
    let seed = member("seed").bind(address).start().unwrap();
    until(&mut events, "the seed is found", |event| is_joined(event, "seed"));
    // It goes, which leaves the member alone, and another takes its place.
    seed.shutdown();
    until(&mut events, "the seed is gone", |event| is_failed(event, "seed"));
    let successor = member("successor").bind(address).start().unwrap();
    until(&mut events, "the successor is found", |event| is_joined(event, "successor"));
    assert_eq!(names(&successor.members().unwrap()), ["one", "successor"]);
}
