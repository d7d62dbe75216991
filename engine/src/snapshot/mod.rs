//! Snapshot files: what a member keeps beyond its process, so that it comes back without seeds and with its life continued.
//!
//! A file is a header and records, to which more are appended; it is written anew when it has grown. Every record has a
//! checksum that depends on the file and on the record's place in it, so nothing is taken for a record that was not written
//! there. What a crash has left half written is cut off; damage in what was known to be on the disk is an error.
//! `docs/SNAPSHOT.md` specifies the bytes.
//!
//! | file | what is there |
//! |---|---|
//! | `record` | records to bytes and back, without I/O |
//! | `contents` | what the records of a file come to |
//! | `log` | the file: locked, read, appended to, written anew |
#![forbid(unsafe_code)]

mod contents;
mod log;
mod record;

pub use contents::{ClusterKey, Contents, OwnKey, Peer};
pub use log::{Log, OpenError, Opened, Sheet};
pub use record::{
    CLUSTER_NAME_MAX, Fault, HEADER_LEN, RECORD_HEADER_LEN, RECORD_MAX, Reader, Record, Writer,
};
