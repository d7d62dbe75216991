//! What the codec's tests and the fuzz harness share.
//!
//! Each test binary uses a part of it.
#![allow(dead_code)]

pub mod checks;
pub mod golden;
pub mod memberlist;
pub mod owned;
pub mod process;
pub mod spoil;
pub mod twin;
