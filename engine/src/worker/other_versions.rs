//! Peers that speak another version of the native format. Members of two versions are deaf to each other and take
//! each other for dead, which looks like a broken network: so it is said who spoke, in which version, and what helps.

use std::net::SocketAddr;
use std::time::Duration;

use swimring_codec::native::{DecodeError, VERSION};

use crate::protocol::Time;

/// How often it is said while it lasts.
const SAID_EVERY: Duration = Duration::from_secs(600);

/// When it was said last.
#[derive(Clone, Copy, Debug)]
pub(super) struct OtherVersions {
    said: Time,
}

impl OtherVersions {
    pub(super) const fn new() -> OtherVersions {
        OtherVersions { said: Time::NEVER }
    }

    /// What `from` sent was refused. Says so if the version is why, and it was not said lately.
    #[cold]
    pub(super) fn refused(&mut self, now: Time, from: SocketAddr, error: DecodeError) {
        let DecodeError::Version(theirs) = error else { return };
        if self.is_due(now) {
            tracing::warn!(
                %from, theirs, ours = VERSION,
                "refused what came in another version of the wire format: members of different versions do not \
                 hear each other; run one version in the whole cluster, and if no member lives there, keep other \
                 programs from this port"
            );
        }
    }

    fn is_due(&mut self, now: Time) -> bool {
        let due = self.said == Time::NEVER || now.since(self.said) >= SAID_EVERY;
        if due {
            self.said = now;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_at_once_and_then_every_ten_minutes() {
        let at = |seconds: u64| Time::from_micros(seconds * 1_000_000);
        let mut versions = OtherVersions::new();
        let said: Vec<u64> = (5..1_800).step_by(5).filter(|now| versions.is_due(at(*now))).collect();
        assert_eq!(said, [5, 605, 1_205]);
    }
}
