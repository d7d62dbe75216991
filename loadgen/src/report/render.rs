//! The report for people: what made it first, then cost, times and outcomes, then the verdict.
//!
//! Plain ASCII, no line longer than the page ([`columns`](swimring_tooling::columns)), aligned so that two reports
//! can be read next to each other.

use serde_json::Value;
use swimring_tooling::columns::{width, wrapped};
use swimring_tooling::style::Style;
use swimring_tooling::table::Table;
use swimring_tooling::text::{ABSENT, bytes, counted, microseconds, percent, significant, thousands};

use super::{Report, RoundTrips, Seconds, Total};

/// Columns of a row's label, its indentation included.
const LABEL: usize = 22;
/// Columns of a time, so that most reports have the same layout: `1.00 ms`.
const TIME_WIDTH: usize = 7;
/// Workers listed one by one; of more, the mean and the busiest are shown.
const WORKERS_LISTED: usize = 8;
/// Pairs of zones that are listed one by one: those of four zones. Of more, only the JSON file has them.
const ZONE_PAIRS_SHOWN: usize = 16;
/// Members from which the memory for each that is known means something.
const PAIRS_SHOWN_FROM: u64 = 1000;
/// Settings that the opening lines say in words already.
const SAID_IN_WORDS: [&str; 8] =
    ["members", "duration_s", "warmup_s", "workers", "driver", "start", "seed", "preset"];

/// Renders one report.
pub fn render(report: &Report, style: Style) -> String {
    let mut page = Page { style, lines: Vec::new() };
    page.origin(report);
    page.cost(report);
    page.times(report);
    page.zones(report);
    page.outcomes(report);
    page.real_members(report);
    page.objectives(report);
    page.verdict(report);
    let mut text = page.lines.join("\n");
    text.push('\n');
    text
}

struct Page {
    style: Style,
    lines: Vec<String>,
}

impl Page {
    fn heading(&mut self, text: &str) {
        self.lines.push(String::new());
        self.lines.push(self.style.heading(text));
    }

    /// A labelled value; what does not fit is continued below it, broken at ", " and else at blanks.
    fn row(&mut self, label: &str, value: &str) {
        let room = self.style.columns() - LABEL;
        let mut line = String::new();
        let mut lines = Vec::new();
        let mut parts = value.split(", ").peekable();
        while let Some(part) = parts.next() {
            let comma = if parts.peek().is_some() { "," } else { "" };
            let blank = if line.is_empty() { "" } else { " " };
            let longer = format!("{line}{blank}{part}{comma}");
            if width(&longer) <= room {
                line = longer;
                continue;
            }
            lines.extend(Some(std::mem::take(&mut line)).filter(|line| !line.is_empty()));
            let mut broken = wrapped(&format!("{part}{comma}"), room);
            line = broken.pop().unwrap_or_default();
            lines.append(&mut broken);
        }
        lines.push(line);
        for (number, text) in lines.iter().enumerate() {
            let label = if number == 0 { format!("  {label}") } else { String::new() };
            self.lines.push(format!("{label:<LABEL$}{text}").trim_end().to_owned());
        }
    }

    /// A line that goes on below itself, indented, where it is too long.
    fn say(&mut self, text: &str, indentation: usize) {
        let mut broken = wrapped(text, self.style.columns() - indentation - 2).into_iter();
        self.lines.extend(broken.next().map(|line| format!("{}{line}", " ".repeat(indentation))));
        self.lines.extend(broken.map(|line| format!("{}{line}", " ".repeat(indentation + 2))));
    }

    fn origin(&mut self, report: &Report) {
        let environment = &report.environment;
        let title = format!("swimring-loadgen {} ({})", environment.version, environment.commit);
        self.lines.push(self.style.heading(&title));
        self.row("seed", &report.seed.to_string());
        let cores = counted(u64::from(environment.cores), "core");
        let memory = bytes(environment.memory_bytes);
        let machine = format!("{}, {cores}, {memory}, {}", environment.cpu, environment.kernel);
        self.row("machine", &machine);
        let setting = |name: &str| shown(report.settings.get(name));
        let members = counted(report.members, "member");
        let (wire, start, preset) = (&report.wire, setting("start"), setting("preset"));
        self.row("fleet", &format!("{members}, {start} start, preset {preset}, {wire} wire format"));
        if let (Some(Value::String(pool)), Some(Value::Array(join))) =
            (report.settings.get("pool"), report.settings.get("join"))
        {
            let through = join.iter().map(|target| shown(Some(target))).collect::<Vec<_>>().join(", ");
            let first = setting("first_address");
            self.row("pool", &format!("{pool}, joined through {through}, from {first} on"));
        }
        let workers = counted(report.cpu.worker_busy_ratio.len() as u64, "worker");
        self.row("driver", &format!("{}, {workers}", report.driver));
        let warmup = report.settings.get("warmup_s").and_then(Value::as_f64);
        let warmup =
            warmup.map_or(String::new(), |time| format!(" after {} s of warm-up", significant(time)));
        let at = &environment.started_at;
        self.row("measured", &format!("{} s{warmup}, started {at}", significant(report.duration_s)));
        let changed = changed(report);
        self.row("changed settings", if changed.is_empty() { "none" } else { &changed });
    }

    fn cost(&mut self, report: &Report) {
        self.heading("Cost");
        let cpu = &report.cpu;
        let kernel =
            cpu.kernel_ratio.map_or(String::new(), |share| format!(", {} in the kernel", percent(share)));
        let (cores, each) = (significant(cpu.cores), significant(cpu.us_per_member_second));
        self.row("CPU", &format!("{cores} cores, {each} us per member-second{kernel}"));
        self.row("workers busy", &busy(&cpu.worker_busy_ratio));
        let memory = &report.memory;
        // Of a small fleet this would only show what the process takes whatever its members know.
        let pair = memory.bytes_per_pair.filter(|_| report.members >= PAIRS_SHOWN_FROM);
        let pair = pair.map_or(String::new(), |bytes| {
            format!(", {} bytes for each member that a member knows", significant(bytes))
        });
        let resident = memory.rss_bytes.map_or_else(|| ABSENT.to_owned(), bytes);
        self.row("memory", &format!("{resident} resident{pair}"));
        self.datagrams(report);
        let allocations = match report.allocations.steady_state {
            Some(count) => format!("{} by workers while measuring", thousands(count)),
            None => "not counted".to_owned(),
        };
        self.row("heap allocations", &allocations);
    }

    fn datagrams(&mut self, report: &Report) {
        let datagrams = &report.datagrams;
        let per_second = significant(datagrams.per_second);
        let bytes = significant(datagrams.bytes_per_member_second);
        self.row("datagrams", &format!("{per_second} per second, {bytes} bytes per member-second"));
        let [sent, received, dropped] =
            [datagrams.sent, datagrams.received, datagrams.dropped].map(thousands);
        // A train is one packet to the kernel and many datagrams to the members.
        let trains = match datagrams.packets_sent {
            0 => String::new(),
            packets => {
                let each = significant(datagrams.sent as f64 / packets as f64);
                format!(" in {} packets ({each} in each)", thousands(packets))
            }
        };
        let calls = datagrams
            .per_system_call
            .map_or(String::new(), |each| format!(", {} moved per system call", significant(each)));
        self.row("", &format!("{sent} sent{trains}, {received} received{calls}"));
        let lost = match datagrams.lost_on_purpose {
            0 => String::new(),
            lost => format!(", {} lost on purpose", thousands(lost)),
        };
        self.row("", &format!("{dropped} dropped by this machine{lost}"));
    }

    fn times(&mut self, report: &Report) {
        self.lines.push(String::new());
        let us = |us: Option<u64>| us.map_or_else(|| ABSENT.to_owned(), |us| microseconds(us as f64));
        let ms = |ms: Option<f64>| ms.map_or_else(|| ABSENT.to_owned(), |ms| microseconds(ms * 1e3));
        let absent = || ABSENT.to_owned();
        let mut table = Table::new(LABEL, TIME_WIDTH);
        table.row(["Times", "count", "p50", "p90", "p99", "p99.9", "max"]);
        let (rtt, lag) = (&report.probe_rtt_us, &report.schedule_lag_us);
        let count = thousands(rtt.count);
        table.row([
            "  probe round trip".to_owned(),
            count,
            us(rtt.p50),
            us(rtt.p90),
            us(rtt.p99),
            us(rtt.p999),
            us(rtt.max),
        ]);
        for (name, times) in [
            ("  within a zone", &report.zone_rtt_us.within),
            ("  to another zone", &report.zone_rtt_us.between),
        ] {
            if let Some(count) = times.count {
                let (p50, p99, max) = (us(times.p50), us(times.p99), us(times.max));
                table.row([name.to_owned(), thousands(count), p50, absent(), p99, absent(), max]);
            }
        }
        table.row([
            "  timers late by".to_owned(),
            absent(),
            us(lag.p50),
            absent(),
            us(lag.p99),
            absent(),
            us(lag.max),
        ]);
        let detection = |name: &str, times: &Seconds| {
            let at = |time: Option<f64>| ms(time.map(|seconds| seconds * 1e3));
            let count = thousands(times.count);
            [name.to_owned(), count, at(times.p50), absent(), at(times.p99), absent(), at(times.max)]
        };
        if report.kills.count > 0 {
            table.row(detection("  kill until one knows", &report.detection_s.first));
            table.row(detection("  kill until all know", &report.detection_s.all));
        }
        if report.events.sent > 0 {
            let spread = &report.events.spread_ms;
            let name = "  event to delivery".to_owned();
            table.row([name, absent(), ms(spread.p50), absent(), ms(spread.p99), absent(), ms(spread.max)]);
        }
        let mut lines = table.lines_within(self.style.columns());
        lines[0] = self.style.heading(&lines[0]);
        self.lines.append(&mut lines);
    }

    /// Round trips from each zone to each, where these are few.
    fn zones(&mut self, report: &Report) {
        let pairs = &report.zone_rtt_us.pairs;
        if pairs.is_empty() || pairs.len() > ZONE_PAIRS_SHOWN {
            return;
        }
        let us = |us: Option<u64>| us.map_or_else(|| ABSENT.to_owned(), |us| microseconds(us as f64));
        let mut table = Table::new(LABEL, TIME_WIDTH);
        table.row(["Probes by zone", "count", "p50", "p99", "max"]);
        for pair in pairs {
            let RoundTrips { count, p50, p99, max } = &pair.round_trips;
            let name = if pair.from == pair.to {
                format!("within {}", named(&pair.from))
            } else {
                format!("{} to {}", named(&pair.from), named(&pair.to))
            };
            let count = count.map_or_else(|| ABSENT.to_owned(), thousands);
            table.row([format!("  {name}"), count, us(*p50), us(*p99), us(*max)]);
        }
        let mut lines = table.lines_within(self.style.columns());
        lines[0] = self.style.heading(&lines[0]);
        self.lines.push(String::new());
        self.lines.append(&mut lines);
    }

    fn outcomes(&mut self, report: &Report) {
        self.heading("Outcomes");
        let kills = &report.kills;
        let verdict = match (kills.count, kills.detected) {
            (0, _) => "none".to_owned(),
            (count, detected) => {
                let text = format!(
                    "{} of {} declared dead by every live member",
                    thousands(detected),
                    thousands(count)
                );
                self.short(&text, detected < count, report)
            }
        };
        self.row("kills", &verdict);
        self.row("false suspicions", &thousands(report.false_suspicions));
        let deaths = thousands(report.false_deaths);
        let deaths = if report.false_deaths > 0 { self.style.bad(&deaths) } else { deaths };
        self.row("false deaths", &deaths);
        self.events(report);
        self.delegations(report);
        if let Some(time) = report.convergence_s {
            self.row(
                "convergence",
                &format!("every view complete {} after the start", microseconds(time * 1e6)),
            );
        } else if shown(report.settings.get("start")) == "cold" {
            let text = self.style.bad("views were not complete when the run ended");
            self.row("convergence", &text);
        }
    }

    /// An outcome that may fall short of what was wanted; of a run that was ended early that is no fault.
    fn short(&self, text: &str, is_short: bool, report: &Report) -> String {
        match (is_short, report.interrupted) {
            (false, _) => text.to_owned(),
            (true, false) => self.style.bad(text),
            (true, true) => format!("{text} when the run was ended"),
        }
    }

    fn events(&mut self, report: &Report) {
        let events = &report.events;
        if events.sent == 0 {
            return self.row("events", "none");
        }
        let delivered = match events.delivered_ratio {
            Some(share) => format!("{} delivered", percent(share)),
            None => "nobody to deliver to".to_owned(),
        };
        let short = events.delivered_ratio.is_some_and(|share| share < 1.0);
        let delivered = self.short(&delivered, short, report);
        let mut text = format!("{} sent, {delivered}", thousands(events.sent));
        if events.refused > 0 {
            let refused = format!("{} refused: too many at once", thousands(events.refused));
            text.push_str(&format!(", {}", self.style.bad(&refused)));
        }
        if let Some(copies) = events.copies_per_member {
            text.push_str(&format!(", {} copies of each per member", significant(copies)));
        }
        if let Some(crossed) = events.crossed_per_zone {
            text.push_str(&format!(", {} copies of each crossed to each other zone", significant(crossed)));
        }
        if let Some(us) = events.cpu_us_per_event_per_member {
            text.push_str(&format!(", {} us of CPU per event and member", significant(us)));
        }
        self.row("events", &text);
    }

    fn delegations(&mut self, report: &Report) {
        let told = &report.delegations;
        let shown = |total: &Total| {
            let rate = total.per_second.filter(|rate| *rate > 0.0);
            let rate = rate.map_or(String::new(), |rate| format!(" ({} per second)", significant(rate)));
            total.count.map(|count| (thousands(count), rate))
        };
        let parts = [
            ("copies", &told.copies),
            ("acknowledgements", &told.acknowledgements),
            ("retransmissions", &told.retransmissions),
            ("given up", &told.given_up),
            ("shed", &told.shed),
            ("crossed to another zone", &told.crossed),
        ];
        let parts: Vec<String> = parts
            .into_iter()
            .filter_map(|(what, total)| shown(total).map(|(count, rate)| format!("{count} {what}{rate}")))
            .collect();
        if !parts.is_empty() {
            self.row("delegations", &parts.join(", "));
        }
    }

    fn real_members(&mut self, report: &Report) {
        let Some(real) = &report.real_members else { return };
        let mut lines = real.lines(self.style.columns());
        lines[0] = self.style.heading(&lines[0]);
        self.lines.push(String::new());
        self.lines.append(&mut lines);
    }

    fn objectives(&mut self, report: &Report) {
        if report.slos.is_empty() {
            return;
        }
        self.heading("Objectives");
        let width = report.slos.iter().map(|slo| slo.objective.len()).max().unwrap_or(0);
        for slo in &report.slos {
            let verdict = if slo.met { self.style.good("met   ") } else { self.style.bad("MISSED") };
            // In full: a rounded number next to a bound would invite doubt.
            let value = slo.value.map_or_else(|| "not measured".to_owned(), |value| value.to_string());
            self.lines.push(format!("  {verdict}  {:<width$}   {value}", slo.objective));
        }
    }

    fn verdict(&mut self, report: &Report) {
        self.lines.push(String::new());
        if report.interrupted {
            self.lines.push("Ended early: this is what was measured until then.".to_owned());
        }
        if report.valid {
            let missed = report.slos.iter().filter(|slo| !slo.met).count() as u64;
            let line = match missed {
                0 => self.style.good("Valid: the generator kept up."),
                missed => self.style.bad(&format!("Valid, and {} missed.", counted(missed, "objective"))),
            };
            self.lines.push(line);
            return;
        }
        let cut_off = report.real_members.as_ref().map_or(&[][..], |real| &real.cut_off);
        let (cut, of_generator): (Vec<_>, Vec<_>) =
            report.invalid_reasons.iter().partition(|reason| cut_off.contains(reason));
        for (what, reasons) in [
            ("the generator or its machine was the bottleneck", of_generator),
            ("our members and the pool's own were cut off from each other", cut),
        ] {
            if reasons.is_empty() {
                continue;
            }
            // Each part is emphasised by itself: a line's end ends it in some terminals.
            for line in wrapped(&format!("INVALID: {what}; do not use these numbers."), self.style.columns())
            {
                self.lines.push(self.style.bad(&line));
            }
            reasons.into_iter().for_each(|reason| self.say(reason, 2));
        }
    }
}

/// A setting's value without JSON's quotes.
fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => ABSENT.to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// The settings that differ from the defaults and the preset, with their values.
fn changed(report: &Report) -> String {
    let names = report.settings_changed.iter().filter(|name| !SAID_IN_WORDS.contains(&name.as_str()));
    let settings: Vec<String> =
        names.map(|name| format!("{name} {}", shown(report.settings.get(name)))).collect();
    settings.join(", ")
}

fn busy(ratios: &[f64]) -> String {
    if ratios.is_empty() {
        return ABSENT.to_owned();
    }
    if ratios.len() <= WORKERS_LISTED {
        let each = ratios.iter().map(|ratio| percent(*ratio)).collect::<Vec<_>>().join(", ");
        return format!("{each} of a core");
    }
    let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
    let busiest = ratios.iter().copied().fold(0.0, f64::max);
    format!("{} on average, {} the busiest of {}", percent(mean), percent(busiest), ratios.len())
}

/// A zone in words: members without one are in the zone without a name.
fn named(zone: &str) -> &str {
    if zone.is_empty() { "no zone" } else { zone }
}
