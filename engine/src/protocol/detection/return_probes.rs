//! Returned probes: a member that was pinged sees a little later whether the one that pinged it is still there.
//!
//! SWIM's members choose whom to probe each for itself, so the probes of one member come at random: about
//! one per interval on average, but after a crash the first fails to come for 4.6 intervals in one case of a
//! hundred. With adaptive suspicion a member chooses only every second interval, and returns each ping that
//! was its sender's own choice two intervals after it came. A member that lives sends one such ping
//! every two intervals, to someone drawn by chance, and so by its own pings it has itself watched: after a
//! crash the one it pinged last probes it within two intervals, surely and not on average. The
//! number of probes stays the same: each member chooses one and returns one on average in two intervals.
//! A returned ping is marked as such in its sequence number, and is not returned in turn.

use std::time::Duration;

use swimring_codec::MemberId;

use crate::protocol::state::{Context, Core, Status};
use crate::protocol::time::Time;
use crate::protocol::view::directory::MemberIndex;

/// Most members watched at once by a member; on average it is one. More are not watched, and counted: they
/// are probed by others.
const WATCHED_MAX: usize = 6;

/// How long a watch waits at a time while the member's other return is under way.
const RETRY: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug)]
struct Watched {
    id: MemberId,
    due: Time,
}

/// Pings that a member will return.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct ReturnProbes {
    watched: [Watched; WATCHED_MAX],
    len: u8,
    due: Time,
}

impl ReturnProbes {
    pub(in crate::protocol) const NONE: ReturnProbes = ReturnProbes {
        watched: [Watched { id: MemberId::NONE, due: Time::NEVER }; WATCHED_MAX],
        len: 0,
        due: Time::NEVER,
    };

    /// When the first is to be probed.
    #[inline]
    pub(in crate::protocol) fn due(&self) -> Time {
        self.due
    }

    /// `source` has pinged us by its own choice: probes it in two intervals.
    pub(in crate::protocol) fn pinged_by(&mut self, core: &Core, cx: &mut Context<'_, '_>, source: MemberId) {
        if source.is_none() || core.status != Status::Active {
            return;
        }
        let (overload, highest) = (cx.shared.overload, core.settings.local_health_max);
        let interval = core.health.scale(core.chosen_probe_interval(), overload, highest);
        self.probe_at(cx, source, cx.now + interval);
    }

    /// Probes `id` at `due`. False if too many are watched already.
    pub(in crate::protocol) fn probe_at(
        &mut self,
        cx: &mut Context<'_, '_>,
        id: MemberId,
        due: Time,
    ) -> bool {
        let room = self.add(id, due);
        cx.shared.counters.watches_shed += u64::from(!room);
        room
    }

    /// The member to probe now, and when that probe ends; none while another return, which ends at `busy_until`, is
    /// under way.
    pub(in crate::protocol) fn next(
        &mut self,
        core: &Core,
        cx: &mut Context<'_, '_>,
        busy_until: Option<Time>,
    ) -> Option<(MemberIndex, Time)> {
        while self.due <= cx.now {
            if let Some(end) = busy_until {
                let until = end.min(cx.now + RETRY).max(cx.now + Duration::from_millis(1));
                self.postpone(cx.now, until);
                return None;
            }
            let id = self.take(cx.now)?;
            let target = cx.shared.directory.find(id);
            let live = target.filter(|target| *target != core.index && core.table.get(*target).is_live());
            let (Some(target), Status::Active) = (live, core.status) else { continue };
            let (overload, highest) = (cx.shared.overload, core.settings.local_health_max);
            let interval = core.health.scale(core.settings.probe_interval, overload, highest);
            cx.shared.counters.probes_returned += 1;
            return Some((target, cx.now + interval));
        }
        None
    }

    /// Watches `id` until `due`, in place of an earlier watch. False if there are too many.
    fn add(&mut self, id: MemberId, due: Time) -> bool {
        let len = usize::from(self.len);
        if let Some(watched) = self.watched[..len].iter_mut().find(|watched| watched.id == id) {
            watched.due = due;
        } else if len < WATCHED_MAX {
            self.watched[len] = Watched { id, due };
            self.len += 1;
        } else {
            return false;
        }
        self.update_due();
        true
    }

    /// Takes out one that is due at `now`.
    fn take(&mut self, now: Time) -> Option<MemberId> {
        let at = self.watched[..usize::from(self.len)].iter().position(|watched| watched.due <= now)?;
        let id = self.watched[at].id;
        self.len -= 1;
        self.watched[at] = self.watched[usize::from(self.len)];
        self.update_due();
        Some(id)
    }

    /// Those that are due wait until `until`.
    fn postpone(&mut self, now: Time, until: Time) {
        let len = usize::from(self.len);
        self.watched[..len].iter_mut().filter(|watched| watched.due <= now).for_each(|late| late.due = until);
        self.update_due();
    }

    fn update_due(&mut self) {
        let dues = self.watched[..usize::from(self.len)].iter().map(|watched| watched.due);
        self.due = dues.min().unwrap_or(Time::NEVER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_micros(millis * 1000)
    }

    #[test]
    fn watches_are_renewed_bounded_and_taken_in_time() {
        let mut watch = ReturnProbes::NONE;
        assert!(watch.add(MemberId(1), at(5)));
        assert!(watch.add(MemberId(2), at(3)));
        assert!(watch.add(MemberId(1), at(9)), "renewed");
        assert_eq!((watch.due(), watch.take(at(2))), (at(3), None));
        assert_eq!((watch.take(at(4)), watch.take(at(4)), watch.due()), (Some(MemberId(2)), None, at(9)));
        watch.postpone(at(9), at(12));
        assert_eq!((watch.due(), watch.take(at(12)), watch.due()), (at(12), Some(MemberId(1)), Time::NEVER));
        for id in 0..WATCHED_MAX as u64 {
            assert!(watch.add(MemberId(id + 1), at(id)));
        }
        assert!(!watch.add(MemberId(99), at(1)), "one too many");
        assert_eq!(watch.due(), at(0));
    }
}
