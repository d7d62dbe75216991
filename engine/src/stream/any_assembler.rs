//! The assembler that an exchange's framing asks for.

use super::assembler::{Assembler, Limits, Want};
use super::event::CloseReason;
use super::framing::Framing;
use super::options::StreamOptions;
use super::pool::Pool;
use super::scanned::ScannedAssembler;

/// Either assembler; see [`Assembler`] for how it is used.
pub(super) enum AnyAssembler {
    LengthPrefixed(Assembler),
    Scanned(ScannedAssembler),
}

impl AnyAssembler {
    /// For an exchange that the peer opened (`accepted`) or that we did.
    pub(super) fn new(options: &StreamOptions, head: Vec<u8>, accepted: bool) -> AnyAssembler {
        let limits = Limits {
            message_bytes_max: options.message_bytes_max,
            received_bytes_max: options.exchange_bytes_max,
        };
        match &options.framing {
            Framing::LengthPrefixed => AnyAssembler::LengthPrefixed(Assembler::new(head, limits)),
            Framing::Scanned(factory) => {
                AnyAssembler::Scanned(ScannedAssembler::new(head, limits, factory.clone(), accepted))
            }
        }
    }

    /// The next read; `pool` has the buffers.
    pub(super) fn want(&mut self, pool: &Pool) -> Want {
        match self {
            AnyAssembler::LengthPrefixed(assembler) => assembler.want(),
            AnyAssembler::Scanned(assembler) => assembler.want(pool),
        }
    }

    /// Takes back the buffer of the last `want`, into which `count` bytes were read.
    pub(super) fn filled(&mut self, buffer: Vec<u8>, count: usize) {
        match self {
            AnyAssembler::LengthPrefixed(assembler) => assembler.filled(buffer, count),
            AnyAssembler::Scanned(assembler) => assembler.filled(buffer, count),
        }
    }

    /// The next complete message, in a buffer from `pool`; nothing if more must be read.
    pub(super) fn next(&mut self, pool: &Pool) -> Result<Option<Vec<u8>>, CloseReason> {
        match self {
            AnyAssembler::LengthPrefixed(assembler) => assembler.next(pool),
            AnyAssembler::Scanned(assembler) => assembler.next(pool),
        }
    }

    /// What it means that the peer has closed now.
    pub(super) fn end(&self) -> CloseReason {
        match self {
            AnyAssembler::LengthPrefixed(assembler) => assembler.end(),
            AnyAssembler::Scanned(assembler) => assembler.end(),
        }
    }

    /// Gives its buffers to `pool`.
    pub(super) fn recycle(self, pool: &Pool) {
        match self {
            AnyAssembler::LengthPrefixed(assembler) => assembler.recycle(pool),
            AnyAssembler::Scanned(assembler) => assembler.recycle(pool),
        }
    }
}
