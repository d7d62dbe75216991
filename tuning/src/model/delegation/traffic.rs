//! Traffic: the datagrams and bytes that telling costs when it is delegated, beside those of probing.
//!
//! Of every update each member sends its copies and acknowledgements ([`Broadcast::copies`], [`Broadcast::acks`]), so
//! their rates in the whole cluster are rates per member. A copy is a frame's header, the mark that says what is
//! delegated, and the update; an acknowledgement is a header and a mark. Frames leave padded to the engine's size classes
//! (`swimring::net::padded_len`) where they leave in trains, and as they are where not: both are given. Updates that are
//! under way together may share frames and acknowledgements ride on other frames, so this is an upper bound, close
//! while updates come more slowly than one per pacing interval.
//!
//! Broadcasts are the user events; for each failure the suspicion, each of the K confirmations that are told,
//! and the death, which two accusers may begin and which ends where their waves meet; for each refutation a
//! suspicion and the answer, as in [`mod@super::super::traffic`].

use swimring::net::padded_len;
use swimring::protocol::Settings;
use swimring_codec::native::{DELEGATION_LEN, HEADER_LEN, SUSPECT_LEN, UPDATE_LEN, UserEvent};

use super::super::Environment;
use super::super::false_positives::Probe;
use super::super::suspicion::Window;
use super::Broadcast;

/// What is told, per second in the whole cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// User events.
    pub events_per_s: f64,
    /// Payload of one.
    pub event_bytes: u16,
    /// Members that fail.
    pub failures_per_s: f64,
    /// Confirmations of a failure's suspicion that are told.
    pub confirmations: u32,
    /// Live members that are accused and refute it.
    pub refutations_per_s: f64,
}

impl Rates {
    /// What members with these settings tell, in this environment.
    pub fn of(settings: &Settings, environment: &Environment, probe: &Probe) -> Rates {
        Rates {
            events_per_s: environment.events_per_second,
            event_bytes: environment.event_bytes,
            failures_per_s: environment.failures_per_hour / 3600.0,
            confirmations: Window::of(settings, environment.members).needed,
            refutations_per_s: probe.accusations_per_member_second(settings) * f64::from(environment.members),
        }
    }

    /// Broadcasts per second of each kind, and the bytes of one update.
    fn broadcasts(&self) -> [(f64, usize); 3] {
        let event = UserEvent::encoded_len(0, self.event_bytes.into());
        let suspicions = self.failures_per_s * f64::from(1 + self.confirmations) + self.refutations_per_s;
        [
            (self.events_per_s, event),
            (suspicions, SUSPECT_LEN),
            (self.failures_per_s + self.refutations_per_s, UPDATE_LEN),
        ]
    }

    /// Broadcasts per second, whatever they tell.
    pub fn updates_per_s(&self) -> f64 {
        self.broadcasts().iter().map(|(per_s, _)| per_s).sum()
    }
}

/// What a member sends beside its probes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Traffic {
    /// Datagrams per member and second.
    pub datagrams: f64,
    /// Their payload bytes per member and second, without padding.
    pub bytes: f64,
    /// The same with padding to size classes.
    pub padded_bytes: f64,
}

impl Broadcast {
    /// What telling at these rates costs a live member.
    pub fn traffic(&self, rates: &Rates) -> Traffic {
        let mut traffic = Traffic::default();
        let mut add = |per_s: f64, bytes: usize| {
            traffic.datagrams += per_s;
            traffic.bytes += per_s * bytes as f64;
            traffic.padded_bytes += per_s * padded_len(bytes) as f64;
        };
        for (per_s, bytes) in rates.broadcasts() {
            add(per_s * self.copies, HEADER_LEN + DELEGATION_LEN + bytes);
            add(per_s * self.acks, HEADER_LEN + DELEGATION_LEN);
        }
        traffic
    }
}

#[cfg(test)]
mod tests {
    use swimring::protocol::settings::Preset;

    use super::super::super::traffic;
    use super::super::BroadcastInputs;
    use super::*;

    #[test]
    fn one_event_is_one_frame_and_one_acknowledgement() {
        let environment = Environment { members: 10_000, ..Environment::default() };
        let broadcast = Broadcast::of(&BroadcastInputs::of(&Settings::default(), &environment));
        let one = Rates { events_per_s: 1.0, event_bytes: 100, ..Rates::default() };
        let traffic = broadcast.traffic(&one);
        assert!((traffic.datagrams - 2.0).abs() < 0.01, "{traffic:?}");
        let event = UserEvent::encoded_len(0, 100);
        assert!((traffic.bytes - (40 + 40 + event) as f64).abs() < 1.0, "{traffic:?}");
        assert!((traffic.padded_bytes - (64 + padded_len(40 + event)) as f64).abs() < 1.0, "{traffic:?}");
    }

    #[test]
    fn a_failure_is_told_as_often_as_it_is_confirmed() {
        let broadcast = Broadcast::of(&BroadcastInputs::of(&Settings::default(), &Environment::default()));
        let with = |confirmations, refutations_per_s| {
            let rates = Rates { failures_per_s: 0.5, confirmations, refutations_per_s, ..Rates::default() };
            (rates.updates_per_s(), broadcast.traffic(&rates).bytes)
        };
        assert_eq!(with(0, 0.0).0, 1.0);
        assert_eq!(with(2, 1.0).0, 4.0);
        let confirmed = with(2, 0.0).1 - with(0, 0.0).1;
        assert!((confirmed - (80 + SUSPECT_LEN) as f64).abs() < 1.0, "{confirmed}");
    }

    /// Beside gossip, in the same environment: a tenth of the bytes of an event, or less.
    #[test]
    fn delegation_costs_a_fraction_of_gossip() {
        let lan = Settings::preset(Preset::Lan);
        let idle = Environment { members: 10_000, ..Environment::default() };
        let busy = Environment { events_per_second: 1.0, ..idle.clone() };
        let gossip = |environment: &Environment| {
            traffic::Traffic::of(&lan, environment, &Probe::of(&lan, environment)).bytes
        };
        let broadcast = Broadcast::of(&BroadcastInputs::of(&lan, &busy));
        let delegated = broadcast.traffic(&Rates::of(&lan, &busy, &Probe::of(&lan, &busy)));
        let gossiped = gossip(&busy) - gossip(&idle);
        println!("{gossiped} bytes by gossip, {delegated:?}");
        assert!(delegated.bytes < gossiped / 8.0, "{delegated:?} {gossiped}");
    }
}
