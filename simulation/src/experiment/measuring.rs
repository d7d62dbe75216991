//! Who watches: everything that the members say is counted here, with the definitions of the load generator.
//!
//! The plan is known from the start, so that a member declared dead before its planned end counts as a false
//! death, and every delivery is timed from the instant the event was meant to be sent. *Observers* are the
//! members that never crash and have no impairment: when the last of them has noticed a crash or received an
//! event, it is over. What a member that will crash believes is counted nowhere.

use hashbrown::HashSet;
use hdrhistogram::Histogram;

use super::options::{TrialOptions, WireSizes};
use super::outcome::{CrashOutcome, EventOutcome};
use super::plan::Plan;
use swimring::net::padded_len;
use swimring::protocol::{Event, EventIndex, Member};

/// Nobody, or no crash.
const NONE: u32 = u32::MAX;

/// How far one crash has been noticed.
#[derive(Debug, Default)]
struct Noticed {
    first_suspected: Option<u64>,
    first_declared: Option<u64>,
    first: Option<u64>,
    half: Option<u64>,
    all: Option<u64>,
    declared: u32,
    /// A bit for every member: has declared it.
    by: Vec<u64>,
}

/// How far one event has spread.
#[derive(Debug, Default)]
struct Spread {
    delays_us: Vec<u32>,
    summary: Option<EventOutcome>,
}

/// Counts what happens. See the module.
#[derive(Debug)]
pub(super) struct Measuring {
    /// Beginning of the measured time.
    origin: u64,
    end: u64,
    plan: Plan,
    /// By member: which crash it is the victim of.
    crash_of: Vec<u32>,
    /// By member: whether it has an impairment.
    impaired: Vec<bool>,
    observers: u32,
    noticed: Vec<Noticed>,
    spread: Vec<Spread>,
    /// Declarations and deliveries that are still to come.
    missing: u64,
    wrongly: HashSet<(u32, u64)>,
    pub(super) probe_rtt_us: Histogram<u64>,
    pub(super) spread_us: Histogram<u64>,
    pub(super) false_suspicions: u64,
    pub(super) false_deaths: u64,
    pub(super) false_deaths_healthy_subjects: u64,
    pub(super) false_deaths_at_healthy: u64,
    pub(super) datagrams_sent: u64,
    pub(super) datagrams_of_a_second_max: u32,
    /// By member: the last second in which it sent, and how many datagrams.
    of_a_second: Vec<(u32, u32)>,
    pub(super) bytes_sent: u64,
    pub(super) padded_bytes_sent: u64,
    /// Whether frames are padded when they leave.
    pads: bool,
    pub(super) stream_bytes_sent: u64,
    pub(super) fingerprint: u64,
}

/// A histogram of microseconds up to an hour, to three digits.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000, 3).unwrap_or_else(|_| unreachable!("the bounds are valid"))
}

fn record(histogram: &mut Histogram<u64>, us: u64) {
    histogram.saturating_record(us.max(1));
}

impl Measuring {
    pub(super) fn new(plan: Plan, options: &TrialOptions) -> Measuring {
        let members = options.members as usize;
        let mut impaired = vec![false; members];
        for member in &plan.impaired {
            impaired[*member as usize] = true;
        }
        let mut crash_of = vec![NONE; members];
        for (number, crash) in plan.crashes.iter().enumerate() {
            crash_of[crash.member as usize] = number as u32;
        }
        let observers = (0..members).filter(|member| crash_of[*member] == NONE && !impaired[*member]).count();
        let observers = observers as u32;
        let noticed = |_: &_| Noticed { by: vec![0; members.div_ceil(64)], ..Noticed::default() };
        let origin = options.warm_up.as_micros() as u64;
        Measuring {
            origin,
            end: origin + options.duration.as_micros() as u64,
            crash_of,
            impaired,
            observers,
            noticed: plan.crashes.iter().map(noticed).collect(),
            spread: plan.events.iter().map(|_| Spread::default()).collect(),
            missing: plan.crashes.len() as u64 * u64::from(observers)
                + plan.events.len() as u64 * u64::from(observers.saturating_sub(1)),
            plan,
            wrongly: HashSet::new(),
            probe_rtt_us: histogram(),
            spread_us: histogram(),
            false_suspicions: 0,
            false_deaths: 0,
            false_deaths_healthy_subjects: 0,
            false_deaths_at_healthy: 0,
            datagrams_sent: 0,
            datagrams_of_a_second_max: 0,
            of_a_second: vec![(0, 0); members],
            bytes_sent: 0,
            padded_bytes_sent: 0,
            pads: options.wire == WireSizes::Native,
            stream_bytes_sent: 0,
            fingerprint: 0,
        }
    }

    /// Whether every crash is held by every observer, and every event has arrived.
    pub(super) fn is_over(&self) -> bool {
        self.missing == 0
    }

    #[inline]
    fn is_timing(&self, now: u64) -> bool {
        (self.origin..self.end).contains(&now)
    }

    #[inline]
    fn note(&mut self, a: u64, b: u64) {
        let mixed = (self.fingerprint.rotate_left(5) ^ a).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.fingerprint = (mixed ^ b).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    }

    /// A datagram of `bytes` bytes left `from` for `to`.
    #[inline]
    pub(super) fn datagram(&mut self, now: u64, from: u32, to: u32, bytes: u32) {
        self.note(now, u64::from(from) << 40 ^ u64::from(to) << 16 ^ u64::from(bytes));
        if self.is_timing(now) {
            self.datagrams_sent += 1;
            self.count_in_second(((now - self.origin) / 1_000_000) as u32, from);
            self.bytes_sent += u64::from(bytes);
            self.padded_bytes_sent +=
                if self.pads { padded_len(bytes as usize) as u64 } else { bytes.into() };
        }
    }

    #[inline]
    fn count_in_second(&mut self, second: u32, from: u32) {
        let (last, count) = &mut self.of_a_second[from as usize];
        *count = if *last == second { *count + 1 } else { 1 };
        *last = second;
        self.datagrams_of_a_second_max = self.datagrams_of_a_second_max.max(*count);
    }

    /// `bytes` bytes of a stream left.
    pub(super) fn stream(&mut self, now: u64, bytes: usize) {
        self.note(now, bytes as u64);
        if self.is_timing(now) {
            self.stream_bytes_sent += bytes as u64;
        }
    }

    /// The crash that has ended `subject` by `now`, if one has.
    fn crashed(&self, subject: u32, now: u64) -> Option<usize> {
        let crash = *self.crash_of.get(subject as usize)?;
        let at = self.plan.crashes.get(crash as usize)?.at.as_micros() as u64;
        (self.origin + at <= now).then_some(crash as usize)
    }

    /// Something happened at `observer`, whose member is `member`; `event_number` tells which planned event
    /// is at an index of the store.
    #[inline]
    pub(super) fn event(
        &mut self,
        now: u64,
        observer: u32,
        event: &Event,
        member: &Member,
        event_number: impl FnOnce(EventIndex) -> Option<usize>,
    ) {
        match *event {
            Event::ProbeAcked { rtt, .. } if self.is_timing(now) => {
                record(&mut self.probe_rtt_us, rtt.as_micros() as u64);
            }
            _ if now < self.origin || self.crash_of[observer as usize] != NONE => {}
            Event::Suspected { subject, .. } => self.suspected(now, observer, subject),
            Event::Failed { subject, declared, .. } => {
                let incarnation = member.state_of(subject).map_or(0, |(_, incarnation)| incarnation.get());
                self.failed(now, observer, subject, declared, incarnation);
            }
            Event::UserEvent { event } => {
                if let Some(number) = event_number(event) {
                    self.delivered(now, observer, number);
                }
            }
            _ => {}
        }
    }

    fn suspected(&mut self, now: u64, observer: u32, subject: u32) {
        self.note(now, u64::from(observer) << 32 | u64::from(subject));
        match self.crashed(subject, now) {
            None => self.false_suspicions += 1,
            Some(crash) if !self.impaired[observer as usize] => {
                self.noticed[crash].first_suspected.get_or_insert(now);
            }
            Some(_) => {}
        }
    }

    fn failed(&mut self, now: u64, observer: u32, subject: u32, declared: bool, incarnation: u64) {
        self.note(now, u64::from(observer) << 32 | u64::from(subject) | 1 << 31);
        let impaired_observer = self.impaired[observer as usize];
        let Some(crash) = self.crashed(subject, now) else {
            let healthy = !self.impaired[subject as usize];
            self.false_deaths += 1;
            self.false_deaths_healthy_subjects += u64::from(healthy);
            self.false_deaths_at_healthy += u64::from(healthy && !impaired_observer);
            self.wrongly.insert((subject, incarnation));
            return;
        };
        if impaired_observer {
            return;
        }
        let noticed = &mut self.noticed[crash];
        let (word, bit) = (observer as usize / 64, 1_u64 << (observer % 64));
        if noticed.by[word] & bit != 0 {
            return;
        }
        noticed.by[word] |= bit;
        noticed.declared += 1;
        noticed.first.get_or_insert(now);
        if declared {
            noticed.first_declared.get_or_insert(now);
        }
        if noticed.declared == self.observers.div_ceil(2) {
            noticed.half = Some(now);
        }
        if noticed.declared == self.observers {
            noticed.all = Some(now);
        }
        self.missing -= 1;
    }

    fn delivered(&mut self, now: u64, observer: u32, number: usize) {
        self.note(now, u64::from(observer) << 32 | number as u64 | 1 << 62);
        if self.impaired[observer as usize] {
            return;
        }
        let delay = now - (self.origin + self.plan.events[number].at.as_micros() as u64);
        record(&mut self.spread_us, delay);
        let spread = &mut self.spread[number];
        let of = self.observers - 1;
        if spread.delays_us.len() as u32 >= of || spread.summary.is_some() {
            return;
        }
        spread.delays_us.push(u32::try_from(delay).unwrap_or(u32::MAX));
        self.missing -= 1;
        if spread.delays_us.len() as u32 == of {
            self.summarise(number);
        }
    }

    /// Puts an event's delays together, and gives their memory back.
    fn summarise(&mut self, number: usize) {
        let planned = self.plan.events[number];
        let mut delays = std::mem::take(&mut self.spread[number].delays_us);
        delays.sort_unstable();
        let at_share = |share: f64| {
            let rank = (share * delays.len() as f64).ceil().max(1.0) as usize - 1;
            delays.get(rank).map(|us| f64::from(*us) / 1e3)
        };
        self.spread[number].summary = Some(EventOutcome {
            sender: planned.sender,
            sent_at_s: planned.at.as_secs_f64(),
            delivered: delays.len() as u32,
            of: self.observers - 1,
            p50_ms: at_share(0.5),
            p99_ms: at_share(0.99),
            last_ms: at_share(1.0),
        });
    }

    /// The crashes as they were noticed.
    pub(super) fn crashes(&self) -> Vec<CrashOutcome> {
        let outcome = |(crash, noticed): (&super::plan::Crash, &Noticed)| {
            let at = self.origin + crash.at.as_micros() as u64;
            let after = |time: Option<u64>| time.map(|time| (time - at) as f64 / 1e6);
            CrashOutcome {
                member: crash.member,
                at_s: crash.at.as_secs_f64(),
                first_suspected_s: after(noticed.first_suspected),
                first_declared_s: after(noticed.first_declared),
                first_s: after(noticed.first),
                half_s: after(noticed.half),
                all_s: after(noticed.all),
                declared: noticed.declared,
                of: self.observers,
            }
        };
        self.plan.crashes.iter().zip(&self.noticed).map(outcome).collect()
    }

    /// The events as they spread.
    pub(super) fn events(&mut self) -> Vec<EventOutcome> {
        (0..self.spread.len())
            .filter_map(|number| {
                if self.spread[number].summary.is_none() {
                    self.summarise(number);
                }
                self.spread[number].summary
            })
            .collect()
    }

    /// Distinct (member, incarnation) held for dead while alive, and those of members without impairment.
    pub(super) fn wrong_subjects(&self) -> (u64, u64) {
        let healthy = self.wrongly.iter().filter(|(subject, _)| !self.impaired[*subject as usize]).count();
        (self.wrongly.len() as u64, healthy as u64)
    }
}
