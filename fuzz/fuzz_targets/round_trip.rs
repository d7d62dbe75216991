//! See [`swimring_fuzz::round_trip`].
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| swimring_fuzz::round_trip(bytes));
