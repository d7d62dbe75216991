//! A large cluster in virtual time: how fast a crash is noticed, and what that costs.
//!
//! `cargo run --release --example experiment -- 1000` simulates a minute of a thousand members, `-- 1000 0.2` the same
//! with a fifth of all datagrams lost, `-- 1000 0 memberlist` in memberlist's format.

use std::error::Error;

use swimring_simulation::experiment::{TrialOptions, WireSizes, run};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let members = arguments.next().map_or(Ok(1000), |text| text.parse())?;
    let loss = arguments.next().map_or(Ok(0.0), |text| text.parse())?;
    let wire = match arguments.next().as_deref() {
        Some("memberlist") => WireSizes::Memberlist,
        _ => WireSizes::Native,
    };
    let outcome = run(&TrialOptions { members, loss, wire, crashes: 1, ..TrialOptions::default() })?;
    println!("{members} members, {:.1} simulated seconds", outcome.simulated_s);
    for crash in &outcome.crashes {
        println!("a crash was noticed after {:?} s by one, after {:?} s by all", crash.first_s, crash.all_s);
    }
    println!("{:.1} bytes per member-second", outcome.bytes_per_member_second());
    println!("{:.1} bytes of streams per member-second", outcome.stream_bytes_per_member_second());
    println!("{} false suspicions, {} false deaths", outcome.false_suspicions, outcome.false_deaths);
    println!("{:.2} datagrams per member-second", outcome.datagrams_per_member_second());
    println!(
        "{} happenings in {:.3} s: {:.0} node-seconds per second",
        outcome.happenings,
        outcome.wall.as_secs_f64(),
        outcome.node_seconds_per_second()
    );
    Ok(())
}
