//! The results as a page of `docs/results`.

use std::fmt::Write as _;

use swimring_tooling::text::thousands;

use crate::cluster::{EVENT_BYTES, EVENTS_PER_SECOND, IDLE, KILLS};
use crate::results::{Case, Cluster, Results, Whose, median};

/// Target of the ratio of memberlist's processor time to ours, for handling.
const HANDLE_TARGET: f64 = 20.0;
/// The same for an event.
const EVENT_TARGET: f64 = 10.0;
const GIB: f64 = (1_u64 << 30) as f64;

/// The page. `plot` is the name of the file beside it that shows the clusters, if there is one.
pub fn page(results: &Results, plot: Option<&str>) -> String {
    let mut page = String::new();
    head(&mut page, results);
    if !results.cases.is_empty() {
        cases(&mut page, &results.cases);
    }
    if !results.clusters.is_empty() {
        clusters(&mut page, &results.clusters, plot);
    }
    shortfalls(&mut page, results);
    page
}

/// Writing to text cannot fail.
macro_rules! line {
    ($page:expr, $($text:tt)*) => {
        let _ = writeln!($page, $($text)*);
    };
}

fn head(page: &mut String, results: &Results) {
    let (machine, software) = (&results.environment, &results.software);
    line!(page, "# memberlist and Swimring side by side\n");
    line!(
        page,
        "**The question.** What does the same work cost hashicorp/memberlist and Swimring, which speaks its"
    );
    line!(page, "format, on one machine in one run?\n");
    line!(
        page,
        "**The machine.** {}, {} cores, {:.1} GiB, {}, everything over loopback. {}, {:.0} minutes.\n",
        machine.cpu,
        machine.cores,
        machine.memory_bytes as f64 / GIB,
        machine.kernel,
        machine.started_at,
        results.took_s / 60.0
    );
    line!(
        page,
        "**The commit.** `{}`; {}; memberlist {}, built with {}.\n",
        machine.commit,
        software.rustc,
        software.memberlist,
        software.go
    );
    line!(page, "**The command.**\n");
    line!(page, "```sh\npeers/build memberlist");
    line!(page, "cargo run --release -p swimring-bench --bin side-by-side -- {}\n```\n", results.command);
}

fn cases(page: &mut String, cases: &[Case]) {
    let rounds = cases.first().map_or(0, |case| case.memberlist_ns.len());
    line!(page, "## Handling\n");
    line!(
        page,
        "Processor time of the whole process for one datagram of 10 alive messages that change nothing, by the"
    );
    line!(
        page,
        "members that its receiver knows, and for one push/pull of 10,000 members: reading the request, writing"
    );
    line!(
        page,
        "the answer in the same form, merging. Datagrams carry a checksum; compressed is LZW, encrypted AES-128."
    );
    line!(
        page,
        "memberlist has one processor (`GOMAXPROCS=1`). Medians of {rounds} rounds in turns; the ratio is of each"
    );
    line!(page, "round, in parentheses its smallest and largest.\n");
    line!(page, "| Work | Bytes | memberlist | Swimring | Ratio |\n|---|---|---|---|---|");
    for case in cases {
        let [low, middle, high] = case.ratios();
        line!(
            page,
            "| {} | {} | {} | {} | **{middle:.0}** ({low:.0} to {high:.0}) |",
            title(&case.name),
            case.bytes,
            time(median(&case.memberlist_ns)),
            time(median(&case.swimring_ns))
        );
    }
    line!(page, "");
}

/// `handle/plain/1000` for people.
fn title(name: &str) -> String {
    let mut parts = name.split('/');
    let (kind, form, known) = (parts.next(), parts.next().unwrap_or(name), parts.next().unwrap_or_default());
    let what = if kind == Some("pushpull") { "push/pull" } else { "datagram" };
    let known = known.parse().map_or_else(|_| known.to_owned(), thousands);
    format!("{what}, {form}, {known} known")
}

fn time(ns: f64) -> String {
    if ns >= 1e6 {
        format!("{:.1} ms", ns / 1e6)
    } else if ns >= 1e4 {
        format!("{:.1} us", ns / 1e3)
    } else {
        format!("{:.2} us", ns / 1e3)
    }
}

fn clusters(page: &mut String, clusters: &[Cluster], plot: Option<&str>) {
    line!(page, "## Clusters\n");
    line!(
        page,
        "All members in one process, each at an address of its own, memberlist's LAN constants on both sides."
    );
    line!(
        page,
        "memberlist compresses unless it says otherwise, which is its default; Swimring's is not to. Members of"
    );
    line!(
        page,
        "memberlist start and join one after the other, of Swimring 64 at a time per worker. Idle: {} s;",
        IDLE.as_secs()
    );
    line!(
        page,
        "events: {EVENTS_PER_SECOND} a second of {EVENT_BYTES} bytes, what they cost is what is above idling; {KILLS} kills, of which the median of"
    );
    line!(page, "the first to declare each and the last of all to know any. One run each.\n");
    if let Some(plot) = plot {
        line!(page, "![CPU per member and second, and per event and member]({plot})\n");
    }
    line!(
        page,
        "| Members | | Complete views | Idle, per member-second | Event, per member | Event spread p50, max | Death known first, last | Memory | per pair |"
    );
    line!(page, "|---|---|---|---|---|---|---|---|---|");
    for cluster in clusters {
        row(page, cluster);
    }
    line!(page, "");
    remarks(page, clusters);
}

fn row(page: &mut String, cluster: &Cluster) {
    let number = |value: Option<f64>, unit: &str, digits: usize| {
        value.map_or("-".to_owned(), |value| format!("{value:.digits$} {unit}"))
    };
    let pair = |first: Option<f64>, second: Option<f64>, unit: &str, digits: usize| match (first, second) {
        (Some(first), Some(second)) => format!("{first:.digits$}, {second:.digits$} {unit}"),
        _ => "-".to_owned(),
    };
    let bootstrap = match cluster.bootstrap_s {
        Some(seconds) => format!("{seconds:.1} s"),
        None => "not within 60 s".to_owned(),
    };
    line!(
        page,
        "| {} | {} | {bootstrap} | {} | {} | {} | {} | {} | {} |",
        thousands(cluster.members as u64),
        cluster.whose.title(),
        number(cluster.idle_us_per_member_second, "us", 1),
        number(cluster.us_per_event_per_member, "us", 2),
        pair(cluster.spread_ms_p50, cluster.spread_ms_max, "ms", 0),
        pair(cluster.first_detection_s, cluster.last_detection_s, "s", 1),
        number(cluster.resident_bytes.map(|bytes| bytes as f64 / (1 << 20) as f64), "MiB", 0),
        number(cluster.bytes_per_pair(), "B", 0)
    );
}

/// What the table does not say: doubts, false deaths, events that were lost, deaths that were missed.
fn remarks(page: &mut String, clusters: &[Cluster]) {
    for cluster in clusters {
        let mut remarks = cluster.remarks.clone();
        if let Some(deaths) = cluster.false_deaths.filter(|deaths| *deaths > 0) {
            remarks.push(format!("live members declared dead {deaths} times"));
        }
        if let Some(ratio) = cluster.delivered_ratio.filter(|ratio| *ratio < 1.0) {
            remarks.push(format!("{:.2} % of events were delivered", ratio * 100.0));
        }
        if let Some(detected) = cluster.kills_detected.filter(|detected| *detected < cluster.kills) {
            remarks.push(format!("{detected} of {} deaths became known to all", cluster.kills));
        }
        if !remarks.is_empty() {
            line!(page, "- {} of {}: {}.", cluster.whose.title(), cluster.members, remarks.join("; "));
        }
    }
    line!(page, "");
}

fn shortfalls(page: &mut String, results: &Results) {
    line!(page, "## Targets\n");
    if !results.cases.is_empty() {
        let missed: Vec<String> = results
            .cases
            .iter()
            .filter(|case| case.name.starts_with("handle/") && case.ratios()[1] < HANDLE_TARGET)
            .map(|case| title(&case.name))
            .collect();
        let said =
            if missed.is_empty() { "met".to_owned() } else { format!("missed: {}", missed.join("; ")) };
        line!(
            page,
            "- Handling a datagram: at least {HANDLE_TARGET} times less processor time than memberlist, in every form, at every size: **{said}**."
        );
    }
    for cluster in results.clusters.iter().filter(|cluster| cluster.whose == Whose::Swimring) {
        for theirs in results
            .clusters
            .iter()
            .filter(|theirs| theirs.members == cluster.members && theirs.whose != Whose::Swimring)
        {
            let (Some(theirs_us), Some(ours_us)) =
                (theirs.us_per_event_per_member, cluster.us_per_event_per_member)
            else {
                continue;
            };
            let ratio = theirs_us / ours_us;
            let said = if ratio >= EVENT_TARGET { "met" } else { "missed" };
            line!(
                page,
                "- An event at {} members: at most a tenth of {}'s processor time: **{said}**, {ratio:.0} times less.",
                cluster.members,
                theirs.whose.title()
            );
        }
    }
}
