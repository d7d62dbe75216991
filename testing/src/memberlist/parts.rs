//! What messages are made of, owned, so that strategies and harnesses can hold it.

use std::net::SocketAddr;

use swimring_codec::State;
use swimring_codec::memberlist::{Alive, Message, Record, Source, Versions};

/// Enough for a message of any kind, and for a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parts {
    /// Which message, modulo 8.
    pub kind: u8,
    pub number: u32,
    pub node: String,
    pub from: String,
    pub address: SocketAddr,
    pub source: Option<SocketAddr>,
    pub flag: bool,
    pub bytes: Vec<u8>,
    pub versions: [u8; 6],
    pub state: State,
}

impl Parts {
    fn source(&self) -> Option<Source<'_>> {
        self.source.map(|address| Source { address, name: &self.from })
    }

    pub fn message(&self) -> Message<'_> {
        let (sequence, incarnation) = (self.number, self.number);
        let (node, from) = (&*self.node, &*self.from);
        match self.kind % 8 {
            0 => Message::Ping { sequence, node, source: self.source() },
            1 => {
                let (target, nack) = (self.address, self.flag);
                Message::IndirectPing { sequence, target, node, nack, source: self.source() }
            }
            2 => Message::Ack { sequence, payload: &self.bytes },
            3 => Message::Nack { sequence },
            4 => Message::Suspect { incarnation, node, from },
            5 => Message::Alive(self.alive()),
            6 => Message::Dead { incarnation, node, from },
            _ => Message::User(&self.bytes),
        }
    }

    pub fn alive(&self) -> Alive<'_> {
        Alive {
            incarnation: self.number,
            node: &self.node,
            address: self.address,
            metadata: &self.bytes,
            versions: Versions(self.versions),
        }
    }

    pub fn record(&self) -> Record<'_> {
        let Alive { incarnation, node, address, metadata, versions } = self.alive();
        Record { incarnation, node, address, metadata, versions, state: self.state }
    }
}
