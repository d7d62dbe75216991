//! See [`swimring_fuzz::serf_message`].
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| swimring_fuzz::serf_message(bytes));
