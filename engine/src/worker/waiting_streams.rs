//! What happens on streams, in an order that does not hold datagrams up: a whole view takes tens of milliseconds to merge, and
//! waits while datagrams lie unread. All else does not, since what a host says of a member that is gone is part of it.

use std::collections::VecDeque;

use crate::stream::StreamEvent;

/// Messages of more bytes wait.
const LONG_BYTES: usize = 64 << 10;

/// Most events that wait: long messages, and what follows them. More are left with the stream thread, and so is all that
/// comes after them.
const WAITING_MAX: usize = 16;

/// The events that wait.
#[derive(Debug)]
pub(super) struct WaitingStreams(VecDeque<StreamEvent>);

impl WaitingStreams {
    pub(super) fn new() -> WaitingStreams {
        WaitingStreams(VecDeque::with_capacity(WAITING_MAX))
    }

    /// The next event, of those that have waited and those that `poll` gives; `behind` says whether datagrams lie unread.
    /// What one exchange says stays in order.
    pub(super) fn next(
        &mut self,
        behind: bool,
        mut poll: impl FnMut() -> Option<StreamEvent>,
    ) -> Option<StreamEvent> {
        if !behind && let Some(waited) = self.0.pop_front() {
            return Some(waited);
        }
        while self.0.len() < WAITING_MAX {
            let event = poll()?;
            let long = event.message_len() > LONG_BYTES;
            let follows = self.0.iter().any(|waiting| waiting.exchange() == event.exchange());
            if !behind || !long && !follows {
                return Some(event);
            }
            self.0.push_back(event);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::stream::{CloseReason, ExchangeId};

    fn message(exchange: u64, bytes: usize) -> StreamEvent {
        let (from, exchange) = (SocketAddr::from(([127, 0, 0, 1], 1)), ExchangeId::numbered(exchange));
        StreamEvent::Message { exchange, token: None, from, local: from, bytes: vec![0; bytes] }
    }

    fn closed(exchange: u64) -> StreamEvent {
        let reason = CloseReason::PeerClosed;
        StreamEvent::Closed { exchange: ExchangeId::numbered(exchange), token: None, reason }
    }

    fn seen(event: Option<StreamEvent>) -> Option<(ExchangeId, usize)> {
        event.map(|event| (event.exchange(), event.message_len()))
    }

    #[test]
    fn long_messages_wait_and_what_follows_them_too() {
        let [one, two, three] = [1, 2, 3].map(ExchangeId::numbered);
        let long = LONG_BYTES + 1;
        let mut events = VecDeque::from([
            message(1, long),
            message(2, LONG_BYTES),
            closed(1),
            closed(2),
            message(3, long),
        ]);
        let mut waiting = WaitingStreams::new();
        let mut next = |behind| seen(waiting.next(behind, || events.pop_front()));
        assert_eq!(next(true), Some((two, LONG_BYTES)));
        assert_eq!(next(true), Some((two, 0)));
        assert_eq!(next(true), None);
        assert_eq!(next(false), Some((one, long)));
        assert_eq!(next(true), None, "behind again");
        assert_eq!([next(false), next(false), next(false)], [Some((one, 0)), Some((three, long)), None]);
    }

    #[test]
    fn so_many_wait_and_the_rest_is_left_where_it_is() {
        let mut events: VecDeque<StreamEvent> = (0..40).map(|nth| message(nth, LONG_BYTES + 1)).collect();
        let mut waiting = WaitingStreams::new();
        assert!(waiting.next(true, || events.pop_front()).is_none());
        assert_eq!(events.len(), 40 - WAITING_MAX);
        let all = std::iter::from_fn(|| waiting.next(false, || events.pop_front()));
        let order: Vec<ExchangeId> = all.map(|event| event.exchange()).collect();
        assert_eq!(order, (0..40).map(ExchangeId::numbered).collect::<Vec<_>>());
    }
}
