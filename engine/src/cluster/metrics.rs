//! What the member counts, published through the `metrics` facade once a second.
//!
//! The protocol's thread only counts, as it does anyway; the background thread asks for a copy and hands it to
//! the recorder that the application has installed. `docs/METRICS.md` lists every name.

use std::sync::atomic::Ordering;

use metrics::{Key, Label, Level, Metadata, Unit};
use swimring_codec::memberlist::DecodeError;
use swimring_codec::native::SealError;

use super::shared::{LOCAL, Shared};
use super::snapshot::SnapshotCounts;
use crate::net::NetCounters;
use crate::protocol::Counters;
use crate::stream::StreamCounters;
use crate::worker::HostCounters;

const METADATA: Metadata<'static> = Metadata::new("swimring", Level::INFO, Some(module_path!()));

/// What is counted beside the protocol's own [`Counters`], which are `swimring_<name>_total`.
const COUNTERS: &[(&str, &str)] = &[
    ("swimring_subscriber_events_lost_total", "Events that slow subscribers lost."),
    (
        "swimring_direct_shed_total",
        "Direct messages in datagrams dropped because the application's queue was full or it subscribes to nothing.",
    ),
    ("swimring_datagrams_sent_total", "Datagrams the kernel took."),
    ("swimring_datagrams_received_total", "Datagrams received."),
    ("swimring_datagram_bytes_sent_total", "Bytes of datagrams sent, without UDP and IP headers."),
    ("swimring_datagram_bytes_received_total", "Bytes of datagrams received, without UDP and IP headers."),
    ("swimring_datagram_send_errors_total", "Datagrams the kernel did not take."),
    ("swimring_paths_narrowed_total", "Times that a path was found to take fewer bytes than were sent."),
    (
        "swimring_datagrams_fragmented_total",
        "Datagrams that the kernel fragmented, being longer than their path takes.",
    ),
    ("swimring_datagram_receive_errors_total", "Errors on receive, such as ICMP errors."),
    (
        "swimring_datagrams_overflowed_total",
        "Datagrams the kernel dropped because the receive buffer was full; a train that GRO put together counts once.",
    ),
    ("swimring_datagrams_outside_total", "Datagrams from outside of the networks that are allowed."),
    ("swimring_datagrams_unrouted_total", "Datagrams and stream messages for nobody who lives here."),
    ("swimring_datagrams_refused_total", "Datagrams and stream messages that could not be decoded."),
    ("swimring_datagrams_undecryptable_total", "Of those, what no key of ours opens."),
    (
        "swimring_sealed_opened_total",
        "Datagrams and stream messages of the native wire decrypted with the key in use.",
    ),
    ("swimring_sealed_opened_other_total", "Decrypted with another installed key."),
    ("swimring_sealed_plain_total", "Taken although they were not encrypted, since that is permitted."),
    (
        "swimring_sealed_not_sealed_total",
        "Datagrams and stream messages refused because they were not encrypted.",
    ),
    ("swimring_sealed_truncated_total", "Refused because they were shorter than what is encrypted says."),
    ("swimring_sealed_malformed_total", "Refused because their envelopes cannot be."),
    (
        "swimring_sealed_unknown_key_total",
        "Refused because they were encrypted with a key that is not installed.",
    ),
    ("swimring_sealed_forged_total", "Refused because they were altered, or made without the key."),
    (
        "swimring_sealed_replayed_total",
        "Refused because they were repeated, or out of order in their stream.",
    ),
    ("swimring_sealed_late_total", "Refused because nobody remembers whether they have come before."),
    (
        "swimring_sealed_stale_total",
        "Refused because their sender is not known and its clock differs by more than a minute.",
    ),
    ("swimring_sealed_crowded_total", "Refused because their sender is not known and too many are."),
    ("swimring_system_calls_total", "System calls of the datagram path."),
    ("swimring_worker_turns_total", "Turns of the worker's loop."),
    ("swimring_worker_turns_late_total", "Turns so late that the member was told to doubt itself."),
    (
        "swimring_worker_turns_swamped_total",
        "Turns that found datagrams lost in a full receive buffer, or that were half a second behind in reading.",
    ),
    ("swimring_streams_opened_total", "Streams opened that connected."),
    ("swimring_streams_accepted_total", "Streams accepted."),
    ("swimring_streams_refused_total", "Streams that could not connect, timeouts aside."),
    ("swimring_streams_timed_out_total", "Streams ended by a timeout."),
    ("swimring_streams_broken_total", "Streams broken by an error of the connection."),
    ("swimring_streams_shed_total", "Streams refused because too many were open."),
    (
        "swimring_streams_outside_total",
        "Streams closed at once because they came from outside of the networks that are allowed.",
    ),
    ("swimring_stream_bytes_sent_total", "Bytes sent over streams."),
    ("swimring_stream_bytes_received_total", "Bytes received over streams."),
    ("swimring_snapshot_batches_total", "Batches of changes that are in the snapshot, on the disk."),
    ("swimring_snapshot_rewrites_total", "Times that the snapshot was written anew."),
    ("swimring_snapshot_bytes_total", "Bytes written to the snapshot."),
    ("swimring_snapshot_errors_total", "Tries to write the snapshot that have failed."),
    (
        "swimring_snapshot_torn_bytes_total",
        "Bytes at the end of the snapshot that were half written when the member started, and were cut off.",
    ),
    (
        "swimring_snapshot_notes_lost_total",
        "Times that more had changed than is noted between two batches, so that all was looked through.",
    ),
];

const GAUGES: &[(&str, &str)] = &[
    ("swimring_members", "Members in the view, by state: alive (itself among them), suspect, departed."),
    ("swimring_local_health", "Local health score; 0 is healthy."),
    ("swimring_broadcasts_waiting", "Broadcasts waiting to be sent."),
    ("swimring_delegations_waiting", "Delegations waiting to be sent, or for their acknowledgement."),
    (
        "swimring_sealed_senders",
        "Senders of encrypted datagrams that are known, each process's workers apart.",
    ),
    ("swimring_streams_open", "Streams open now."),
    ("swimring_snapshot_failing", "1 while the snapshot cannot be written, 0 otherwise."),
    ("swimring_up", "1 while the member takes part, 0 once it has left or stopped."),
];

const HISTOGRAMS: &[(&str, &str)] =
    &[("swimring_probe_rtt_seconds", "From the intended time of a probe to its direct ack.")];

/// What is asked of the member's thread.
struct Sample {
    protocol: Counters,
    net: NetCounters,
    host: HostCounters,
    live: usize,
    suspects: usize,
    known: usize,
    queued: u32,
    delegated: u32,
    local_health: u8,
    left: bool,
    events_lost: u64,
    messages_shed: u64,
    rtts_us: Vec<u32>,
}

/// Hands samples to the recorder.
pub(super) struct Publisher {
    labels: Vec<Label>,
}

impl Publisher {
    pub(super) fn new(cluster: &str, member: &str) -> Publisher {
        let labels = vec![Label::new("cluster", cluster.to_owned()), Label::new("member", member.to_owned())];
        Publisher { labels }
    }

    /// Tells the recorder what the names mean.
    pub(super) fn describe(&self) {
        metrics::with_recorder(|recorder| {
            for (name, help) in Counters::DESCRIPTIONS {
                recorder.describe_counter(protocol_name(name).into(), None, help.trim().into());
            }
            for (name, help) in COUNTERS {
                recorder.describe_counter((*name).into(), None, (*help).into());
            }
            for (name, help) in GAUGES {
                recorder.describe_gauge((*name).into(), None, (*help).into());
            }
            for (name, help) in HISTOGRAMS {
                recorder.describe_histogram((*name).into(), Some(Unit::Seconds), (*help).into());
            }
        });
    }

    /// Publishes what the member has counted so far.
    pub(super) fn publish(&self, shared: &Shared) {
        let Ok(Some(sample)) = shared
            .ask(|host, _| {
                let member = host.member(LOCAL)?;
                let mut sample = Sample {
                    protocol: host.shared().counters,
                    net: host.net_counters(),
                    host: host.counters(),
                    live: member.live(),
                    suspects: member.suspects(),
                    known: member.known(),
                    queued: member.queued(),
                    delegated: member.delegated(),
                    local_health: member.local_health(),
                    left: member.has_left(),
                    events_lost: host.observer.events_lost,
                    messages_shed: host.observer.messages_shed,
                    rtts_us: Vec::new(),
                };
                host.observer.take_rtts(&mut sample.rtts_us);
                Some(sample)
            })
            .wait()
        else {
            return;
        };
        self.protocol(&sample);
        self.worker(&sample);
        self.gauges(&sample);
        for rtt_us in &sample.rtts_us {
            self.histogram("swimring_probe_rtt_seconds", f64::from(*rtt_us) / 1e6);
        }
        if let Some(snapshot) = &shared.snapshot {
            self.snapshot(snapshot.counts());
        }
        let streams = shared.with(|fleet| Ok(fleet.stream_counters()));
        if let Ok(Some(streams)) = streams {
            self.streams(&streams);
        }
    }

    /// The member has stopped.
    pub(super) fn publish_end(&self) {
        self.gauge("swimring_up", &[], 0.0);
    }

    fn protocol(&self, sample: &Sample) {
        for (name, value) in sample.protocol.each() {
            self.counter(&protocol_name(name), value);
        }
    }

    fn worker(&self, sample: &Sample) {
        let Sample { net, host, .. } = sample;
        let refused = host.refused.iter().chain(&host.refused_packets).chain(&host.sealed.refused).sum();
        for (name, value) in SealError::NAMES.into_iter().zip(host.sealed.refused) {
            self.counter(&format!("swimring_sealed_{name}_total"), value);
        }
        for (name, value) in [
            ("swimring_subscriber_events_lost_total", sample.events_lost),
            ("swimring_direct_shed_total", sample.messages_shed),
            ("swimring_datagrams_sent_total", net.datagrams_sent),
            ("swimring_datagrams_received_total", net.datagrams_received),
            ("swimring_datagram_bytes_sent_total", net.bytes_sent),
            ("swimring_datagram_bytes_received_total", net.bytes_received),
            ("swimring_datagram_send_errors_total", net.send_errors),
            ("swimring_paths_narrowed_total", net.paths_narrowed),
            ("swimring_datagrams_fragmented_total", net.datagrams_fragmented),
            ("swimring_datagram_receive_errors_total", net.receive_errors),
            ("swimring_datagrams_overflowed_total", net.receive_overflow),
            ("swimring_datagrams_outside_total", host.outside),
            ("swimring_datagrams_unrouted_total", host.unrouted),
            ("swimring_datagrams_refused_total", refused),
            ("swimring_datagrams_undecryptable_total", undecryptable(host)),
            ("swimring_sealed_opened_total", host.sealed.opened_primary),
            ("swimring_sealed_opened_other_total", host.sealed.opened_other),
            ("swimring_sealed_plain_total", host.sealed.opened_plain),
            ("swimring_system_calls_total", net.system_calls),
            ("swimring_worker_turns_total", host.turns),
            ("swimring_worker_turns_late_total", host.turns_late),
            ("swimring_worker_turns_swamped_total", host.turns_swamped),
        ] {
            self.counter(name, value);
        }
    }

    fn streams(&self, streams: &StreamCounters) {
        for (name, counter) in [
            ("swimring_streams_opened_total", &streams.opened),
            ("swimring_streams_accepted_total", &streams.accepted),
            ("swimring_streams_refused_total", &streams.refused),
            ("swimring_streams_timed_out_total", &streams.timeouts),
            ("swimring_streams_broken_total", &streams.broken),
            ("swimring_streams_shed_total", &streams.shed),
            ("swimring_streams_outside_total", &streams.outside),
            ("swimring_stream_bytes_sent_total", &streams.bytes_out),
            ("swimring_stream_bytes_received_total", &streams.bytes_in),
        ] {
            self.counter(name, counter.get());
        }
        self.gauge("swimring_streams_open", &[], streams.open.get() as f64);
    }

    fn snapshot(&self, counts: &SnapshotCounts) {
        for (name, counter) in [
            ("swimring_snapshot_batches_total", &counts.batches),
            ("swimring_snapshot_rewrites_total", &counts.rewrites),
            ("swimring_snapshot_bytes_total", &counts.bytes),
            ("swimring_snapshot_errors_total", &counts.errors),
            ("swimring_snapshot_torn_bytes_total", &counts.torn_bytes),
            ("swimring_snapshot_notes_lost_total", &counts.notes_lost),
        ] {
            self.counter(name, counter.load(Ordering::Relaxed));
        }
        let failing = counts.failing.load(Ordering::Relaxed);
        self.gauge("swimring_snapshot_failing", &[], f64::from(u8::from(failing)));
    }

    fn gauges(&self, sample: &Sample) {
        let alive = sample.live.saturating_sub(sample.suspects);
        for (state, members) in [
            ("alive", alive),
            ("suspect", sample.suspects),
            ("departed", sample.known.saturating_sub(sample.live)),
        ] {
            self.gauge("swimring_members", &[Label::new("state", state)], members as f64);
        }
        self.gauge("swimring_local_health", &[], f64::from(sample.local_health));
        self.gauge("swimring_broadcasts_waiting", &[], f64::from(sample.queued));
        self.gauge("swimring_delegations_waiting", &[], f64::from(sample.delegated));
        self.gauge("swimring_sealed_senders", &[], sample.host.sealed.senders as f64);
        self.gauge("swimring_up", &[], if sample.left { 0.0 } else { 1.0 });
    }

    fn key(&self, name: &str, more: &[Label]) -> Key {
        Key::from_parts(name.to_owned(), self.labels.iter().chain(more).cloned().collect::<Vec<_>>())
    }

    fn counter(&self, name: &str, value: u64) {
        let key = self.key(name, &[]);
        metrics::with_recorder(|recorder| recorder.register_counter(&key, &METADATA).absolute(value));
    }

    fn gauge(&self, name: &str, more: &[Label], value: f64) {
        let key = self.key(name, more);
        metrics::with_recorder(|recorder| recorder.register_gauge(&key, &METADATA).set(value));
    }

    fn histogram(&self, name: &str, value: f64) {
        let key = self.key(name, &[]);
        metrics::with_recorder(|recorder| recorder.register_histogram(&key, &METADATA).record(value));
    }
}

/// What no key of ours opens.
fn undecryptable(host: &HostCounters) -> u64 {
    let of_keys = [SealError::UnknownKey, SealError::Forged];
    let sealed: u64 = of_keys.into_iter().map(|error| host.sealed.refused[error.index()]).sum();
    host.refused_packets[DecodeError::Decrypt.index()] + sealed
}

fn protocol_name(counter: &str) -> String {
    format!("swimring_{counter}_total")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page that lists them says nothing else than what is published.
    #[test]
    fn the_page_of_metrics_is_complete() {
        let page = include_str!("../../docs/METRICS.md");
        let protocol = Counters::DESCRIPTIONS.iter().map(|(name, help)| (protocol_name(name), help.trim()));
        let others = [COUNTERS, GAUGES, HISTOGRAMS].concat();
        let others = others.into_iter().map(|(name, help)| (name.to_owned(), help));
        let lines: Vec<String> =
            others.chain(protocol).map(|(name, help)| format!("| `{name}` | {help} |")).collect();
        for line in &lines {
            assert!(page.contains(line.as_str()), "docs/METRICS.md lacks this line:\n{line}");
        }
        let listed = page.lines().filter(|line| line.starts_with("| `swimring_")).count();
        assert_eq!(listed, lines.len(), "docs/METRICS.md lists more than there is");
    }

    #[test]
    fn every_refusal_of_what_is_sealed_is_published() {
        for name in SealError::NAMES {
            let name = format!("swimring_sealed_{name}_total");
            assert!(COUNTERS.iter().any(|(published, _)| *published == name), "{name}");
        }
    }

    #[test]
    fn no_name_is_used_twice() {
        let mut names: Vec<String> =
            Counters::DESCRIPTIONS.iter().map(|(name, _)| protocol_name(name)).collect();
        names.extend([COUNTERS, GAUGES, HISTOGRAMS].concat().iter().map(|(name, _)| (*name).to_owned()));
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
