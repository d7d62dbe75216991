//! Distance between zones on one machine: what comes from another zone is held back, as if it were far away.
//!
//! The members of a fleet are spread over zones by their ids, so every worker knows who is where without being told. A
//! frame from another zone waits in a queue at the receiving side, in the order of arrival, before its member gets it; acks
//! likewise, so a round trip takes twice as long. Streams are not held back. Only in a fleet that asks for it: others
//! have no queue, and look at one pointer for each frame.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use swimring_codec::MemberId;
use swimring_codec::native::{FRAME_MAX, Frame, FrameHeader, Message};

use super::host::Host;
use super::members::HostedMember;
use super::observer::Observer;
use crate::net::Trains;
use crate::protocol::Time;

/// Most frames that one worker holds back. What exceeds it is dropped, as in a router's queue.
pub const HELD_MAX: usize = 32_768;

/// Frames are let go at whole steps of this, so that a busy worker does not wake for each.
const GRAIN: Duration = Duration::from_millis(1);

/// How far apart zones are, and how many there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ZoneLatency {
    /// Number of zones, 2 or more.
    pub zones: u32,
    /// How long a frame from another zone is held back, rounded up to a millisecond.
    pub one_way: Duration,
}

impl ZoneLatency {
    /// The zone of the member `id`, below the number of zones.
    pub fn zone_of(&self, id: MemberId) -> u32 {
        (id.0 % u64::from(self.zones.max(1))) as u32
    }
}

/// A frame that is held back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    due: Time,
    pub(super) from: SocketAddr,
    pub(super) local: HostedMember,
    slot: u32,
    length: u16,
}

/// What a frame from another zone tells.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Crossing {
    /// Updates and user events that were delegated.
    pub(super) delegated: u64,
    /// User events.
    pub(super) events: u64,
}

/// The frames that one worker holds back. See the module.
#[derive(Debug)]
pub(super) struct HeldFrames {
    latency: ZoneLatency,
    /// In the order in which they came, which is that in which they are due.
    queue: VecDeque<Held>,
    /// Room for [`HELD_MAX`] frames; what is never used is never touched.
    bytes: Vec<u8>,
    free: Vec<u32>,
}

impl HeldFrames {
    pub(super) fn new(latency: ZoneLatency) -> HeldFrames {
        HeldFrames {
            latency,
            queue: VecDeque::with_capacity(HELD_MAX),
            bytes: vec![0; HELD_MAX * FRAME_MAX],
            free: (0..HELD_MAX as u32).rev().collect(),
        }
    }

    /// Whether a frame of this sender comes from another zone than its receiver's.
    pub(super) fn crosses(&self, source: MemberId, destination: MemberId) -> bool {
        self.latency.zone_of(source) != self.latency.zone_of(destination)
    }

    /// Holds a frame for the member `local` back that arrived at `now`. False if there is no room.
    pub(super) fn hold(&mut self, now: Time, from: SocketAddr, local: HostedMember, bytes: &[u8]) -> bool {
        if bytes.len() > FRAME_MAX {
            return false;
        }
        let Some(slot) = self.free.pop() else { return false };
        let grain = GRAIN.as_micros() as u64;
        let due = Time::from_micros((now + self.latency.one_way).as_micros().div_ceil(grain) * grain);
        self.room(slot)[..bytes.len()].copy_from_slice(bytes);
        self.queue.push_back(Held { due, from, local, slot, length: bytes.len() as u16 });
        true
    }

    fn room(&mut self, slot: u32) -> &mut [u8] {
        let start = slot as usize * FRAME_MAX;
        &mut self.bytes[start..start + FRAME_MAX]
    }

    /// When the next is due; nothing while none is held back.
    pub(super) fn due(&self) -> Option<Time> {
        self.queue.front().map(|held| held.due)
    }

    /// The next that is due by `now`, its bytes in `out`. Gives how many there are, too.
    pub(super) fn release(&mut self, now: Time, out: &mut [u8; FRAME_MAX]) -> Option<(Held, usize)> {
        let held = self.queue.front().copied().filter(|held| held.due <= now)?;
        self.queue.pop_front();
        let length = usize::from(held.length);
        out[..length].copy_from_slice(&self.room(held.slot)[..length]);
        self.free.push(held.slot);
        Some((held, length))
    }
}

impl<O: Observer> Host<O> {
    /// Holds `frame`, which came as `bytes` for the member `local`, back if it is from another zone. False if it is not.
    pub(super) fn hold(
        &mut self,
        from: SocketAddr,
        local: HostedMember,
        frame: &Frame<'_>,
        bytes: &[u8],
    ) -> bool {
        let now = self.clock.now();
        let FrameHeader { source, destination, .. } = frame.header;
        let Some(held) = self.held.as_mut().filter(|held| held.crosses(source, destination)) else {
            return false;
        };
        let crossing = crossing(frame);
        self.counters.zone_copies += crossing.delegated;
        self.counters.zone_event_copies += crossing.events;
        let room = held.hold(now, from, local, bytes);
        self.counters.zone_frames += u64::from(room);
        self.counters.zone_frames_shed += u64::from(!room);
        true
    }

    /// Gives the frames from other zones that have been held back for long enough to their members, or as many as half
    /// fill the trains: the rest waits for the next turn.
    #[inline]
    pub(super) fn release_held(&mut self, trains: &mut Trains) {
        if self.held.as_ref().and_then(|held| held.due()).is_some_and(|due| due <= self.clock.now()) {
            self.release_due(trains);
        }
    }

    fn release_due(&mut self, trains: &mut Trains) {
        let now = self.clock.now();
        let mut bytes = [0; FRAME_MAX];
        while !trains.is_half_full()
            && let Some((held, length)) = self.held.as_mut().and_then(|held| held.release(now, &mut bytes))
        {
            // It was decoded when it arrived; its member may be gone since.
            let Ok(frame) = Frame::decode(&bytes[..length]) else { continue };
            let Some((member, shared, mut out)) = self.members.reach(held.local, trains) else { continue };
            member.handle_frame(now, held.from, &frame, shared, &mut out);
            self.settle(held.local);
        }
    }
}

/// What `frame`, which came from another zone, tells.
fn crossing(frame: &Frame<'_>) -> Crossing {
    let (mut crossing, mut delegated) = (Crossing::default(), false);
    for message in frame.messages() {
        let told = match message {
            Ok(Message::Delegation { .. }) => {
                delegated = true;
                false
            }
            Ok(Message::UserEvent(_)) => {
                crossing.events += 1;
                true
            }
            Ok(
                Message::Alive { .. }
                | Message::Suspect { .. }
                | Message::Dead { .. }
                | Message::Left { .. }
                | Message::Introduction(_),
            ) => true,
            _ => false,
        };
        crossing.delegated += u64::from(told && delegated);
    }
    crossing
}

#[cfg(test)]
mod tests {
    use swimring_codec::Incarnation;
    use swimring_codec::native::{FrameWriter, UserEvent};

    use super::*;

    fn at(micros: u64) -> Time {
        Time::from_micros(micros)
    }

    fn held_frames() -> HeldFrames {
        HeldFrames::new(ZoneLatency { zones: 3, one_way: Duration::from_millis(20) })
    }

    #[test]
    fn frames_come_out_in_order_when_they_are_due() {
        let mut frames = held_frames();
        let from = SocketAddr::from(([127, 0, 0, 1], 7));
        let mut out = [0; FRAME_MAX];
        assert_eq!(frames.due(), None);
        assert!(frames.hold(at(300), from, 1, b"one") && frames.hold(at(5_000), from, 2, b"second"));
        assert_eq!(frames.due(), Some(at(21_000)), "rounded up");
        assert!(frames.release(at(20_999), &mut out).is_none());
        let (held, length) = frames.release(at(21_000), &mut out).expect("due");
        assert_eq!((held.local, held.from, &out[..length]), (1, from, &b"one"[..]));
        assert!(frames.release(at(21_000), &mut out).is_none());
        let (held, length) = frames.release(at(99_000), &mut out).expect("due");
        assert_eq!((held.local, &out[..length]), (2, &b"second"[..]));
        assert_eq!(frames.due(), None);
    }

    #[test]
    fn what_is_too_much_or_too_long_is_not_held() {
        let mut frames = held_frames();
        let from = SocketAddr::from(([127, 0, 0, 1], 7));
        assert!(!frames.hold(at(0), from, 0, &[0; FRAME_MAX + 1]));
        let held = (0..HELD_MAX + 5).filter(|_| frames.hold(at(0), from, 0, b"x")).count();
        assert_eq!(held, HELD_MAX);
        assert!(frames.release(at(1_000_000), &mut [0; FRAME_MAX]).is_some());
        assert!(frames.hold(at(0), from, 0, b"x"), "room again");
    }

    #[test]
    fn what_crosses_is_counted_behind_delegations() {
        let frames = held_frames();
        assert!(frames.crosses(MemberId(3), MemberId(4)) && !frames.crosses(MemberId(3), MemberId(6)));
        let (subject, incarnation) = (MemberId(9), Incarnation::new(1));
        let header =
            FrameHeader { cluster: 1, source: MemberId(3), destination: MemberId(4), root: 0, quiet: true };
        let mut bytes = [0; 256];
        let mut writer = FrameWriter::new(header, &mut bytes).expect("room");
        let event = UserEvent { origin: subject, sequence: 1, name: "a", payload: b"" };
        for message in [
            Message::Ack { sequence: 1, event_root: 0 },
            Message::Suspect { subject, incarnation, accuser: MemberId(3) },
            Message::UserEvent(event),
            Message::Delegation { number: 1, prefix_bits: 0, zone: 0, view_first: false },
            Message::Dead { subject, incarnation },
            Message::UserEvent(event),
        ] {
            assert!(writer.push(&message));
        }
        let length = writer.finish();
        let frame = Frame::decode(&bytes[..length]).expect("a frame");
        assert_eq!(crossing(&frame), Crossing { delegated: 2, events: 2 });
    }
}
