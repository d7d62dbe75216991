//! "Did you mean": the known names nearest to one that is not known.

use crate::error_text::listed;

/// Names shown at most: more is a list, not a hint.
const HINTS_MAX: usize = 3;
/// Similarity (Jaro-Winkler, 0 to 1) from which a name is worth showing.
const SIMILARITY_MIN: f64 = 0.8;

/// `; did you mean a, b or c?`, or nothing where no name is near.
pub fn hint<'a>(wanted: &str, known: impl Iterator<Item = &'a str>) -> String {
    let names = nearest(wanted, known);
    if names.is_empty() { String::new() } else { format!("; did you mean {}?", listed(&names)) }
}

/// The nearest names, nearest first. A name that contains what was asked for is always near: people
/// write `p99` or `rtt` for `probe_rtt_us.p99`.
fn nearest<'a>(wanted: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = wanted.to_lowercase();
    let mut scored: Vec<(f64, &str)> = known
        .map(|name| {
            let contained = !wanted.is_empty() && name.contains(&wanted);
            let similarity = strsim::jaro_winkler(&wanted, name);
            (if contained { similarity.max(SIMILARITY_MIN) } else { similarity }, name)
        })
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    scored.into_iter().take(HINTS_MAX).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = ["probe_rtt_us.p50", "probe_rtt_us.p99", "false_deaths", "cpu.cores"];

    #[test]
    fn a_slip_of_the_pen_finds_its_name_first() {
        assert_eq!(nearest("probe_rtt.p99", KNOWN.into_iter())[0], "probe_rtt_us.p99");
        assert_eq!(nearest("false_death", KNOWN.into_iter()), ["false_deaths"]);
    }

    #[test]
    fn a_part_of_a_name_finds_it() {
        assert_eq!(nearest("cores", KNOWN.into_iter()), ["cpu.cores"]);
        assert_eq!(hint("p99", KNOWN.into_iter()), "; did you mean probe_rtt_us.p99?");
    }

    #[test]
    fn nothing_near_gives_no_hint() {
        assert_eq!(hint("zzz", KNOWN.into_iter()), "");
        assert_eq!(hint("", KNOWN.into_iter()), "");
    }
}
