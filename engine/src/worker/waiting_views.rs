//! Views that members want, and that wait for those under way.
//!
//! At the end of a rush of joins each member asks the one that told it for its view. Of the members of one worker thousands do
//! at the same moment, which is more than there may be streams: so a few go at a time, and the others wait here in the order in which
//! they asked. So do those for push/pulls: where frames carry no roots, members that have joined together ask each for a view.

use std::collections::VecDeque;

use super::members::HostedMember;
use crate::protocol::StreamOpen;

/// Views under way at a time that members of one worker have asked for: they keep the stream thread busy, and leave most streams
/// to others.
const VIEWS_AT_ONCE: usize = 32;

/// Most that wait. Others fail, and are asked for again later.
const VIEWS_WAITING_MAX: usize = 65_536;

/// The views that wait. See the module.
#[derive(Debug, Default)]
pub(super) struct WaitingViews {
    waiting: VecDeque<(HostedMember, StreamOpen)>,
}

impl WaitingViews {
    /// Has the stream that a member asked for wait while so many are `under_way`. Gives it back if it need not, and whether it may
    /// not be opened at all.
    pub(super) fn hold(&mut self, local: HostedMember, open: &StreamOpen, under_way: usize) -> Held {
        if under_way < VIEWS_AT_ONCE && self.waiting.is_empty() {
            return Held::No;
        }
        if self.waiting.len() >= VIEWS_WAITING_MAX {
            return Held::Shed;
        }
        self.waiting.push_back((local, open.clone()));
        Held::Waits
    }

    /// The next to be opened while so many are `under_way`.
    pub(super) fn next(&mut self, under_way: usize) -> Option<(HostedMember, StreamOpen)> {
        if under_way < VIEWS_AT_ONCE { self.waiting.pop_front() } else { None }
    }
}

/// What became of the wish for a view.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Held {
    /// It is to be opened now.
    No,
    /// It waits.
    Waits,
    /// There is no room for it.
    Shed,
}

#[cfg(test)]
mod tests {
    use swimring_codec::MemberId;

    use super::*;
    use crate::protocol::StreamPurpose;

    #[test]
    fn a_few_go_at_a_time_in_the_order_in_which_they_asked() {
        let mut views = WaitingViews::default();
        let to = "127.0.0.1:1".parse().unwrap();
        let open = StreamOpen { to, destination: MemberId::NONE, purpose: StreamPurpose::View };
        assert_eq!(views.hold(0, &open, VIEWS_AT_ONCE - 1), Held::No);
        let held = [1, 2, 3].map(|local| views.hold(local, &open, VIEWS_AT_ONCE));
        assert_eq!(held, [Held::Waits; 3]);
        assert_eq!(views.next(VIEWS_AT_ONCE), None);
        assert_eq!(views.next(VIEWS_AT_ONCE - 1), Some((1, open.clone())));
        assert_eq!(views.hold(4, &open, 0), Held::Waits, "others were before it");
        let rest: Vec<_> = std::iter::from_fn(|| views.next(0)).map(|(local, _)| local).collect();
        assert_eq!(rest, [2, 3, 4]);
    }

    #[test]
    fn no_more_than_so_many_wait() {
        let mut views = WaitingViews::default();
        let to = "127.0.0.1:1".parse().unwrap();
        let open = StreamOpen { to, destination: MemberId::NONE, purpose: StreamPurpose::View };
        let waits = (0..).take_while(|local| views.hold(*local, &open, VIEWS_AT_ONCE) == Held::Waits);
        assert_eq!(waits.count(), VIEWS_WAITING_MAX);
    }
}
