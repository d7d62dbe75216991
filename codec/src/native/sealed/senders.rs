//! Whose frames have been opened: a window for each life, and the lives of the streams of late.
//!
//! Only what is authentic gets in here, so it is members that fill it. As long as there is room nobody is forgotten: those who are known
//! are heard whatever their clocks say. Where there are many, a life that has been silent goes, but none whose latest frame could be taken
//! for that of a new one: it could be sent again. Where too many are known a new one is refused.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::SealError;
use super::window::{REPLAY_WINDOW_LEAST, REPLAY_WINDOW_MOST, Verdict, Window};

/// Seconds by which the clock of a sender that is not known may differ from ours.
pub const CLOCK_DIFFERENCE_MAX_S: u32 = 60;
/// Lives that an opener knows at once: a worker of another process each, or a process that was restarted within two minutes.
pub const SEALED_SENDERS_MAX: usize = 131_072;
/// Streams of the last two minutes that an opener remembers, each as a life.
pub const SEALED_STREAMS_MAX: usize = 65_536;
/// Bytes of all windows that have grown. Beyond it none grows.
pub const REPLAY_WINDOW_BYTES_MAX: usize = 16 << 20;

/// Lives among which none is forgotten.
const KEPT_LEAST: usize = SEALED_SENDERS_MAX / 2;
/// How long who is forgotten has not been heard, in seconds.
const SILENT_LEAST_S: u32 = 2 * CLOCK_DIFFERENCE_MAX_S;

/// Streams of the last two minutes for which memory is set aside.
const STREAMS_EXPECTED: usize = 256;

/// Lives looked at, when a new one comes, for whether they can be forgotten.
const LOOKED_AT: usize = 4;

/// How far `time_s` is from `now_s`, either way.
fn difference(now_s: u32, time_s: u32) -> u32 {
    (now_s.wrapping_sub(time_s) as i32).unsigned_abs()
}

/// Refuses who is not known and whose time is not ours.
fn check_clock(now_s: u32, time_s: u32) -> Result<(), SealError> {
    if difference(now_s, time_s) > CLOCK_DIFFERENCE_MAX_S { Err(SealError::Stale) } else { Ok(()) }
}

/// Hashes lives with a secret seed: whoever has the key chooses them.
#[derive(Clone, Debug)]
struct Keyed(u64);

struct KeyedHasher {
    seed: u64,
    hash: u64,
}

impl BuildHasher for Keyed {
    type Hasher = KeyedHasher;

    fn build_hasher(&self) -> KeyedHasher {
        KeyedHasher { seed: self.0, hash: 0 }
    }
}

impl Hasher for KeyedHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.hash = xxh3_64_with_seed(bytes, self.seed ^ self.hash);
    }

    fn finish(&self) -> u64 {
        self.hash
    }
}

#[derive(Debug)]
struct Sender {
    life: u64,
    /// The latest time that any of its frames has stated.
    latest_s: u32,
    /// When it was last heard, by our clock.
    heard_s: u32,
    window: Window,
}

/// What is known of a frame's sender before the frame is authentic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// It is new, of the life at this place.
    New(usize),
    /// It is of a life that is not known.
    Unknown,
    /// It may have been opened, of the life at this place: if it is authentic the window has to grow.
    Below(usize),
}

/// The lives of frames.
#[derive(Debug)]
pub(super) struct Senders {
    places: HashMap<u64, u32, Keyed>,
    senders: Vec<Sender>,
    /// Whose frame was opened last: often that of the next as well.
    last: usize,
    /// Whom to look at next for whether it can be forgotten.
    hand: usize,
    /// So many are kept, however long they have been silent.
    kept: usize,
    /// Sequence numbers that are remembered of a new one.
    window: usize,
    grown_bytes: usize,
}

impl Senders {
    pub(super) fn new(seed: u64) -> Senders {
        Senders {
            places: HashMap::with_hasher(Keyed(seed)),
            senders: Vec::new(),
            last: 0,
            hand: 0,
            kept: KEPT_LEAST,
            window: REPLAY_WINDOW_LEAST,
            grown_bytes: 0,
        }
    }

    /// Windows of lives that come from now on have `size` sequence numbers from the beginning, as far as there is memory for that.
    pub(super) fn begin_windows_at(&mut self, size: usize) {
        self.window = size;
    }

    /// How many are known.
    pub(super) fn len(&self) -> usize {
        self.senders.len()
    }

    #[inline]
    fn find(&self, life: u64) -> Option<usize> {
        if self.senders.get(self.last).is_some_and(|sender| sender.life == life) {
            return Some(self.last);
        }
        self.places.get(&life).map(|place| *place as usize)
    }

    /// Whether frame `sequence` of `life`, which states `time_s`, can be taken at `now_s` if it is authentic.
    #[inline]
    pub(super) fn check(
        &self,
        life: u64,
        sequence: u32,
        time_s: u32,
        now_s: u32,
    ) -> Result<Standing, SealError> {
        let Some(at) = self.find(life) else {
            return check_clock(now_s, time_s).map(|()| Standing::Unknown);
        };
        match self.senders[at].window.verdict(sequence) {
            Verdict::New => Ok(Standing::New(at)),
            Verdict::Below => Ok(Standing::Below(at)),
            Verdict::Seen => Err(SealError::Replayed),
            Verdict::FarBelow => Err(SealError::Late),
        }
    }

    /// Takes the frame that was found to stand so, and which is authentic.
    #[inline]
    pub(super) fn take(
        &mut self,
        standing: Standing,
        (life, sequence): (u64, u32),
        time_s: u32,
        now_s: u32,
    ) -> Result<(), SealError> {
        match standing {
            Standing::New(at) => {
                let sender = &mut self.senders[at];
                sender.window.note(sequence);
                sender.heard_s = now_s;
                if time_s.wrapping_sub(sender.latest_s) as i32 > 0 {
                    sender.latest_s = time_s;
                }
                self.last = at;
                Ok(())
            }
            Standing::Unknown => self.add(life, sequence, time_s, now_s),
            Standing::Below(at) => {
                self.grow(at, sequence);
                Err(SealError::Late)
            }
        }
    }

    #[cold]
    fn grow(&mut self, at: usize, sequence: u32) {
        if !self.has_room_to_grow() {
            return;
        }
        let window = &mut self.senders[at].window;
        let before = window.bytes();
        window.grow(sequence);
        self.grown_bytes += window.bytes() - before;
    }

    /// Whether a window may be larger than the least, however large it gets.
    fn has_room_to_grow(&self) -> bool {
        self.grown_bytes + REPLAY_WINDOW_MOST / 8 <= REPLAY_WINDOW_BYTES_MAX
    }

    #[cold]
    fn add(&mut self, life: u64, sequence: u32, time_s: u32, now_s: u32) -> Result<(), SealError> {
        for _ in 0..LOOKED_AT {
            if self.senders.len() > self.kept {
                self.forget_next(now_s);
            }
        }
        if self.senders.len() == SEALED_SENDERS_MAX {
            return Err(SealError::Crowded);
        }
        self.last = self.senders.len();
        self.places.insert(life, self.last as u32);
        let size = if self.has_room_to_grow() { self.window } else { REPLAY_WINDOW_LEAST };
        let window = Window::new(sequence, size);
        self.grown_bytes += window.bytes() - REPLAY_WINDOW_LEAST / 8;
        self.senders.push(Sender { life, latest_s: time_s, heard_s: now_s, window });
        Ok(())
    }

    /// Forgets the life whose turn it is, if it is silent and none of its frames could be taken as that of an unknown one.
    fn forget_next(&mut self, now_s: u32) {
        self.hand = if self.hand < self.senders.len() { self.hand } else { 0 };
        let Some(sender) = self.senders.get(self.hand) else { return };
        let within = |since_s: u32, seconds: u32| now_s.wrapping_sub(since_s) as i32 <= seconds as i32;
        if within(sender.latest_s, CLOCK_DIFFERENCE_MAX_S) || within(sender.heard_s, SILENT_LEAST_S) {
            self.hand += 1;
            return;
        }
        let gone = self.senders.swap_remove(self.hand);
        self.places.remove(&gone.life);
        self.grown_bytes -= gone.window.bytes() - REPLAY_WINDOW_LEAST / 8;
        if let Some(moved) = self.senders.get(self.hand) {
            self.places.insert(moved.life, self.hand as u32);
        }
    }
}

/// The lives of streams that others have opened of late.
#[derive(Debug)]
pub(super) struct StreamsSeen {
    lives: HashMap<u64, (), Keyed>,
    /// In the order in which they came, with when.
    order: VecDeque<(u32, u64)>,
}

impl StreamsSeen {
    pub(super) fn new(seed: u64) -> StreamsSeen {
        let lives = HashMap::with_capacity_and_hasher(STREAMS_EXPECTED, Keyed(seed));
        StreamsSeen { lives, order: VecDeque::with_capacity(STREAMS_EXPECTED) }
    }

    /// Whether a stream of `life` that states `time_s` can be taken at `now_s` if it is authentic.
    pub(super) fn check(&self, life: u64, time_s: u32, now_s: u32) -> Result<(), SealError> {
        if self.lives.contains_key(&life) {
            return Err(SealError::Replayed);
        }
        check_clock(now_s, time_s)
    }

    /// Takes it.
    pub(super) fn take(&mut self, life: u64, now_s: u32) -> Result<(), SealError> {
        // What it stated was within the difference of then, so that it is too old after twice that.
        while let Some((came_s, gone)) = self.order.front().copied()
            && now_s.wrapping_sub(came_s) as i32 > 2 * CLOCK_DIFFERENCE_MAX_S as i32
        {
            self.order.pop_front();
            self.lives.remove(&gone);
        }
        if self.order.len() == SEALED_STREAMS_MAX {
            return Err(SealError::Crowded);
        }
        self.order.push_back((now_s, life));
        self.lives.insert(life, ());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(
        senders: &mut Senders,
        life: u64,
        sequence: u32,
        time_s: u32,
        now_s: u32,
    ) -> Result<(), SealError> {
        let standing = senders.check(life, sequence, time_s, now_s)?;
        senders.take(standing, (life, sequence), time_s, now_s)
    }

    #[test]
    fn clocks_matter_for_those_who_are_not_known() {
        let mut senders = Senders::new(1);
        for (life, time_s) in [(1, 939), (2, 1_061)] {
            assert_eq!(hear(&mut senders, life, 0, time_s, 1_000), Err(SealError::Stale));
        }
        for (life, time_s) in [(1, 940), (2, 1_060)] {
            assert_eq!(hear(&mut senders, life, 0, time_s, 1_000), Ok(()));
        }
        assert_eq!(hear(&mut senders, 1, 1, 5, 1_000), Ok(()), "its clock was set back");
        assert_eq!(hear(&mut senders, 1, 1, 5, 1_000), Err(SealError::Replayed));
        // Clocks go past 2^32 seconds.
        assert_eq!(hear(&mut senders, 3, 1, u32::MAX - 9, 20), Ok(()));
    }

    #[test]
    fn who_is_forgotten_could_not_be_heard_again() {
        let mut senders = Senders { kept: 90, ..Senders::new(1) };
        for life in 0..100 {
            assert_eq!(hear(&mut senders, life, 7, 1_030, 1_000), Ok(()));
        }
        let mut now_s = 1_000;
        while senders.find(0).is_some() || senders.find(50).is_some() {
            now_s += 1;
            // Its clock is wrong, but it goes on talking.
            assert_eq!(hear(&mut senders, 70, now_s, 5, now_s), Ok(()));
            // New ones come, and the old are looked at.
            assert_eq!(hear(&mut senders, u64::from(now_s) << 32, 0, now_s, now_s), Ok(()));
            assert!(hear(&mut senders, 0, 7, 1_030, now_s).is_err());
        }
        assert!((1_121..1_300).contains(&now_s), "{now_s}");
        assert!(senders.find(70).is_some());
        assert_eq!(hear(&mut senders, 0, 7, 1_030, now_s), Err(SealError::Stale));
        // Who goes on talking is not forgotten, however its place changes.
        let known = senders.len();
        for (place, sender) in senders.senders.iter().enumerate() {
            assert_eq!(senders.places[&sender.life], place as u32);
        }
        assert_eq!(senders.places.len(), known);
    }

    #[test]
    fn lives_and_windows_have_bounds() {
        let mut senders = Senders::new(1);
        for life in 0..SEALED_SENDERS_MAX as u64 {
            assert_eq!(hear(&mut senders, life, 100_000, 1_000, 1_000), Ok(()));
        }
        assert_eq!(hear(&mut senders, 1 << 40, 0, 1_000, 1_000), Err(SealError::Crowded));
        assert_eq!(senders.len(), SEALED_SENDERS_MAX);
        for life in 0..SEALED_SENDERS_MAX as u64 {
            assert_eq!(hear(&mut senders, life, 40_000, 1_000, 1_000), Err(SealError::Late));
        }
        assert!(
            senders.grown_bytes <= REPLAY_WINDOW_BYTES_MAX
                && senders.grown_bytes > REPLAY_WINDOW_BYTES_MAX / 2
        );
        // Two minutes later there is room, and what had grown is given back with it.
        for life in 0..SEALED_SENDERS_MAX as u64 {
            assert_eq!(hear(&mut senders, 1 << 40 | life, 0, 1_121, 1_121), Ok(()));
        }
        assert!(senders.len() <= SEALED_SENDERS_MAX && senders.find(1 << 40).is_some());
        assert_eq!(senders.grown_bytes, 0);
    }

    #[test]
    fn windows_may_begin_large() {
        let mut senders = Senders::new(1);
        senders.begin_windows_at(REPLAY_WINDOW_MOST);
        for life in 0..3_000 {
            assert_eq!(hear(&mut senders, life, 100_000, 1_000, 1_000), Ok(()));
        }
        assert_eq!(hear(&mut senders, 0, 100_000 - 65_535, 1_000, 1_000), Ok(()));
        assert_eq!(hear(&mut senders, 2_999, 100_000 - 65_535, 1_000, 1_000), Err(SealError::Late));
        assert!(senders.grown_bytes <= REPLAY_WINDOW_BYTES_MAX);
    }

    #[test]
    fn a_stream_is_taken_once() {
        let mut streams = StreamsSeen::new(1);
        let take = |streams: &mut StreamsSeen, life, time_s, now_s| {
            streams.check(life, time_s, now_s).and_then(|()| streams.take(life, now_s))
        };
        assert_eq!(take(&mut streams, 9, 1_060, 1_000), Ok(()));
        for now_s in 1_000..1_300 {
            let _ = take(&mut streams, u64::from(now_s), now_s, now_s);
            assert!(take(&mut streams, 9, 1_060, now_s).is_err(), "{now_s}");
        }
        assert!(streams.order.len() <= 122 && streams.lives.len() == streams.order.len());
        for life in 1_000_000.. {
            if take(&mut streams, life, 2_000, 2_000).is_err() {
                break;
            }
        }
        assert_eq!(streams.order.len(), SEALED_STREAMS_MAX);
        assert_eq!(take(&mut streams, 1, 2_000, 2_000), Err(SealError::Crowded));
        assert_eq!(take(&mut streams, 1, 2_121, 2_121), Ok(()));
    }
}
