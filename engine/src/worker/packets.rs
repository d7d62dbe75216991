//! Packets of memberlist's format, which name no receiver: the member is found by the address that a packet was sent to.

use std::net::{IpAddr, SocketAddr};

use super::host::Host;
use super::observer::Observer;
use crate::protocol::FrameSink;

impl<O: Observer> Host<O> {
    /// A datagram for the member at the address `to`.
    pub(super) fn packet(
        &mut self,
        from: SocketAddr,
        to: Option<IpAddr>,
        bytes: &[u8],
        frames: &mut dyn FrameSink,
    ) {
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
        let Some((member, shared, mut out)) = self.members.reach(local, frames) else { return };
        member.handle_packet(now, from, messages, shared, &mut out);
        self.settle(local);
    }
}
