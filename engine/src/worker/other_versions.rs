//! Peers that speak another version of the native format. Members of two versions are deaf to each other and take
//! each other for dead, which looks like a broken network: so it is said who spoke, in which version, and what helps.

use std::net::SocketAddr;

use swimring_codec::native::{DecodeError, VERSION};

use super::repeated_warning::RepeatedWarning;
use crate::protocol::Time;

/// When it was said last.
#[derive(Clone, Copy, Debug)]
pub(super) struct OtherVersions {
    said: RepeatedWarning,
}

impl OtherVersions {
    pub(super) const fn new() -> OtherVersions {
        OtherVersions { said: RepeatedWarning::new() }
    }

    /// What `from` sent was refused. Says so if the version is why, and it was not said lately.
    #[cold]
    pub(super) fn refused(&mut self, now: Time, from: SocketAddr, error: DecodeError) {
        let DecodeError::Version(theirs) = error else { return };
        if self.said.is_due(now) {
            tracing::warn!(
                %from, theirs, ours = VERSION,
                "refused what came in another version of the wire format: members of different versions do not \
                 hear each other; run one version in the whole cluster, and if no member lives there, keep other \
                 programs from this port"
            );
        }
    }
}
