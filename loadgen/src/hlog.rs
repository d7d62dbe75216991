//! The interval log: one HdrHistogram per second and measurement, in the format all HdrHistogram tools read
//! (version 1.3 of the log, V2 compressed histograms).
//!
//! Each line is tagged with its measurement's name from the report; values are microseconds. Timestamps are
//! seconds since the log's start, which the header gives as base time.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use crate::BUILD;

/// The column names the Java tools write and skip.
const LEGEND: &str =
    "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"";

/// An interval log being written.
pub struct HistogramLog<W: Write> {
    writer: W,
    serializer: V2DeflateSerializer,
}

impl HistogramLog<BufWriter<File>> {
    /// Creates the file. Errors: one line that names the flag and the file.
    pub fn create(path: &Path) -> Result<Self, String> {
        let file = File::create(path).map_err(|error| format!("--hlog {}: {error}", path.display()))?;
        Ok(HistogramLog::new(BufWriter::new(file)))
    }
}

impl<W: Write> HistogramLog<W> {
    /// A log that begins with [`HistogramLog::begin`].
    pub fn new(writer: W) -> HistogramLog<W> {
        HistogramLog { writer, serializer: V2DeflateSerializer::new() }
    }

    /// Writes the header. `start` is the wall-clock time of the measured window's start.
    pub fn begin(&mut self, seed: u64, start: SystemTime) -> io::Result<()> {
        IntervalLogWriterBuilder::new()
            .add_comment("[Histogram log format version 1.3]")
            .add_comment(&format!("[swimring-loadgen {}, seed {seed}, values in microseconds]", BUILD.line))
            .with_start_time(start)
            .with_base_time(start)
            .begin_log_with(&mut self.writer, &mut self.serializer)?;
        writeln!(self.writer, "{LEGEND}")
    }

    /// Appends one interval of one measurement. `start` counts from the log's start. An interval without
    /// values is written too: a gap in a log means that nobody measured.
    pub fn write(
        &mut self,
        measurement: &str,
        start: Duration,
        length: Duration,
        histogram: &Histogram<u64>,
    ) -> io::Result<()> {
        let tag = Tag::new(measurement).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "a tag has no blanks and no commas")
        })?;
        // A writer without header lines writes none: the header above stays the only one.
        IntervalLogWriterBuilder::new()
            .begin_log_with(&mut self.writer, &mut self.serializer)?
            .write_histogram(histogram, start, length, Some(tag))
            .map_err(|error| io::Error::other(format!("{error:?}")))
    }

    /// Writes out what is buffered.
    pub fn finish(mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::*;
    use crate::measurements::{histogram_us, record};

    /// Base64 is undone by hand: the log's own crate keeps its decoder to itself.
    fn decoded(text: &str) -> Vec<u8> {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
        for symbol in text.trim_end_matches('=').bytes() {
            let value = ALPHABET.iter().position(|letter| *letter == symbol).unwrap();
            bits = (bits << 6 | u32::try_from(value).unwrap()) & 0xFFFF;
            count += 6;
            if count >= 8 {
                count -= 8;
                bytes.push((bits >> count & 0xFF) as u8);
            }
        }
        bytes
    }

    #[test]
    fn the_log_reads_back_with_tags_times_and_values() {
        let mut written = Vec::new();
        let start = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let mut log = HistogramLog::new(&mut written);
        log.begin(42, start).unwrap();
        let mut histogram = histogram_us();
        (1..=1000).for_each(|us| record(&mut histogram, Duration::from_micros(us)));
        let second = Duration::from_secs(1);
        log.write("probe_rtt_us", Duration::ZERO, second, &histogram).unwrap();
        log.write("schedule_lag_us", Duration::ZERO, second, &histogram_us()).unwrap();
        log.write("probe_rtt_us", second, second, &histogram).unwrap();
        log.finish().unwrap();

        let text = String::from_utf8(written.clone()).unwrap();
        assert!(text.starts_with("#[Histogram log format version 1.3]\n"), "{text}");
        assert!(text.contains("seed 42") && text.contains("#[BaseTime: 1700000000.000 "));
        // Java's reader takes compressed histograms only; their cookie encodes to this.
        assert_eq!(text.matches(",HISTFAAAA").count(), 3);

        let intervals: Vec<_> = IntervalLogIterator::new(&written)
            .filter_map(|entry| match entry.unwrap() {
                LogEntry::Interval(interval) => Some(interval),
                _ => None,
            })
            .collect();
        let tags: Vec<&str> = intervals.iter().map(|interval| interval.tag().unwrap().as_str()).collect();
        assert_eq!(tags, ["probe_rtt_us", "schedule_lag_us", "probe_rtt_us"]);
        assert_eq!((intervals[2].start_timestamp(), intervals[2].duration()), (second, second));
        let bytes = decoded(intervals[0].encoded_histogram());
        let read: Histogram<u64> = Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
        assert_eq!((read.len(), read.value_at_quantile(0.5), read.max()), (1000, 500, 1000));
    }

    #[test]
    fn a_name_that_would_break_the_format_is_refused() {
        let mut log = HistogramLog::new(Vec::new());
        let refused = log.write("a, b", Duration::ZERO, Duration::ZERO, &histogram_us());
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_file_that_cannot_be_created_is_named() {
        let fault = HistogramLog::create(Path::new("/nonexistent/a.hlog")).err().unwrap();
        assert!(fault.starts_with("--hlog /nonexistent/a.hlog: "), "{fault}");
    }
}
