//! A data centre of three Consul servers and Swimring's members in its LAN pool. `SWIMRING_CONSUL_MINUTES` says for
//! how long they are watched, by default one minute; runs that count take ten.
#![allow(clippy::disallowed_methods, reason = "real peers take real time")]

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use crate::mixed::{KEY, KEY_BASE64, PATIENCE, Swimmer, eventually, minutes, now_us, seconds};
use swimring::{ClusterEvent, MemberlistOptions, Settings};
use swimring_codec::serf::Tags;
use swimring_peers::consul::ConsulServer;

/// Consul's port of the LAN pool, which members outside the catalog need not have but may.
const PORT: u16 = 8301;
/// Between two looks at `consul members`.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What a member outside the catalog says of itself: no id, and no role that Consul knows.
fn observer_tags() -> Vec<u8> {
    Tags::encode(&[("role", "swimring"), ("purpose", "interop")]).unwrap()
}

/// What the servers take for a client agent, which they register in the catalog.
fn client_tags(id: &str) -> Vec<u8> {
    let tags = [
        ("role", "node"),
        ("dc", "dc1"),
        ("segment", ""),
        ("id", id),
        ("vsn", "2"),
        ("vsn_min", "2"),
        ("vsn_max", "3"),
        ("build", "1.20.6:00000000"),
    ];
    Tags::encode(&tags).unwrap()
}

struct Datacenter {
    servers: Vec<ConsulServer>,
    wire: MemberlistOptions,
    block: u8,
}

impl Datacenter {
    fn start(block: u8, encrypted: bool) -> Datacenter {
        let first = Ipv4Addr::new(127, 34, block, 1);
        let servers = ConsulServer::start_datacenter(3, first, encrypted.then_some(KEY_BASE64)).unwrap();
        let secret_keys = if encrypted { vec![KEY.to_vec().into()] } else { Vec::new() };
        Datacenter { servers, wire: MemberlistOptions { secret_keys, ..MemberlistOptions::serf() }, block }
    }

    fn swimmer(&self, name: &str, last: u8, tags: &[u8]) -> Swimmer {
        let address = SocketAddrV4::new(Ipv4Addr::new(127, 34, self.block, last), PORT);
        let swimmer = Swimmer::start(name, address, tags, &Settings::default(), &self.wire);
        swimmer.join(self.servers[0].gossip_address());
        swimmer
    }

    /// Waits until every server shows `name` so; when the last did.
    fn shown(&self, name: &str, status: &str) -> i64 {
        for server in &self.servers {
            server.wait_for_status(name, status, PATIENCE).unwrap();
        }
        now_us()
    }

    /// Waits until every server has, or has not, `name` in its catalog.
    fn catalogued(&self, name: &str, listed: bool) {
        for server in &self.servers {
            eventually(&format!("{name} in the catalog: {listed}"), || {
                let nodes = server.catalog().map_err(|error| error.to_string())?;
                let is = nodes.iter().any(|node| node == name);
                if is == listed { Ok(()) } else { Err(format!("{nodes:?}")) }
            });
        }
    }
}

/// Six live for the given time, and nobody says otherwise.
fn watch(pool: &Datacenter, ours: &[Swimmer], length: Duration) -> usize {
    let ends = Instant::now() + length;
    let mut looks = 0;
    loop {
        for server in &pool.servers {
            let members = server.members().unwrap();
            let alive = members.iter().filter(|member| member.status == "alive").count();
            assert_eq!((alive, members.len()), (6, 6), "{members:?}");
        }
        for swimmer in ours {
            assert_eq!(swimmer.failed(), Vec::<String>::new());
        }
        looks += 1;
        if Instant::now() >= ends {
            return looks;
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
}

fn life(block: u8, what: &str, encrypted: bool) {
    let mut pool = Datacenter::start(block, encrypted);
    let mut ours: Vec<_> =
        (0..3).map(|i| pool.swimmer(&format!("swim-{i}"), 101 + i, &observer_tags())).collect();
    for swimmer in &ours {
        pool.shown(&swimmer.name(), "alive");
        let shown = pool.servers[2].member(&swimmer.name()).unwrap().unwrap();
        assert_eq!(shown.addr, swimmer.cluster.address().to_string());
        assert_eq!((shown.tags["role"].as_str(), shown.tags["purpose"].as_str()), ("swimring", "interop"));
        eventually("our members to know all", || {
            let view = swimmer.view();
            if view.len() == 6 { Ok(()) } else { Err(format!("{view:?}")) }
        });
    }
    let length = minutes("SWIMRING_CONSUL_MINUTES", 1.0);
    let looks = watch(&pool, &ours, length);
    let catalog = pool.servers[0].catalog().unwrap();
    assert_eq!(catalog.iter().filter(|name| name.starts_with("swim")).count(), 0, "{catalog:?}");

    // Consul's own events reach us; it fires them as Serf events of its own prefix.
    pool.servers[1].event("deploy", b"v7").unwrap();
    for swimmer in &ours {
        swimmer.wait(
            0,
            "Consul's event",
            |event| matches!(event, ClusterEvent::User(user) if &*user.name == "consul:event:deploy"),
        );
    }
    ours[2].cluster.leave(PATIENCE).wait().unwrap();
    pool.shown("swim-2", "left");
    let killed = now_us();
    ours[1].cluster.shutdown();
    let failed = seconds(killed, pool.shown("swim-1", "failed"));
    ours[1] = pool.swimmer("swim-1", 102, &observer_tags());
    pool.shown("swim-1", "alive");

    let killed = now_us();
    pool.servers.pop().unwrap().kill().unwrap();
    let learned = ours[..2].iter().map(|swimmer| {
        swimmer.wait(
            killed,
            "consul-2 failing",
            |event| matches!(event, ClusterEvent::Failed { member, .. } if &*member.name == "consul-2"),
        )
    });
    let learned = seconds(killed, learned.max().unwrap());
    println!(
        "3 Consul servers + 3, {what}: alive at all servers in each of {looks} looks over {:.1} min; left after \
         leaving; kill of swim-1 shown as failed after {failed}, alive again after its return; kill of consul-2 known \
         to ours after {learned}",
        length.as_secs_f64() / 60.0
    );
}

#[test]
#[ignore = "needs Consul: run peers/interop consul"]
fn consul_mixed_plain() {
    life(1, "plain", false);
}

#[test]
#[ignore = "needs Consul: run peers/interop consul"]
fn consul_mixed_encrypted() {
    life(2, "encrypted", true);
}

#[test]
#[ignore = "needs Consul: run peers/interop consul"]
fn consul_catalog_registers_a_member_and_forgets_it_when_it_leaves() {
    let pool = Datacenter::start(3, false);
    let began = now_us();
    let tags = client_tags("6f1d6f0e-4a3c-4c52-9a43-5f1f1c6f0b11");
    let client = pool.swimmer("swim-client", 101, &tags);
    pool.shown("swim-client", "alive");
    pool.catalogued("swim-client", true);
    let registered = seconds(began, now_us());
    let health = pool.servers[0].get("/v1/health/node/swim-client").unwrap();
    let check = health.as_array().and_then(|checks| checks.first()).expect("one check");
    assert_eq!((check["CheckID"].as_str(), check["Status"].as_str()), (Some("serfHealth"), Some("passing")));

    let began = now_us();
    client.cluster.leave(PATIENCE).wait().unwrap();
    pool.shown("swim-client", "left");
    pool.catalogued("swim-client", false);
    println!(
        "a client in Consul's catalog: registered with a passing check after {registered}, gone {} after it left",
        seconds(began, now_us())
    );
}
