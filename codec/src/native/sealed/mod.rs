//! Sealed frames and stream messages: the native format, encrypted and authenticated under keys that a cluster shares.
//!
//! A sealed frame is an *envelope* of 28 bytes, which stays readable, then a whole plain frame encrypted, then a tag of 16
//! bytes that is right only if nobody has changed anything. A stream's messages are sealed one by one in the same way.
//!
//! | file | what is there |
//! |---|---|
//! | `keys` | what is derived from a key: two ciphers, and the id by which the envelope names it |
//! | `rustcrypto`, `ring` | the two ciphers, by whose code they are computed: that in Rust, or ring's with the feature `ring` |
//! | `envelope` | the envelope's layout |
//! | `sealer` | [`Sealer`]: seals, and never uses a nonce twice |
//! | `opener` | [`Opener`]: opens, each frame once |
//! | `senders`, `window` | which frames were opened, in bounded memory |
//! | `stream` | [`StreamSeal`]: one stream's two directions; [`Notice`]: why one was refused |
//!
//! **Nonces.** Whoever seals draws a *life* of 64 bits from a cryptographic generator when it starts, and counts its frames.
//! Life and count together are the nonce. So workers share nothing, and nothing has to be stored.
//!
//! **Replay.** An opener keeps, for each life that it has heard, the highest count and which of those below it were heard. The
//! first frame of a life that it does not know is taken only if the time in its envelope is within a minute of its own clock:
//! what was recorded before it started, or of a sender that is long gone, is too old for that. For lives that it knows
//! clocks do not matter.

mod envelope;
mod error;
mod keys;
mod opener;
#[cfg(feature = "ring")]
mod ring;
// Beside ring for its tests alone.
#[cfg(any(test, not(feature = "ring")))]
mod rustcrypto;
mod sealer;
mod senders;
mod stream;
mod window;

#[cfg(feature = "ring")]
use self::ring::Ciphers;
#[cfg(not(feature = "ring"))]
use self::rustcrypto::Ciphers;
pub use envelope::{SEAL_ENVELOPE_LEN, SEAL_OVERHEAD, SealCipher};
pub use error::SealError;
pub use keys::{SEAL_TAG_LEN, SealKeys};
pub use opener::{Opener, SealCounters};
pub use sealer::Sealer;
pub use senders::{CLOCK_DIFFERENCE_MAX_S, REPLAY_WINDOW_BYTES_MAX, SEALED_SENDERS_MAX, SEALED_STREAMS_MAX};
pub use stream::{NOTICE_LEN, Notice, StreamSeal};
pub use window::{REPLAY_WINDOW_LEAST, REPLAY_WINDOW_MOST};

#[cfg(all(test, feature = "ring"))]
#[path = "ciphers_test.rs"]
mod tests;

#[cfg(test)]
#[path = "conceded_test.rs"]
mod conceded_tests;
