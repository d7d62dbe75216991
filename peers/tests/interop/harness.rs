//! The harness against the Go programs alone: what the mixed tests rely on.
//!
//! Each test has addresses of its own, so that they can run side by side.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use swimring_peers::consul::ConsulServer;
use swimring_peers::memberlist::{MemberlistOptions, MemberlistPeer, Message, PeerEvent};
use swimring_peers::namespace::NetworkNamespace;
use swimring_peers::serf::{SerfAgent, SerfOptions};

const TIMEOUT: Duration = Duration::from_secs(60);

fn options(block: u8, members: usize) -> MemberlistOptions {
    MemberlistOptions { first_address: Ipv4Addr::new(127, 20, block, 1), members, ..Default::default() }
        .quick()
}

#[test]
#[ignore = "needs the Go peers: run peers/interop"]
fn memberlist_events_metadata_and_leaves_are_seen_by_all() {
    let mut peer = MemberlistPeer::start(options(1, 3)).unwrap();
    peer.wait_for_count(3, TIMEOUT).unwrap();

    let event =
        Message::Event { origin: u64::MAX, sequence: 7, name: "deploy".into(), payload: vec![0xff, 1] };
    peer.event(1, event).unwrap();
    for at in [0, 2] {
        let got = |event: &PeerEvent| matches!(event, PeerEvent::User(message) if message.at == at);
        let PeerEvent::User(message) = peer.wait_for_event(0, TIMEOUT, "the event", got).unwrap() else {
            unreachable!("only user messages were waited for");
        };
        assert_eq!((message.origin, message.sequence), (Some(u64::MAX), Some(7)));
        assert_eq!((message.name.as_deref(), message.payload_hex.as_deref()), (Some("deploy"), Some("ff01")));
    }
    assert_eq!(peer.heard(&[0xff, 1]).unwrap().len(), 2);

    peer.set_meta(2, "role=web").unwrap();
    let changed = |event: &PeerEvent| matches!(event, PeerEvent::Update(change) if change.at == 0 && change.meta == "role=web");
    peer.wait_for_event(0, TIMEOUT, "the new metadata", changed).unwrap();

    peer.leave(1).unwrap();
    peer.wait_for_count(2, TIMEOUT).unwrap();
    let gone = peer.members(0).unwrap().into_iter().find(|node| node.name == "go-1").unwrap();
    assert_eq!((gone.state.as_str(), gone.address.as_str()), ("left", "127.20.1.2:7946"));
}

#[test]
#[ignore = "needs the Go peers: run peers/interop"]
fn memberlist_kills_are_declared_dead_and_restarts_come_back() {
    let mut peer = MemberlistPeer::start(options(2, 3)).unwrap();
    peer.wait_for_count(3, TIMEOUT).unwrap();
    peer.kill(2).unwrap();
    peer.wait_for_event(0, TIMEOUT, "the death", |event| event.is_departure("go-2", "dead")).unwrap();
    peer.wait_for_count(2, TIMEOUT).unwrap();
    assert_eq!(
        peer.departures("go-2").unwrap().iter().filter(|departure| departure.state == "dead").count(),
        2
    );

    peer.restart(2).unwrap();
    peer.wait_for_count(3, TIMEOUT).unwrap();
    let refused = peer.restart(2).unwrap_err().to_string();
    assert!(refused.contains("go-2 is running"), "{refused}");
}

#[test]
#[ignore = "needs the Go peers: run peers/interop"]
fn memberlist_messages_reach_one_member_by_datagram_and_by_stream() {
    let mut peer = MemberlistPeer::start(options(3, 2)).unwrap();
    peer.wait_for_count(2, TIMEOUT).unwrap();
    for (text, reliable) in [("by datagram", false), ("by stream", true)] {
        peer.send(0, "go-1", text.as_bytes(), reliable).unwrap();
        let got = |event: &PeerEvent| matches!(event, PeerEvent::User(message) if message.payload == text);
        peer.wait_for_event(0, TIMEOUT, text, got).unwrap();
    }
    assert!(peer.send(0, "nobody", b"x", false).is_err());
}

#[test]
#[ignore = "needs the Go peers: run peers/interop"]
fn memberlist_pools_keep_together_through_a_key_rotation_and_apart_by_label() {
    const OLD: &str = "AAECAwQFBgcICQoLDA0ODw==";
    const NEW: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let settings = MemberlistOptions { keys: vec![OLD.into()], label: "blue".into(), ..options(4, 3) };
    let mut peer = MemberlistPeer::start(settings.clone()).unwrap();
    peer.wait_for_count(3, TIMEOUT).unwrap();
    peer.install_key(NEW).unwrap();
    peer.use_key(NEW).unwrap();
    peer.remove_key(OLD).unwrap();
    peer.event(0, "after the rotation").unwrap();
    peer.wait_for_event(0, TIMEOUT, "an event", |event| matches!(event, PeerEvent::User(_))).unwrap();
    // A member that comes back has the keys that it had last.
    peer.kill(2).unwrap();
    peer.restart(2).unwrap();
    peer.wait_for_count(3, TIMEOUT).unwrap();

    let join = vec![peer.address(0).to_string()];
    let stranger = MemberlistOptions {
        first_address: Ipv4Addr::new(127, 20, 4, 101),
        name_prefix: "stranger".into(),
        keys: vec![NEW.into()],
        label: "green".into(),
        join,
        members: 1,
        ..settings
    };
    let refused = MemberlistPeer::start(stranger.clone()).unwrap_err().to_string();
    assert!(refused.contains("refused to join"), "{refused}");
    let mut friend = MemberlistPeer::start(MemberlistOptions { label: "blue".into(), ..stranger }).unwrap();
    friend.wait_for_count(4, TIMEOUT).unwrap();
}

#[test]
#[ignore = "needs the Go peers: run peers/interop"]
fn memberlist_pools_of_fifty_agree_and_count_quietly() {
    let settings = MemberlistOptions { quiet_events: true, ..options(5, 50) };
    let settings = MemberlistOptions { probe_interval: None, probe_timeout: None, ..settings };
    let mut peer = MemberlistPeer::start(settings).unwrap();
    peer.wait_for_count(50, TIMEOUT).unwrap();
    peer.event(7, "news").unwrap();
    swimring_peers::wait_until(TIMEOUT, "all to hear", || peer.heard(b"news").unwrap().len() == 49).unwrap();
    peer.leave((10..20).collect::<Vec<_>>()).unwrap();
    peer.wait_for_count(40, TIMEOUT).unwrap();
    let stats = peer.stats().unwrap();
    assert_eq!(stats.events.user, 49);
    assert_eq!((stats.health.len(), stats.lines_lost), (50, 0));
    assert!(stats.cpu_s > 0.0 && stats.resident_bytes > 0 && stats.goroutines > 0);
    // Only "ready" was printed.
    assert_eq!(peer.mark(), 1);
}

#[test]
#[ignore = "needs the Go peers: run peers/interop"]
fn memberlist_processes_end_with_their_holder_and_say_why_they_ended() {
    let settings = options(6, 1);
    let peer = MemberlistPeer::start(settings.clone()).unwrap();
    let process = std::path::PathBuf::from(format!("/proc/{}", peer.process_id()));
    let taken = MemberlistPeer::start(settings.clone()).unwrap_err().to_string();
    assert!(
        taken.contains("memberlist-peer has ended") && taken.contains("address already in use"),
        "{taken}"
    );
    assert!(process.exists());
    drop(peer);
    assert!(!process.exists());

    let wrong = MemberlistOptions { label: "x".repeat(256), ..settings };
    let said = MemberlistPeer::start(wrong).unwrap_err().to_string();
    assert!(said.contains("label"), "{said}");
}

#[test]
#[ignore = "needs the Go peers: run peers/interop"]
fn memberlist_members_live_through_loss_in_a_namespace() {
    let namespace = NetworkNamespace::create().unwrap();
    namespace.lose_datagrams(0.2).unwrap();
    let path = std::path::Path::new("/var/run/netns").join(namespace.name());
    assert!(path.exists());
    namespace
        .run(|| {
            // The address is taken outside by another test: in here it is free.
            let settings = MemberlistOptions { keys: Vec::new(), ..options(1, 3) };
            let mut peer = MemberlistPeer::start(settings).unwrap();
            peer.wait_for_count(3, TIMEOUT).unwrap();
            swimring_peers::wait_until(TIMEOUT, "losses", || {
                namespace.datagrams_seen_and_lost().unwrap().1 >= 20
            })
            .unwrap();
        })
        .unwrap();
    let (seen, lost) = namespace.datagrams_seen_and_lost().unwrap();
    assert!(lost < seen, "{lost} of {seen}");
    drop(namespace);
    assert!(!path.exists());
}

#[test]
#[ignore = "needs the Go peers: run peers/interop"]
fn serf_agents_show_members_tags_and_events() {
    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let agent = |index: u8, join: &[String]| {
        let bind = SocketAddrV4::new(Ipv4Addr::new(127, 21, 0, index), 7946);
        let mut options = SerfOptions::new(format!("serf-{index}"), bind);
        options.tags.insert("number".into(), index.to_string());
        options.join = join.to_vec();
        options.encrypt = Some(KEY.into());
        // Serf's own wait before it tells a handler of several changes at once is longer than all else here.
        options.profile = "local";
        SerfAgent::start(options).unwrap()
    };
    let one = agent(1, &[]);
    let seed = [one.options().bind.to_string()];
    let (two, three) = (agent(2, &seed), agent(3, &seed));
    for each in [&one, &two, &three] {
        each.wait_for_alive(3, TIMEOUT).unwrap();
    }
    let shown = one.member("serf-2").unwrap().unwrap();
    assert_eq!((shown.addr.as_str(), shown.tags["number"].as_str()), ("127.21.0.2:7946", "2"));

    two.event("deploy", "version=7").unwrap();
    one.wait_for_user_event("deploy", b"version=7", TIMEOUT).unwrap();
    two.set_tag("number", "22").unwrap();
    swimring_peers::wait_until(TIMEOUT, "the new tag", || {
        one.member("serf-2").unwrap().unwrap().tags["number"] == "22"
    })
    .unwrap();

    three.leave().unwrap();
    one.wait_for_status("serf-3", "left", TIMEOUT).unwrap();
    two.kill().unwrap();
    one.wait_for_status("serf-2", "failed", TIMEOUT).unwrap();
}

#[test]
#[ignore = "needs Consul: run peers/interop consul"]
fn consul_servers_elect_a_leader_and_show_who_leaves_and_fails() {
    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let mut servers =
        ConsulServer::start_datacenter(3, Ipv4Addr::new(127, 22, 0, 1), Some(KEY)).unwrap().into_iter();
    let (one, two, three) = (servers.next().unwrap(), servers.next().unwrap(), servers.next().unwrap());
    let shown = one.member("consul-1").unwrap().unwrap();
    assert_eq!((shown.addr.as_str(), shown.tags["role"].as_str()), ("127.22.0.2:8301", "consul"));
    two.event("deploy", b"version=7").unwrap();
    swimring_peers::wait_until(TIMEOUT, "the event", || one.event_names().unwrap() == ["deploy"]).unwrap();
    swimring_peers::wait_until(TIMEOUT, "the catalog", || one.catalog().is_ok_and(|nodes| nodes.len() == 3))
        .unwrap();
    three.leave().unwrap();
    one.wait_for_status("consul-2", "left", TIMEOUT).unwrap();
    two.kill().unwrap();
    one.wait_for_status("consul-1", "failed", TIMEOUT).unwrap();
}
