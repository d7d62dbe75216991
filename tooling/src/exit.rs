//! Exit statuses, so that a script can tell a slow cluster from a broken machine.
//!
//! 0 to 2 are what every command uses. 99 for a missed objective is the habit k6 set; 98 stands next
//! to it for a result nobody should read, because the generator was what the run measured.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// 0: done, and every objective met.
    Done = 0,
    /// 1: could not run; one line on standard error says why.
    CouldNotRun = 1,
    /// 2: bad arguments; one line per fault on standard error.
    BadArguments = 2,
    /// 98: the run is invalid, the generator itself was the bottleneck. Outranks 99: objectives
    /// judged on invalid numbers mean nothing.
    Invalid = 98,
    /// 99: an objective given with `--slo` was missed.
    SloMissed = 99,
}

impl Exit {
    /// What a finished run exits with.
    pub const fn of_run(valid: bool, objectives_met: bool) -> Exit {
        match (valid, objectives_met) {
            (false, _) => Exit::Invalid,
            (true, false) => Exit::SloMissed,
            (true, true) => Exit::Done,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_the_documented_ones() {
        let statuses = [Exit::Done, Exit::CouldNotRun, Exit::BadArguments, Exit::Invalid, Exit::SloMissed];
        assert_eq!(statuses.map(|exit| exit as u8), [0, 1, 2, 98, 99]);
    }

    #[test]
    fn an_invalid_run_outranks_a_missed_objective() {
        assert_eq!(Exit::of_run(false, false), Exit::Invalid);
        assert_eq!(Exit::of_run(false, true), Exit::Invalid);
        assert_eq!(Exit::of_run(true, false), Exit::SloMissed);
        assert_eq!(Exit::of_run(true, true), Exit::Done);
    }
}
