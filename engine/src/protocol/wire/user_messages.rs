//! User messages: what an application, or Serf, sends inside memberlist's messages.
//!
//! memberlist itself neither tells user messages on nor knows one from another. So in a plain pool a message
//! of ours carries a small header, by which other Swimring members know it, drop its copies and tell it on;
//! anything else is the application's own affair: it is delivered once and never told on, for it may have
//! been meant for us alone. In a Serf pool the messages are Serf's.

use std::ops::Range;

use swimring_codec::MemberId;
use swimring_codec::native::{EVENT_MAX, UserEvent};
use swimring_codec::serf;
use xxhash_rust::xxh3::xxh3_64;

use super::Wire;
use super::memberlist::Memberlist;
use super::message::{EventBody, EventKey};
use super::options::MemberlistDialect;

/// Longest user message that is kept to be told on. Serf's queries may have 1,024 bytes, and more than a
/// packet holds cannot be gossiped.
pub(in crate::protocol) const USER_MESSAGE_MAX: usize = 1100;

/// Begins a user event of ours in a plain pool: followed by origin (8 bytes), sequence (4), both
/// little-endian, the length of the name (1), the name, and the payload.
const EVENT_MAGIC: [u8; 4] = *b"SWR\x01";
const EVENT_HEADER_LEN: usize = 17;

/// A message of ours in a plain pool; nothing if it is another application's.
pub(in crate::protocol) fn framed(body: &[u8]) -> Option<EventBody<'_>> {
    let rest = body.strip_prefix(&EVENT_MAGIC)?;
    let (origin, rest) = rest.split_first_chunk::<8>()?;
    let (sequence, rest) = rest.split_first_chunk::<4>()?;
    let (name_len, rest) = rest.split_first()?;
    let name_len = usize::from(*name_len);
    std::str::from_utf8(rest.get(..name_len)?).ok()?;
    let payload_at = EVENT_HEADER_LEN + name_len;
    let key =
        EventKey { origin: MemberId(u64::from_le_bytes(*origin)), sequence: u32::from_le_bytes(*sequence) };
    Some(EventBody::Enclosed {
        key,
        body,
        name: EVENT_HEADER_LEN..payload_at,
        payload: payload_at..body.len(),
    })
}

/// A message of which nothing is known but its bytes, `payload` of which are for an application.
pub(in crate::protocol) fn unnamed(body: &[u8], payload: Range<usize>) -> EventBody<'_> {
    let key = EventKey { origin: MemberId(xxh3_64(body)), sequence: 0 };
    EventBody::Enclosed { key, body, name: 0..0, payload }
}

/// A user event of Serf's whose `name` and `payload` lie in `body`.
pub(in crate::protocol) fn serf_event<'a>(
    body: &'a [u8],
    ltime: u64,
    name: &str,
    payload: &[u8],
) -> Option<EventBody<'a>> {
    let key = serf_key(ltime, name, payload);
    let (name, payload) = (range_in(body, name.as_bytes())?, range_in(body, payload)?);
    Some(EventBody::Enclosed { key, body, name, payload })
}

/// Where `part` lies in `whole`, which it was borrowed from.
fn range_in(whole: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let at = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    (at + part.len() <= whole.len()).then_some(at..at + part.len())
}

/// What tells a Serf event from others: its Lamport time, name and payload.
fn serf_key(ltime: u64, name: &str, payload: &[u8]) -> EventKey {
    let mut hasher = xxhash_rust::xxh3::Xxh3Default::new();
    hasher.update(&ltime.to_le_bytes());
    hasher.update(&(name.len() as u64).to_le_bytes());
    hasher.update(name.as_bytes());
    hasher.update(payload);
    EventKey { origin: MemberId(hasher.digest()), sequence: ltime as u32 }
}

impl Wire {
    /// A user event of ours as it travels. `ltime` is its time by Serf's clock, in a pool of Serf's.
    pub(in crate::protocol) fn event_body<'a>(
        &'a mut self,
        event: &'a UserEvent<'a>,
        ltime: u64,
    ) -> Option<EventBody<'a>> {
        match self.memberlist_mut() {
            None => Some(EventBody::Plain(event)),
            Some(memberlist) => memberlist.event_body(event, ltime),
        }
    }
}

impl Memberlist {
    fn event_body(&mut self, event: &UserEvent<'_>, ltime: u64) -> Option<EventBody<'_>> {
        let Memberlist { body, dialect, .. } = self;
        body.clear();
        match dialect {
            MemberlistDialect::Memberlist => {
                body.extend_from_slice(&EVENT_MAGIC);
                body.extend_from_slice(&event.origin.0.to_le_bytes());
                body.extend_from_slice(&event.sequence.to_le_bytes());
                body.push(event.name.len() as u8);
                body.extend_from_slice(event.name.as_bytes());
                body.extend_from_slice(event.payload);
                framed(body)
            }
            MemberlistDialect::Serf => {
                let UserEvent { name, payload, .. } = *event;
                serf::Message::UserEvent { ltime, name, payload, coalesce: false }.encode(body);
                let Ok(serf::Message::UserEvent { name, payload, .. }) = serf::Message::decode(body) else {
                    return None;
                };
                serf_event(body, ltime, name, payload)
            }
        }
    }
}

/// Everything we send as an event fits what is kept of one.
const _: () = assert!(EVENT_MAX + 255 + EVENT_HEADER_LEN < USER_MESSAGE_MAX);
