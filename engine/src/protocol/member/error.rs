//! Why a member or a command is refused, and what a member may be called, be at, and say of itself.

use std::net::SocketAddr;

use swimring_codec::identity::{METADATA_MAX, NAME_MAX, ZONE_MAX};
use swimring_codec::native::{IDENTITY_METADATA_MAX, PublicKey};
use swimring_codec::{AddressFault, canonical};
use thiserror::Error;

use crate::protocol::view::directory::Full;
use crate::protocol::view::zones::ZONES_MAX;

/// Why a member or a command was refused.
#[derive(Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MemberError {
    /// The name is empty.
    #[error("the name is empty: give the member a name")]
    NameEmpty,
    /// Nobody could read the name, or tell it from another that looks like it.
    #[error("the name has only blanks: give the member a name that can be read")]
    NameBlank,
    /// The name would break the lines of every log and list that it is in.
    #[error("the name has a character like a newline in it ({0:?}): leave it out")]
    NameControl(char),
    /// The name is too long.
    #[error("the name has {0} bytes: use at most {NAME_MAX}")]
    NameTooLong(usize),
    /// The metadata is too large.
    #[error("the metadata has {0} bytes: use at most {METADATA_MAX}")]
    MetadataTooLarge(usize),
    /// The metadata is too large beside a key and a signature.
    #[error("the metadata has {0} bytes: use at most {IDENTITY_METADATA_MAX} where members have identities")]
    SignedMetadataTooLarge(usize),
    /// The members of the cluster have identities, and this one was given none.
    #[error("the members of this cluster have identities: give this one a key, too")]
    NoIdentity,
    /// The member was given a key where nobody looks at it.
    #[error("the members of this cluster have no identities: leave the key out")]
    IdentityUnused,
    /// The member would not be admitted by itself.
    #[error("the list of admitted keys does not have the member's own, or has it for another name: add it")]
    NotAdmitted,
    /// The zone's name is too long.
    #[error("the zone has {0} bytes: use at most {ZONE_MAX}")]
    ZoneTooLong(usize),
    /// Nobody could read the zone's name.
    #[error("the zone has only blanks: give it a name that can be read, or leave it out")]
    ZoneBlank,
    /// The zone's name would break the lines of every list that it is in.
    #[error("the zone has a character like a newline in it ({0:?}): leave it out")]
    ZoneControl(char),
    /// The members of the cluster are in too many zones.
    #[error("the cluster has too many zones: use at most {max}", max = ZONES_MAX - 1)]
    TooManyZones,
    /// Another member of the same storage has this name.
    #[error("another member has the same name: names have to be unique in a cluster")]
    NameTaken,
    /// Another member of the same worker has this address.
    #[error("another member has the address {0}: give each its own")]
    AddressTaken(SocketAddr),
    /// The table is full.
    #[error("the member table is full: raise members_max")]
    TableFull,
    /// The event is too large to fit a frame beside other news.
    #[error("the event has {0} bytes, name and payload together: use at most {max}", max = swimring_codec::native::EVENT_MAX)]
    EventTooLarge(usize),
    /// The event's name is one that the protocol keeps for itself.
    #[error("the event's name begins with a zero byte, as none of an application may: leave it out")]
    EventNameReserved,
    /// The event's name is too long.
    #[error("the event's name has {0} bytes: use at most 255")]
    EventNameTooLong(usize),
    /// Too many events are under way.
    #[error(
        "too many user events are under way: send them more slowly or raise events_max and broadcasts_max"
    )]
    TooManyEvents,
    /// Members are behind with the events that are told already: this one would only wait, and have others wait.
    #[error("members are overloaded with user events: send this one again later, and fewer in a second")]
    Overloaded,
    /// The metadata changed faster than the changes could spread.
    #[error("too many versions of the metadata are about: change it more slowly")]
    TooManyVersions,
    /// Nobody can be sent to the address.
    #[error("{0} is no address that others can reach: {1}; give the member one of its machine's, and a port")]
    Address(SocketAddr, AddressFault),
    /// The direct message does not fit a datagram.
    #[error("the message has {bytes} bytes and a datagram on this way takes {fits}: send it over a stream")]
    MessageTooLarge {
        /// Its length.
        bytes: usize,
        /// The length that would do.
        fits: usize,
    },
    /// The direct message does not fit a stream.
    #[error("the message has {0} bytes: use at most {max}", max = swimring_codec::native::DIRECT_STREAM_MAX)]
    MessageTooLong(usize),
    /// A direct message to a member that is not known to be live, or to oneself.
    #[error("no other live member has this name: look at the members first")]
    NotLive,
    /// The wire format does not carry this.
    #[error("members of this wire format do not send each other such messages: use user events")]
    NoDirectMessages,
    /// The member has left.
    #[error("the member has left the cluster")]
    Left,
}

crate::error_text::debug_is_the_sentence!(MemberError);

impl From<Full> for MemberError {
    fn from(full: Full) -> MemberError {
        match full {
            Full::Members => MemberError::TableFull,
            Full::Versions => MemberError::TooManyVersions,
            Full::Zones => MemberError::TooManyZones,
        }
    }
}

/// Whether a member may have this name. Those of others are taken as they come.
pub(crate) fn check_name(name: &str) -> Result<(), MemberError> {
    if name.is_empty() {
        return Err(MemberError::NameEmpty);
    }
    if let Some(control) = name.chars().find(|c| c.is_control()) {
        return Err(MemberError::NameControl(control));
    }
    if name.trim().is_empty() {
        return Err(MemberError::NameBlank);
    }
    if name.len() > NAME_MAX { Err(MemberError::NameTooLong(name.len())) } else { Ok(()) }
}

/// Whether a member may be in a zone of this name; the empty one is none.
pub(crate) fn check_zone(zone: &str) -> Result<(), MemberError> {
    if let Some(control) = zone.chars().find(|c| c.is_control()) {
        return Err(MemberError::ZoneControl(control));
    }
    if !zone.is_empty() && zone.trim().is_empty() {
        return Err(MemberError::ZoneBlank);
    }
    if zone.len() > ZONE_MAX { Err(MemberError::ZoneTooLong(zone.len())) } else { Ok(()) }
}

/// The address in its one form. The formats refuse what nobody could be at.
pub(super) fn check_address(address: SocketAddr) -> Result<SocketAddr, MemberError> {
    match AddressFault::of(address) {
        None => Ok(canonical(address)),
        Some(fault) => Err(MemberError::Address(address, fault)),
    }
}

/// The metadata of a member with this key, whose application's is `metadata`.
pub(super) fn signed_metadata(key: PublicKey, metadata: &[u8]) -> Result<Vec<u8>, MemberError> {
    if metadata.len() > IDENTITY_METADATA_MAX {
        return Err(MemberError::SignedMetadataTooLarge(metadata.len()));
    }
    Ok([&key.0[..], metadata].concat())
}

pub(super) fn check_metadata(metadata: &[u8]) -> Result<(), MemberError> {
    if metadata.len() > METADATA_MAX { Err(MemberError::MetadataTooLarge(metadata.len())) } else { Ok(()) }
}
