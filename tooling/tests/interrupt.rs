//! A real SIGINT reaches the run. Alone in its file: a process has one handler.

use nix::sys::signal::{Signal, raise};
use swimring_tooling::interrupt::Interrupt;

#[test]
fn a_signal_ends_the_run_early() {
    let interrupt = Interrupt::install("interrupted").expect("no other handler is installed");
    assert!(!interrupt.requested());
    raise(Signal::SIGINT).expect("a process may signal itself");
    // The handler runs on a thread of its own; without it this test would have been killed or never end.
    while !interrupt.requested() {
        std::thread::yield_now();
    }
    assert!(Interrupt::install("interrupted").is_err());
}
