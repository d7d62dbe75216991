//! Tests of what becomes of an application's events while members do not keep up with those that are told.

use std::net::SocketAddr;
use std::sync::Arc;

use super::*;
use crate::protocol::settings::Dissemination;
use crate::protocol::{FrameSink, View};

/// So many members miss an event that is told to nobody, and so many such events are more than may be missed.
const MEMBERS: usize = 512;
const EVENTS: usize = 129;

/// Loses every frame.
#[derive(Default)]
struct Lost(Vec<u8>);

impl FrameSink for Lost {
    fn reserve(&mut self, _to: SocketAddr, len: usize) -> Option<&mut [u8]> {
        self.0.resize(len, 0);
        Some(&mut self.0)
    }
}

/// A member that knows all others of its storage.
struct Speaker {
    member: Member,
    shared: SharedState,
    lost: Lost,
}

impl Speaker {
    fn new(dissemination: Dissemination) -> Speaker {
        let mut shared = SharedState::new(1);
        let settings = Arc::new(Settings { dissemination, ..Settings::default() });
        let mut members: Vec<Member> = (0..MEMBERS)
            .map(|nth| {
                let config = MemberConfig {
                    name: format!("member-{nth}"),
                    address: SocketAddr::from(([127, 0, 0, 1], 1 + nth as u16)),
                    metadata: Vec::new(),
                    zone: String::new(),
                    cluster: 1,
                    incarnation: Incarnation::new(7),
                    seed: 1,
                    settings: Arc::clone(&settings),
                };
                Member::new(config, &mut shared, Time::ZERO).unwrap()
            })
            .collect();
        let view = View::of(&members, &mut shared);
        let mut member = members.swap_remove(0);
        member.load(&view, &mut shared);
        view.release(&mut shared);
        Speaker { member, shared, lost: Lost::default() }
    }

    fn says(&mut self, now: Time) -> Result<u32, MemberError> {
        let (streams, events) = (&mut Vec::new(), &mut Vec::new());
        let mut out = Outbox { frames: &mut self.lost, streams, events, gossip_budget: &mut 0 };
        self.member.send_event(now, "deploy", b"v2", &mut self.shared, &mut out)
    }

    /// Sends as many events as may be missed by all; none of them arrives. Gives the last one's number.
    fn says_too_much(&mut self) -> u32 {
        (0..EVENTS).map(|_| self.says(Time::from_micros(1)).unwrap()).last().unwrap()
    }
}

/// Events that nobody has heard yet are one thing, and a driver that is behind in reading another: both together are overload.
#[test]
fn events_that_would_only_wait_are_refused() {
    let mut speaker = Speaker::new(Dissemination::Delegated);
    speaker.shared.set_unread(Duration::from_millis(10));
    let last = speaker.says_too_much();
    assert_eq!(speaker.says(Time::from_micros(2)), Err(MemberError::Overloaded));
    assert_eq!(speaker.shared.counters.events_refused, 1);
    speaker.shared.set_unread(Duration::from_millis(9));
    assert_eq!(speaker.says(Time::from_micros(3)), Ok(last.wrapping_add(1)), "a refused one has no number");
    speaker.shared.set_unread(Duration::from_secs(1));
    assert_eq!(speaker.says(Time::from_micros(3_999_999)), Err(MemberError::Overloaded));
    assert!(
        speaker.says(Time::from_micros(4_000_001)).is_ok(),
        "who has not had them by now waits for repair"
    );
    assert_eq!(speaker.shared.counters.events_refused, 2);
}

/// Gossip takes its time, whatever members keep up with.
#[test]
fn with_gossip_none_is_refused() {
    let mut speaker = Speaker::new(Dissemination::Gossip);
    speaker.shared.set_unread(Duration::from_secs(1));
    speaker.says_too_much();
    assert!(speaker.says(Time::from_micros(2)).is_ok());
}
