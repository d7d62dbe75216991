//! Wire formats: bytes into messages, and what is to be said into bytes.
//!
//! The protocol is one; formats differ in how a message names members, in what surrounds the messages of a
//! frame and how long each is, and in what a stream looks like. All that lives here, at the bottom of the
//! protocol: nothing in this room knows a [`Member`](super::Member).
//!
//! | file | what is there |
//! |---|---|
//! | `message` | the vocabulary: [`Outgoing`] is written, [`Incoming`] is read, by every format |
//! | `frame` | [`Format`] and [`Reader`], which a format implements; [`Frame`], what is to be written |
//! | `stream` | the same for streams: [`StreamSaid`] and [`StreamHeard`] |
//! | `rules` | what a format asks of the protocol beside its bytes |
//! | `native`, `native_streams` | Swimring's own format |
//! | `memberlist`, `memberlist_streams`, `user_messages` | hashicorp/memberlist's, and Serf's inside it |
//! | `kept_records` | its whole views, of which most is written once and not read again |
//! | `typed`, `typed/reader` | frames as values, for simulations, and reading them |
//! | `options` | what may be chosen, and checked once |
//!
//! Which format is spoken is asked once for a frame, where it is sent ([`Spoken`]); what else differs is a
//! value in [`Rules`]. A new format is a file with a [`Format`], a [`Reader`] and its [`Rules`], and a variant
//! of [`Spoken`].

pub(super) mod frame;
mod kept_records;
mod memberlist;
mod memberlist_streams;
pub(super) mod message;
mod native;
mod native_streams;
mod options;
mod rules;
pub(super) mod stream;
pub mod typed;
pub(super) mod user_messages;
mod whole_views;

use swimring_codec::MemberId;
use swimring_codec::memberlist::Codec;
use swimring_codec::native::{EVENT_MAX, Sealer};
use swimring_codec::serf::Clocks;

pub use memberlist_streams::Refusal;
pub use options::{
    CheckedWire, Encryption, EncryptionCipher, EncryptionOptions, MemberlistDialect, MemberlistOptions,
    WireOptions, WireOptionsError,
};

pub(super) use frame::{Format, Frame, Reader, Receiver, Speaker};
pub(super) use kept_records::Says;
pub(super) use memberlist::{Memberlist, PacketReader, is_acceptable};
pub(super) use memberlist_streams::packet_turn;
pub(super) use message::{
    EventBody, EventKey, Incoming, IndirectRequest, Outgoing, Ping, Sender, StoredEvent, Subject, Unusable,
    Update, is_reserved,
};
pub(super) use native::{FrameReader, Native};
pub(super) use native_streams::{native_stream_writer, native_turn};
pub(super) use rules::Rules;
pub(super) use stream::{Record, RecordFault, Records, StreamHeard, StreamSaid, View};
pub(super) use typed::{TypedFrames, TypedReader};
pub(super) use whole_views::{ReadingPlace, WholeViews};

/// The format that the members of one worker speak, and what it asks of the protocol.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) rules: Rules,
    pub(super) spoken: Spoken,
    /// What whole views are written from.
    pub(super) views: WholeViews,
}

/// The formats.
#[derive(Debug)]
pub(super) enum Spoken {
    Native(Native),
    Memberlist(Box<Memberlist>),
    /// One of the other two as values instead of bytes.
    Typed(Box<TypedFrames>),
}

impl Spoken {
    /// memberlist's format, if that is spoken, be it as values.
    fn memberlist_mut(&mut self) -> Option<&mut Memberlist> {
        match self {
            Spoken::Memberlist(memberlist) => Some(memberlist),
            Spoken::Typed(frames) => frames.memberlist_mut(),
            Spoken::Native(_) => None,
        }
    }
}

impl Wire {
    fn of(rules: Rules, spoken: Spoken) -> Wire {
        Wire { rules, spoken, views: WholeViews::default() }
    }

    /// Of members that speak the native format.
    pub(super) fn native() -> Wire {
        Wire::of(Rules::NATIVE, Spoken::Native(Native::PLAIN))
    }

    /// Bytes of the longest user message that is sent alone, where applications' messages are such.
    pub(super) fn user_message_max(&self) -> Option<usize> {
        self.memberlist().is_some().then_some(user_messages::USER_MESSAGE_MAX)
    }

    /// Of members that speak the format of `options`; `secret` draws what encryption needs.
    pub(super) fn new(options: &CheckedWire, secret: [u8; 32]) -> Wire {
        if let Some(sealer) = options.encryption().and_then(|encryption| encryption.sealer(secret)) {
            return Wire::of(Rules::NATIVE, Spoken::Native(Native::sealed(sealer)));
        }
        match options.memberlist(secret) {
            None => Wire::native(),
            Some((options, codec)) => {
                let spoken = Spoken::Memberlist(Box::new(Memberlist::new(options, codec)));
                Wire::of(Rules::memberlist(options), spoken)
            }
        }
    }

    /// Keeps frames as values from now on.
    pub(super) fn use_typed_frames(&mut self) {
        self.spoken = match std::mem::replace(&mut self.spoken, Spoken::Native(Native::PLAIN)) {
            Spoken::Native(native) => Spoken::Typed(Box::new(TypedFrames::new(typed::Sizes::Native(native)))),
            Spoken::Memberlist(memberlist) => {
                Spoken::Typed(Box::new(TypedFrames::new(typed::Sizes::Memberlist(memberlist))))
            }
            Spoken::Typed(frames) => Spoken::Typed(frames),
        };
    }

    /// Longest body of a user event.
    pub(super) fn event_bytes_max(&self) -> usize {
        if self.memberlist().is_some() { user_messages::USER_MESSAGE_MAX } else { EVENT_MAX }
    }

    /// Bytes that `said` takes in a frame: counted when it is queued.
    pub(super) fn part_len(&self, speaker: &Speaker<'_>, said: &Outgoing<'_>) -> usize {
        match &self.spoken {
            Spoken::Native(native) => native.part_len(speaker, MemberId::NONE, said),
            Spoken::Memberlist(memberlist) => memberlist.part_len(speaker, MemberId::NONE, said),
            Spoken::Typed(frames) => frames.part_len(speaker, MemberId::NONE, said),
        }
    }

    /// Appends what is `said` to `destination` on a stream to `out`. `clocks` are the speaker's, of Serf's.
    pub(super) fn write_stream(
        &mut self,
        speaker: &Speaker<'_>,
        destination: MemberId,
        said: StreamSaid,
        clocks: Clocks,
        out: &mut Vec<u8>,
    ) {
        let Wire { spoken, views, .. } = self;
        match spoken.memberlist_mut() {
            Some(memberlist) => memberlist.write_stream(views, speaker, destination, said, clocks, out),
            None => native_streams::write(views, speaker, destination, said, out),
        }
    }

    /// `speaker` has read a whole view, `many` of its records one by one: what it knows now may be worth keeping, as others
    /// read and write the same.
    pub(super) fn note_read(&mut self, speaker: &Speaker<'_>, many: usize) {
        let Wire { spoken, views, .. } = self;
        match spoken.memberlist_mut() {
            Some(memberlist) => views.note_read(speaker, many, |index, entry, bytes: &mut Vec<u8>| {
                memberlist.append(speaker, index, entry, bytes)
            }),
            None => views.note_read(speaker, many, |index, entry, bytes: &mut Vec<u8>| {
                native_streams::append(speaker, index, entry, bytes)
            }),
        }
    }

    /// memberlist's format, if that is spoken, be it as values.
    pub(super) fn memberlist(&self) -> Option<&Memberlist> {
        match &self.spoken {
            Spoken::Memberlist(memberlist) => Some(memberlist),
            Spoken::Typed(frames) => frames.memberlist(),
            Spoken::Native(_) => None,
        }
    }

    /// The same.
    pub(super) fn memberlist_mut(&mut self) -> Option<&mut Memberlist> {
        self.spoken.memberlist_mut()
    }

    /// One more member speaks it.
    pub(super) fn register(&mut self) {
        self.views.register();
    }

    /// What packets are sealed with, to change its keys.
    pub(super) fn codec_mut(&mut self) -> Option<&mut Codec> {
        self.memberlist_mut().map(Memberlist::codec_mut)
    }

    /// What native frames are sealed with, to change its keys and to tell it the time.
    #[inline]
    pub(super) fn sealer_mut(&mut self) -> Option<&mut Sealer> {
        match &mut self.spoken {
            Spoken::Native(native) => native.sealer_mut(),
            Spoken::Memberlist(_) | Spoken::Typed(_) => None,
        }
    }

    /// Bytes that sealing adds to a native frame.
    #[inline]
    pub(super) fn seal_overhead(&self) -> usize {
        match &self.spoken {
            Spoken::Native(native) => native.seal_overhead(),
            Spoken::Memberlist(_) | Spoken::Typed(_) => 0,
        }
    }

    /// Frames under way as values.
    #[inline]
    pub(super) fn typed_mut(&mut self) -> Option<&mut TypedFrames> {
        match &mut self.spoken {
            Spoken::Typed(frames) => Some(frames),
            _ => None,
        }
    }
}
