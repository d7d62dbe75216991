//! Two pools in one process: the members of each data centre know each other, and one of each, the gateway, is also a
//! member of a pool that spans them. That is how Consul divides its LAN and WAN pools.
//!
//! ```sh
//! cargo run --example two_pools
//! ```
//!
//! Within a data centre failures are found at the pace of a local network; between them probes are rarer and more patient.
//! A member of `east` asks something of one in `west` that it has never heard of: its gateway finds the other gateway in
//! the wide pool, and that one asks its own. It ends by itself.

#![allow(clippy::disallowed_methods, reason = "an application has threads and a clock")]

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use swimring::{Cluster, ClusterError, ClusterEvent, Preset, Question};

/// For a machine that is busy: everything here takes well under a second.
const PATIENCE: Duration = Duration::from_secs(30);

/// The member of a data centre that is also in the wide pool.
#[derive(Clone)]
struct Gateway {
    /// Among the members of its data centre.
    local: Cluster,
    /// Among the gateways.
    wide: Cluster,
}

impl Gateway {
    /// Starts both members, and forwards questions between their pools.
    fn start(data_centre: &str) -> Result<Gateway, ClusterError> {
        let local =
            Cluster::builder("gateway").cluster(data_centre).bind("127.0.0.1:0").preset(Preset::Local);
        let wide = Cluster::builder(data_centre).cluster("wide").bind("127.0.0.1:0").preset(Preset::Wan);
        let gateway = Gateway { local: local.start()?, wide: wide.start()? };
        let outwards = gateway.clone();
        // `DATA_CENTRE MEMBER QUESTION` from here goes to that data centre, and what is left of it to the member there.
        answer_questions(&gateway.local, move |question| forward(&outwards.wide, question))?;
        let inwards = gateway.clone();
        answer_questions(&gateway.wide, move |question| forward(&inwards.local, question))?;
        Ok(gateway)
    }
}

/// Asks the member of `pool` that the first word names what the other words ask.
fn forward(pool: &Cluster, question: &str) -> String {
    let Some((member, rest)) = question.split_once(' ') else { return "whom?".to_owned() };
    match pool.ask(member, rest.to_owned(), PATIENCE) {
        Ok(reply) => String::from_utf8_lossy(&reply).into_owned(),
        Err(error) => format!("{member} of {}: {error}", pool.cluster_name()),
    }
}

/// Answers each question that comes to `member` on a thread of its own, so that one that is passed on keeps no other waiting.
fn answer_questions(
    member: &Cluster,
    answer: impl Fn(&str) -> String + Clone + Send + 'static,
) -> Result<(), ClusterError> {
    let events = member.subscribe()?;
    let name = member.name().to_owned();
    thread::spawn(move || {
        for event in events {
            let ClusterEvent::Question(question) = event else { continue };
            let (answer, name) = (answer.clone(), name.clone());
            thread::spawn(move || {
                reply(&name, &question, &answer(&String::from_utf8_lossy(question.payload())));
            });
        }
    });
    Ok(())
}

fn reply(name: &str, question: &Question, answer: &str) {
    if let Err(error) = question.reply(answer.to_owned()) {
        println!("{name} could not reply to {}: {error}", question.from());
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let (east, west) = (Gateway::start("east")?, Gateway::start("west")?);
    west.wide.join([east.wide.address()]).wait()?;
    let mut members = Vec::new();
    for (gateway, name) in [(&east, "ada"), (&east, "bea"), (&west, "cyd"), (&west, "dot")] {
        let data_centre = gateway.local.cluster_name();
        let member = Cluster::builder(name).cluster(data_centre).bind("127.0.0.1:0").preset(Preset::Local);
        let member = member.start()?;
        let place = format!("{name} in {data_centre}");
        answer_questions(&member, move |question| format!("\"{question}\" was asked of {place}"))?;
        member.join([gateway.local.address()]).wait()?;
        members.push(member);
    }
    for pool in [&east.local, &west.local] {
        wait_for_members(pool, 3)?;
        println!("{} knows {}", pool.cluster_name(), names(pool)?);
    }
    wait_for_members(&east.wide, 2)?;
    println!("{} knows {}", east.wide.cluster_name(), names(&east.wide)?);

    let ada = &members[0];
    for question in ["west dot how are you?", "west eva are you there?", "north ada and you?"] {
        let reply = ada.ask("gateway", question, PATIENCE)?;
        println!("{question} -> {}", String::from_utf8_lossy(&reply));
    }

    println!("west's gateway is killed");
    west.local.shutdown();
    west.wide.shutdown();
    let reply = ada.ask("gateway", "west dot how are you?", PATIENCE)?;
    println!("west dot how are you? -> {}", String::from_utf8_lossy(&reply));
    wait_for_members(&members[2], 2)?;
    println!("west knows {}", names(&members[2])?);
    Ok(())
}

fn names(pool: &Cluster) -> Result<String, ClusterError> {
    let mut names: Vec<_> = pool.members()?.into_iter().map(|member| member.name.to_string()).collect();
    names.sort_unstable();
    Ok(names.join(", "))
}

fn wait_for_members(pool: &Cluster, count: usize) -> Result<(), Box<dyn Error>> {
    let deadline = Instant::now() + PATIENCE;
    while pool.len()? != count {
        if Instant::now() > deadline {
            return Err(format!("{} of {} sees {}", pool.name(), pool.cluster_name(), names(pool)?).into());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
