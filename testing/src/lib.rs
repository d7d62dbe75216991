//! What tests of several crates and the fuzz targets share: golden vectors, second decoders, generators, checks.
//!
//! | module | concern |
//! |---|---|
//! | [`golden`] | every vector of `docs/PROTOCOL.md`, with what its bytes mean |
//! | [`twin`] | a second decoder of the native format, written from the specification in the plainest way |
//! | [`checks`] | reads any bytes with the codec and its twin, which have to agree |
//! | [`owned`] | messages that own what they are made of |
//! | [`sealed`] | the vectors of what is sealed, and what opens and seals them |
//! | [`spoil`] | damages valid bytes |
//! | [`memberlist`] | the same for memberlist's format: vectors of the Go code, dialects of msgpack, a twin |
//! | [`process`] | settings and memory of a long test |
//!
//! It is never published, and no crate but for its tests depends on it.
#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "names of test data say what they are")]

pub mod checks;
pub mod golden;
pub mod memberlist;
pub mod owned;
pub mod process;
pub mod sealed;
pub mod spoil;
pub mod twin;
