//! Ctrl-C and SIGTERM: the first ends the run early, with the report of what was measured until then; the
//! second aborts at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::cli::PROGRAM;

/// Exit status of an aborted run: 128 + SIGINT, as shells report it.
const ABORTED: i32 = 130;

/// Whether the user wants the run to end. Cheap to ask and to clone.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    presses: Arc<AtomicU32>,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    EndEarly,
    Abort,
}

impl Interrupt {
    /// Takes over SIGINT, SIGTERM and SIGHUP. Once per process: a second call is an error.
    pub fn install() -> Result<Interrupt, ctrlc::Error> {
        let interrupt = Interrupt::default();
        let handler = interrupt.clone();
        ctrlc::set_handler(move || match handler.press() {
            Wish::EndEarly => {
                eprintln!("\n{PROGRAM}: ending early; once more aborts");
            }
            Wish::Abort => std::process::exit(ABORTED),
        })?;
        Ok(interrupt)
    }

    /// Whether the run should end now.
    pub fn requested(&self) -> bool {
        self.presses.load(Ordering::Relaxed) > 0
    }

    /// Asks as a signal does.
    fn press(&self) -> Wish {
        // A count of signals orders nothing else.
        if self.presses.fetch_add(1, Ordering::Relaxed) == 0 { Wish::EndEarly } else { Wish::Abort }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_press_ends_and_the_second_aborts() {
        let interrupt = Interrupt::default();
        let seen_by_the_run = interrupt.clone();
        assert!(!seen_by_the_run.requested());
        assert_eq!(interrupt.press(), Wish::EndEarly);
        assert!(seen_by_the_run.requested());
        assert_eq!(interrupt.press(), Wish::Abort);
        assert_eq!(interrupt.press(), Wish::Abort);
    }
}
