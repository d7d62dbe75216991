//! A member's snapshot: what it keeps on disk, how it comes back with it, and the thread that writes it.
//!
//! The protocol's thread notes what has changed, no more: names and ids in bounded sets. Once an interval the snapshot's
//! thread asks it for that, as metrics do, and writes what it is given as one batch. So a change that is followed by
//! another costs one record, a disk that hangs or is full holds up nobody but who waits for it, and what
//! a crash can lose is what changed since the last batch. That the member may have *told* it all the same is what the next
//! life reckons with: see `resume`.
//!
//! | file | concern |
//! |---|---|
//! | `resume` | the next life: which incarnation, which versions, whom to join through |
//! | `notes` | on the protocol's thread: what has changed, and copies of it |
//! | `peers` | which other members are kept |
//! | `recorder` | the thread |
//! | `handle` | the ways to it |

mod handle;
mod notes;
mod peers;
mod recorder;
mod resume;

#[cfg(feature = "metrics")]
pub(super) use handle::SnapshotCounts;
pub(super) use handle::SnapshotHandle;
pub(super) use notes::Notes;
pub(super) use resume::{Begun, begin, first_incarnation, open};
