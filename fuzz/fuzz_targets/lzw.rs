//! See [`swimring_fuzz::lzw`].
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| swimring_fuzz::lzw(bytes));
