//! User messages: what an application, or Serf, sends inside memberlist's messages.
//!
//! memberlist itself neither tells user messages on nor knows one from another. So in a plain pool a message
//! of ours carries a small header, by which other Swimring members know it, drop its copies and tell it on;
//! anything else is the application's own affair: it is delivered once and never told on, for it may have
//! been meant for us alone. In a Serf pool the messages are Serf's: user events are delivered and told on;
//! intents and queries of others are told on as every Serf member does; the rest is not for us.

use std::ops::Range;

use swimring_codec::MemberId;
use swimring_codec::native::{EVENT_MAX, UserEvent};
use swimring_codec::serf;
use xxhash_rust::xxh3::xxh3_64;

use super::options::MemberlistDialect;
use super::{MemberlistWire, Wire};
use crate::protocol::dissemination::user_events::EventKey;
use crate::protocol::member::{Context, Member};

/// Longest user message that is kept to be told on. Serf's queries may have 1,024 bytes, and more than a
/// packet holds cannot be gossiped.
pub(in crate::protocol) const USER_MESSAGE_MAX: usize = 1100;

/// Begins a user event of ours in a plain pool: followed by origin (8 bytes), sequence (4), both
/// little-endian, the length of the name (1), the name, and the payload.
const EVENT_MAGIC: [u8; 4] = *b"SWR\x01";
const EVENT_HEADER_LEN: usize = 17;

/// What a user message is to us.
struct Heard {
    key: EventKey,
    /// Name and payload within the body, of what is delivered.
    event: Option<(Range<usize>, Range<usize>)>,
    /// Whether it is told on.
    spread: bool,
}

impl Heard {
    /// Of a message in a plain pool.
    fn plain(body: &[u8]) -> Heard {
        Heard::framed(body).unwrap_or(Heard {
            key: EventKey { origin: MemberId(xxh3_64(body)), sequence: 0 },
            event: Some((0..0, 0..body.len())),
            spread: false,
        })
    }

    /// One of ours.
    fn framed(body: &[u8]) -> Option<Heard> {
        let rest = body.strip_prefix(&EVENT_MAGIC)?;
        let (origin, rest) = rest.split_first_chunk::<8>()?;
        let (sequence, rest) = rest.split_first_chunk::<4>()?;
        let (name_len, rest) = rest.split_first()?;
        let name_len = usize::from(*name_len);
        std::str::from_utf8(rest.get(..name_len)?).ok()?;
        let payload_at = EVENT_HEADER_LEN + name_len;
        Some(Heard {
            key: EventKey {
                origin: MemberId(u64::from_le_bytes(*origin)),
                sequence: u32::from_le_bytes(*sequence),
            },
            event: Some((EVENT_HEADER_LEN..payload_at, payload_at..body.len())),
            spread: true,
        })
    }
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

/// Serf's flag of a query that is not to be told on.
const QUERY_NO_BROADCAST: u32 = 2;

impl Member {
    /// A user message arrived, in a packet or over a stream.
    pub(super) fn on_user_message(&mut self, cx: &mut Context<'_, '_>, body: &[u8]) {
        let Wire::Memberlist(wire) = &cx.commons.wire else { return };
        if body.len() > USER_MESSAGE_MAX {
            cx.commons.counters.user_messages_too_long += 1;
            return;
        }
        let heard = match wire.options.dialect {
            MemberlistDialect::Memberlist => Some(Heard::plain(body)),
            MemberlistDialect::Serf => self.on_serf_message(cx, body),
        };
        let Some(Heard { key, event, spread }) = heard else { return };
        let deliver = event.is_some();
        self.on_event_body(cx, key, body, event.unwrap_or_default(), deliver, spread);
    }

    /// What a Serf message is to us; nothing if it is not to be kept.
    fn on_serf_message(&mut self, cx: &mut Context<'_, '_>, body: &[u8]) -> Option<Heard> {
        let Ok(message) = serf::Message::decode(body) else {
            cx.commons.counters.decode_errors += 1;
            return None;
        };
        let told_on = || Heard {
            key: EventKey { origin: MemberId(xxh3_64(body)), sequence: 0 },
            event: None,
            spread: true,
        };
        match message {
            serf::Message::UserEvent { ltime, name, payload, .. } => {
                self.serf.witness_event(ltime);
                let event = (range_in(body, name.as_bytes())?, range_in(body, payload)?);
                Some(Heard { key: serf_key(ltime, name, payload), event: Some(event), spread: true })
            }
            serf::Message::JoinIntent { ltime, .. } => {
                self.serf.witness(ltime);
                Some(told_on())
            }
            serf::Message::LeaveIntent { ltime, node, .. } => {
                self.serf.witness(ltime);
                if MemberId::of_name(node) != self.id {
                    return Some(told_on());
                }
                // Someone has us leave, and we live: say so, and do not tell it on.
                if self.is_active() && self.serf.is_news_about_us(ltime) {
                    self.tell_join_intent(cx);
                }
                None
            }
            serf::Message::Query(query) => (query.flags & QUERY_NO_BROADCAST == 0).then(told_on),
            _ => {
                cx.commons.counters.user_messages_ignored += 1;
                None
            }
        }
    }

    /// Queues a message of Serf's that is about ourselves.
    fn tell_serf(&mut self, cx: &mut Context<'_, '_>, message: &serf::Message<'_>) -> Option<u32> {
        let Wire::Memberlist(wire) = &mut cx.commons.wire else { return None };
        let mut body = std::mem::take(&mut wire.body);
        body.clear();
        message.encode(&mut body);
        let key = EventKey { origin: MemberId(xxh3_64(&body)), sequence: 0 };
        let at = self.tell_body(cx, key, &body, (0..0, 0..0));
        if let Wire::Memberlist(wire) = &mut cx.commons.wire {
            wire.body = body;
        }
        at
    }

    /// Serf members say when, by their clocks, they have joined, so that no older intent to leave is taken
    /// for a newer one.
    pub(super) fn tell_join_intent(&mut self, cx: &mut Context<'_, '_>) {
        let name = cx.commons.directory.name(self.index).to_owned();
        let ltime = self.serf.stated();
        self.tell_serf(cx, &serf::Message::JoinIntent { ltime, node: &name });
    }

    /// Serf takes whoever departs without having said this for failed. Gives the event that tells it.
    pub(in crate::protocol) fn tell_leave_intent(&mut self, cx: &mut Context<'_, '_>) -> Option<u32> {
        let serf = matches!(&cx.commons.wire, Wire::Memberlist(wire) if wire.options.dialect == MemberlistDialect::Serf);
        if !serf {
            return None;
        }
        let name = cx.commons.directory.name(self.index).to_owned();
        let ltime = self.serf.next();
        self.tell_serf(cx, &serf::Message::LeaveIntent { ltime, node: &name, prune: false })
    }

    /// Puts an event of ours together as the pool has it, and gives its key and where name and payload are.
    pub(in crate::protocol) fn compose_event(
        &mut self,
        wire: &mut MemberlistWire,
        event: &UserEvent<'_>,
    ) -> Option<(EventKey, Range<usize>, Range<usize>)> {
        let MemberlistWire { body, options, .. } = wire;
        body.clear();
        match options.dialect {
            MemberlistDialect::Memberlist => {
                body.extend_from_slice(&EVENT_MAGIC);
                body.extend_from_slice(&event.origin.0.to_le_bytes());
                body.extend_from_slice(&event.sequence.to_le_bytes());
                body.push(event.name.len() as u8);
                body.extend_from_slice(event.name.as_bytes());
                body.extend_from_slice(event.payload);
                let Heard { key, event, .. } = Heard::framed(body)?;
                event.map(|(name, payload)| (key, name, payload))
            }
            MemberlistDialect::Serf => {
                let ltime = self.serf.next_event();
                let UserEvent { name, payload, .. } = *event;
                serf::Message::UserEvent { ltime, name, payload, coalesce: false }.encode(body);
                let Ok(serf::Message::UserEvent { name, payload, .. }) = serf::Message::decode(body) else {
                    return None;
                };
                let ranges = (range_in(body, name.as_bytes())?, range_in(body, payload)?);
                Some((serf_key(ltime, name, payload), ranges.0, ranges.1))
            }
        }
    }
}

/// Everything we send as an event fits what is kept of one.
const _: () = assert!(EVENT_MAX + 255 + EVENT_HEADER_LEN < USER_MESSAGE_MAX);
