//! A real SIGINT reaches the run. Alone in its file: a process has one handler.

use nix::sys::signal::{Signal, raise};
use swimring_loadgen::cli::PROGRAM;
use swimring_loadgen::interrupt::Interrupt;

#[test]
fn a_signal_ends_the_run_early() {
    let interrupt = Interrupt::install(PROGRAM).expect("no other handler is installed");
    assert!(!interrupt.requested());
    raise(Signal::SIGINT).expect("a process may signal itself");
    // The handler runs on a thread of its own; without it this test would have been killed or never end.
    while !interrupt.requested() {
        std::thread::yield_now();
    }
    assert!(Interrupt::install(PROGRAM).is_err());
}
