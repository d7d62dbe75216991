//! See [`swimring_fuzz::memberlist_message`].
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| swimring_fuzz::memberlist_message(bytes));
