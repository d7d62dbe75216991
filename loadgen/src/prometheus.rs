//! `--metrics ADDRESS:PORT`: what a run does, for Prometheus, while it runs.
//!
//! Brought up to date once a second from the same sample as the line on the terminal. Counters count from
//! the fleet's start, as Prometheus expects; percentiles are of the measured time so far. The names are
//! listed in `docs/LOADGEN.md`. The endpoint ends with the run.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use hdrhistogram::Histogram;
use metrics::{counter, describe_counter, describe_gauge, gauge};
use metrics_exporter_prometheus::PrometheusBuilder;

use crate::attach::live::{Identity, Numbers};
use crate::fleet::sampling::Taken;
use crate::progress::Phase;

/// The percentiles that are published, with their labels.
const QUANTILES: [(&str, f64); 5] =
    [("0.5", 0.5), ("0.9", 0.9), ("0.99", 0.99), ("0.999", 0.999), ("1", 1.0)];

/// An endpoint that serves what is published, until the process ends.
#[derive(Debug)]
pub struct Endpoint(());

impl Endpoint {
    /// Listens on `address`. Once per process.
    ///
    /// # Errors
    /// One line that names the flag and the mend.
    pub fn open(address: SocketAddr) -> Result<Endpoint, String> {
        let builder = PrometheusBuilder::new().with_http_listener(address);
        builder
            .install()
            .map_err(|error| format!("--metrics {address}: {error}; choose another address or port"))?;
        describe();
        Ok(Endpoint(()))
    }

    /// Publishes a sample.
    pub fn publish(&self, taken: &Taken) {
        publish(taken);
    }

    /// Publishes what the pool's own members look like.
    pub fn publish_real(&self, members: &BTreeMap<Identity, Numbers>) {
        publish_real(members);
    }
}

fn describe() {
    describe_gauge!("swimring_phase", "1 for the phase the run is in, 0 for the others");
    describe_gauge!("swimring_members_alive", "Members that were not killed");
    describe_gauge!(
        "swimring_pairs_missing",
        "Pairs of members that were not killed of which one does not hold the other live; where kills have not been \
         noticed by all, so many fewer"
    );
    describe_gauge!("swimring_pairs_suspected", "Pairs of members of which one suspects the other");
    describe_gauge!("swimring_probe_rtt_seconds", "From a probe's intended time to its ack, percentiles");
    describe_gauge!("swimring_schedule_lag_seconds", "How late timers fired, percentiles");
    describe_gauge!("swimring_event_spread_seconds", "From an event's intended time to each delivery");
    describe_counter!("swimring_datagrams_sent_total", "Datagrams handed to the kernel");
    describe_counter!("swimring_datagrams_received_total", "Datagrams taken from the kernel");
    describe_counter!("swimring_datagrams_dropped_total", "Datagrams shed by this machine");
    describe_counter!("swimring_datagrams_lost_on_purpose_total", "Datagrams dropped by --loss");
    describe_counter!(
        "swimring_zone_frames_shed_total",
        "Datagrams between zones dropped because too many were held back"
    );
    describe_counter!("swimring_zone_copies_total", "Updates and user events delegated between zones");
    describe_counter!("swimring_packets_sent_total", "Packets handed to the kernel: trains or datagrams");
    describe_counter!("swimring_bytes_sent_total", "Bytes sent, without IP and UDP headers");
    describe_counter!("swimring_system_calls_total", "System calls that moved datagrams");
    describe_counter!("swimring_paths_narrowed_total", "Paths found to take fewer bytes than were sent");
    describe_counter!("swimring_datagrams_fragmented_total", "Datagrams longer than their path takes");
    describe_counter!("swimring_kills_total", "Members killed");
    describe_counter!("swimring_kills_detected_total", "Kills that every live member has noticed");
    describe_counter!("swimring_false_suspicions_total", "Times a live member was suspected");
    describe_counter!("swimring_false_deaths_total", "Times a live member was declared dead");
    describe_counter!("swimring_events_sent_total", "User events sent");
    describe_counter!("swimring_event_deliveries_total", "User events delivered, one per event and member");
    describe_counter!("swimring_joins_total", "Joins of a cold start that succeeded");
    describe_counter!("swimring_joins_failed_total", "Joins of a cold start that failed and were retried");
    for (name, help, _) in REAL_COUNTERS {
        describe_counter!(name, help);
    }
    describe_gauge!("swimring_real_members", "Real members of the pool that are published one by one");
    describe_gauge!("swimring_real_member_held_dead", "Members of ours that hold it to be dead now");
    describe_gauge!(ACK_RTT_SUM, "Round trips of the probes that it answered directly, their sum");
    describe_gauge!("process_cpu_seconds_total", "CPU time of the process");
    describe_gauge!("process_resident_memory_bytes", "Resident memory of the process");
}

/// The sum of round trips: of fractions of a second, which a counter here would not hold.
const ACK_RTT_SUM: &str = "swimring_real_member_ack_rtt_seconds_sum";

/// A counter of each real member: its name, what it counts, and where it is.
type RealCounter = (&'static str, &'static str, fn(&Numbers) -> u64);

const REAL_COUNTERS: [RealCounter; 5] = [
    ("swimring_real_member_acks_total", "Probes of ours that it answered directly", |numbers| numbers.acks),
    (
        "swimring_real_member_lost_acks_total",
        "Probes of ours that it did not answer directly in time",
        |numbers| numbers.lost_acks,
    ),
    ("swimring_real_member_suspected_total", "Times that one of ours suspected it", |numbers| {
        numbers.suspected
    }),
    ("swimring_real_member_failed_total", "Times that one of ours took it for dead", |numbers| {
        numbers.failed
    }),
    ("swimring_real_member_unopened_total", "Packets of it that could not be opened", |numbers| {
        numbers.unopened
    }),
];

fn publish_real(members: &BTreeMap<Identity, Numbers>) {
    gauge!("swimring_real_members").set(members.len() as f64);
    for ((name, address), numbers) in members {
        let labels = [("member", name.clone()), ("address", address.clone())];
        for (counter, _, of) in REAL_COUNTERS {
            counter!(counter, &labels).absolute(of(numbers));
        }
        gauge!("swimring_real_member_held_dead", &labels).set(numbers.held_dead as f64);
        gauge!(ACK_RTT_SUM, &labels).set(numbers.rtt_sum_us as f64 / 1e6);
    }
}

fn publish(taken: &Taken) {
    let totals = &taken.totals;
    for phase in Phase::ALL {
        let is_it = f64::from(u8::from(phase == totals.phase));
        gauge!("swimring_phase", "phase" => phase.name()).set(is_it);
    }
    gauge!("swimring_members_alive").set(totals.moment.alive as f64);
    let moment = &totals.moment;
    let missing = (moment.alive * moment.alive).saturating_sub(moment.held_live);
    gauge!("swimring_pairs_missing").set(missing as f64);
    gauge!("swimring_pairs_suspected").set(moment.suspected as f64);
    let (traffic, tally) = (&totals.moment.traffic, &totals.moment.tally);
    for (name, value) in [
        ("swimring_datagrams_sent_total", traffic.sent),
        ("swimring_datagrams_received_total", traffic.received),
        ("swimring_datagrams_dropped_total", traffic.dropped),
        ("swimring_datagrams_lost_on_purpose_total", traffic.lost_on_purpose),
        ("swimring_zone_frames_shed_total", traffic.zone_frames_shed),
        ("swimring_zone_copies_total", traffic.zone_copies),
        ("swimring_packets_sent_total", traffic.packets_sent),
        ("swimring_bytes_sent_total", traffic.bytes_sent),
        ("swimring_system_calls_total", traffic.system_calls),
        ("swimring_paths_narrowed_total", traffic.paths_narrowed),
        ("swimring_datagrams_fragmented_total", traffic.fragmented),
        ("swimring_kills_total", totals.done.kills as u64),
        ("swimring_kills_detected_total", totals.kills_detected),
        ("swimring_false_suspicions_total", tally.false_suspicions),
        ("swimring_false_deaths_total", tally.false_deaths),
        ("swimring_events_sent_total", totals.done.events as u64),
        ("swimring_event_deliveries_total", tally.delivered),
        ("swimring_joins_total", tally.joined),
        ("swimring_joins_failed_total", tally.joins_failed),
    ] {
        counter!(name).absolute(value);
    }
    for (name, value) in totals.moment.protocol.each() {
        counter!(format!("swimring_protocol_{name}_total")).absolute(value);
    }
    // Fractions of a second: a counter here would hold whole numbers only.
    gauge!("process_cpu_seconds_total").set(totals.cpu.total().as_secs_f64());
    if let Some(bytes) = totals.resident_bytes {
        gauge!("process_resident_memory_bytes").set(bytes as f64);
    }
    percentiles("swimring_probe_rtt_seconds", &taken.timed.probe_rtt_us);
    percentiles("swimring_schedule_lag_seconds", &taken.timed.schedule_lag_us);
    percentiles("swimring_event_spread_seconds", &taken.timed.event_spread_us);
}

/// The percentiles of a histogram of microseconds; none of an empty one.
fn percentiles(name: &'static str, histogram: &Histogram<u64>) {
    if histogram.is_empty() {
        return;
    }
    for (label, quantile) in QUANTILES {
        let us = histogram.value_at_quantile(quantile).min(histogram.max());
        gauge!(name, "quantile" => label).set(us as f64 / 1e6);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use swimring_tooling::cpu::CpuTime;

    use super::*;
    use crate::fleet::sampling::{Done, Totals};
    use crate::fleet::snapshot::{Timings, WorkerSnapshot};
    use crate::measurements::record;

    fn taken() -> Taken {
        let mut moment = WorkerSnapshot {
            alive: 299,
            held_live: 299 * 299 - 3,
            suspected: 5,
            ..WorkerSnapshot::default()
        };
        moment.traffic.sent = 1000;
        moment.traffic.packets_sent = 250;
        moment.protocol.probes_sent = 42;
        let mut timed = Timings::default();
        (1..=1000).for_each(|us| record(&mut timed.probe_rtt_us, Duration::from_micros(us)));
        Taken {
            totals: Totals {
                phase: Phase::Measuring,
                moment,
                cpu: CpuTime { user: Duration::from_millis(1500), kernel: Duration::ZERO },
                resident_bytes: Some(1 << 20),
                done: Done { kills: 2, events: 3 },
                kills_detected: 1,
                observers: 290,
            },
            timed,
            interval: Timings::default(),
            since: Duration::from_secs(1),
            datagrams_per_second: 0.0,
            cpu_cores: 0.0,
        }
    }

    #[test]
    fn a_scrape_shows_each_real_member() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let numbers =
            Numbers { acks: 4, rtt_sum_us: 2_500_000, failed: 3, held_dead: 2, ..Numbers::default() };
        let identity = ("agent-2".to_owned(), "127.0.0.1:7946".to_owned());
        metrics::with_local_recorder(&recorder, || {
            describe();
            publish_real(&BTreeMap::from([(identity, numbers)]));
        });
        let page = recorder.handle().render();
        let labels = "{member=\"agent-2\",address=\"127.0.0.1:7946\"}";
        for line in [
            "swimring_real_members 1".to_owned(),
            format!("swimring_real_member_acks_total{labels} 4"),
            format!("swimring_real_member_failed_total{labels} 3"),
            format!("swimring_real_member_held_dead{labels} 2"),
            format!("swimring_real_member_ack_rtt_seconds_sum{labels} 2.5"),
        ] {
            assert!(page.lines().any(|shown| shown == line), "{line} is not in\n{page}");
        }
    }

    #[test]
    fn a_scrape_shows_the_sample() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            describe();
            publish(&taken());
        });
        let page = recorder.handle().render();
        for line in [
            "swimring_phase{phase=\"measuring\"} 1",
            "swimring_phase{phase=\"settling\"} 0",
            "swimring_members_alive 299",
            "swimring_pairs_missing 3",
            "swimring_pairs_suspected 5",
            "swimring_datagrams_sent_total 1000",
            "swimring_packets_sent_total 250",
            "swimring_kills_total 2",
            "swimring_kills_detected_total 1",
            "swimring_events_sent_total 3",
            "swimring_protocol_probes_sent_total 42",
            "swimring_probe_rtt_seconds{quantile=\"0.99\"} 0.00099",
            "process_cpu_seconds_total 1.5",
            "process_resident_memory_bytes 1048576",
        ] {
            assert!(page.lines().any(|shown| shown == line), "{line} is not in\n{page}");
        }
        assert!(!page.contains("swimring_schedule_lag_seconds{"), "nothing was timed there:\n{page}");
        assert!(page.contains("# HELP swimring_members_alive Members that were not killed"), "{page}");
    }
}
