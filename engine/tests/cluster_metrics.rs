//! What a recorder gets to see of a member. Alone in its process: a recorder is installed for all of it.

#![allow(clippy::disallowed_methods, reason = "what is published once a second is waited for")]

#[path = "it/cluster_support/mod.rs"]
mod cluster_support;

use std::time::{Duration, Instant};

use cluster_support::*;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// Waits until a line of `name` with `labels` and a value that `wanted` accepts is published.
fn published(page: &PrometheusHandle, name: &str, labels: &str, wanted: impl Fn(f64) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = page.render();
        let mut lines = text.lines().filter(|line| line.starts_with(name) && line.contains(labels));
        let value = |line: &str| line.rsplit_once(' ').and_then(|(_, value)| value.parse().ok());
        if lines.any(|line| value(line).is_some_and(&wanted)) {
            return;
        }
        assert!(Instant::now() < deadline, "{name} {labels} is not in\n{text}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_recorder_sees_what_the_member_counts() {
    let page = PrometheusBuilder::new().install_recorder().unwrap();
    let one = start("one");
    let two = joined("two", &one);
    let both = "member=\"one\"";
    published(&page, "swimring_members{", &format!("cluster=\"default\",{both},state=\"alive\""), |n| {
        n == 2.0
    });
    published(&page, "swimring_members{", &format!("{both},state=\"suspect\""), |n| n == 0.0);
    published(&page, "swimring_up{", both, |n| n == 1.0);
    for counted in [
        "swimring_probes_acked_total{",
        "swimring_datagrams_sent_total{",
        "swimring_datagrams_received_total{",
        "swimring_worker_turns_total{",
        "swimring_streams_accepted_total{",
        "swimring_stream_bytes_received_total{",
        "swimring_probe_rtt_seconds_count{",
    ] {
        published(&page, counted, both, |n| n > 0.0);
    }
    assert!(page.render().contains("# HELP swimring_probes_acked_total Probes answered directly."));
    two.shutdown();
    published(&page, "swimring_members_failed_total{", both, |n| n == 1.0);
    published(&page, "swimring_members{", &format!("{both},state=\"departed\""), |n| n == 1.0);
    published(&page, "swimring_up{", "member=\"two\"", |n| n == 0.0);
}
