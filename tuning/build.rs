//! Tells the program which commit it is built from.

fn main() {
    swimring_commit::record(&[
        "src",
        "Cargo.toml",
        "../tooling/src",
        "../loadgen/src",
        "../simulation/src",
        "../engine/src",
        "../codec/src",
        "../Cargo.toml",
    ]);
}
