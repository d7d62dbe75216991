//! Tells the program which commit it is built from.

fn main() {
    swimring_commit::record(swimring_commit::TUNING);
}
