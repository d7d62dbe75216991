//! A service of several processes that needs no etcd: who is there, who is responsible for what, and the configuration
//! come from the members themselves.
//!
//! ```sh
//! cargo run --example service -- ada 127.0.0.1:7101 127.0.0.1:8101
//! cargo run --example service -- bea 127.0.0.1:7102 127.0.0.1:8102 127.0.0.1:7101
//! cargo run --example service -- cyd 127.0.0.1:7103 127.0.0.1:8103 127.0.0.1:7101
//!
//! # in another terminal: a line in, a line out, at any of the three
//! echo "config greeting hello" | nc -N 127.0.0.1 8101
//! echo "config"                | nc -N 127.0.0.1 8103
//! echo "put user-7 blue"       | nc -N 127.0.0.1 8102
//! echo "get user-7"            | nc -N 127.0.0.1 8103
//! ```
//!
//! Kill one and start it again: it has the configuration as soon as it has joined. Ctrl-C or SIGTERM lets it say goodbye
//! first. The three arguments are the member's name, its address in the cluster, and the address that commands come to; what
//! follows are members to join. A settings file named in `SERVICE_SETTINGS` may say the rest: with
//! `secret_keys = ["..."]` (base64) the cluster is encrypted, with `snapshot_path = "..."` the member comes back without seeds,
//! with what it knew, even if all were killed at once.

#![allow(clippy::disallowed_methods, reason = "an application has threads and a clock")]

mod service;

use std::error::Error;
use std::net::TcpListener;
use std::time::Duration;

use service::Service;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use swimring::Cluster;

fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, bind, commands, seeds @ ..] = &arguments[..] else {
        return Err("usage: service NAME BIND_ADDRESS COMMAND_ADDRESS [SEED]...".into());
    };
    // Looks for the seeds again whenever it is alone: it does not matter who is started first.
    let mut member = Cluster::builder(name).cluster("service").bind(bind.as_str()).retry_join(seeds);
    if let Ok(settings) = std::env::var("SERVICE_SETTINGS") {
        member = member.file(settings)?;
    }
    let cluster = member.start()?;
    let service = Service::start(cluster)?;
    let listener = TcpListener::bind(commands)?;
    println!("{name} is a member at {} and takes commands at {commands}", service.cluster().address());
    let answering = service.clone();
    std::thread::spawn(move || answering.serve(&listener));
    if let Some(signal) = Signals::new([SIGINT, SIGTERM])?.forever().next() {
        println!("{name} leaves on signal {signal}");
    }
    service.cluster().leave(Duration::from_secs(5)).wait()?;
    Ok(())
}
