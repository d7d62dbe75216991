//! What can go wrong when a cluster is started or asked for something, in words that say what to do instead.

use std::path::PathBuf;
use std::time::Duration;
use swimring_codec::memberlist::KeyError;

use thiserror::Error;

use super::join::JoinError;
use crate::protocol::{MemberError, StateError};
use crate::worker::{FleetError, MessageFailure, QueueRefusal};

/// Why a [`Cluster`](super::Cluster) could not start, or did not do what it was asked.
#[derive(Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// A setting cannot be used.
    #[error("{setting} {expected}")]
    Setting {
        /// As it is spelled in files.
        setting: String,
        /// The values that would do.
        expected: String,
    },
    /// A settings file cannot be used. Only with the feature `toml`.
    #[error("settings file {}: {reason}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// The fault, on one line.
        reason: String,
    },
    /// The sockets, threads or protocol settings: a port in use, for instance.
    #[error(transparent)]
    Start(StartError),
    /// The member refused: a name too long, metadata too large, an event too large.
    #[error(transparent)]
    Refused(MemberError),
    /// Shared state was not changed: a value too long, too much of it, a key that has changed meanwhile.
    #[error(transparent)]
    State(#[from] StateError),
    /// The keys cannot be changed so.
    #[error(transparent)]
    Key(KeyError),
    /// A join failed.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// The member has left.
    #[error("the member has left the cluster: join again first")]
    Left,
    /// Leaving took longer than it was given. The member goes on telling until it is shut down.
    #[error(
        "not everyone could be told of the leave within {0:?}: give it more time, or shut down regardless"
    )]
    LeaveTimedOut(Duration),
    /// Telling an event took longer than it was waited for. It goes on.
    #[error("the event has not been told within {0:?}: wait longer, or go on, it is still being told")]
    EventTimedOut(Duration),
    /// A direct message was not delivered.
    #[error("the message was not delivered: {0}")]
    Undelivered(MessageFailure),
    /// A question was not replied to.
    #[error("there is no reply: {0}")]
    NoReply(MessageFailure),
    /// A direct message took longer than it was waited for. It goes on.
    #[error(
        "the message has not been acknowledged within {0:?}: wait longer, or go on, it is still on its way"
    )]
    MessageTimedOut(Duration),
    /// Too many direct messages wait for their receiver.
    #[error("too many messages wait for their receivers: wait until some have been delivered, or await room")]
    QueueFull,
    /// The question was replied to before.
    #[error("the question has its reply: reply to each once")]
    Replied,
    /// The snapshot does not have it.
    #[error("the snapshot could not be written: {0}; make room or mend the disk, it is tried again")]
    NotWritten(String),
    /// More subscribers than there may be.
    #[error("{0} subscribers are the most there may be: drop one first")]
    TooManySubscribers(usize),
    /// Too much is asked of the member at once.
    #[error("too many calls are waiting: call less often")]
    Busy,
    /// It was shut down, or its thread has ended.
    #[error("the cluster has been shut down: start a new one")]
    Stopped,
}

/// Why the sockets, the threads or the protocol could not start: one line that says what to change.
#[derive(Error)]
#[error(transparent)]
pub struct StartError(FleetError);

crate::error_text::debug_is_the_sentence!(ClusterError, StartError);

impl ClusterError {
    pub(super) fn setting(setting: impl Into<String>, expected: impl Into<String>) -> ClusterError {
        ClusterError::Setting { setting: setting.into(), expected: expected.into() }
    }
}

impl From<MemberError> for ClusterError {
    fn from(error: MemberError) -> ClusterError {
        match error {
            MemberError::Left => ClusterError::Left,
            other => ClusterError::Refused(other),
        }
    }
}

impl From<QueueRefusal> for ClusterError {
    fn from(refusal: QueueRefusal) -> ClusterError {
        match refusal {
            QueueRefusal::Member(error) => error.into(),
            QueueRefusal::Full => ClusterError::QueueFull,
        }
    }
}

impl From<FleetError> for ClusterError {
    fn from(error: FleetError) -> ClusterError {
        match error {
            FleetError::Stopped { .. } => ClusterError::Stopped,
            FleetError::Busy(_) => ClusterError::Busy,
            other => ClusterError::Start(StartError(other)),
        }
    }
}
