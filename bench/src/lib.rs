//! Criterion benches of Swimring: `cargo bench -p swimring-bench`. They live in `benches/`.
#![forbid(unsafe_code)]
