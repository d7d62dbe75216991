//! What the sequence number of a ping says of it: chosen by its sender, the return of another's, or an appeal to a suspect.

use crate::protocol::view::directory::MemberIndex;

/// The top three bits of a sequence number say what a ping is for, so that its ack finds the way and the
/// pinged one knows whether to return it. To the pinged one's answer it makes no difference.
pub(super) const KIND_BITS: u32 = 0b111 << 29;
/// A probe of our own choice.
pub(super) const CHOSEN_KIND: u32 = 0;
/// A ping that tells a suspect of our suspicion; the other bits are the subject's index.
pub(super) const APPEAL_KIND: u32 = 0b010 << 29;
/// A probe that returns a ping.
pub(super) const RETURN_KIND: u32 = 0b011 << 29;

/// The sequence number of a ping that tells the member at `subject` of our suspicion. Nothing if the index
/// does not fit, in a directory of half a billion members.
pub(in crate::protocol) fn appeal_sequence(subject: MemberIndex) -> Option<u32> {
    (subject & KIND_BITS == 0).then_some(APPEAL_KIND | subject)
}

/// Whether a ping with this sequence was the sender's own choice, and is to be returned.
pub(super) fn is_chosen(sequence: u32) -> bool {
    sequence & KIND_BITS == CHOSEN_KIND
}
