//! Mixed pools whose network loses datagrams: nobody who lives is ever declared dead. `SWIMRING_LOSSY_MINUTES` says
//! for how long, by default one minute; runs that count take ten.
#![allow(clippy::disallowed_methods, reason = "real peers take real time")]

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::mixed::{Crowd, Fact, minutes};
use swimring::{MemberlistOptions, Settings};
use swimring_peers::memberlist::MemberlistOptions as GoOptions;
use swimring_peers::namespace::NetworkNamespace;

/// Share of all datagrams.
const LOSS: f64 = 0.02;
/// A member that has missed the news of a join learns of the new member by the next push/pull, which comes every
/// 90 s among a hundred.
const AGREEMENT_MAX: Duration = Duration::from_secs(240);
/// Between two looks at whether somebody has died.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

fn live_with_loss(each: usize) {
    let namespace = NetworkNamespace::create().unwrap();
    namespace.lose_datagrams(LOSS).unwrap();
    let length = minutes("SWIMRING_LOSSY_MINUTES", 1.0);
    let trouble = namespace.run(|| {
        let first_address = Ipv4Addr::new(127, 33, 0, 1);
        let go = GoOptions { first_address, members: each, ..GoOptions::default() };
        let mut crowd = Crowd::start(go, 7952, &Settings::default(), &MemberlistOptions::default());
        crowd.agree(AGREEMENT_MAX);
        let ends = Instant::now() + length;
        while Instant::now() < ends {
            std::thread::sleep(LOOK_INTERVAL.min(length));
            crowd.assert_no_false_death();
        }
        crowd.agree(AGREEMENT_MAX);
        // The pool is not only alive, it works.
        crowd.ours.send_event(0, b"at the end");
        crowd.heard_by_go(b"at the end", None);
        crowd.ours.learned_by_all(&Fact::Heard(b"at the end".to_vec()), Some(0));
        crowd.assert_no_false_death();
        crowd.trouble()
    });
    let (seen, lost) = namespace.datagrams_seen_and_lost().unwrap();
    assert!(lost > 0, "no datagram of {seen} was lost");
    println!(
        "{each} + {each}, LAN, {:.1} min with {:.0} % loss: no false death; {seen} datagrams, {lost} of them lost; {}",
        length.as_secs_f64() / 60.0,
        LOSS * 100.0,
        trouble.unwrap()
    );
}

#[test]
#[ignore = "needs the Go peers, root and nftables: run peers/interop lossy"]
fn lossy_five_and_five() {
    live_with_loss(5);
}

#[test]
#[ignore = "needs the Go peers, root and nftables: run peers/interop lossy"]
fn lossy_fifty_and_fifty() {
    live_with_loss(50);
}
