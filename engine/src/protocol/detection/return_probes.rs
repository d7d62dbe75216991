//! Returned probes: whoever was pinged by a member sees a little later whether it is still there.
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

use crate::protocol::detection::probe::Slot;
use crate::protocol::member::Member;
use crate::protocol::state::{Context, Status};
use crate::protocol::time::Time;

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

/// Whom a member watches.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Watch {
    watched: [Watched; WATCHED_MAX],
    len: u8,
    due: Time,
}

impl Watch {
    pub(in crate::protocol) const NONE: Watch = Watch {
        watched: [Watched { id: MemberId::NONE, due: Time::NEVER }; WATCHED_MAX],
        len: 0,
        due: Time::NEVER,
    };

    /// When the first is to be probed.
    #[inline]
    pub(in crate::protocol) fn due(&self) -> Time {
        self.due
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

    /// Whoever is due waits until `until`.
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

impl Member {
    /// `source` has pinged us by its own choice: sees after it in two intervals.
    pub(in crate::protocol) fn watch(&mut self, cx: &mut Context<'_, '_>, source: MemberId) {
        if source.is_none() || self.core.status != Status::Active {
            return;
        }
        let (overload, highest) = (cx.shared.overload, self.core.settings.local_health_max);
        let interval = self.core.health.scale(self.core.settings.chosen_probe_interval(), overload, highest);
        self.watch_until(cx, source, cx.now + interval);
    }

    /// Probes `id` at `due`.
    pub(in crate::protocol) fn watch_until(&mut self, cx: &mut Context<'_, '_>, id: MemberId, due: Time) {
        if !self.watch.add(id, due) {
            cx.shared.counters.watches_shed += 1;
        }
    }

    /// Probes whoever is due.
    pub(in crate::protocol) fn watch_timeout(&mut self, cx: &mut Context<'_, '_>) {
        while self.watch.due() <= cx.now {
            if let Some(end) = self.probe.busy_until(Slot::Return) {
                let until = end.min(cx.now + RETRY).max(cx.now + Duration::from_millis(1));
                return self.watch.postpone(cx.now, until);
            }
            let Some(id) = self.watch.take(cx.now) else { return };
            let target = cx.shared.directory.find(id);
            let live =
                target.filter(|target| *target != self.core.index && self.core.table.get(*target).is_live());
            let (Some(target), Status::Active) = (live, self.core.status) else { continue };
            let (overload, highest) = (cx.shared.overload, self.core.settings.local_health_max);
            let interval = self.core.health.scale(self.core.settings.probe_interval, overload, highest);
            cx.shared.counters.probes_returned += 1;
            self.begin_probe(cx, Slot::Return, target, cx.now, cx.now + interval);
        }
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
        let mut watch = Watch::NONE;
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
