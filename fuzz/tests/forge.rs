//! A short run of the forgeries; `cargo run --release -p swimring-fuzz --example forge` is for long ones.

use swimring_fuzz::forge;
use swimring_testing::process::setting;

const INPUTS: u64 = 100_000;

#[test]
fn nothing_forged_or_repeated_is_accepted() {
    let seed = setting("SWIMRING_SEED", 1);
    println!("seed {seed}, {INPUTS} inputs");
    let tally = forge(INPUTS, seed, |_| {});
    println!("{tally}");
    assert!(tally.offered() >= INPUTS);
    assert_eq!(tally.accepted(), 0, "{tally}");
    assert_eq!(tally.genuine_refused(), 0, "{tally}");
    assert!(tally.fewest() > 0, "{tally}");
}
