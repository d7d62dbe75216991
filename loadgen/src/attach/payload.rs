//! What a user event of ours says: its number, and which run it belongs to.
//!
//! It is text, so that `serf monitor` shows it. The run tells our events from those of another generator in
//! the same pool, and from our own of a minute ago.

/// Name of every user event.
pub const EVENT_NAME: &str = "swimring";

/// A number of up to seven digits, a blank, the run's eight, and room to spare.
pub const EVENT_BYTES_LEAST: u32 = 24;

/// The payload of event `number` of `run`, filled up to `length` bytes.
pub fn event_payload(number: usize, run: u32, length: usize) -> Vec<u8> {
    let mut payload = format!("{number} {run:08x} ").into_bytes();
    payload.resize(length.max(payload.len()), b'.');
    payload
}

/// The number of the event with `payload`, if it is one of `run`.
#[inline]
pub fn event_number(payload: &[u8], run: u32) -> Option<usize> {
    let mut words = payload.split(|byte| *byte == b' ');
    let (number, of_run) = (words.next()?, words.next()?);
    let of_run = u32::from_str_radix(std::str::from_utf8(of_run).ok()?, 16).ok()?;
    (of_run == run).then_some(())?;
    std::str::from_utf8(number).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_from_payloads() {
        for (number, length) in [(0, 24), (999_999, 24), (7, 504)] {
            let payload = event_payload(number, 0xfeed_beef, length);
            assert_eq!(payload.len(), length);
            assert_eq!(event_number(&payload, 0xfeed_beef), Some(number));
            assert_eq!(event_number(&payload, 1), None, "another run's");
        }
        for other in [&b""[..], b"12", b"x 00000001 .", b"12 zzzzzzzz .", b"\xff \xff"] {
            assert_eq!(event_number(other, 1), None);
        }
    }
}
