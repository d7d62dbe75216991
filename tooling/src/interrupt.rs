//! Ctrl-C, SIGTERM and SIGHUP: the first of them ends what is under way early and in order, with what is there by
//! then. Only a person who insists aborts: a second Ctrl-C, a second or more after the first.
//!
//! Signals come in pairs that nobody meant: a terminal that is closed sends SIGHUP and its shell SIGTERM, a
//! process group gets the same one from `timeout` and from the shell, a tired hand presses Ctrl-C twice. An end
//! that was in order until then would become an abort, and an attached fleet would be seen to fail.

#![allow(clippy::disallowed_methods, reason = "how long ago the first signal came is real time")]

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::output::tell;

/// Exit status of what was aborted: 128 + SIGINT, as shells report it.
const ABORTED: i32 = 130;
/// From the first Ctrl-C to the one that aborts.
const INSISTS_AFTER: Duration = Duration::from_secs(1);

/// Whether the user wants it to end. Cheap to ask and to clone.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    requested: Arc<AtomicBool>,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    EndEarly,
    /// Nothing that is not being done already.
    Nothing,
    Abort,
}

/// What has been asked so far. Times count from anywhere.
#[derive(Debug, Default)]
struct Heard {
    ending: bool,
    first_interrupt: Option<Duration>,
}

impl Heard {
    fn hear(&mut self, signal: i32, at: Duration) -> Wish {
        let insists = |first: Duration| signal == SIGINT && at.saturating_sub(first) >= INSISTS_AFTER;
        if self.first_interrupt.is_some_and(insists) {
            return Wish::Abort;
        }
        if signal == SIGINT {
            self.first_interrupt.get_or_insert(at);
        }
        if std::mem::replace(&mut self.ending, true) { Wish::Nothing } else { Wish::EndEarly }
    }
}

impl Interrupt {
    /// Takes over SIGINT and SIGTERM, and SIGHUP unless the process was started to survive it (`nohup`). What
    /// is to be said of it is said in `program`'s name.
    ///
    /// # Errors
    /// One line: the second time in a process, or if the system refuses.
    pub fn install(program: &'static str) -> Result<Interrupt, String> {
        static INSTALLED: AtomicBool = AtomicBool::new(false);
        if INSTALLED.swap(true, Ordering::Relaxed) {
            return Err("signals: they are taken already".to_owned());
        }
        let interrupt = Interrupt::default();
        let handler = interrupt.clone();
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let hang_up = (!is_ignored(SIGHUP, &status)).then_some(SIGHUP);
        let mut signals = Signals::new([SIGINT, SIGTERM].into_iter().chain(hang_up))
            .map_err(|error| format!("signals: {error}"))?;
        let listen = move || {
            let (mut heard, started) = (Heard::default(), Instant::now());
            for signal in signals.forever() {
                match heard.hear(signal, started.elapsed()) {
                    Wish::EndEarly => {
                        handler.ask();
                        let how = if signal == SIGINT { "once more" } else { "twice" };
                        // On a line of its own, below the one that shows the progress.
                        let _ = std::io::stderr().write_all(b"\n");
                        tell(program, &format!("ending early; Ctrl-C {how} aborts"));
                    }
                    Wish::Nothing => {}
                    Wish::Abort => std::process::exit(ABORTED),
                }
            }
        };
        let thread = std::thread::Builder::new().name("signals".to_owned());
        thread.spawn(listen).map_err(|error| format!("signals: {error}"))?;
        Ok(interrupt)
    }

    /// Whether it should end now.
    pub fn requested(&self) -> bool {
        // A flag orders nothing else.
        self.requested.load(Ordering::Relaxed)
    }

    /// Asks for it to end, as a signal does.
    pub fn ask(&self) {
        self.requested.store(true, Ordering::Relaxed);
    }
}

/// Whether the process ignores `signal`, by its `/proc/self/status`.
fn is_ignored(signal: i32, status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (signal - 1)) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The wishes of signals at these milliseconds.
    fn wishes(signals: &[(i32, u64)]) -> Vec<Wish> {
        let mut heard = Heard::default();
        signals.iter().map(|(signal, at)| heard.hear(*signal, Duration::from_millis(*at))).collect()
    }

    #[test]
    fn the_first_signal_ends_in_order_and_what_comes_with_it_changes_nothing() {
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            for other in [SIGINT, SIGTERM, SIGHUP] {
                let both = wishes(&[(signal, 5000), (other, 5000), (other, 5003), (signal, 5999)]);
                assert_eq!(both, [Wish::EndEarly, Wish::Nothing, Wish::Nothing, Wish::Nothing]);
            }
        }
    }

    #[test]
    fn only_a_second_interrupt_a_second_later_aborts() {
        use Wish::{Abort, EndEarly, Nothing};
        assert_eq!(wishes(&[(SIGINT, 0), (SIGINT, 999), (SIGINT, 1000)]), [EndEarly, Nothing, Abort]);
        // A supervisor that asks again, and again in another way, is no person who insists.
        let asked = wishes(&[(SIGTERM, 0), (SIGTERM, 9000), (SIGHUP, 20_000), (SIGINT, 30_000)]);
        assert_eq!(asked, [EndEarly, Nothing, Nothing, Nothing]);
        assert_eq!(wishes(&[(SIGTERM, 0), (SIGINT, 5000), (SIGINT, 6000)]), [EndEarly, Nothing, Abort]);
    }

    #[test]
    fn whoever_waits_for_the_end_sees_that_it_was_asked_for() {
        let interrupt = Interrupt::default();
        let seen_by_the_run = interrupt.clone();
        assert!(!seen_by_the_run.requested());
        interrupt.ask();
        assert!(seen_by_the_run.requested());
    }

    #[test]
    fn what_the_process_ignores_is_read_from_its_status() {
        let status = "Name:\tx\nSigIgn:\t0000000000000001\nSigCgt:\t0000000000000fff\n";
        assert!(is_ignored(SIGHUP, status) && !is_ignored(SIGINT, status) && !is_ignored(SIGHUP, ""));
    }
}
