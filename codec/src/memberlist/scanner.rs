//! Finding where a stream message ends.
//!
//! Only encrypted frames say how long they are; every other message ends where its last value does. A
//! scanner walks over what has been received and remembers how far it came, so a message that arrives in
//! a thousand pieces is still walked once. It needs no keys and reads nothing but the two headers that
//! announce what follows them.

use super::stream::{FRAME_FRONT, frame_len, push_pull_header, user_header};
use super::{DecodeError, LABEL_MAX, STREAM_MAX, canonical, kind};
use crate::msgpack::{Reader, Skip};

/// What is in front of a message at most: the label's header and a frame's.
const FRONT_MAX: usize = 2 + LABEL_MAX + FRAME_FRONT;

/// Finds the end of one stream message in bytes that arrive piece by piece.
#[derive(Clone, Debug)]
pub struct StreamScanner {
    step: Step,
    /// Whether a label belongs in front.
    label: bool,
    /// Position up to which the bytes have been walked; may lie beyond what has been received.
    at: usize,
    /// The walk over the current value.
    skip: Skip,
    /// A part of that has been walked.
    within: bool,
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Label,
    Kind,
    /// The length of an encrypted frame that starts here.
    Frame,
    /// The only value of a message.
    Value,
    /// The header of a push/pull, and where it starts.
    PushPull(usize),
    /// The header of a user message, and where it starts.
    User(usize),
    /// So many records, then so many bytes.
    Records(usize, usize),
    /// Nothing: the message ends here.
    End,
}

impl StreamScanner {
    /// A scanner for the next message, which begins with a label if `label_expected`: if one is configured
    /// and the peer is the dialer.
    pub fn new(label_expected: bool) -> StreamScanner {
        let step = Step::Label;
        StreamScanner { step, label: label_expected, at: 0, skip: Skip::new(), within: false }
    }

    /// Looks for the end of the message in `bytes`: everything received so far, from its first byte. Some
    /// once the message is whole: its length, label included.
    ///
    /// # Errors
    /// Why it is refused before it is whole: `Label`, `Kind`, `TooLarge`, or what makes its values
    /// unreadable. The connection is of no further use.
    pub fn scan(&mut self, bytes: &[u8]) -> Result<Option<usize>, DecodeError> {
        loop {
            if self.at > STREAM_MAX + FRONT_MAX {
                return Err(DecodeError::TooLarge);
            }
            let rest = bytes.get(self.at..).unwrap_or_default();
            let step = self.step;
            self.step = match step {
                Step::End => return Ok((self.at <= bytes.len()).then_some(self.at)),
                Step::Label => match self.label(rest)? {
                    Some(step) => step,
                    None => return Ok(None),
                },
                Step::Kind => match rest.first() {
                    Some(&kind) => self.kind(kind)?,
                    None => return Ok(None),
                },
                Step::Frame => {
                    let Some(&front) = rest.first_chunk() else { return Ok(None) };
                    self.at += FRAME_FRONT + frame_len(front)?;
                    Step::End
                }
                Step::Records(left @ 1.., tail) if self.passes_record(rest) => Step::Records(left - 1, tail),
                Step::Value | Step::PushPull(_) | Step::User(_) | Step::Records(1.., _) => {
                    match self.value(bytes)? {
                        Some(step) => step,
                        None => return Ok(None),
                    }
                }
                Step::Records(0, tail) => {
                    self.at += tail;
                    Step::End
                }
            };
        }
    }

    /// The label's header, or none where none belongs.
    fn label(&mut self, rest: &[u8]) -> Result<Option<Step>, DecodeError> {
        let Some(&first) = rest.first() else { return Ok(None) };
        if (first == kind::LABEL) != self.label {
            return Err(DecodeError::Label);
        }
        if self.label {
            let Some(&length) = rest.get(1) else { return Ok(None) };
            if length == 0 {
                return Err(DecodeError::Label);
            }
            self.at += 2 + usize::from(length);
        }
        Ok(Some(Step::Kind))
    }

    /// What follows a type byte.
    fn kind(&mut self, kind: u8) -> Result<Step, DecodeError> {
        if kind != kind::ENCRYPT {
            self.at += 1;
        }
        match kind {
            kind::ENCRYPT => Ok(Step::Frame),
            kind::PING | kind::ACK | kind::ERROR | kind::COMPRESS => Ok(Step::Value),
            kind::PUSH_PULL => Ok(Step::PushPull(self.at)),
            kind::USER => Ok(Step::User(self.at)),
            unknown => Err(DecodeError::Kind(unknown)),
        }
    }

    /// Passes over the record at the front of `rest`, which nearly always is laid out as peers write it. False for one that
    /// is not, or not whole yet, or of which a part has been walked.
    #[inline]
    fn passes_record(&mut self, rest: &[u8]) -> bool {
        let length = if self.within { None } else { canonical::record_len(rest) };
        self.at += length.unwrap_or_default();
        length.is_some()
    }

    /// Walks to the end of the current value; what follows it once it is whole.
    fn value(&mut self, bytes: &[u8]) -> Result<Option<Step>, DecodeError> {
        if !self.skip.step(bytes, &mut self.at)? {
            self.within = true;
            return match self.at > STREAM_MAX + FRONT_MAX {
                true => Err(DecodeError::TooLarge),
                false => Ok(None),
            };
        }
        (self.skip, self.within) = (Skip::new(), false);
        Ok(Some(match self.step {
            Step::PushPull(start) => {
                let header = push_pull_header(&mut Reader::new(&bytes[start..self.at]))?;
                Step::Records(header.records, header.user_state_len)
            }
            Step::User(start) => {
                self.at += user_header(&mut Reader::new(&bytes[start..self.at]))?;
                Step::End
            }
            Step::Records(left, tail) => Step::Records(left - 1, tail),
            _ => Step::End,
        }))
    }
}
