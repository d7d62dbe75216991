//! msgpack, as far as peers of memberlist and Serf write it.
//!
//! Peers use one Go codec in two generations, and what they write is a small part of msgpack: maps with
//! field names as keys, strings and bytes in the old raw family, integers, booleans, nil. What they
//! accept is wider, and so is what is accepted here: any string or bin form where bytes are expected, any
//! integer form that fits, nil for any field, structs as arrays, fields nobody knows. Everything is read
//! in place. Nothing recurses: what has to be skipped is walked with a small stack of counts.

mod reader;
mod skip;
mod writer;

pub(crate) use reader::Reader;
pub(crate) use skip::Skip;
pub(crate) use writer::{Counter, Sink, SliceSink};

/// How deep arrays and maps may nest in a value that is skipped. Peers nest four deep at most (the events of
/// a Serf push/pull); the stack of counts for more would only serve an attacker.
pub(crate) const DEPTH_MAX: usize = 8;
