//! Where a memberlist stream message ends: the codec's scanner, for the stream thread.

use swimring_codec::memberlist::{DecodeError, StreamScanner};

use crate::stream::{ScanError, Scanner, ScannerFactory};

/// Makes scanners for a pool.
#[derive(Debug)]
pub(super) struct Scanners {
    /// Whether the pool has a label, which then begins every stream that a peer opens.
    pub(super) labelled: bool,
}

impl ScannerFactory for Scanners {
    fn scanner(&self, accepted: bool, first: bool) -> Box<dyn Scanner> {
        Box::new(MessageScanner(StreamScanner::new(self.labelled && accepted && first)))
    }
}

struct MessageScanner(StreamScanner);

impl Scanner for MessageScanner {
    fn scan(&mut self, bytes: &[u8]) -> Result<Option<usize>, ScanError> {
        self.0.scan(bytes).map_err(|error| match error {
            DecodeError::TooLarge => ScanError::TooLong,
            error => ScanError::Malformed(DecodeError::NAMES[error.index()]),
        })
    }
}
