//! Reading frames that are values, message by message; each is gone then.

use swimring_codec::native::{EntryWanted, Introduction, Message, Signature};
use swimring_codec::{Incarnation, MemberId, State};

use super::{Packed, Sizes, TypedFrames, Unpacked, address_of};
use crate::protocol::view::directory::{Directory, MemberIndex};
use crate::protocol::view::linked_lists::NIL;
use crate::protocol::wire::Wire;
use crate::protocol::wire::frame::{Reader, Receiver};
use crate::protocol::wire::message::{EventKey, Incoming, IndirectRequest, Ping, Sender, Unusable};

/// Reads a frame that was kept as a value. The frame is gone then.
#[derive(Debug)]
pub(in crate::protocol) struct TypedReader {
    from: u32,
    first: Option<Packed>,
    /// The rest of the chain.
    rest: u32,
    /// Pings state whom they are from, and nothing else does: memberlist's.
    pings_named: bool,
    unpacked: Box<Unpacked>,
}

impl TypedReader {
    /// The sender of the frame at `at`, and what reads it.
    pub(in crate::protocol) fn new(
        frames: &mut TypedFrames,
        directory: &Directory,
        at: u32,
    ) -> (Sender, TypedReader) {
        let frame = frames.take(at);
        let address = address_of(frame.from);
        let pings_named = matches!(frames.sizes, Sizes::Memberlist(_));
        let sender = if pings_named {
            Sender::unnamed(address)
        } else {
            let source = directory.id(frame.from);
            Sender { address, source, root: Some(frame.root), quiet: frame.quiet }
        };
        let reader = TypedReader {
            from: frame.from,
            first: Some(frame.first),
            rest: frame.rest,
            pings_named,
            unpacked: frames.unpacked.take().unwrap_or_default(),
        };
        (sender, reader)
    }

    /// The next as it was kept.
    #[inline]
    fn take(&mut self, wire: &mut Wire) -> Option<Packed> {
        let packed = match self.first.take() {
            Some(first) => first,
            None if self.rest == NIL => return None,
            None => {
                let rest = wire.typed_mut()?.take_rest(self.rest);
                self.rest = rest.next;
                rest.message
            }
        };
        if let Packed::Encoded { at } = packed {
            let frames = wire.typed_mut()?;
            std::mem::swap(&mut self.unpacked.message, &mut frames.encoded[at as usize]);
            frames.forget(packed);
        }
        Some(packed)
    }

    /// The message that was kept as it travels.
    fn encoded(&self) -> Result<Incoming<'_, MemberIndex>, Unusable> {
        match Message::decode(&self.unpacked.message) {
            Ok((Message::ViewSketch(sketch), _)) => Ok(Incoming::ViewSketch(sketch)),
            Ok((Message::ViewSums(sums), _)) => Ok(Incoming::ViewSums(sums)),
            Ok((Message::ViewList(list), _)) => Ok(Incoming::ViewList(list)),
            Ok((Message::Direct { payload }, _)) => Ok(Incoming::Direct(payload)),
            _ => Err(Unusable::Undecodable),
        }
    }

    /// An introduction of whoever is at `subject`.
    fn introduction(
        &mut self,
        directory: &Directory,
        subject: MemberIndex,
        version: u8,
        incarnation: Incarnation,
    ) -> Incoming<'_, MemberIndex> {
        let Unpacked { name, metadata, zone, .. } = &mut *self.unpacked;
        name.clear();
        name.push_str(directory.name(subject));
        let identity = directory.identity(subject, version);
        metadata.clear();
        metadata.extend_from_slice(identity.metadata());
        zone.clear();
        zone.push_str(directory.zone_name(identity));
        let introduction = Introduction {
            subject: directory.id(subject),
            incarnation,
            state: State::Alive,
            address: identity.address(),
            name,
            metadata,
            zone,
        };
        if self.pings_named {
            Incoming::Record(introduction, identity.versions())
        } else {
            Incoming::Introduction(introduction)
        }
    }
}

/// What the subject of `packed` has signed that with, if it is a claim that only itself may make.
#[cold]
fn signature_of(directory: &Directory, packed: Packed) -> Option<&Signature> {
    let (subject, incarnation, state) = match packed {
        Packed::Alive { subject, incarnation, .. } | Packed::Introduction { subject, incarnation, .. } => {
            (subject, incarnation, State::Alive)
        }
        Packed::Left { subject, incarnation } => (subject, incarnation, State::Left),
        _ => return None,
    };
    directory.statements.as_ref()?.find_any(subject, (incarnation, state))
}

impl Reader for TypedReader {
    type Subject = MemberIndex;

    #[inline]
    fn next(&mut self, receiver: &mut impl Receiver<MemberIndex>) -> bool {
        let (wire, directory, sender) = receiver.around();
        let Some(packed) = self.take(wire) else { return false };
        if self.pings_named {
            let pings = matches!(packed, Packed::Ping { .. } | Packed::IndirectPing { .. });
            sender.source = if pings { directory.id(self.from) } else { MemberId::NONE };
        }
        if directory.signs()
            && let Some(signature) = signature_of(directory, packed)
        {
            let signature = *signature;
            receiver.receive(Incoming::Signature(&signature));
        }
        let (_, directory, _) = receiver.around();
        let incoming = match packed {
            Packed::Ping { sequence, event_root } => {
                receiver.receive_ping(Ping { sequence, event_root });
                return true;
            }
            Packed::Ack { sequence, event_root } => Incoming::Ack { sequence, event_root },
            Packed::Nack { sequence } => Incoming::Nack { sequence },
            Packed::Delegation { number, prefix_bits, zone, view_first } => {
                Incoming::Delegation { number, prefix_bits, zone, view_first }
            }
            Packed::DelegationAck { number } => Incoming::DelegationAck { number },
            Packed::EventSum(sum) => Incoming::EventSum(sum),
            Packed::EventKnown { id } => Incoming::EventKnown { id },
            Packed::EventWanted { id } => Incoming::EventWanted { id },
            Packed::EventAge { age_ms } => Incoming::EventAge { age_ms },
            Packed::EntryWanted { tag, subject, incarnation } => {
                Incoming::EntryWanted(EntryWanted { subject, incarnation, tag })
            }
            Packed::ViewRepair { began } => Incoming::ViewRepair { began },
            Packed::Encoded { .. } => match self.encoded() {
                Ok(incoming) => incoming,
                Err(unusable) => {
                    receiver.refuse(unusable);
                    return true;
                }
            },
            Packed::KeyRoots(roots) => Incoming::KeyRoots(roots),
            Packed::IndirectPing { sequence, target } => {
                let stated = || directory.find(target).map(address_of);
                let address = if self.pings_named { stated() } else { None };
                let request = IndirectRequest { target, address, nack: true };
                Incoming::IndirectPing { sequence, request }
            }
            Packed::Alive { tag, subject, incarnation } => Incoming::Alive { subject, incarnation, tag },
            Packed::Suspect { subject, incarnation, accuser } => {
                Incoming::Suspect { subject, incarnation, accuser }
            }
            Packed::Dead { subject, incarnation } => Incoming::Dead { subject, incarnation },
            Packed::Left { subject, incarnation } => Incoming::Left { subject, incarnation },
            Packed::Introduction { version, subject, incarnation } => {
                self.introduction(directory, subject, version, incarnation)
            }
            Packed::UserEvent { at, origin, sequence } => {
                Incoming::StoredEvent { at, key: EventKey { origin, sequence } }
            }
        };
        receiver.receive(incoming);
        true
    }

    fn finish(mut self, wire: &mut Wire) {
        while self.take(wire).is_some() {}
        if let Some(frames) = wire.typed_mut() {
            frames.unpacked = Some(self.unpacked);
        }
    }
}
