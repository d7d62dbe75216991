//! Serf's agents and Swimring's members in one cluster: Serf shows them as its own.
#![allow(clippy::disallowed_methods, reason = "real peers take real time")]

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use crate::mixed::{KEY, KEY_BASE64, PATIENCE, Swimmer, eventually, is_user, now_us, seconds};
use swimring::{ClusterEvent, MemberlistOptions, Preset, Settings};
use swimring_codec::serf::Tags;
use swimring_peers::serf::{SerfAgent, SerfOptions};

const PORT: u16 = 7946;

fn settings() -> Settings {
    // Often enough that none of so few is missed by chance.
    Settings { retransmit_multiplier: 16, ..Settings::preset(Preset::Local) }
}

fn address(block: u8, last: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(127, 31, block, last), PORT)
}

fn tags(number: &str) -> Vec<u8> {
    Tags::encode(&[("number", number), ("from", "swimring")]).unwrap()
}

/// Three agents, and three members of ours that joined through the first.
struct Pool {
    agents: Vec<SerfAgent>,
    ours: Vec<Swimmer>,
    wire: MemberlistOptions,
    block: u8,
}

fn agent(block: u8, index: u8, key: Option<&str>) -> SerfAgent {
    let mut options = SerfOptions::new(format!("serf-{index}"), address(block, 1 + index));
    options.tags.insert("number".into(), index.to_string());
    options.encrypt = key.map(Into::into);
    options.profile = "local";
    if index > 0 {
        options.join = vec![address(block, 1).to_string()];
    }
    SerfAgent::start(options).unwrap()
}

impl Pool {
    fn start(block: u8, encrypted: bool) -> Pool {
        let key = encrypted.then_some(KEY_BASE64);
        let agents = (0..3).map(|index| agent(block, index, key)).collect();
        let secret_keys = if encrypted { vec![KEY.to_vec().into()] } else { Vec::new() };
        let wire = MemberlistOptions { secret_keys, ..MemberlistOptions::serf() };
        let mut pool = Pool { agents, ours: Vec::new(), wire, block };
        for index in 0..3 {
            let swimmer = pool.swimmer(index);
            pool.ours.push(swimmer);
        }
        pool
    }

    fn swimmer(&self, index: u8) -> Swimmer {
        let (name, at) = (format!("swim-{index}"), address(self.block, 101 + index));
        let swimmer = Swimmer::start(&name, at, &tags(&index.to_string()), &settings(), &self.wire);
        swimmer.join(address(self.block, 1));
        swimmer
    }

    /// Waits until every agent shows `name` so; when the last did.
    fn shown(&self, name: &str, status: &str) -> i64 {
        for agent in &self.agents {
            agent.wait_for_status(name, status, PATIENCE).unwrap();
        }
        now_us()
    }

    /// Waits until every agent shows this value of the tag `number` of `name`.
    fn tagged(&self, name: &str, number: &str) {
        for agent in &self.agents {
            eventually(&format!("{} to show the tag of {name}", agent.options().name), || {
                let member = agent.member(name).unwrap().ok_or("no such member")?;
                if member.tags.get("number").is_some_and(|shown| shown == number) {
                    return Ok(());
                }
                Err(format!("{member:?}"))
            });
        }
    }
}

/// Everything but the ends of members.
fn live_together(pool: &Pool) -> String {
    for agent in &pool.agents {
        agent.wait_for_alive(6, PATIENCE).unwrap();
        for (index, swimmer) in pool.ours.iter().enumerate() {
            let shown = agent.member(&swimmer.name()).unwrap().unwrap();
            assert_eq!(shown.addr, address(pool.block, 101 + index as u8).to_string());
            assert_eq!(
                (shown.tags["number"].as_str(), shown.tags["from"].as_str()),
                (&*index.to_string(), "swimring")
            );
        }
    }
    for swimmer in &pool.ours {
        eventually("our members to know all", || {
            let view = swimmer.view();
            let numbers: Vec<_> = view
                .iter()
                .filter(|(name, ..)| name.starts_with("serf-"))
                .filter_map(|(_, _, metadata)| Tags::decode(metadata).ok()?.get("number"))
                .collect();
            if view.len() == 6 && numbers == ["0", "1", "2"] { Ok(()) } else { Err(format!("{view:?}")) }
        });
    }

    let sent = now_us();
    pool.ours[1].cluster.send_event("deploy", "version=7").unwrap();
    for agent in &pool.agents {
        agent.wait_for_user_event("deploy", b"version=7", PATIENCE).unwrap();
    }
    let spread = seconds(sent, now_us());
    pool.agents[2].event("restart", "by serf").unwrap();
    for swimmer in &pool.ours {
        swimmer.wait(0, "Serf's event", |event| is_user(event, "restart", b"by serf"));
    }
    // Serf lets an event pass once, whoever tells it again.
    for agent in &pool.agents {
        assert_eq!(agent.user_events("deploy"), [b"version=7"]);
    }
    assert!(pool.ours.iter().all(|swimmer| swimmer.heard("restart", b"by serf") == 1));

    pool.ours[0].cluster.update_metadata(tags("100")).unwrap();
    pool.tagged("swim-0", "100");
    pool.agents[1].set_tag("number", "11").unwrap();
    let changed = |event: &ClusterEvent| {
        matches!(event, ClusterEvent::Updated(member)
        if &*member.name == "serf-1" && Tags::decode(&member.metadata).unwrap().get("number") == Some("11"))
    };
    for swimmer in &pool.ours {
        swimmer.wait(0, "a new tag of serf-1", changed);
    }
    spread
}

/// Leaves and deaths on both sides, and returns. Gives how long a death of ours took to be shown.
fn come_and_go(pool: &mut Pool) -> [String; 2] {
    pool.ours[2].cluster.leave(PATIENCE).wait().unwrap();
    pool.shown("swim-2", "left");
    pool.ours[2].cluster.shutdown();
    pool.ours[2] = pool.swimmer(2);
    pool.shown("swim-2", "alive");

    let killed = now_us();
    pool.ours[1].cluster.shutdown();
    let failed = seconds(killed, pool.shown("swim-1", "failed"));
    pool.ours[1] = pool.swimmer(1);
    pool.shown("swim-1", "alive");

    // Without an end of its process: the member itself leaves and joins again.
    pool.ours[0].cluster.leave(PATIENCE).wait().unwrap();
    pool.shown("swim-0", "left");
    pool.ours[0].join(address(pool.block, 1));
    pool.shown("swim-0", "alive");
    pool.agents.iter().for_each(|agent| agent.wait_for_alive(6, PATIENCE).unwrap());

    let since = now_us();
    pool.agents.pop().unwrap().leave().unwrap();
    for swimmer in &pool.ours {
        swimmer.wait(
            since,
            "serf-2 leaving",
            |event| matches!(event, ClusterEvent::Left(member) if &*member.name == "serf-2"),
        );
    }
    let killed = now_us();
    pool.agents.pop().unwrap().kill().unwrap();
    let learned = pool.ours.iter().map(|swimmer| {
        swimmer.wait(
            killed,
            "serf-1 failing",
            |event| matches!(event, ClusterEvent::Failed { member, .. } if &*member.name == "serf-1"),
        )
    });
    let learned = seconds(killed, learned.max().unwrap());
    // Nobody else died on the way, in anybody's eyes.
    for event in pool.agents[0].events().into_iter().filter(|event| event.kind == "member-failed") {
        let lines = String::from_utf8(event.payload).unwrap();
        for name in lines.lines().filter_map(|line| line.split('\t').next()) {
            assert!(name == "serf-1" || name == "swim-1", "serf-0 took {name} for failed");
        }
    }
    for swimmer in &pool.ours {
        let mut others = swimmer.failed();
        others.retain(|name| name != "serf-1" && name != "swim-1");
        assert!(others.is_empty(), "{} took {others:?} for failed: {:?}", swimmer.name(), swimmer.seen());
    }
    [failed, learned]
}

fn life(block: u8, what: &str, encrypted: bool) {
    let mut pool = Pool::start(block, encrypted);
    let spread = live_together(&pool);
    let [failed, learned] = come_and_go(&mut pool);
    println!(
        "3 Serf agents + 3, {what}: alive with tags at all agents; our event handled by all after {spread}; kill of \
         swim-1 shown as failed after {failed}, of serf-1 known to all of ours after {learned}; left after leaving, \
         alive again after joining again"
    );
}

#[test]
#[ignore = "needs the Go peers: run peers/interop"]
fn serf_mixed_plain() {
    life(1, "plain", false);
}

#[test]
#[ignore = "needs the Go peers: run peers/interop"]
fn serf_mixed_encrypted() {
    life(2, "encrypted", true);
}

#[test]
#[ignore = "needs the Go peers: run peers/interop"]
fn serf_refuses_a_plain_member_in_words() {
    let agent = agent(3, 0, None);
    let wire = MemberlistOptions::default();
    let plain = Swimmer::start("plain", address(3, 101), b"", &settings(), &wire);
    let refused =
        plain.cluster.join_within([SocketAddr::V4(address(3, 1))], PATIENCE).wait().unwrap_err().to_string();
    assert!(refused.contains("Serf") && !refused.contains('\n'), "{refused}");
    assert_eq!(agent.members().unwrap().len(), 1);
    println!("a plain member in a Serf pool: {refused}");
}
