//! All integration tests of the crate in one program: linking is most of what a test program costs.

mod consul;
mod harness;
mod lossy;
mod memberlist;
mod memberlist_edges;
mod memberlist_fifty;
mod memberlist_keys;
mod mixed;
mod serf;
