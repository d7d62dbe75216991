//! Random faults of a checked simulation: which there are, how often, and how severe.
//!
//! Faults of datagrams and streams are drawn for each of them. Faults of members and of the network strike at random
//! times, with the mean interval given here (zero: never), a member drawn at random. Everything is drawn from the run's
//! seed.

use std::time::Duration;

/// The faults that may strike. See the module.
#[derive(Clone, PartialEq, Debug)]
pub struct Faults {
    /// Chance that a datagram is lost.
    pub loss: f64,
    /// Chance that a datagram arrives twice.
    pub duplication: f64,
    /// Chance that a datagram arrives with bits flipped or its end cut off.
    pub corruption: f64,
    /// Whether damage is seen and the datagram dropped, as with authenticated encryption and nearly always
    /// with UDP's checksum. Otherwise members get to read forgeries, which they have to survive but may
    /// believe.
    pub checksums: bool,
    /// Chance that a datagram is held up, so that later ones overtake it.
    pub late: f64,
    /// Longest delay of a datagram that is held up.
    pub late_max: Duration,
    /// Shortest one-way delay.
    pub delay_floor: Duration,
    /// Mean of the delay beyond that, exponentially distributed.
    pub delay_mean: Duration,
    /// Chance that a stream breaks before it has done its work.
    pub stream_break: f64,
    /// Chance that a call finds the driver's gossip budget spent.
    pub gossip_refused: f64,

    /// Mean time between partitions.
    pub partition_every: Duration,
    /// Longest partition.
    pub partition_max: Duration,
    /// Chance that a partition cuts one direction only.
    pub partition_one_way: f64,
    /// Chance that a partition cuts off a single member.
    pub partition_isolates: f64,
    /// Chance that a partition comes and goes, with periods of up to a quarter of its length.
    pub partition_flips: f64,

    /// Mean time between spells of slowness.
    pub starve_every: Duration,
    /// Longest spell of slowness.
    pub starve_max: Duration,
    /// Longest time in which a slow member does nothing, before it handles its inputs and timers in a burst.
    pub starve_stall_max: Duration,
    /// Datagrams that wait for a stalled member; more are lost, as in a socket's buffer.
    pub starve_inbox: usize,

    /// Mean time between clocks that stand still and then jump forward.
    pub clock_every: Duration,
    /// Longest jump of a clock.
    pub clock_max: Duration,

    /// Mean time between crashes.
    pub crash_every: Duration,
    /// Longest absence of a crashed member that comes back.
    pub crash_away_max: Duration,
    /// Chance that a crashed member stays away.
    pub crash_for_good: f64,
    /// Chance that it comes back at an incarnation that is not above its last.
    pub restart_behind: f64,
    /// Chance that it comes back at another address.
    pub restart_moved: f64,

    /// Mean time between members that leave. They come back after at most `crash_away_max`, or stay away
    /// as crashed ones do.
    pub leave_every: Duration,
    /// Mean time between changes of metadata.
    pub metadata_every: Duration,
    /// Mean time between user events.
    pub event_every: Duration,
}

impl Faults {
    /// No faults: a network with delays of half a millisecond to some 2 ms.
    pub const NONE: Faults = Faults {
        loss: 0.0,
        duplication: 0.0,
        corruption: 0.0,
        checksums: true,
        late: 0.0,
        late_max: Duration::ZERO,
        delay_floor: Duration::from_micros(500),
        delay_mean: Duration::from_micros(300),
        stream_break: 0.0,
        gossip_refused: 0.0,
        partition_every: Duration::ZERO,
        partition_max: Duration::ZERO,
        partition_one_way: 0.0,
        partition_isolates: 0.0,
        partition_flips: 0.0,
        starve_every: Duration::ZERO,
        starve_max: Duration::ZERO,
        starve_stall_max: Duration::ZERO,
        starve_inbox: 256,
        clock_every: Duration::ZERO,
        clock_max: Duration::ZERO,
        crash_every: Duration::ZERO,
        crash_away_max: Duration::ZERO,
        crash_for_good: 0.0,
        restart_behind: 0.0,
        restart_moved: 0.0,
        leave_every: Duration::ZERO,
        metadata_every: Duration::ZERO,
        event_every: Duration::ZERO,
    };

    /// Faults drawn at random: each is absent in about half of the draws, so that some runs are nearly calm and
    /// others have everything at once.
    pub fn random(rng: &mut fastrand::Rng) -> Faults {
        let mut dice = Dice(rng);
        Faults {
            loss: dice.chance(0.3),
            duplication: dice.chance(0.2),
            corruption: dice.chance(0.1),
            checksums: true,
            late: dice.chance(0.2),
            late_max: dice.millis(50, 3_000),
            delay_floor: Duration::from_micros(dice.0.u64(20..20_000)),
            delay_mean: Duration::from_micros(dice.0.u64(20..30_000)),
            stream_break: dice.chance(0.5),
            gossip_refused: dice.chance(0.3),
            partition_every: dice.sometimes(5, 60),
            partition_max: dice.millis(500, 80_000),
            partition_one_way: dice.chance(1.0),
            partition_isolates: dice.chance(1.0),
            partition_flips: dice.chance(1.0),
            starve_every: dice.sometimes(2, 30),
            starve_max: dice.millis(1_000, 40_000),
            starve_stall_max: dice.millis(100, 8_000),
            starve_inbox: dice.0.usize(4..256),
            clock_every: dice.sometimes(2, 60),
            clock_max: dice.millis(10, 20_000),
            crash_every: dice.sometimes(2, 40),
            crash_away_max: dice.millis(200, 60_000),
            crash_for_good: dice.chance(0.7),
            restart_behind: dice.chance(1.0),
            restart_moved: dice.chance(1.0),
            leave_every: dice.sometimes(5, 60),
            metadata_every: dice.sometimes(1, 30),
            event_every: dice.sometimes(1, 20),
        }
    }
}

/// Kinds of faults that strike at random times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FaultKind {
    Partition,
    Starve,
    Clock,
    Crash,
    Leave,
    Metadata,
    Event,
}

impl FaultKind {
    pub(crate) const ALL: [FaultKind; 7] = [
        FaultKind::Partition,
        FaultKind::Starve,
        FaultKind::Clock,
        FaultKind::Crash,
        FaultKind::Leave,
        FaultKind::Metadata,
        FaultKind::Event,
    ];

    /// Mean time between two.
    pub(crate) fn every(self, faults: &Faults) -> Duration {
        match self {
            FaultKind::Partition => faults.partition_every,
            FaultKind::Starve => faults.starve_every,
            FaultKind::Clock => faults.clock_every,
            FaultKind::Crash => faults.crash_every,
            FaultKind::Leave => faults.leave_every,
            FaultKind::Metadata => faults.metadata_every,
            FaultKind::Event => faults.event_every,
        }
    }
}

struct Dice<'a>(&'a mut fastrand::Rng);

impl Dice<'_> {
    /// Zero half of the time, else up to `highest`.
    fn chance(&mut self, highest: f64) -> f64 {
        if self.0.bool() { 0.0 } else { self.0.f64() * highest }
    }

    fn millis(&mut self, lowest: u64, highest: u64) -> Duration {
        Duration::from_millis(self.0.u64(lowest..=highest))
    }

    /// Never in half of the runs, else every so many seconds.
    fn sometimes(&mut self, lowest: u64, highest: u64) -> Duration {
        if self.0.bool() { Duration::ZERO } else { self.millis(lowest * 1000, highest * 1000) }
    }
}
