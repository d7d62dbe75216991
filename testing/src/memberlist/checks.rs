//! What must hold for any bytes at all: the decoder and its twin read the same, what was read can be
//! written back, and a stream is the same however it arrives.

use swimring_codec::memberlist::{
    Codec, DecodeError, Message, PushPullWriter, Record, StreamMessage, StreamScanner,
};

use super::twin::{self, Value};

/// Checks `bytes` as one message. Gives whether it was read.
///
/// # Panics
/// When a check fails.
pub fn message(bytes: &[u8]) -> bool {
    let read = Message::decode(bytes);
    twin::message(bytes, |expected| assert_eq!(read.ok(), expected, "{read:?}"));
    match read {
        Ok(message) => written_back(&message),
        Err(error) => assert!(error.index() < DecodeError::KINDS),
    }
    read.is_ok()
}

fn written_back(message: &Message<'_>) {
    let mut out = vec![0xaa; message.encoded_len()];
    assert_eq!(message.encode(&mut out), Some(out.len()), "{message:?}");
    assert_eq!(Message::decode(&out), Ok(*message));
    let short = out.len() - 1;
    assert_eq!(message.encode(&mut out[..short]), None, "{message:?}");
}

/// Checks `bytes` as a packet that `codec`, without label and keys, opens. Gives the messages read.
///
/// # Panics
/// When a check fails.
pub fn packet(codec: &mut Codec, bytes: &[u8]) -> usize {
    // A label's header is refused before anything else.
    let expected = if bytes.first() == Some(&0xf4) { None } else { twin::packet(bytes) };
    let messages = match codec.open_packet(bytes) {
        Ok(messages) => messages,
        Err(error) => {
            assert!(error.index() < DecodeError::KINDS);
            assert_eq!(expected, None, "refused ({error}) what the twin reads");
            return 0;
        }
    };
    let mut expected = expected.expect("the twin refuses what was opened").into_iter();
    let mut count = 0;
    for message in messages {
        match expected.next().expect("more messages than the twin has") {
            Some(part) => {
                twin::message(&part, |twin| assert_eq!(message.ok(), twin, "{message:?}"));
                message.iter().for_each(written_back);
                count += usize::from(message.is_ok());
            }
            None => assert!(message.is_err(), "the twin refuses {message:?}"),
        }
    }
    assert_eq!(expected.next(), None, "fewer messages than the twin has");
    count
}

/// Checks `bytes` as the start of a stream, opened by `codec`, without label and keys. Gives whether a
/// message was read.
///
/// # Panics
/// When a check fails.
pub fn stream(codec: &mut Codec, bytes: &[u8]) -> bool {
    let whole = StreamScanner::new(false).scan(bytes);
    assert_eq!(scan_in_pieces(bytes, 1), whole, "byte by byte");
    assert_eq!(scan_in_pieces(bytes, 7), whole, "in sevens");
    let Ok(Some(length)) = whole else { return false };
    assert!(length <= bytes.len());
    assert_eq!(StreamScanner::new(false).scan(&bytes[..length]), Ok(Some(length)));
    match codec.open_stream(&bytes[..length], true) {
        Ok(StreamMessage::PushPull { join, records, user_state }) => {
            let compressed = bytes[0] == 9;
            let records: Vec<_> = records.collect();
            if !compressed {
                push_pull(&bytes[1..length], join, &records, user_state);
            }
            again(join, &records, user_state);
            true
        }
        Ok(StreamMessage::Ping { sequence, node, source }) => {
            if bytes[0] != 9 {
                let value = twin::value(&bytes[1..], &mut 0, 0).expect("the twin refuses a ping");
                assert_eq!(twin::ping(&value), Some(Message::Ping { sequence, node, source }));
            }
            true
        }
        Ok(_) => true,
        Err(error) => {
            assert!(error.index() < DecodeError::KINDS);
            // A scanner refuses what cannot be a message; what it lets through is whole.
            assert!(error != DecodeError::Truncated || bytes[0] == 9, "cut off in a whole message");
            false
        }
    }
}

/// Gives a scanner `step` bytes more at a time, as long as it asks for more.
fn scan_in_pieces(bytes: &[u8], step: usize) -> Result<Option<usize>, DecodeError> {
    let mut scanner = StreamScanner::new(false);
    for end in (0..bytes.len()).step_by(step) {
        match scanner.scan(&bytes[..end]) {
            Ok(None) => {}
            done => return done,
        }
    }
    scanner.scan(bytes)
}

/// Compares a push/pull, given without its type byte, with the twin's.
fn push_pull(bytes: &[u8], join: bool, records: &[Result<Record<'_>, DecodeError>], user_state: &[u8]) {
    let mut at = 0;
    let header = twin::value(bytes, &mut at, 0).expect("the twin refuses a header");
    let (mut count, mut length, mut joins) = (0, 0, false);
    for (field, value) in twin::fields(&header, &["Nodes", "UserStateLen", "Join"]).expect("a header") {
        match field {
            0 => count = twin::unsigned(value, 1 << 20).expect("a number of records"),
            1 => length = twin::unsigned(value, 20 << 20).expect("a length"),
            _ => joins = twin::flag(value).expect("a flag"),
        }
    }
    assert_eq!((join, records.len()), (joins, count as usize));
    for record in records {
        let value: Value = twin::value(bytes, &mut at, 0).expect("the twin refuses a record");
        assert_eq!(record.ok(), twin::record(&value), "{record:?}");
    }
    assert_eq!(user_state, &bytes[at..at + length as usize]);
}

/// Writes a push/pull of the records that were read, and reads it.
fn again(join: bool, records: &[Result<Record<'_>, DecodeError>], user_state: &[u8]) {
    let (user_state, mut out) = (user_state.to_vec(), Vec::new());
    let mut writer = PushPullWriter::new(&mut out, join);
    let records: Vec<&Record<'_>> = records.iter().flatten().collect();
    assert!(records.iter().all(|record| writer.record(record)));
    assert!(writer.finish(&user_state));
    // The records borrow from the codec, which therefore cannot read them again.
    let mut other = super::codec("", &[]);
    let StreamMessage::PushPull { join: joins, records: read, user_state: state } =
        other.open_stream(&out, false).expect("written, so readable")
    else {
        panic!("not the push/pull that was written");
    };
    assert_eq!((joins, state), (join, &user_state[..]));
    assert!(read.map(|record| record.expect("written")).eq(records.into_iter().copied()));
}
