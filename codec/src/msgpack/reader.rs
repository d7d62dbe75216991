//! Reading values in place.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Skip;
use crate::memberlist::DecodeError;

/// The front of a value: all of a small one, or what announces the values of a large one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Token<'a> {
    Nil,
    Bool(bool),
    Unsigned(u64),
    /// Below zero.
    Negative,
    /// A string or bin of any form.
    Bytes(&'a [u8]),
    Array(u32),
    Map(u32),
    /// A float or an extension: nothing that any field here holds. Only its front has been read.
    Other,
}

/// Reads values from the front of bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    /// The bytes that have not been read.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// A big-endian number of `N` bytes.
    #[inline]
    fn number<const N: usize>(&mut self) -> Result<u64, DecodeError> {
        Ok(self.array::<N>()?.iter().fold(0, |number, &digit| number << 8 | u64::from(digit)))
    }

    /// A two's complement number of `N` bytes.
    #[inline]
    fn signed<const N: usize>(&mut self) -> Result<Token<'a>, DecodeError> {
        let number = self.number::<N>()?;
        let negative = number >> (8 * N - 1) & 1 == 1;
        Ok(if negative { Token::Negative } else { Token::Unsigned(number) })
    }

    #[inline]
    fn sized(&mut self, length: u64) -> Result<Token<'a>, DecodeError> {
        Ok(Token::Bytes(self.take(length as usize)?))
    }

    /// The next value, or the front of it.
    pub(crate) fn token(&mut self) -> Result<Token<'a>, DecodeError> {
        let [first] = self.array::<1>()?;
        match first {
            0x00..=0x7f => Ok(Token::Unsigned(u64::from(first))),
            0x80..=0x8f => Ok(Token::Map(u32::from(first & 0x0f))),
            0x90..=0x9f => Ok(Token::Array(u32::from(first & 0x0f))),
            0xa0..=0xbf => self.sized(u64::from(first & 0x1f)),
            0xc0 => Ok(Token::Nil),
            0xc1 => Err(DecodeError::Msgpack),
            0xc2 | 0xc3 => Ok(Token::Bool(first == 0xc3)),
            0xc4 | 0xd9 => self.number::<1>().and_then(|length| self.sized(length)),
            0xc5 | 0xda => self.number::<2>().and_then(|length| self.sized(length)),
            0xc6 | 0xdb => self.number::<4>().and_then(|length| self.sized(length)),
            0xcc => self.number::<1>().map(Token::Unsigned),
            0xcd => self.number::<2>().map(Token::Unsigned),
            0xce => self.number::<4>().map(Token::Unsigned),
            0xcf => self.number::<8>().map(Token::Unsigned),
            0xd0 => self.signed::<1>(),
            0xd1 => self.signed::<2>(),
            0xd2 => self.signed::<4>(),
            0xd3 => self.signed::<8>(),
            0xdc => self.number::<2>().map(|count| Token::Array(count as u32)),
            0xdd => self.number::<4>().map(|count| Token::Array(count as u32)),
            0xde => self.number::<2>().map(|count| Token::Map(count as u32)),
            0xdf => self.number::<4>().map(|count| Token::Map(count as u32)),
            0xe0..=0xff => Ok(Token::Negative),
            0xc7..=0xc9 | 0xca | 0xcb | 0xd4..=0xd8 => Ok(Token::Other),
        }
    }

    /// Passes over a value.
    pub(crate) fn skip(&mut self) -> Result<(), DecodeError> {
        let mut at = 0;
        if !Skip::new().step(self.rest, &mut at)? {
            return Err(DecodeError::Truncated);
        }
        self.take(at).map(drop)
    }

    /// Bytes in any form; none for nil.
    #[inline]
    pub(crate) fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], DecodeError> {
        match self.token()? {
            Token::Bytes(bytes) => Ok(bytes),
            Token::Nil | Token::Array(0) => Ok(&[]),
            _ => Err(DecodeError::Field(what)),
        }
    }

    /// Text in any form, which must be UTF-8; empty for nil.
    #[inline]
    pub(crate) fn text(&mut self, what: &'static str) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes(what)?).map_err(|_| DecodeError::Field(what))
    }

    /// At most 16 bytes, given as bytes or as an array of numbers, put into `out`: how many those are.
    fn octets(&mut self, out: &mut [u8; 16], what: &'static str) -> Result<usize, DecodeError> {
        match self.token()? {
            Token::Nil => Ok(0),
            Token::Bytes(bytes) => {
                out.get_mut(..bytes.len()).ok_or(DecodeError::Field(what))?.copy_from_slice(bytes);
                Ok(bytes.len())
            }
            Token::Array(count) => {
                let octets = out.get_mut(..count as usize).ok_or(DecodeError::Field(what))?;
                for octet in octets {
                    *octet = self.unsigned(u8::MAX.into(), what)? as u8;
                }
                Ok(count as usize)
            }
            _ => Err(DecodeError::Field(what)),
        }
    }

    /// An address of 4 or 16 bytes, as bytes or as an array of numbers; nothing for none. An IPv4-mapped
    /// address stays one: to peers, the two forms are different addresses.
    pub(crate) fn ip(&mut self, what: &'static str) -> Result<Option<IpAddr>, DecodeError> {
        let mut octets = [0; 16];
        match self.octets(&mut octets, what)? {
            0 => Ok(None),
            4 => Ok(Some(Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]).into())),
            16 => Ok(Some(Ipv6Addr::from(octets).into())),
            _ => Err(DecodeError::Field(what)),
        }
    }

    /// Six bytes, as bytes or as an array of numbers. Nothing if there are more or fewer.
    pub(crate) fn six(&mut self, what: &'static str) -> Result<Option<[u8; 6]>, DecodeError> {
        let mut octets = [0; 16];
        let length = self.octets(&mut octets, what)?;
        Ok((length == 6).then(|| [octets[0], octets[1], octets[2], octets[3], octets[4], octets[5]]))
    }

    /// A number of any form from 0 to `max`; 0 for nil.
    #[inline]
    pub(crate) fn unsigned(&mut self, max: u64, what: &'static str) -> Result<u64, DecodeError> {
        match self.token()? {
            Token::Unsigned(number) if number <= max => Ok(number),
            Token::Nil => Ok(0),
            _ => Err(DecodeError::Field(what)),
        }
    }

    #[inline]
    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        self.unsigned(u32::MAX.into(), what).map(|number| number as u32)
    }

    #[inline]
    pub(crate) fn u16(&mut self, what: &'static str) -> Result<u16, DecodeError> {
        self.unsigned(u16::MAX.into(), what).map(|number| number as u16)
    }

    #[inline]
    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        self.unsigned(u8::MAX.into(), what).map(|number| number as u8)
    }

    /// Yes or no, where peers take 0 and 1 as well; no for nil.
    pub(crate) fn flag(&mut self, what: &'static str) -> Result<bool, DecodeError> {
        match self.token()? {
            Token::Bool(flag) => Ok(flag),
            Token::Unsigned(number @ 0..=1) => Ok(number == 1),
            Token::Nil => Ok(false),
            _ => Err(DecodeError::Field(what)),
        }
    }

    /// Number of values of an array that follow; none for nil.
    pub(crate) fn array_len(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        match self.token()? {
            Token::Array(count) => Ok(count),
            Token::Nil => Ok(0),
            _ => Err(DecodeError::Field(what)),
        }
    }

    /// Number of pairs of a map that follow; none for nil.
    pub(crate) fn map_len(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        match self.token()? {
            Token::Map(count) => Ok(count),
            Token::Nil => Ok(0),
            _ => Err(DecodeError::Field(what)),
        }
    }

    /// Reads a struct whose fields are called `names`, in the order of their declaration: `field` is
    /// called with the position of each that is there and must read its value. Fields of other names are
    /// passed over. A nil is a struct without fields; an array has them in order.
    pub(crate) fn structure(
        &mut self,
        names: &[&str],
        mut field: impl FnMut(usize, &mut Reader<'a>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        match self.token()? {
            Token::Nil => Ok(()),
            Token::Map(pairs) => {
                for _ in 0..pairs {
                    let Token::Bytes(key) = self.token()? else { return Err(DecodeError::Msgpack) };
                    match names.iter().position(|name| name.as_bytes() == key) {
                        Some(position) => field(position, self)?,
                        None => self.skip()?,
                    }
                }
                Ok(())
            }
            Token::Array(count) => {
                for position in 0..count as usize {
                    if position < names.len() { field(position, self)? } else { self.skip()? }
                }
                Ok(())
            }
            _ => Err(DecodeError::Msgpack),
        }
    }
}
