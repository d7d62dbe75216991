//! Swimring for programs in C: one member of a cluster, over plain functions and opaque pointers.
//!
//! The functions are thin: each takes C's texts and bytes apart, calls the one of [`swimring::Cluster`] with the same name, and
//! keeps the error where [`swimring_last_error`] finds it. `include/swimring.h` is made from here.

mod admission;
mod bytes;
mod cluster;
mod error;
mod events;
mod state;
