//! From what the workers heard of each real member to what is reported of it.
//!
//! A real member talks to members on all workers. Round trips add up; of what it was first heard to say, the
//! first worker to hear it counts; an accusation counts once, however many were told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use hashbrown::{HashMap, HashSet};
use hdrhistogram::Histogram;

use super::contact::Contact;
use super::doubts::Doubts;
use super::heard::{Accusation, Heard, RealMember, Slot};
use crate::measurements::{histogram_us, record};
use crate::report::real_members as report;

/// What all workers heard.
pub struct Merged {
    /// What is reported.
    pub real_members: report::RealMembers,
    /// Declarations of death by real members about live members of ours.
    pub false_deaths: u64,
    /// Whether the pool's own members and ours heard each other.
    pub contact: Contact,
    /// Why what is reported is not everything, one line each.
    pub shed: Vec<String>,
}

/// One real member, put together.
struct Whole {
    member: RealMember,
    suspects: HashMap<u32, u32>,
    deaths: HashMap<u32, u32>,
    events: HashMap<u32, u32>,
    accusations: HashSet<Accusation>,
}

impl Whole {
    fn new(member: RealMember) -> Whole {
        Whole {
            member,
            suspects: HashMap::new(),
            deaths: HashMap::new(),
            events: HashMap::new(),
            accusations: HashSet::new(),
        }
    }

    fn add(&mut self, other: &RealMember) {
        self.member.ack_rtt_us.add(&other.ack_rtt_us).expect("all histograms have the same bounds");
        self.member.lost_acks += other.lost_acks;
        self.member.suspected.add(&other.suspected);
        self.member.failed.add(&other.failed);
        self.member.dead_count += other.dead_count;
        self.member.left |= other.left;
        self.member.unopened += other.unopened;
    }

    fn accusations(&self, dead: bool) -> u64 {
        self.accusations.iter().filter(|accusation| accusation.dead == dead).count() as u64
    }
}

/// Puts together what each worker heard.
pub fn merge<'a>(workers: impl Iterator<Item = &'a Heard> + Clone) -> Merged {
    // By name, then address: the order in which they are reported.
    let mut whole: BTreeMap<(String, SocketAddr), Whole> = BTreeMap::new();
    for heard in workers.clone() {
        for member in &heard.members {
            let known = whole.entry((member.name.clone(), member.address));
            known.and_modify(|whole| whole.add(member)).or_insert_with(|| Whole::new(member.clone()));
        }
        let mut of = |slot: Slot, put: &mut dyn FnMut(&mut Whole)| {
            let member = &heard.members[slot as usize];
            if let Some(whole) = whole.get_mut(&(member.name.clone(), member.address)) {
                put(whole);
            }
        };
        for (firsts, of_whole) in [
            (&heard.suspects, (|whole| &mut whole.suspects) as fn(&mut Whole) -> &mut HashMap<u32, u32>),
            (&heard.deaths, |whole| &mut whole.deaths),
            (&heard.events, |whole| &mut whole.events),
        ] {
            for (slot, what, us) in firsts.iter() {
                of(slot, &mut |whole| {
                    let first = of_whole(whole).entry(what).or_insert(us);
                    *first = (*first).min(us);
                });
            }
        }
        for (slot, accusation) in heard.accusations.keys() {
            of(*slot, &mut |whole| {
                whole.accusations.insert(*accusation);
            });
        }
    }
    let untracked = workers.clone().map(|heard| heard.untracked).max().unwrap_or(0);
    let mut contact = Contact::default();
    workers.clone().for_each(|heard| contact.add(&heard.contact));
    let mut all =
        Sums { suspected: doubters(workers.clone(), |member| &member.suspected), ..Sums::default() };
    all.failed = doubters(workers.clone(), |member| &member.failed);
    let members: Vec<report::RealMember> = whole.values().map(|one| all.take(one)).collect();
    let real_members = report::RealMembers {
        count: members.len() as u64 + untracked,
        untracked,
        silence_s: seconds(contact.silence),
        all_dead_at_s: contact.all_dead_at.map(seconds),
        unopened_of_others: contact.unopened_of_others,
        cut_off: Vec::new(),
        total: all.report(),
        members,
    };
    Merged { false_deaths: real_members.total.deaths_declared, real_members, contact, shed: shed(workers) }
}

/// Members of ours that doubted any real member, each counted once.
fn doubters<'a>(workers: impl Iterator<Item = &'a Heard>, of: fn(&RealMember) -> &Doubts) -> Doubts {
    let mut all = Doubts::default();
    for heard in workers {
        let mut here = Doubts::default();
        heard.members.iter().for_each(|member| here.unite(of(member)));
        all.add(&here);
    }
    all
}

fn seconds(time: Duration) -> f64 {
    report::rounded(time.as_secs_f64())
}

fn doubted(doubts: &Doubts) -> report::Doubted {
    report::Doubted { by: doubts.by, from_s: doubts.first.map(seconds), until_s: doubts.last.map(seconds) }
}

fn shed<'a>(workers: impl Iterator<Item = &'a Heard> + Clone) -> Vec<String> {
    let sum = |of: fn(&Heard) -> u64| workers.clone().map(of).sum::<u64>();
    let told = [
        ("first times", sum(|heard| heard.suspects.shed + heard.deaths.shed + heard.events.shed)),
        ("accusations", sum(|heard| heard.accusations_shed)),
    ];
    let lines = told.into_iter().filter(|(_, count)| *count > 0);
    lines.map(|(what, count)| format!("{count} {what} of real members were not recorded: too many")).collect()
}

/// All real members together.
struct Sums {
    rtt: Histogram<u64>,
    times: [Histogram<u64>; 3],
    suspected: Doubts,
    failed: Doubts,
    counted: report::RealMember,
}

impl Default for Sums {
    fn default() -> Sums {
        Sums {
            rtt: histogram_us(),
            times: [histogram_us(), histogram_us(), histogram_us()],
            suspected: Doubts::default(),
            failed: Doubts::default(),
            counted: report::RealMember::default(),
        }
    }
}

/// Microseconds in the unit of each of a member's times: suspicions, deaths, events.
const UNITS_US: [f64; 3] = [1e6, 1e6, 1e3];

impl Sums {
    /// Reports one member and adds it.
    fn take(&mut self, one: &Whole) -> report::RealMember {
        let member = &one.member;
        for value in member.ack_rtt_us.iter_recorded() {
            self.rtt.saturating_record_n(value.value_iterated_to(), u64::from(value.count_at_value()));
        }
        let mut times = [&one.suspects, &one.deaths, &one.events].map(|firsts| {
            let mut histogram = histogram_us();
            firsts.values().for_each(|us| record(&mut histogram, Duration::from_micros(u64::from(*us))));
            histogram
        });
        for (sum, own) in self.times.iter_mut().zip(&mut times) {
            sum.add(&*own).expect("all histograms have the same bounds");
        }
        let [suspect_s, dead_s, event_ms] =
            [0, 1, 2].map(|which| report::Spread::of(&times[which], UNITS_US[which]));
        let reported = report::RealMember {
            name: member.name.clone(),
            address: member.address.to_string(),
            acks: member.ack_rtt_us.len(),
            ack_rtt_us: report::Spread::of(&member.ack_rtt_us, 1.0),
            lost_acks: member.lost_acks,
            suspect_s,
            dead_s,
            event_ms,
            suspicions_raised: one.accusations(false),
            deaths_declared: one.accusations(true),
            suspected: member.suspected.times,
            suspected_of: doubted(&member.suspected),
            failed: member.failed.times,
            failed_of: doubted(&member.failed),
            held_dead: member.dead_count,
            unopened: member.unopened,
        };
        let sum = &mut self.counted;
        sum.acks += reported.acks;
        sum.lost_acks += reported.lost_acks;
        sum.suspicions_raised += reported.suspicions_raised;
        sum.deaths_declared += reported.deaths_declared;
        sum.suspected += reported.suspected;
        sum.failed += reported.failed;
        sum.held_dead += reported.held_dead;
        sum.unopened += reported.unopened;
        reported
    }

    fn report(self) -> report::RealMember {
        let [suspect_s, dead_s, event_ms] =
            [0, 1, 2].map(|which| report::Spread::of(&self.times[which], UNITS_US[which]));
        report::RealMember {
            ack_rtt_us: report::Spread::of(&self.rtt, 1.0),
            suspect_s,
            dead_s,
            event_ms,
            suspected_of: doubted(&self.suspected),
            failed_of: doubted(&self.failed),
            ..self.counted
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(rtt_us: u64, us: u64) -> Heard {
        let mut heard = Heard::default();
        let slot = heard.meet("a", SocketAddr::from(([10, 0, 0, 1], 7946))).unwrap();
        heard.members[slot as usize].acked(Duration::from_micros(rtt_us));
        heard.members[slot as usize].lost_acks = 1;
        heard.passed_on(slot, 0, Duration::from_micros(us));
        heard.told_of_kill(slot, 0, true, Duration::from_micros(us * 1000));
        heard.accused(slot, Accusation { subject: 3, incarnation: 1, dead: false });
        heard.accused(slot, Accusation { subject: 3, incarnation: 1, dead: true });
        let other = heard.meet("b", SocketAddr::from(([10, 0, 0, 2], 7946))).unwrap();
        for (slot, local, at_us) in [(slot, 0, us), (slot, 0, us * 2), (other, 0, us * 3)] {
            heard.members[slot as usize].failed.note(local, Duration::from_micros(at_us));
        }
        heard.believes(slot, 0, true, None);
        heard
    }

    #[test]
    fn workers_add_up_and_the_first_to_hear_counts() {
        let two = [heard(100, 9000), heard(300, 4000)];
        let merged = merge(two.iter());
        let [member, other] = &merged.real_members.members[..] else { panic!("{:?}", merged.real_members) };
        assert_eq!((member.name.as_str(), member.address.as_str()), ("a", "10.0.0.1:7946"));
        assert_eq!((member.acks, member.lost_acks), (2, 2));
        assert_eq!(member.ack_rtt_us.p50.map(f64::round), Some(100.0));
        assert_eq!((member.event_ms.count, member.event_ms.p50.map(f64::round)), (1, Some(4.0)));
        assert_eq!(member.dead_s.max.map(f64::round), Some(4.0));
        assert_eq!(member.suspect_s, report::Spread::default());
        assert_eq!((member.suspicions_raised, member.deaths_declared), (1, 1), "told twice");
        assert_eq!((merged.false_deaths, merged.shed.len()), (1, 0));
        assert_eq!((member.failed, member.failed_of.by, member.held_dead), (4, 2, 2));
        let times = (member.failed_of.from_s, member.failed_of.until_s);
        assert_eq!(times, (Some(0.004), Some(0.018)), "the earliest and the latest of both workers");
        assert_eq!((other.failed, other.failed_of.by, other.suspected_of.by), (2, 2, 0));
        let total = &merged.real_members.total;
        assert_eq!((total.failed, total.failed_of.by), (6, 2), "the same two of ours doubted both");
        assert_eq!((total.acks, total.event_ms.count, total.name.as_str()), (2, 1, ""));
    }
}
