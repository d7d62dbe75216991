//! A large cluster in virtual time: how fast a crash is noticed, and what that costs.
//!
//! `cargo run --release --example trial -- 1000` simulates a minute of a thousand members.

use std::error::Error;

use swimring::sim::trial::{TrialOptions, run};

fn main() -> Result<(), Box<dyn Error>> {
    let members = std::env::args().nth(1).map_or(Ok(1000), |text| text.parse())?;
    let outcome = run(&TrialOptions { members, crashes: 1, ..TrialOptions::default() })?;
    println!("{members} members, {:.1} simulated seconds", outcome.simulated_s);
    for crash in &outcome.crashes {
        println!("a crash was noticed after {:?} s by one, after {:?} s by all", crash.first_s, crash.all_s);
    }
    println!("{:.1} bytes per member-second", outcome.bytes_per_member_second());
    println!("{:.2} datagrams per member-second", outcome.datagrams_per_member_second());
    println!(
        "{} happenings in {:.3} s: {:.0} node-seconds per second",
        outcome.happenings,
        outcome.wall.as_secs_f64(),
        outcome.node_seconds_per_second()
    );
    Ok(())
}
