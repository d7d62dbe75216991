//! Telling: how news gets from the member that has it to the others, whichever way the settings have.
//!
//! Gossip is an epidemic ([`mod@super::spread`]); on the native wire members may delegate instead
//! ([`mod@super::delegation`]). What comes of either is the share of members that have not been told after a time, and
//! the forms that rest on it, of refutations and of the last member to declare, need no more than that.
//!
//! **The last.** A broadcast's expected share u(t) of members that were not told says how many are missing, not whether
//! they are missing together. Taken for independent, somebody is missing with probability 1 - e^(-(n-1) u(t)). A lost
//! datagram near the originator delays a whole part, so that this is an upper bound; it is close at the end, when single
//! members are missing.

use std::fmt;
use std::sync::Arc;

use swimring::protocol::Settings;
use swimring::protocol::settings::Dissemination;
use swimring_simulation::experiment::WireSizes;

use super::Environment;
use super::delegation::Broadcast;
use super::special::quantile;
use super::spread::Spread;

/// Whether members with these settings tell by delegating: on memberlist's wire all gossip.
pub fn delegates(settings: &Settings, environment: &Environment) -> bool {
    environment.wire == WireSizes::Native && settings.dissemination == Dissemination::Delegated
}

/// How one piece of news spreads, in time.
pub trait Telling: fmt::Debug {
    /// The share of members that are expected not to know `time_s` after the first had the news.
    fn uninformed_s(&self, time_s: f64) -> f64;

    /// The probability that somebody does not know after `time_s`.
    fn somebody_uninformed_s(&self, time_s: f64) -> f64;

    /// When nobody tells any more, in seconds.
    fn ends_s(&self) -> f64;

    /// The share that is never told, and left to repair.
    fn missed(&self) -> f64;

    /// The time after which a `share` of all deliveries has been made. None if so many never are.
    fn delay_s(&self, share: f64) -> Option<f64> {
        within(share, self.ends_s(), |time_s| self.uninformed_s(time_s))
    }

    /// The time after which all know, in a `share` of all cases. None if in so many some never know.
    fn last_s(&self, share: f64) -> Option<f64> {
        within(share, self.ends_s(), |time_s| self.somebody_uninformed_s(time_s))
    }
}

fn within(share: f64, highest_s: f64, survival: impl Fn(f64) -> f64) -> Option<f64> {
    (survival(highest_s) <= 1.0 - share).then(|| quantile(share, highest_s, survival))
}

impl Telling for Spread {
    fn uninformed_s(&self, time_s: f64) -> f64 {
        Spread::uninformed_s(self, time_s)
    }

    fn somebody_uninformed_s(&self, time_s: f64) -> f64 {
        Spread::somebody_uninformed_s(self, time_s)
    }

    fn ends_s(&self) -> f64 {
        Spread::ends_s(self)
    }

    fn missed(&self) -> f64 {
        Spread::missed(self)
    }
}

/// What the broadcast's form has dropped as too rare to be carried along is less than this, and counts as nobody.
const DROPPED: f64 = 3e-6;

/// A delegated broadcast among so many members.
#[derive(Clone, Debug)]
pub struct Delegated {
    broadcast: Arc<Broadcast>,
    others: f64,
}

impl Delegated {
    /// Of `broadcast` among `members`.
    pub fn new(broadcast: Arc<Broadcast>, members: u32) -> Delegated {
        Delegated { broadcast, others: f64::from(members.max(2) - 1) }
    }

    /// The time after which all know by one of so many broadcasts that begin together, in a `share` of all cases. None
    /// if in so many some never know.
    pub fn last_of_s(&self, broadcasts: i32, share: f64) -> Option<f64> {
        let unaware = |time_s: f64| self.uninformed_s(time_s).powi(broadcasts);
        within(share, self.ends_s(), |time_s| -(-self.others * unaware(time_s)).exp_m1())
    }
}

impl Telling for Delegated {
    fn uninformed_s(&self, time_s: f64) -> f64 {
        let uninformed = 1.0 - self.broadcast.told_s(time_s);
        if uninformed < DROPPED { 0.0 } else { uninformed }
    }

    fn somebody_uninformed_s(&self, time_s: f64) -> f64 {
        -(-self.others * self.uninformed_s(time_s)).exp_m1()
    }

    fn ends_s(&self) -> f64 {
        self.broadcast.ends_s()
    }

    fn missed(&self) -> f64 {
        if self.broadcast.missed < DROPPED { 0.0 } else { self.broadcast.missed }
    }
}

#[cfg(test)]
mod tests {
    use super::super::delegation::BroadcastInputs;
    use super::*;

    fn among(members: u32, loss: f64) -> Delegated {
        let environment = Environment { members, loss, ..Environment::default() };
        let inputs = BroadcastInputs::of(&Settings::default(), &environment);
        Delegated::new(Arc::new(Broadcast::of(&inputs)), members)
    }

    #[test]
    fn the_last_comes_after_the_others_and_later_among_more() {
        for loss in [0.0, 0.01, 0.1] {
            let (few, many) = (among(100, loss), among(10_000, loss));
            let last = |telling: &Delegated| telling.last_s(0.5).unwrap();
            assert!(last(&few) >= few.delay_s(0.5).unwrap(), "{loss}");
            assert!(last(&many) > many.delay_s(0.99).unwrap(), "{loss}");
            assert!(last(&many) > last(&few), "{loss}");
        }
    }

    #[test]
    fn nobody_is_missing_where_nothing_is_lost_and_some_are_where_much_is() {
        assert_eq!((among(100_000, 0.0).missed(), among(100, 0.0).uninformed_s(10.0)), (0.0, 0.0));
        let lossy = among(1_000, 0.7);
        assert!(lossy.missed() > 0.1 && lossy.last_s(0.5).is_none(), "{lossy:?}");
    }

    #[test]
    fn only_the_native_wire_delegates() {
        let delegated = Settings { dissemination: Dissemination::Delegated, ..Settings::default() };
        let gossip = Settings { dissemination: Dissemination::Gossip, ..Settings::default() };
        let native = Environment::default();
        let memberlist = Environment { wire: WireSizes::Memberlist, ..native.clone() };
        assert!(delegates(&delegated, &native) && !delegates(&gossip, &native));
        assert!(!delegates(&delegated, &memberlist));
    }
}
