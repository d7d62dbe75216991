//! Whatever form an address comes in, a member has it in one; and what no member can be at is refused.

use crate::cluster_support::*;
use swimring::net::{Endpoint, NetOptions};
use swimring::{Cluster, ClusterEvent, MemberlistOptions, WireOptions};

/// Members whose bind, advertised address or seed is an IPv4-mapped IPv6 address.
fn mapped_members_live_together(wire: &WireOptions) {
    let member = |name: &str| member(name).wire(wire.clone());
    let mapped = "[::ffff:127.0.0.1]:0".parse::<std::net::SocketAddr>().unwrap();
    let one = member("one").bind(mapped).start().unwrap();
    let two = member("two").advertise(mapped).start().unwrap();
    let three = member("three").bind(mapped).advertise(mapped).start().unwrap();
    assert!([&one, &two, &three].iter().all(|member| member.address().ip().to_string() == "127.0.0.1"));
    let mut heard = [&one, &two, &three].map(|member| member.subscribe().unwrap());
    let seed = format!("[::ffff:127.0.0.1]:{}", one.address().port());
    let itself = one.join([seed.as_str()]).wait().unwrap_err().to_string();
    assert!(itself.contains("itself"), "{itself}");
    two.join([seed.as_str()]).wait().unwrap();
    three.join([seed.as_str()]).wait().unwrap();
    let all = ["one", "two", "three"];
    for (events, own) in heard.iter_mut().zip(all) {
        let mut missing: Vec<&str> = all.into_iter().filter(|name| *name != own).collect();
        while !missing.is_empty() {
            let (event, _) = until(events, "they meet", |event| matches!(event, ClusterEvent::Joined(_)));
            let ClusterEvent::Joined(joined) = event else { unreachable!() };
            assert!(joined.address.is_ipv4(), "{joined:?}");
            missing.retain(|name| *name != &*joined.name);
        }
    }
    // Metadata changes raise the incarnation and have everybody introduced anew: what quarrels, does now.
    for round in ["a", "b", "c"] {
        two.update_metadata(round).unwrap();
        let is_told = |event: &ClusterEvent| matches!(event, ClusterEvent::Updated(member) if member.metadata == round.as_bytes());
        for events in [0, 2] {
            let (_, before) = until(&mut heard[events], "they hear of a change", is_told);
            let quarrels = |event: &&ClusterEvent| matches!(event, ClusterEvent::NameConflict { .. });
            assert_eq!(before.iter().find(quarrels), None);
        }
    }
    for member in [&one, &two, &three] {
        assert_eq!(member.members().unwrap().iter().filter(|known| known.address.is_ipv4()).count(), 3);
    }
}

#[test]
fn mapped_addresses_are_ipv4_addresses() {
    mapped_members_live_together(&WireOptions::Native);
}

#[test]
fn mapped_addresses_are_ipv4_addresses_on_memberlist_s_wire() {
    mapped_members_live_together(&WireOptions::Memberlist(MemberlistOptions::default()));
}

/// Why a member does not start, in one line.
fn refused(change: impl FnOnce(swimring::ClusterBuilder) -> swimring::ClusterBuilder) -> String {
    let error = change(member("one")).start().map(|_: Cluster| ()).unwrap_err().to_string();
    assert!(!error.contains('\n'), "{error}");
    error
}

#[test]
fn addresses_of_many_are_refused_with_a_sentence() {
    let socket = |text: &str| text.parse::<std::net::SocketAddr>().unwrap();
    for (bind, said) in [
        ("239.1.2.3:0", "a multicast address stands for many machines"),
        ("[::ffff:239.1.2.3]:0", "a multicast address stands for many machines"),
        ("255.255.255.255:0", "a broadcast address stands for many machines"),
        ("[ff02::1]:0", "a multicast address stands for many machines"),
        ("[fe80::1]:0", "a link-local address needs its interface"),
    ] {
        let error = refused(|member| member.bind(socket(bind)));
        assert!(error.starts_with("bind address ") && error.contains(said), "{error}");
        let error = Endpoint::bind(socket(bind), &NetOptions::default()).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    for (advertise, said) in [
        ("239.1.2.3:7", "it is a multicast address"),
        ("255.255.255.255:7", "it is a broadcast address"),
        ("127.255.255.255:7", "it is the broadcast address of a network here"),
        ("0.0.0.0:7", "it stands for all addresses of a machine"),
        ("[::ffff:0.0.0.0]:7", "it stands for all addresses of a machine"),
        ("[fe80::1%1]:7", "it is link-local"),
    ] {
        let error = refused(|member| member.advertise(socket(advertise)));
        assert!(error.starts_with("advertise has to be") && error.contains(said), "{error}");
    }
}
