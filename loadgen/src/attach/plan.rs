//! What happens to the virtual members while they are measured: kills and events as in a `run`, and churn.
//!
//! Churn has members of its own, which leave in turn and come back after a while under their names. They are
//! neither killed nor counted as observers: what somebody notices who is away half of the time says nothing.

use std::time::Duration;

use swimring_tooling::values::Rate;

use crate::fleet::MemberNumber;
use crate::schedule::Plan;

/// How long somebody who left stays away: until everybody has heard of it.
pub const PAUSE: Duration = Duration::from_secs(5);
/// From one leave of a member to its next, at least: leaving, the pause, joining, and staying for a moment.
const CYCLE: Duration = Duration::from_secs(15);

/// One member leaves, and comes back [`PAUSE`] after it has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leave {
    /// When, counted from the start of the measured time.
    pub at: Duration,
    /// The member.
    pub member: MemberNumber,
}

/// What happens to the members while they are measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttachPlan {
    /// Kills and events.
    pub plan: Plan,
    /// Leaves, in order of time.
    pub leaves: Vec<Leave>,
    /// Members that leave and come back, in no particular order.
    pub churners: Vec<MemberNumber>,
}

/// Members that churn at `rate` keeps busy.
fn churners_for(rate: f64) -> u32 {
    (rate * CYCLE.as_secs_f64()).ceil() as u32
}

/// The fastest churn that leaves half of the members where they are.
pub fn churn_max(members: u32, kills: u32) -> f64 {
    f64::from(members.saturating_sub(kills) / 2) / CYCLE.as_secs_f64()
}

impl AttachPlan {
    /// Plans for `members`, of which `kills` are killed.
    pub fn new(
        members: u32,
        duration: Duration,
        kills: u32,
        events: Rate,
        churn: Rate,
        seed: u64,
    ) -> AttachPlan {
        let mut plan = Plan::new(members, duration, kills, events, seed);
        if churn.per_second <= 0.0 {
            return AttachPlan { plan, ..AttachPlan::default() };
        }
        let mut random = fastrand::Rng::with_seed(seed ^ 0x5eed_c4c4);
        let dying: Vec<MemberNumber> = plan.kills.iter().map(|kill| kill.victim).collect();
        let mut others: Vec<MemberNumber> = (0..members).filter(|member| !dying.contains(member)).collect();
        random.shuffle(&mut others);
        let count = (churners_for(churn.per_second) as usize).min(others.len() / 2);
        let (churners, staying) = others.split_at(count);
        for event in &mut plan.events {
            event.sender = staying[random.usize(..staying.len())];
        }
        AttachPlan { leaves: leaves(duration, churn, churners), churners: churners.to_vec(), plan }
    }

    /// Members that are there from the beginning to the end.
    pub fn observers(&self, members: u32) -> u64 {
        u64::from(members) - self.plan.kills.len() as u64 - self.churners.len() as u64
    }
}

/// The churners leave in turn, evenly over the first two thirds.
fn leaves(duration: Duration, churn: Rate, churners: &[MemberNumber]) -> Vec<Leave> {
    let count = (duration.as_secs_f64() * 2.0 / 3.0 * churn.per_second + 1e-6) as usize;
    let each = Duration::from_secs_f64(1.0 / churn.per_second);
    let turns = churners.iter().cycle().take(if churners.is_empty() { 0 } else { count });
    turns.enumerate().map(|(nth, member)| Leave { at: each.mul_f64(nth as f64), member: *member }).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn plans_keep_their_promises(
            members in 40_u32..2000, kills in 0_u32..10, share in 0.05_f64..1.0, seed: u64,
        ) {
            let duration = Duration::from_secs(60);
            let churn = Rate { per_second: churn_max(members, kills) * share };
            let made = AttachPlan::new(members, duration, kills, Rate { per_second: 2.0 }, churn, seed);
            let churners: HashSet<_> = made.churners.iter().copied().collect();
            prop_assert_eq!(churners.len(), made.churners.len());
            prop_assert!(made.plan.kills.iter().all(|kill| !churners.contains(&kill.victim)));
            prop_assert!(made.plan.events.iter().all(|event| !churners.contains(&event.sender)));
            let dying: HashSet<_> = made.plan.kills.iter().map(|kill| kill.victim).collect();
            prop_assert!(made.plan.events.iter().all(|event| !dying.contains(&event.sender)));
            prop_assert!(made.observers(members) >= u64::from(members) / 2 - 10);
            let wanted = (40.0 * churn.per_second) as usize;
            prop_assert!(made.leaves.len().abs_diff(wanted) <= 1);
            prop_assert!(made.leaves.is_sorted_by_key(|leave| leave.at));
            let mut last = HashMap::new();
            for leave in &made.leaves {
                if let Some(before) = last.insert(leave.member, leave.at) {
                    prop_assert!(leave.at - before >= CYCLE.mul_f64(0.99), "twice within a cycle");
                }
            }
        }
    }

    #[test]
    fn without_churn_it_is_the_plan_of_a_run() {
        let rate = Rate { per_second: 1.0 };
        let made = AttachPlan::new(50, Duration::from_secs(30), 3, rate, Rate::default(), 7);
        assert_eq!(made.plan, Plan::new(50, Duration::from_secs(30), 3, rate, 7));
        assert_eq!((made.leaves.len(), made.observers(50)), (0, 47));
    }
}
