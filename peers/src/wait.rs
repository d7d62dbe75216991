//! Waiting for other processes: there is no signal to wait on, so the condition is looked at again and again.
#![allow(clippy::disallowed_methods, reason = "waits for other processes, in real time")]

use std::time::{Duration, Instant};

use crate::Error;

/// Between two looks at a condition: short against what gossip takes, long against what a look costs.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Waits until a condition holds.
///
/// # Errors
/// [`Error::Timeout`], naming `what`, if it does not hold within `timeout`.
pub fn wait_until(timeout: Duration, what: &str, mut holds: impl FnMut() -> bool) -> Result<(), Error> {
    wait_for(timeout, || what.to_string(), || Ok(holds().then_some(())))
}

/// Waits until `look` finds something, and gives it. An error of `look` ends the wait.
pub(crate) fn wait_for<T>(
    timeout: Duration,
    what: impl Fn() -> String,
    mut look: impl FnMut() -> Result<Option<T>, Error>,
) -> Result<T, Error> {
    let ends = Instant::now() + timeout;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() >= ends {
            return Err(Error::Timeout { what: what(), waited: timeout });
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
}
