//! From a datagram to the member it is for: by the destination in its header, or by the address it was sent to.

use std::net::{IpAddr, SocketAddr};

use swimring_codec::native::Frame;

use super::host::Host;
use super::observer::Observer;
use crate::net::{DatagramHandler, Trains};
use crate::protocol::FrameSink;

impl<O: Observer> DatagramHandler for Host<O> {
    #[inline]
    fn datagram(&mut self, from: SocketAddr, to: Option<IpAddr>, bytes: &[u8], trains: &mut Trains) {
        self.clock.datagram();
        if self.loses_a_datagram() {
            self.counters.lost += 1;
            return;
        }
        if self.opener.is_some() {
            return self.packet(from, to, bytes, trains);
        }
        let frame = match Frame::decode(bytes) {
            Ok(frame) => frame,
            Err(error) => {
                self.counters.refused[error.index()] += 1;
                return self.other_versions.refused(self.clock.now(), from, error);
            }
        };
        let Some(local) = self.members.of_id(frame.header.destination) else {
            self.counters.unrouted += 1;
            return;
        };
        let now = self.clock.now();
        self.members.call(local, trains, |member, shared, out| {
            member.handle_frame(now, from, &frame, shared, out);
        });
        self.settle(local);
    }
}

impl<O: Observer> Host<O> {
    /// A datagram of memberlist's format, for the member at the address `to`.
    fn packet(&mut self, from: SocketAddr, to: Option<IpAddr>, bytes: &[u8], frames: &mut dyn FrameSink) {
        let Some(local) = self.members.of_address(to) else {
            self.counters.unrouted += 1;
            return;
        };
        let Some(opener) = &mut self.opener else { return };
        let now = self.clock.now();
        let messages = match opener.open_packet(bytes) {
            Ok(messages) => messages,
            Err(error) => {
                self.counters.refused_packets[error.index()] += 1;
                self.observer.refused(now, from, error);
                return;
            }
        };
        let observer = &mut self.observer;
        let messages = messages.inspect(|message| {
            if let Ok(message) = message {
                observer.heard(now, local, from, message);
            }
        });
        self.members.call(local, frames, |member, shared, out| {
            member.handle_packet(now, from, messages, shared, out);
        });
        self.settle(local);
    }
}
