//! Why a join through one seed failed.

use thiserror::Error;

use crate::protocol::Refusal;
use crate::stream::CloseReason;

/// Why a stream to join through ended without the seed's view.
#[derive(Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JoinFailure {
    /// The stream ended early.
    #[error("{0}")]
    Closed(CloseReason),
    /// The worker has as many streams open as it may.
    #[error("too many streams are open: raise exchanges_max")]
    TooManyStreams,
    /// The stream thread has as much to do as it may.
    #[error("too many streams are waiting: raise queue_depth")]
    TooManyWaiting,
    /// The seed belongs to another cluster.
    #[error("belongs to another cluster")]
    OtherCluster,
    /// The seed's members have identities, and this one has none.
    #[error("is a cluster whose members have identities: give this one a key (identity_path), too")]
    WithIdentities,
    /// The seed's members have no identities, and this one has one.
    #[error("is a cluster whose members have no identities: leave this one's out, or give all others one")]
    WithoutIdentities,
    /// The pool cannot take this member, or this member the pool.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Of the members that the seed told of, itself among them, none is admitted here.
    #[error(
        "none of the members there is admitted here: look at allowed_networks, and at what the application answers"
    )]
    NobodyAdmitted,
    /// The seed's answer could not be opened.
    #[error("{0}")]
    Sealed(&'static str),
    /// The seed's answer could not be read.
    #[error("answered with something that is no view")]
    Unreadable,
}

crate::error_text::debug_is_the_sentence!(JoinFailure);
