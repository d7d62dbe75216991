//! Tests of what follows a join.

use super::refutation_tests::{Nowhere, call, member, second};
use super::*;
use crate::protocol::WireOptions;

/// Whoever answered has left meanwhile, and is in no view: there is nobody to compare views with, and without a period
/// nothing else to wait for. A timer that stays due would keep the driver busy.
#[test]
fn a_join_through_nobody_leaves_no_timer_that_stays_due() {
    let (mut one, mut shared) = member(&WireOptions::Native, 100);
    let settings = Settings { push_pull_interval: Duration::ZERO, ..Settings::default() };
    one.core.settings = Arc::new(settings);
    one.restart_timers(second(1), &shared);
    call(&mut one, &mut shared, second(1), |one, cx| one.anti_entropy.note_joined(&mut one.core, cx, None));
    let due = one.anti_entropy.due();
    assert!(due < second(2), "views are to be compared soon");
    let (streams, events) = (&mut Vec::new(), &mut Vec::new());
    let out = &mut Outbox { frames: &mut Nowhere, streams, events, gossip_budget: &mut 0 };
    one.handle_timeout(due, &mut shared, out);
    assert!(one.next_timeout() > due);
}
