//! What can go wrong with other people's programs, each as one line that says what to do or what they said.

use std::path::PathBuf;
use std::time::Duration;

/// Why a peer could not be started or did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program has not been built.
    #[error("{path} is missing: run peers/build {name}", path = path.display())]
    NotBuilt {
        /// The name that `peers/build` knows it by.
        name: &'static str,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Something of the operating system's failed.
    #[error("{what}: {source}")]
    Os {
        /// What was being done.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The process ended by itself.
    #[error("{program} has ended; the end of its log:\n{log}")]
    Ended {
        /// Which program.
        program: String,
        /// The last lines that it logged.
        log: String,
    },
    /// The process answered a command with an error.
    #[error("{program} refused {command}: {reason}")]
    Refused {
        /// Which program.
        program: String,
        /// The command, as it was sent.
        command: String,
        /// Its own words.
        reason: String,
    },
    /// The process said something that is not what was asked for.
    #[error("{program} answered {command} with something else: {answer}")]
    Unintelligible {
        /// Which program.
        program: String,
        /// The command, as it was sent.
        command: String,
        /// The beginning of what it said.
        answer: String,
    },
    /// What was waited for did not come.
    #[error("after {} s still waiting for {what}", waited.as_secs_f32())]
    Timeout {
        /// What should have come.
        what: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// A part of the machine that is needed is not there.
    #[error("{0}")]
    Unavailable(String),
}

impl Error {
    /// Names what was being done, around an error of the operating system: `.map_err(Error::os("open the log"))`.
    pub(crate) fn os(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
        let what = what.into();
        |source| Error::Os { what, source }
    }
}
