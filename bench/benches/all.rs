//! All benches in one program, so that the engine is optimised and linked once.
//!
//! `cargo bench -p swimring-bench -- handle` runs those whose names contain "handle".
#![allow(missing_docs, reason = "criterion's macros make public functions")]

mod codec;
mod drivers;
mod handle;
mod memberlist;
mod peers;
mod probe;
mod queue;
mod quick;
mod sealed;
mod table;
mod wheel;

criterion::criterion_main! {
    codec::benches,
    sealed::benches,
    wheel::benches,
    probe::benches,
    queue::benches,
    table::benches,
    handle::benches,
    memberlist::benches,
    peers::benches,
    drivers::benches,
}
