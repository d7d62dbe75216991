//! A member that takes part and tells nothing: it answers whatever is asked of it, acknowledges what is delegated to it,
//! and leaves every update and user event out of what it sends.

use swimring_codec::native::{FRAME_MAX, Frame, FrameWriter, Message};

/// Copies what the native frame `bytes` asks and answers to `kept`, without what it tells. Gives the bytes written;
/// nothing if only tellings are in it. A datagram in another format is left alone.
pub(super) fn without_tellings<'a>(bytes: &'a [u8], kept: &'a mut [u8; FRAME_MAX]) -> Option<&'a [u8]> {
    let Ok(frame) = Frame::decode(bytes) else { return Some(bytes) };
    let mut writer = FrameWriter::new(frame.header, kept)?;
    for message in frame.messages().flatten().filter(|message| !tells(message)) {
        writer.push(&message);
    }
    if writer.is_empty() {
        return None;
    }
    let length = writer.finish();
    Some(&kept[..length])
}

fn tells(message: &Message<'_>) -> bool {
    !matches!(
        message,
        Message::Ping { .. }
            | Message::IndirectPing { .. }
            | Message::Ack { .. }
            | Message::Nack { .. }
            | Message::DelegationAck { .. }
            | Message::EventSum(_)
            | Message::EventKnown { .. }
            | Message::EventWanted { .. }
            | Message::ViewSketch(_)
            | Message::ViewSums(_)
            | Message::ViewList(_)
            | Message::EntryWanted(_)
            | Message::KeyRoots(_)
    )
}
