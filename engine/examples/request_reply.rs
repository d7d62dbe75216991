//! Questions and replies: a key-value store that is divided among three members, each of which answers for its own keys.
//!
//! ```sh
//! cargo run --example request_reply
//! ```
//!
//! Every member knows from the view whose a key is, the one whose name hashes nearest, and asks it. The last lines show what
//! happens when that member is killed: the question fails at once instead of after its time, and once the others have
//! noticed the key is another member's. It ends by itself.

#![allow(clippy::disallowed_methods, reason = "an application has threads and a clock")]

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::thread;
use std::time::{Duration, Instant};

use swimring::{Cluster, ClusterError, ClusterEvent, Preset};

/// For a machine that is busy: a reply takes well under a millisecond.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let members = [start("ada")?, start("bea")?, start("cyd")?];
    let seed = members[0].address();
    for member in &members[1..] {
        member.join([seed]).wait()?;
    }
    wait_for_members(&members[0], 3)?;
    let ada = &members[0];

    for (key, value) in [("apple", "red"), ("banana", "yellow"), ("cherry", "dark"), ("fig", "purple")] {
        let (owner, reply) = ask(ada, &format!("set {key} {value}"), key)?;
        println!("{key} is {owner}'s: {reply}");
    }
    for key in ["apple", "banana", "cherry", "fig"] {
        let (owner, reply) = ask(ada, &format!("get {key}"), key)?;
        println!("{owner} says that {key} is {reply}");
    }

    println!("bea is killed");
    members[1].shutdown();
    let killed = Instant::now();
    if let Err(error) = ada.ask("bea", "get apple", PATIENCE) {
        println!("a question to bea: {error}");
    }
    wait_for_members(ada, 2)?;
    assert!(killed.elapsed() < PATIENCE, "the question did not wait for its time");
    let (owner, reply) = ask(ada, "get banana", "banana")?;
    println!("banana is {owner}'s now: {reply}");
    Ok(())
}

/// A member that answers for its keys on a thread of its own.
fn start(name: &str) -> Result<Cluster, ClusterError> {
    let member = Cluster::builder(name).cluster("store").bind("127.0.0.1:0").preset(Preset::Local);
    let cluster = member.start()?;
    let events = cluster.subscribe()?;
    thread::spawn(move || {
        let mut store = HashMap::new();
        for event in events {
            if let ClusterEvent::Question(question) = event {
                let reply = answer(&mut store, &String::from_utf8_lossy(question.payload()));
                // Whoever asked is told if the reply does not arrive: its time runs out.
                if let Err(error) = question.reply(reply) {
                    println!("no reply to {}: {error}", question.from());
                }
            }
        }
    });
    Ok(cluster)
}

fn answer(store: &mut HashMap<String, String>, question: &str) -> String {
    match question.split(' ').collect::<Vec<_>>()[..] {
        ["set", key, value] => match store.insert(key.to_owned(), value.to_owned()) {
            Some(before) => format!("set, was {before}"),
            None => "set".to_owned(),
        },
        ["get", key] => store.get(key).cloned().unwrap_or_else(|| "not set".to_owned()),
        _ => "what?".to_owned(),
    }
}

/// Asks whoever `key` belongs to, and gives its name and reply. One's own keys are asked of the next: nobody asks itself.
fn ask(cluster: &Cluster, question: &str, key: &str) -> Result<(String, String), ClusterError> {
    let hash = |text: &str| {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        hasher.finish()
    };
    let members = cluster.members()?;
    let others = members.iter().filter(|member| &*member.name != cluster.name());
    let owner = others.min_by_key(|member| hash(&format!("{key} {}", member.name)));
    let owner = owner.map(|member| member.name.to_string()).unwrap_or_default();
    let reply = cluster.ask(&owner, question.to_owned(), PATIENCE)?;
    Ok((owner, String::from_utf8_lossy(&reply).into_owned()))
}

fn wait_for_members(cluster: &Cluster, count: usize) -> Result<(), Box<dyn std::error::Error>> {
    let deadline = Instant::now() + PATIENCE;
    while cluster.len()? != count {
        if Instant::now() > deadline {
            return Err(format!("{} sees {} members", cluster.name(), cluster.len()?).into());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
