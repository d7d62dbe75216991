//! How every bench measures: long enough for a median that can be compared, short enough that all of them
//! together are run before a change is handed in.

use std::time::Duration;

use criterion::Criterion;

/// The configuration of every group.
pub fn quick() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1_000))
        .sample_size(30)
        .nresamples(10_000)
}
