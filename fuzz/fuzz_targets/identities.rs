//! See [`swimring_fuzz::identities`].
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| swimring_fuzz::identities(bytes));
