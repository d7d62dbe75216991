//! See [`swimring_fuzz::open_sealed`].
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| swimring_fuzz::open_sealed(bytes));
