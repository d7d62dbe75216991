//! Introductions: everything that is known of a member.
//!
//! The one message that spends bytes on a name, an address, metadata and a zone. It is gossiped when a member
//! is new or has changed, and it is the record of a push/pull. The id in it is checked against the
//! name, so nobody can be introduced under another member's id.

use std::net::{Ipv6Addr, SocketAddr};

use zerocopy::IntoBytes;
use zerocopy::little_endian::U16;

use super::DecodeError;
use super::layout::{self, IntroductionHeader, kind};
use super::parts::{member, take, take_bytes, text, update};
use crate::identity::{METADATA_MAX, NAME_MAX, ZONE_MAX, ip_bytes};
use crate::{AddressFault, Incarnation, MemberId, State};

/// Bytes of an introduction without its name, metadata and zone.
pub const INTRODUCTION_HEADER_LEN: usize = size_of::<IntroductionHeader>();

/// Everything that is known of a member: what a receiver needs to add it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Introduction<'a> {
    /// The member. Always the id of `name`.
    pub subject: MemberId,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// Its state. Gossip introduces only alive members; push/pull all of them.
    pub state: State,
    /// Its address for datagrams and streams: a port other than zero of a specified IP address. IPv6
    /// flow labels and scope ids do not travel.
    pub address: SocketAddr,
    /// 1 to [`NAME_MAX`] bytes.
    pub name: &'a str,
    /// 0 to [`METADATA_MAX`] bytes.
    pub metadata: &'a [u8],
    /// 0 to [`ZONE_MAX`] bytes. Empty for a member without a zone.
    pub zone: &'a str,
}

impl Introduction<'_> {
    /// Bytes on the wire.
    pub const fn encoded_len(name_len: usize, metadata_len: usize, zone_len: usize) -> usize {
        INTRODUCTION_HEADER_LEN + name_len + metadata_len + zone_len
    }

    /// Bytes of this one on the wire.
    pub const fn wire_len(&self) -> usize {
        Self::encoded_len(self.name.len(), self.metadata.len(), self.zone.len())
    }
}

/// IPv4 travels as an IPv4-mapped IPv6 address. An address that nobody can be at is refused.
#[inline]
fn address_from(header: &IntroductionHeader) -> Result<SocketAddr, DecodeError> {
    let ip = Ipv6Addr::from(header.address).to_canonical();
    let address = SocketAddr::new(ip, header.port.get());
    if reachable(address) { Ok(address) } else { Err(DecodeError::Field("address")) }
}

#[inline]
fn reachable(address: SocketAddr) -> bool {
    AddressFault::of(address).is_none()
}

impl<'a> Introduction<'a> {
    /// Takes an introduction, which is also a push/pull record, off the front of `bytes`.
    #[inline]
    pub(super) fn take(bytes: &mut &'a [u8]) -> Result<Introduction<'a>, DecodeError> {
        let header = take::<IntroductionHeader>(bytes)?;
        if header.update.kind != kind::INTRODUCTION {
            return Err(DecodeError::Kind(header.update.kind));
        }
        let zone_len = usize::from(header.update.tag);
        let name_len = usize::from(header.name_len);
        let metadata_len = usize::from(header.metadata_len.get());
        if name_len == 0 || name_len > NAME_MAX {
            return Err(DecodeError::Field("name length"));
        }
        if metadata_len > METADATA_MAX {
            return Err(DecodeError::Field("metadata length"));
        }
        if zone_len > ZONE_MAX {
            return Err(DecodeError::Field("zone length"));
        }
        let name = take_bytes(bytes, name_len)?;
        let metadata = take_bytes(bytes, metadata_len)?;
        let zone = take_bytes(bytes, zone_len)?;
        let name = text(name, "name")?;
        let subject = member(header.update.subject, "subject")?;
        if MemberId::of_name(name) != subject {
            return Err(DecodeError::Field("subject is not the id of the name"));
        }
        Ok(Introduction {
            subject,
            incarnation: layout::incarnation_from(header.update.incarnation),
            state: State::from_u8(header.state).ok_or(DecodeError::Field("state"))?,
            address: address_from(header)?,
            name,
            metadata,
            zone: text(zone, "zone")?,
        })
    }

    /// Whether this may be written: what a receiver would refuse is not sent.
    pub(super) fn is_valid(&self) -> bool {
        !self.name.is_empty()
            && self.name.len() <= NAME_MAX
            && self.metadata.len() <= METADATA_MAX
            && self.zone.len() <= ZONE_MAX
            && reachable(self.address)
            && self.subject == MemberId::of_name(self.name)
    }

    /// Writes to `out`, which has exactly the encoded length.
    pub(super) fn encode(&self, out: &mut [u8]) -> Option<()> {
        if self.is_valid() { self.write(out) } else { None }
    }

    /// Appends it to `out`, as a record is written. False, and nothing appended, if it breaks a rule of the format.
    pub fn append(&self, out: &mut Vec<u8>) -> bool {
        let at = out.len();
        if !self.is_valid() {
            return false;
        }
        out.resize(at + self.wire_len(), 0);
        self.write(&mut out[at..]).is_some()
    }

    /// Writes a valid introduction to `out`, which has exactly the encoded length.
    pub(super) fn write(&self, out: &mut [u8]) -> Option<()> {
        let header = IntroductionHeader {
            update: update(kind::INTRODUCTION, self.zone.len() as u8, self.incarnation, self.subject)?,
            address: ip_bytes(self.address.ip()),
            port: U16::new(self.address.port()),
            name_len: self.name.len() as u8,
            state: self.state as u8,
            metadata_len: U16::new(self.metadata.len() as u16),
        };
        header.write_to_prefix(out).ok()?;
        let (name, rest) = out[INTRODUCTION_HEADER_LEN..].split_at_mut(self.name.len());
        let (metadata, zone) = rest.split_at_mut(self.metadata.len());
        name.copy_from_slice(self.name.as_bytes());
        metadata.copy_from_slice(self.metadata);
        zone.copy_from_slice(self.zone.as_bytes());
        Some(())
    }
}
