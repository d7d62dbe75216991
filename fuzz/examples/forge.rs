//! Offers forged, cut, reordered and repeated datagrams and messages to members that encrypt, as many as are asked for.
//!
//! ```text
//! cargo run --release -p swimring-fuzz --example forge -- [INPUTS [SEED]]
//! ```
//!
//! Ends with status 1 if one of them was accepted, or one was refused that members had sealed; with 2 if it was not asked properly.

#![allow(clippy::disallowed_methods, reason = "it says how long it takes")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use swimring_fuzz::forge;

const INPUTS: u64 = 1_000_000;
const SAID_EVERY: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let mut numbers = [INPUTS, fastrand::u64(..1 << 32)];
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    for (at, argument) in arguments.iter().enumerate() {
        match (numbers.get_mut(at), argument.parse()) {
            (Some(number), Ok(given)) => *number = given,
            _ => {
                eprintln!("usage: forge [INPUTS [SEED]]");
                return ExitCode::from(2);
            }
        }
    }
    let [inputs, seed] = numbers;
    println!("seed {seed}, {inputs} inputs");
    let (began, mut said) = (Instant::now(), Instant::now());
    let tally = forge(inputs, seed, |tally| {
        if said.elapsed() > SAID_EVERY {
            said = Instant::now();
            eprintln!("{} offered, {} accepted", tally.offered(), tally.accepted());
        }
    });
    let seconds = began.elapsed().as_secs_f64();
    println!("{tally}\n{seconds:.1} s, {:.0} inputs a second", tally.offered() as f64 / seconds);
    if tally.accepted() == 0 && tally.genuine_refused() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
