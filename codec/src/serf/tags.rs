//! Tags: what a member says about itself, as names and values in its metadata.

use std::iter::FusedIterator;

use thiserror::Error;

use crate::memberlist::{DecodeError, METADATA_MAX};
use crate::msgpack::{Reader, Sink};

/// The first byte of metadata that holds tags.
const TAGS: u8 = 0xff;

/// The tags of a member, in the order they are written. Those before tags were invented had metadata that
/// was their role; they appear to have one tag called `role`.
#[derive(Clone, Debug)]
pub struct Tags<'a>(Inner<'a>);

#[derive(Clone, Debug)]
enum Inner<'a> {
    Role(Option<&'a str>),
    Map(u32, Reader<'a>),
}

impl<'a> Tags<'a> {
    /// The tags in `metadata`.
    ///
    /// # Errors
    /// `Truncated`, `Field` or `Msgpack` if they cannot be read, all of them.
    pub fn decode(metadata: &'a [u8]) -> Result<Tags<'a>, DecodeError> {
        let Some((&TAGS, map)) = metadata.split_first() else {
            let role = std::str::from_utf8(metadata).map_err(|_| DecodeError::Field("role"))?;
            return Ok(Tags(Inner::Role(Some(role))));
        };
        let mut reader = Reader::new(map);
        let count = reader.map_len("tags")?;
        let tags = Tags(Inner::Map(count, reader));
        for _ in 0..count {
            reader.text("tag")?;
            reader.text("tag")?;
        }
        Ok(tags)
    }

    /// The metadata that holds `tags`.
    ///
    /// # Errors
    /// `TooLarge` if that is more than [`METADATA_MAX`] bytes.
    pub fn encode<K: AsRef<str>, V: AsRef<str>>(tags: &[(K, V)]) -> Result<Vec<u8>, TagsError> {
        let mut out = vec![TAGS];
        match tags.len() {
            count @ 0..=15 => out.put(&[0x80 | count as u8]),
            count => {
                out.put(&[0xde]);
                out.put(&(count.min(u16::MAX.into()) as u16).to_be_bytes());
            }
        }
        for (name, value) in tags {
            out.raw(name.as_ref().as_bytes());
            out.raw(value.as_ref().as_bytes());
        }
        if out.len() <= METADATA_MAX { Ok(out) } else { Err(TagsError::TooLarge(out.len())) }
    }

    /// The value of the tag called `name`.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.clone().find(|(tag, _)| *tag == name).map(|(_, value)| value)
    }
}

impl<'a> Iterator for Tags<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Inner::Role(role) => role.take().map(|role| ("role", role)),
            Inner::Map(left, reader) => {
                *left = left.checked_sub(1)?;
                // They have been read once.
                Some((reader.text("tag").ok()?, reader.text("tag").ok()?))
            }
        }
    }
}

impl FusedIterator for Tags<'_> {}

/// Why tags cannot be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum TagsError {
    /// They would take this many bytes.
    #[error("tags take {0} bytes; metadata has room for {METADATA_MAX}: use fewer or shorter tags")]
    TooLarge(usize),
}
