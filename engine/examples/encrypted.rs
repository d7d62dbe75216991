//! An encrypted cluster: three members that share a key, one that has another, and the key changed while events are under way.
//!
//! ```sh
//! cargo run --example encrypted
//! ```
//!
//! A service reads its key from a file that only it can read, with `secret_keys = "..."` in a settings file
//! (`ClusterBuilder::file`); here it is drawn, so that the example has none. It ends by itself.

#![allow(clippy::disallowed_methods, reason = "an application has threads and a clock")]

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use rand::TryRng;
use rand::rngs::SysRng;
use swimring::{Cluster, ClusterError, ClusterEvent, EncryptionOptions, Events, Preset, WireOptions};

/// For a machine that is busy: an event takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let key = draw()?;
    let members = [start("ada", key)?, start("bea", key)?, start("cyd", key)?];
    let seed = members[0].address();
    for member in &members[1..] {
        member.join([seed]).wait()?;
    }
    wait_for_members(&members, 3)?;
    println!("three members know each other, and nobody else knows what they say");

    let eve = start("eve", draw()?)?;
    if let Err(error) = eve.join([seed]).wait() {
        println!("eve: {error}");
    }

    let mut heard = members[2].subscribe()?;
    members[0].send_event("deploy", "v1")?;
    println!("cyd hears of {}", next_event(&mut heard)?);

    // Everybody has to be able to open what is sealed with it before anybody seals with it.
    let new = draw()?;
    members.iter().try_for_each(|member| member.install_key(&new))?;
    members.iter().try_for_each(|member| member.use_key(&new))?;
    members[0].send_event("deploy", "v2")?;
    println!("cyd hears of {}, under the new key", next_event(&mut heard)?);
    // What was on its way under the old one has arrived.
    thread::sleep(Duration::from_millis(100));
    members.iter().try_for_each(|member| member.remove_key(&key))?;
    members[1].send_event("deploy", "v3")?;
    println!("cyd hears of {}, and the old key opens nothing more", next_event(&mut heard)?);
    let late = start("late", key)?;
    if let Err(error) = late.join([seed]).wait() {
        println!("late: {error}");
    }
    Ok(())
}

/// A key.
fn draw() -> Result<[u8; 32], Box<dyn Error>> {
    let mut key = [0; 32];
    SysRng.try_fill_bytes(&mut key)?;
    Ok(key)
}

fn start(name: &str, key: [u8; 32]) -> Result<Cluster, ClusterError> {
    let wire = WireOptions::Encrypted(EncryptionOptions::with_key(key));
    Cluster::builder(name).cluster("vault").bind("127.0.0.1:0").preset(Preset::Local).wire(wire).start()
}

fn next_event(events: &mut Events) -> Result<String, Box<dyn Error>> {
    loop {
        if let ClusterEvent::User(event) = events.recv_timeout(PATIENCE)? {
            return Ok(format!("{} {}", event.name, String::from_utf8_lossy(&event.payload)));
        }
    }
}

fn wait_for_members(members: &[Cluster], count: usize) -> Result<(), Box<dyn Error>> {
    let end = Instant::now() + PATIENCE;
    for member in members {
        while member.members()?.len() != count {
            if Instant::now() > end {
                return Err("they do not find each other".into());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
    Ok(())
}
