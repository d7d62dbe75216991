//! How far behind a worker is, and what it makes of that.
//!
//! A worker that is late must not become the cause of more work. Three things would make it one: to judge
//! others by what it has not read, to send more than it reads, and to spread wrong conclusions. So it
//! - judges only what was to arrive by the time until which it has read everything ([`Reading`]),
//! - fires them in batches and reads in between, so that it never sends more than its own reading
//!   keeps up with (`event_loop`),
//! - grants gossip, the bulk of what timers send, a rate that is halved whenever it is late, loses datagrams or
//!   cannot finish reading, and that comes back within seconds ([`Pace`]),
//! - and tells its members when something sent to them may be lost, so that a probe without an answer is repeated instead
//!   of believed.

use std::time::Duration;

use crate::protocol::Time;

/// The loop is late, and says so, when timers fire this much after their tick: half of the smallest
/// probe timeout that makes sense on a network.
pub(super) const LATE: Duration = Duration::from_millis(100);

/// How long being late is remembered.
const LATE_MEMORY: Duration = Duration::from_secs(1);

/// The longest that being late is remembered: a fleet is to be back at its pace within ten seconds.
const PATIENCE_MAX: Duration = Duration::from_secs(6);

/// The highest overload level: memberlist's local health has as many.
const OVERLOAD_MAX: u8 = 8;

/// The part of its time that a loop may be busy with at a lower level.
const BUSY_MAX: f64 = 0.85;

/// A loop that took nothing in for this long has lost the time: members are told, and wait longer for what may
/// lie unread. Timers as late slow gossip down.
pub(super) const STALL: Duration = Duration::from_millis(25);

/// Gossip that may be caught up on at once, in seconds of budget.
const BURST_S: f64 = 0.05;

/// The slowest that being late makes gossip: this part of its full rate.
const GOSSIP_RATE_LEAST: f64 = 1.0 / 64.0;

/// From the slowest back to the full rate, in microseconds.
const GOSSIP_RECOVERY_US: f64 = 8e6;

/// Gossip is halved at most once in this time: what made it necessary shows for as long.
const HALVING_EVERY: Duration = Duration::from_millis(100);

/// Reading that is so far behind slows gossip down. Where the kernel does not say when a message arrived, the longest that
/// only reading goes on: a receive buffer of the default size is empty much sooner.
const READING_MAX: Duration = Duration::from_millis(250);

/// Reading that is so far behind is overload: members have to wait longer for each other. Until then what they conclude
/// from silence, which waits for reading, is enough.
pub(super) const UNREAD_MAX: Duration = Duration::from_millis(500);

/// What the loop remembers from turn to turn.
pub(super) struct Pace {
    tick_us: u64,
    /// Full rate of gossip frames.
    gossip_per_us: f64,
    /// Part of it that is granted.
    gossip_rate: f64,
    gossip_tokens: f64,
    refilled: Time,
    halved: Time,
    /// When the loop was last late, or the level last lowered; nothing at level 0.
    late_at: Option<Time>,
    /// Time without anything to do since then.
    idle: Duration,
    /// Since when it has been late again and again.
    late_since: Time,
    /// It was so for as long as being late is remembered: that is no delay any more.
    lasted: bool,
    /// When the level was last raised.
    raised: Time,
    /// Level that members add to their local health score.
    overload: u8,
    /// The longest that reading was behind of late, and when that was.
    unread: Duration,
    unread_at: Time,
    /// End of the last wait, and the time since in which nothing was taken in.
    returned: Time,
    lost: Duration,
}

impl Pace {
    pub(super) fn new(tick: Duration, gossip_frames_per_second: u32) -> Pace {
        Pace {
            tick_us: tick.as_micros() as u64,
            gossip_per_us: f64::from(gossip_frames_per_second) / 1e6,
            gossip_rate: 1.0,
            gossip_tokens: 0.0,
            refilled: Time::ZERO,
            halved: Time::ZERO,
            late_at: None,
            late_since: Time::ZERO,
            lasted: false,
            raised: Time::ZERO,
            idle: Duration::ZERO,
            overload: 0,
            unread: Duration::ZERO,
            unread_at: Time::ZERO,
            returned: Time::ZERO,
            lost: Duration::ZERO,
        }
    }

    /// What members add to their local health score.
    pub(super) fn overload(&self) -> u8 {
        self.overload
    }

    /// The longest that what arrived lay unread of late.
    pub(super) fn unread(&self) -> Duration {
        self.unread
    }

    /// What has arrived in the last `unread` before `now` lies unread.
    pub(super) fn lies_unread(&mut self, unread: Duration, now: Time) {
        if unread >= UNREAD_MAX {
            self.swamped(now);
        } else if unread >= READING_MAX {
            self.slow_down(now);
        }
        if unread >= self.unread || now.since(self.unread_at) >= LATE_MEMORY {
            (self.unread, self.unread_at) = (unread, now);
        }
    }

    /// The part of gossip's full rate that is granted.
    pub(super) fn gossip_rate(&self) -> f64 {
        self.gossip_rate
    }

    /// The tick at or after `time`.
    pub(super) fn tick_after(&self, time: Time) -> Time {
        Time::from_micros(time.as_micros().div_ceil(self.tick_us).saturating_mul(self.tick_us))
    }

    /// A turn that began at `left` and was to wait until `until` at most is over. What it took longer, and what
    /// was done since the turn before it, is time in which nothing was taken in.
    pub(super) fn returned(&mut self, left: Time, until: Time, now: Time) {
        let lost = left.since(self.returned) + now.since(until.max(left));
        self.returned = now;
        if lost >= STALL {
            self.lost += lost;
        }
    }

    /// Time lost since this was last asked.
    pub(super) fn take_lost(&mut self) -> Duration {
        std::mem::take(&mut self.lost)
    }

    /// Draws the conclusions from how late the timers are.
    pub(super) fn judge(&mut self, late: Duration, now: Time) {
        if late >= STALL {
            self.slow_down(now);
        }
        if late >= LATE {
            let level = (late.as_millis() / LATE.as_millis()).min(OVERLOAD_MAX.into()) as u8;
            self.overloaded(level, now);
        } else if let Some(at) = self.late_at
            && now.since(at) >= self.patience()
        {
            self.overload = if self.lasted { self.level_that_will_do(now.since(at)) } else { 0 };
            self.begin_watch(now);
            if self.overload == 0 {
                (self.late_at, self.lasted) = (None, false);
            }
        }
    }

    /// How long being late is remembered. A delay is over when it is over; if the members are too many, how busy the loop is
    /// shows when all of them have been due.
    fn patience(&self) -> Duration {
        let all_due = LATE_MEMORY * (u32::from(self.overload) + 1) * 3 / 2;
        if self.lasted { all_due.min(PATIENCE_MAX) } else { LATE_MEMORY }
    }

    /// The loop has had nothing to do from `left` to `now`.
    pub(super) fn waited(&mut self, left: Time, now: Time) {
        self.idle += now.since(left);
    }

    /// From now on the loop is watched for being late, and for how busy it is.
    fn begin_watch(&mut self, now: Time) {
        (self.late_at, self.idle) = (Some(now), Duration::ZERO);
    }

    /// The lowest level at which the loop has time to spare, if members do as much more as their intervals are shorter; it has been
    /// watched for `watched`.
    fn level_that_will_do(&self, watched: Duration) -> u8 {
        let watched = watched.as_secs_f64();
        let at_level_0 = (watched - self.idle.as_secs_f64()) * f64::from(self.overload + 1);
        (0..self.overload)
            .find(|level| at_level_0 <= watched * BUSY_MAX * f64::from(level + 1))
            .unwrap_or(self.overload)
    }

    /// Datagrams were lost for want of room, or lie unread for long.
    pub(super) fn swamped(&mut self, now: Time) {
        self.slow_down(now);
        self.overloaded(self.overload.max(1), now);
    }

    /// The loop is behind by so many levels. A level that has been in force for a second, and was not enough, is raised by one:
    /// so a fleet that is too large for its cores comes to the pace that it can keep.
    fn overloaded(&mut self, level: u8, now: Time) {
        if self.late_at.is_none_or(|at| now.since(at) >= LATE_MEMORY) {
            self.late_since = now;
        }
        self.lasted |= now.since(self.late_since) >= LATE_MEMORY;
        self.begin_watch(now);
        if level > self.overload {
            (self.overload, self.raised) = (level, now);
        } else if now.since(self.raised) >= LATE_MEMORY {
            (self.overload, self.raised) = ((self.overload + 1).min(OVERLOAD_MAX), now);
        }
    }

    fn slow_down(&mut self, now: Time) {
        if now.since(self.halved) >= HALVING_EVERY {
            self.halved = now;
            self.gossip_rate = (self.gossip_rate / 2.0).max(GOSSIP_RATE_LEAST);
        }
    }

    /// Grants what gossip gets for the time until `now`, where no more than the part `rate` of it is granted.
    pub(super) fn refill(&mut self, rate: f64, now: Time) {
        let elapsed = now.since(self.refilled).as_micros() as f64;
        self.refilled = now;
        self.gossip_rate = (self.gossip_rate + elapsed / GOSSIP_RECOVERY_US).min(1.0);
        let rate = self.gossip_per_us * self.gossip_rate.min(rate);
        self.gossip_tokens = (self.gossip_tokens + elapsed * rate).min(rate * 1e6 * BURST_S);
    }

    /// Frames of gossip that may be sent now.
    pub(super) fn gossip_budget(&self) -> u32 {
        self.gossip_tokens as u32
    }

    pub(super) fn spend(&mut self, frames: u32) {
        self.gossip_tokens -= f64::from(frames);
    }
}

/// The state of the socket after a turn's messages were read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Read {
    /// All that has arrived: timers may judge.
    Everything,
    /// More lies unread: the acks and refutations that timers are about to give up on may be among it.
    More,
    /// More lies unread, and since when is not known: timers have waited for long enough.
    TooMuch,
}

/// How far reading has come. The kernel notes when a message arrives, and hands messages over in that order: so when one
/// is read, everything that had arrived before it has been.
pub(super) struct Reading {
    /// Messages after which everything has been read that had arrived when reading began: to go on would keep
    /// timers from running at all, where the kernel does not say when a message arrived.
    messages_max: u64,
    /// Messages in the turns in a row that left something unread.
    messages: u64,
    begun: Time,
    /// Everything that had arrived by then has been read.
    complete_until: Time,
}

impl Reading {
    pub(super) fn new(messages_max: u64) -> Reading {
        Reading { messages_max, messages: 0, begun: Time::ZERO, complete_until: Time::ZERO }
    }

    /// Whether more lies unread.
    pub(super) fn goes_on(&self) -> bool {
        self.messages > 0
    }

    /// Everything that had arrived by then has been read.
    pub(super) fn complete_until(&self) -> Time {
        self.complete_until
    }

    /// A turn from `began` until `now` has taken in `messages`, the last of which had lain unread for `age`; `drained` says
    /// whether that was all.
    pub(super) fn read(
        &mut self,
        messages: u64,
        drained: bool,
        age: Option<Duration>,
        (began, now): (Time, Time),
    ) -> Read {
        if drained {
            self.messages = 0;
            self.complete_until = began;
            return Read::Everything;
        }
        if self.messages == 0 {
            self.begun = now;
        }
        self.messages += messages.max(1);
        if let Some(age) = age {
            self.complete_until = self.complete_until.max(now - age);
            return Read::More;
        }
        if self.messages < self.messages_max && now.since(self.begun) < READING_MAX {
            return Read::More;
        }
        if self.messages >= self.messages_max {
            self.complete_until = self.begun;
        }
        self.messages = 0;
        Read::TooMuch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(10);
    const SECOND: u64 = 1_000_000;

    fn at(millis: u64) -> Time {
        Time::from_micros(millis * 1000)
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn what_is_read_says_how_far_reading_has_come() {
        let mut reading = Reading::new(1000);
        assert_eq!(reading.read(10, true, Some(ms(1)), (at(10), at(12))), Read::Everything);
        assert_eq!(reading.complete_until(), at(10), "the socket was looked at after that");
        assert_eq!(reading.read(64, false, Some(ms(5)), (at(12), at(20))), Read::More);
        assert!(reading.goes_on());
        assert_eq!(reading.complete_until(), at(15));
        // However much there is, and however long it takes.
        assert_eq!(reading.read(5000, false, Some(ms(300)), (at(20), at(420))), Read::More);
        assert_eq!(reading.complete_until(), at(120));
        assert_eq!(reading.read(0, false, Some(ms(310)), (at(420), at(430))), Read::More);
        assert_eq!(reading.complete_until(), at(120), "nothing more was read");
        assert_eq!(reading.read(64, false, Some(ms(400)), (at(430), at(440))), Read::More);
        assert_eq!(
            reading.complete_until(),
            at(120),
            "the time of day was changed: what was read stays read"
        );
        assert_eq!(reading.read(1, true, Some(ms(9)), (at(440), at(450))), Read::Everything);
        assert_eq!((reading.complete_until(), reading.goes_on()), (at(440), false));
    }

    #[test]
    fn without_times_of_arrival_timers_wait_until_everything_is_read_but_not_for_ever() {
        let mut reading = Reading::new(1000);
        assert_eq!(reading.read(256, false, None, (at(0), at(1))), Read::More);
        assert!(reading.goes_on());
        assert_eq!(reading.complete_until(), Time::ZERO);
        assert_eq!(reading.read(10, true, None, (at(1), at(2))), Read::Everything);
        assert_eq!(reading.complete_until(), at(1));
        assert!(!reading.goes_on());
        // A flood: after as many as can have waited, whatever waited has been read.
        let turns = 0..4;
        let outcomes: Vec<Read> =
            turns.map(|turn| reading.read(256, false, None, (at(2 + turn), at(3 + turn)))).collect();
        assert_eq!(outcomes, [Read::More, Read::More, Read::More, Read::TooMuch]);
        assert_eq!(reading.complete_until(), at(3), "what lay there at first has been read");
        // Large buffers, slowly read: the clock ends it.
        let mut reading = Reading::new(u64::MAX);
        assert_eq!(reading.read(64, false, None, (at(0), at(0))), Read::More);
        assert_eq!(reading.read(64, false, None, (at(0), at(249))), Read::More);
        assert_eq!(reading.read(64, false, None, (at(249), at(250))), Read::TooMuch);
        assert_eq!(reading.complete_until(), Time::ZERO);
    }

    #[test]
    fn reading_that_is_far_behind_slows_gossip_and_then_everything_down() {
        let mut pace = Pace::new(TICK, 1_000_000);
        pace.lies_unread(ms(249), at(1000));
        assert_eq!((pace.gossip_rate(), pace.overload()), (1.0, 0));
        pace.lies_unread(ms(250), at(1100));
        assert_eq!((pace.gossip_rate(), pace.overload()), (0.5, 0));
        pace.lies_unread(ms(500), at(1300));
        assert_eq!((pace.gossip_rate(), pace.overload()), (0.25, 1));
    }

    #[test]
    fn lost_is_what_passed_without_reading_and_each_time_once() {
        let mut pace = Pace::new(TICK, 1000);
        pace.returned(at(0), at(10), at(10));
        assert_eq!(pace.take_lost(), Duration::ZERO, "slept as long as it meant to");
        pace.returned(at(12), at(20), at(230));
        assert_eq!(pace.take_lost(), ms(212), "two at work, 210 over its time");
        assert_eq!(pace.take_lost(), Duration::ZERO);
        pace.returned(at(430), at(440), at(431));
        assert_eq!(pace.take_lost(), ms(200), "at work, then woken by what had arrived");
        for turn in 0..100 {
            pace.returned(at(431 + turn), at(431 + turn), at(432 + turn));
        }
        assert_eq!(pace.take_lost(), Duration::ZERO, "reading is not losing time");
    }

    #[test]
    fn gossip_slows_down_at_once_and_comes_back_in_seconds() {
        let mut pace = Pace::new(TICK, 1_000_000);
        pace.refill(1.0, at(1000));
        assert_eq!(pace.gossip_budget(), 50_000, "a twentieth of a second at most");
        pace.spend(50_000);
        for late in 0..20 {
            pace.judge(ms(200), at(1000 + late * 100));
        }
        pace.refill(1.0, at(3000));
        assert!(pace.gossip_budget() < 20_000, "{}", pace.gossip_budget());
        assert_eq!(pace.overload(), 3, "two seconds late: one level more than the lateness says");
        // Four intervals, and half as much: then all have been due. A quarter of the time was busy, which is half of it with half
        // of the interval, and more than there is with a quarter.
        for (time, idle, level) in
            [(3000, 0, 3), (8800, 4400, 3), (8900, 50, 1), (11_800, 1800, 1), (11_900, 0, 0)]
        {
            pace.waited(at(time - idle), at(time));
            pace.judge(Duration::ZERO, at(time));
            assert_eq!(pace.overload(), level, "{time}");
        }
        pace.refill(1.0, Time::from_micros(20 * SECOND));
        assert!((pace.gossip_rate() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_delay_is_forgotten_within_a_second() {
        let mut pace = Pace::new(TICK, 1000);
        pace.judge(ms(900), at(1000));
        pace.judge(ms(300), at(1400));
        pace.judge(Duration::ZERO, at(2300));
        assert_eq!(pace.overload(), 8);
        pace.judge(Duration::ZERO, at(2400));
        assert_eq!(pace.overload(), 0);
    }

    #[test]
    fn the_longest_that_reading_was_behind_is_remembered_for_a_second() {
        let mut pace = Pace::new(TICK, 1000);
        pace.lies_unread(ms(80), at(1000));
        pace.lies_unread(ms(30), at(1100));
        assert_eq!(pace.unread(), ms(80));
        pace.lies_unread(ms(120), at(1200));
        pace.lies_unread(Duration::ZERO, at(2199));
        assert_eq!(pace.unread(), ms(120));
        pace.lies_unread(Duration::ZERO, at(2200));
        assert_eq!(pace.unread(), Duration::ZERO);
    }

    #[test]
    fn one_delay_halves_gossip_once() {
        let mut pace = Pace::new(TICK, 1_000_000);
        (0..50).for_each(|slice| pace.judge(ms(150 + slice), at(1000 + slice)));
        assert!((pace.gossip_rate() - 0.5).abs() < 1e-9);
        pace.swamped(at(1200));
        assert!((pace.gossip_rate() - 0.25).abs() < 1e-9);
        assert_eq!(pace.overload(), 1);
    }

    #[test]
    fn the_slowest_of_a_fleet_sets_the_pace() {
        let mut pace = Pace::new(TICK, 1_000_000);
        pace.refill(0.25, at(1000));
        assert_eq!(pace.gossip_budget(), 12_500);
    }
}
