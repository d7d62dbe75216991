//! Datagrams: from what a member wrote to what its receiver takes in.

use std::net::SocketAddr;

use swimring_codec::memberlist::Codec;
use swimring_codec::native::Frame;

use super::latency::Drawn;
use super::options::TrialOptions;
use super::run::{SimEvent, Trial};
use crate::network::Written;
use swimring::protocol::Member;
use swimring::protocol::typed::{Sent, address_of, number_at};

/// The network of a trial.
#[derive(Debug)]
pub(super) struct Network {
    latency: Drawn,
    zones: u32,
    zone_delay_us: u64,
    pub(super) loss: f64,
    pub(super) rng: fastrand::Rng,
    /// Bytes that a member wrote, if it writes bytes.
    pub(super) written: Written,
    encoded: Option<Encoded>,
}

/// Frames under way as bytes.
#[derive(Debug)]
pub(super) struct Encoded {
    /// Reads packets; nothing for native frames.
    codec: Option<Box<Codec>>,
    frames: Vec<Bytes>,
    free: Vec<u32>,
}

#[derive(Debug, Default)]
struct Bytes {
    from: u32,
    to: u32,
    bytes: Vec<u8>,
}

impl Encoded {
    pub(super) fn new(codec: Option<Box<Codec>>) -> Encoded {
        Encoded { codec, frames: Vec::new(), free: Vec::new() }
    }

    fn add(&mut self, from: u32, to: u32, bytes: &[u8]) -> u32 {
        let at = self.free.pop().unwrap_or_else(|| {
            self.frames.push(Bytes::default());
            (self.frames.len() - 1) as u32
        });
        let frame = &mut self.frames[at as usize];
        (frame.from, frame.to) = (from, to);
        frame.bytes.clear();
        frame.bytes.extend_from_slice(bytes);
        at
    }
}

impl Network {
    pub(super) fn new(latency: Drawn, options: &TrialOptions, encoded: Option<Encoded>) -> Network {
        Network {
            latency,
            zones: options.zones,
            zone_delay_us: options.zone_delay.as_micros() as u64,
            loss: options.loss,
            rng: fastrand::Rng::with_seed(options.seed ^ 0x6E65_7477),
            written: Written::default(),
            encoded,
        }
    }

    /// How long what `from` sends to `to` now is under way.
    #[inline]
    pub(super) fn takes(&mut self, from: u32, to: u32) -> u64 {
        let further = if from % self.zones == to % self.zones { 0 } else { self.zone_delay_us };
        self.latency.draw(from, to, &mut self.rng) + further
    }

    /// Whether something with the chance `probability` happens.
    #[inline]
    pub(super) fn happens(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.rng.f64() < probability
    }
}

impl Trial {
    /// Puts everything that the member `node` wrote on the network.
    #[inline]
    pub(super) fn send_written(&mut self, node: u32) {
        if self.network.encoded.is_some() {
            return self.send_bytes(node);
        }
        let Some(frames) = self.commons.typed_frames() else { return };
        if frames.sent.is_empty() {
            return;
        }
        let mut sent = std::mem::take(&mut frames.sent);
        for Sent { frame, to, bytes } in sent.drain(..) {
            self.measuring.datagram(self.now, node, to, bytes);
            match self.arrival(node, to) {
                Some(at) => self.agenda.push(at, SimEvent::Frame(frame)),
                None => self.drop_frame(frame),
            }
        }
        if let Some(frames) = self.commons.typed_frames() {
            frames.sent = sent;
        }
    }

    fn send_bytes(&mut self, node: u32) {
        let written = std::mem::take(&mut self.network.written);
        for nth in 0..written.len() {
            let (to, bytes): (SocketAddr, &[u8]) = written.get(nth);
            let to = number_at(to);
            self.measuring.datagram(self.now, node, to, bytes.len() as u32);
            if let Some(at) = self.arrival(node, to)
                && let Some(encoded) = &mut self.network.encoded
            {
                let frame = encoded.add(node, to, bytes);
                self.agenda.push(at, SimEvent::Frame(frame));
            }
        }
        self.network.written = written;
        self.network.written.clear();
    }

    /// Arrival at `to` of a datagram that leaves `from` now; `None` if it is lost.
    #[inline]
    fn arrival(&mut self, from: u32, to: u32) -> Option<u64> {
        let network = &mut self.network;
        if network.happens(network.loss) {
            return None;
        }
        let mut at = self.now + network.takes(from, to);
        if self.impairments.any() {
            let (out, late) = self.impairments.sending(from);
            let into = self.impairments.receiving(to);
            if network.happens(out) || network.happens(into) {
                return None;
            }
            at += late + self.impairments.held_for(from, self.now);
        }
        Some(at)
    }

    fn ends(&mut self, frame: u32) -> (u32, u32) {
        match &self.network.encoded {
            Some(encoded) => {
                let frame = &encoded.frames[frame as usize];
                (frame.from, frame.to)
            }
            None => self.commons.typed_frames().map_or((0, 0), |frames| frames.ends(frame)),
        }
    }

    pub(super) fn drop_frame(&mut self, frame: u32) {
        match &mut self.network.encoded {
            Some(encoded) => encoded.free.push(frame),
            None => {
                if let Some(frames) = self.commons.typed_frames() {
                    frames.drop(frame);
                }
            }
        }
    }

    #[inline]
    pub(super) fn frame_arrives(&mut self, frame: u32) {
        let (_, to) = self.ends(frame);
        if self.impairments.is_gone(to) {
            return self.drop_frame(frame);
        }
        if self.impairments.any() && self.impairments.reads_later(to, self.now) {
            return self.keep_frame(to, frame);
        }
        self.take_in(to, frame);
    }

    /// The member `to` takes a frame in.
    #[inline]
    pub(super) fn take_in(&mut self, to: u32, frame: u32) {
        if self.network.encoded.is_some() {
            return self.take_in_bytes(to, frame);
        }
        self.call(to, |member: &mut Member, now, commons, out| {
            member.handle_typed_frame(now, frame, commons, out);
        });
    }

    fn take_in_bytes(&mut self, to: u32, frame: u32) {
        let Some(encoded) = &mut self.network.encoded else { return };
        let Bytes { from, bytes, .. } = std::mem::take(&mut encoded.frames[frame as usize]);
        let from = address_of(from);
        match encoded.codec.take() {
            Some(mut codec) => {
                if let Ok(messages) = codec.open_packet(&bytes) {
                    self.call(to, |member, now, commons, out| {
                        member.handle_packet(now, from, messages, commons, out);
                    });
                }
                if let Some(encoded) = &mut self.network.encoded {
                    encoded.codec = Some(codec);
                }
            }
            None => {
                if let Ok(frame) = Frame::decode(&bytes) {
                    self.call(to, |member, now, commons, out| {
                        member.handle_frame(now, from, &frame, commons, out);
                    });
                }
            }
        }
        if let Some(encoded) = &mut self.network.encoded {
            encoded.frames[frame as usize].bytes = bytes;
            encoded.free.push(frame);
        }
    }
}
