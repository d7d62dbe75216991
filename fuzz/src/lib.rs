//! Fuzz harnesses: what must hold for any input.
//!
//! A harness is a plain function of bytes that panics when something is wrong. It knows nothing of a
//! fuzzer, so `cargo test` replays the corpus through it, and a target in `fuzz_targets/` is one line.
//! To add one: write the harness, list it in [`TARGETS`] with its seeds, add the target and its `[[bin]]`,
//! and write its seeds with `SWIMRING_WRITE_CORPUS=1 cargo test -p swimring-fuzz`.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod decode;
mod forge;
mod input;
mod memberlist;
mod operations;
mod round_trip;
mod sealed;
mod snapshot;

pub use decode::{decode_frame, decode_stream};
pub use forge::{Tally, forge};
pub use input::Input;
pub use memberlist::{lzw, memberlist_message, memberlist_packet, memberlist_stream, serf_message};
pub use operations::{identities, operations};
pub use round_trip::round_trip;
pub use sealed::open_sealed;
pub use snapshot::snapshot;

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its binary and of its folder in the corpus.
    pub name: &'static str,
    /// The harness.
    pub run: fn(&[u8]),
    /// The inputs it starts from.
    pub seeds: fn() -> Vec<Seed>,
}

/// An input that is kept in the corpus.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seed {
    /// What it is: the file's name without `.bin`.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Every target.
pub const TARGETS: [Target; 12] = [
    Target { name: "decode_frame", run: decode_frame, seeds: decode::frame_seeds },
    Target { name: "decode_stream", run: decode_stream, seeds: decode::stream_seeds },
    Target { name: "round_trip", run: round_trip, seeds: round_trip::seeds },
    Target { name: "memberlist_packet", run: memberlist_packet, seeds: memberlist::packet_seeds },
    Target { name: "memberlist_message", run: memberlist_message, seeds: memberlist::message_seeds },
    Target { name: "memberlist_stream", run: memberlist_stream, seeds: memberlist::stream_seeds },
    Target { name: "lzw", run: lzw, seeds: memberlist::lzw_seeds },
    Target { name: "serf_message", run: serf_message, seeds: memberlist::serf_seeds },
    Target { name: "open_sealed", run: open_sealed, seeds: sealed::seeds },
    Target { name: "identities", run: identities, seeds: operations::seeds },
    Target { name: "operations", run: operations, seeds: operations::seeds },
    Target { name: "snapshot", run: snapshot, seeds: snapshot::seeds },
];
