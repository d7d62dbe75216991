//! The assembler that an exchange's framing asks for.

use super::assembler::{Assembler, Limits, Want};
use super::event::CloseReason;
use super::framing::Framing;
use super::options::StreamOptions;
use super::pool::Pool;
use super::scanned::ScannedAssembler;

/// Either assembler; see [`Assembler`] for how it is used.
pub(super) enum Assembly {
    LengthPrefixed(Assembler),
    Scanned(ScannedAssembler),
}

impl Assembly {
    /// For an exchange that the peer opened (`accepted`) or that we did.
    pub(super) fn new(options: &StreamOptions, head: Vec<u8>, accepted: bool) -> Assembly {
        let limits = Limits {
            message_bytes_max: options.message_bytes_max,
            received_bytes_max: options.exchange_bytes_max,
        };
        match &options.framing {
            Framing::LengthPrefixed => Assembly::LengthPrefixed(Assembler::new(head, limits)),
            Framing::Scanned(factory) => {
                Assembly::Scanned(ScannedAssembler::new(head, limits, factory.clone(), accepted))
            }
        }
    }

    /// The next read.
    pub(super) fn want(&mut self) -> Want {
        match self {
            Assembly::LengthPrefixed(assembler) => assembler.want(),
            Assembly::Scanned(assembler) => assembler.want(),
        }
    }

    /// Takes back the buffer of the last `want`, into which `count` bytes were read.
    pub(super) fn filled(&mut self, buffer: Vec<u8>, count: usize) {
        match self {
            Assembly::LengthPrefixed(assembler) => assembler.filled(buffer, count),
            Assembly::Scanned(assembler) => assembler.filled(buffer, count),
        }
    }

    /// The next complete message, in a buffer from `pool`; nothing if more must be read.
    pub(super) fn next(&mut self, pool: &Pool) -> Result<Option<Vec<u8>>, CloseReason> {
        match self {
            Assembly::LengthPrefixed(assembler) => assembler.next(pool),
            Assembly::Scanned(assembler) => assembler.next(pool),
        }
    }

    /// What it means that the peer has closed now.
    pub(super) fn end(&self) -> CloseReason {
        match self {
            Assembly::LengthPrefixed(assembler) => assembler.end(),
            Assembly::Scanned(assembler) => assembler.end(),
        }
    }

    /// Gives its buffers to `pool`.
    pub(super) fn recycle(self, pool: &Pool) {
        match self {
            Assembly::LengthPrefixed(assembler) => assembler.recycle(pool),
            Assembly::Scanned(assembler) => assembler.recycle(pool),
        }
    }
}
