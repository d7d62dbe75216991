//! Writing values in the form that every peer reads: the old raw family for strings and bytes, the
//! shortest unsigned form for numbers, nil for bytes that are not there.
//!
//! A message is written by one function over a [`Sink`], so that its length is what writing it into a
//! [`Counter`] gives, and the two cannot differ.

use std::net::{IpAddr, SocketAddr};

/// A sink of bytes.
pub(crate) trait Sink {
    /// Takes `bytes`.
    fn put(&mut self, bytes: &[u8]);

    /// A number, in the shortest form.
    #[inline]
    fn unsigned(&mut self, number: u64) {
        let bytes = number.to_be_bytes();
        match number {
            0..=0x7f => self.put(&bytes[7..]),
            0x80..=0xff => self.put(&[0xcc, bytes[7]]),
            0x100..=0xffff => self.put(&[0xcd, bytes[6], bytes[7]]),
            0x1_0000..=0xffff_ffff => self.put(&[0xce, bytes[4], bytes[5], bytes[6], bytes[7]]),
            _ => {
                self.put(&[0xcf]);
                self.put(&bytes);
            }
        }
    }

    /// A string or bytes.
    #[inline]
    fn raw(&mut self, bytes: &[u8]) {
        self.raw_len(bytes.len());
        self.put(bytes);
    }

    /// What goes before `length` bytes of a string or bytes.
    #[inline]
    fn raw_len(&mut self, length: usize) {
        let [.., a, b, c, d] = (length as u64).to_be_bytes();
        match length {
            0..=0x1f => self.put(&[0xa0 | d]),
            0x20..=0xffff => self.put(&[0xda, c, d]),
            _ => self.put(&[0xdb, a, b, c, d]),
        }
    }

    /// Bytes, or nil if there are none.
    #[inline]
    fn raw_or_nil(&mut self, bytes: &[u8]) {
        if bytes.is_empty() { self.put(&[0xc0]) } else { self.raw(bytes) }
    }

    /// Yes or no.
    #[inline]
    fn flag(&mut self, flag: bool) {
        self.put(&[0xc2 + u8::from(flag)]);
    }

    /// The 4 or 16 bytes of an address.
    #[inline]
    fn ip(&mut self, address: &SocketAddr) {
        match address.ip() {
            IpAddr::V4(ip) => self.raw(&ip.octets()),
            IpAddr::V6(ip) => self.raw(&ip.octets()),
        }
    }
}

/// Counts.
#[derive(Default, Debug)]
pub(crate) struct Counter(pub(crate) usize);

impl Sink for Counter {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

impl Sink for Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Fills a slice from the front.
#[derive(Debug)]
pub(crate) struct SliceSink<'a> {
    out: &'a mut [u8],
    /// Bytes written, or nothing once some did not fit.
    written: Option<usize>,
}

impl<'a> SliceSink<'a> {
    pub(crate) fn new(out: &'a mut [u8]) -> SliceSink<'a> {
        SliceSink { out, written: Some(0) }
    }

    /// Bytes written; nothing if not all fitted.
    pub(crate) fn written(&self) -> Option<usize> {
        self.written
    }
}

impl Sink for SliceSink<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        let Some(at) = self.written else { return };
        self.written = self.out.get_mut(at..at + bytes.len()).map(|room| {
            room.copy_from_slice(bytes);
            at + bytes.len()
        });
    }
}
