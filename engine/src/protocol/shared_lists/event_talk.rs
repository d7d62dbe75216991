//! What the messages of one frame ask about user events, until all of them are read: they are answered together.

use swimring_codec::native::{EVENT_REPAIR_LEN, EventId, EventSum, FRAME_MAX, HEADER_LEN};

use crate::protocol::event::EventIndex;

/// Messages about events that were missed that one frame holds.
pub(in crate::protocol) const EVENT_MESSAGES_MAX: usize = (FRAME_MAX - HEADER_LEN) / EVENT_REPAIR_LEN;

/// Most ids that one answer lists.
pub(in crate::protocol) const LISTED_MAX: usize = 4 * EVENT_MESSAGES_MAX;

/// See the module. Lists that keep their memory.
#[derive(Debug)]
pub(in crate::protocol) struct EventTalk {
    /// What the sender's events sum to.
    pub(in crate::protocol) sums: Vec<EventSum>,
    /// What the sender knows and we do not.
    pub(in crate::protocol) unknown: Vec<EventId>,
    /// What the sender wants of what we know.
    pub(in crate::protocol) wanted: Vec<EventIndex>,
    /// Filled while answering: what we know of the parts that differ.
    pub(in crate::protocol) listed: Vec<EventId>,
}

impl EventTalk {
    pub(in crate::protocol) fn new() -> EventTalk {
        EventTalk {
            sums: Vec::with_capacity(EVENT_MESSAGES_MAX),
            unknown: Vec::with_capacity(EVENT_MESSAGES_MAX),
            wanted: Vec::with_capacity(EVENT_MESSAGES_MAX),
            listed: Vec::with_capacity(LISTED_MAX),
        }
    }

    /// Without memory: stands in while the lists are in use.
    pub(in crate::protocol) const fn none() -> EventTalk {
        EventTalk { sums: Vec::new(), unknown: Vec::new(), wanted: Vec::new(), listed: Vec::new() }
    }

    pub(in crate::protocol) fn clear(&mut self) {
        self.sums.clear();
        self.unknown.clear();
        self.wanted.clear();
        self.listed.clear();
    }

    /// Whether there is nothing to answer.
    #[inline]
    pub(in crate::protocol) fn is_empty(&self) -> bool {
        self.sums.is_empty() && self.unknown.is_empty() && self.wanted.is_empty()
    }
}

/// Adds `item` if it is among the first that one frame can hold.
pub(in crate::protocol) fn note<T>(list: &mut Vec<T>, item: T) {
    if list.len() < EVENT_MESSAGES_MAX {
        list.push(item);
    }
}
