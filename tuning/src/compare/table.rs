//! The comparison as CSV, a line for each case and measure, and as a table for people and, in Markdown, for `docs/results`.

use std::path::Path;

use serde::Serialize;
use swimring_tooling::output;
use swimring_tooling::table::Table;
use swimring_tooling::text::{counted, percent, thousands};

use super::case::{Case, Compared, MEASURES, NOT_COMPARED};
use super::grid::Row;

/// A ratio within this of one counts as holding, in the table.
const HOLDS: f64 = 0.2;

#[derive(Serialize)]
struct Line {
    members: u32,
    loss: f64,
    fanout: u8,
    probe_interval_ms: u64,
    gossip_interval_ms: u64,
    delegation_bits: Option<u8>,
    zones: u32,
    zone_rtt_ms: u32,
    measure: &'static str,
    predicted: Option<f64>,
    simulated: Option<f64>,
    ratio: Option<f64>,
    samples: u64,
}

/// Writes the CSV. The error is one line that names the flag.
pub fn write_csv(rows: &[Row], path: &Path) -> Result<(), String> {
    let lines = rows.iter().flat_map(|(case, compared)| {
        MEASURES.into_iter().zip(compared).map(move |(measure, compared)| Line {
            members: case.members,
            loss: case.loss,
            fanout: case.fanout,
            probe_interval_ms: case.probe_interval_ms,
            gossip_interval_ms: case.gossip_interval_ms,
            delegation_bits: case.delegation_bits,
            zones: case.zones,
            zone_rtt_ms: case.zone_rtt_ms,
            measure,
            predicted: compared.predicted,
            simulated: compared.simulated,
            ratio: compared.ratio(),
            samples: compared.samples,
        })
    });
    output::write_csv("--csv", path, lines)
}

/// The same table for people: no line is longer than `columns`.
pub fn lines(rows: &[Row], columns: usize) -> Vec<String> {
    let (losses, cells) = cells(rows);
    let mut table = Table::new(0, 0);
    let heads = losses.iter().map(|loss| format!("{} loss", percent(*loss)));
    table.row(["predicted / simulated".to_owned(), "members".to_owned()].into_iter().chain(heads));
    for (measure, members, cells) in cells {
        table.row([measure.to_owned(), members].into_iter().chain(cells));
    }
    table.lines_within(columns)
}

/// The table as Markdown: for each measure and size a row, for each loss a cell with the geometric mean of the
/// ratios and their range, over fanouts and intervals. Cells that stray by more than a fifth are bold.
pub fn markdown(rows: &[Row]) -> String {
    let (losses, cells) = cells(rows);
    let heads: Vec<String> = losses.iter().map(|loss| format!(" {} loss |", percent(*loss))).collect();
    let mut text = format!("| Predicted / simulated | members |{}\n", heads.concat());
    text.push_str(&format!("|---|---|{}\n", "---|".repeat(losses.len())));
    for (measure, members, cells) in cells {
        text.push_str(&format!("| `{measure}` | {members} | {} |\n", cells.join(" | ")));
    }
    text
}

/// A measure, a size, and a cell for each loss.
type RowOfCells = (&'static str, String, Vec<String>);

/// The losses, and for each measure and size a cell for each of them.
fn cells(rows: &[Row]) -> (Vec<f64>, Vec<RowOfCells>) {
    let mut losses: Vec<f64> = rows.iter().map(|(case, _)| case.loss).collect();
    losses.sort_by(f64::total_cmp);
    losses.dedup();
    let size = |case: &Case| (case.members, case.delegation_bits);
    let mut sizes: Vec<(u32, Option<u8>)> = rows.iter().map(|(case, _)| size(case)).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let of = |place: usize, wanted: (u32, Option<u8>), loss: f64| {
        let here = rows.iter().filter(|(case, _)| size(case) == wanted && case.loss == loss);
        cell(&here.map(|(_, compared)| compared[place]).collect::<Vec<Compared>>())
    };
    let mut all = Vec::new();
    for (place, measure) in MEASURES.into_iter().enumerate() {
        // What gossip has nothing of.
        if rows.iter().all(|(_, compared)| compared[place] == NOT_COMPARED) {
            continue;
        }
        for wanted in &sizes {
            let cells = losses.iter().map(|loss| of(place, *wanted, *loss)).collect();
            let members = thousands(wanted.0.into());
            let label = match wanted.1 {
                Some(bits) => format!("{members}, {}", counted(bits.into(), "bit")),
                None => members,
            };
            all.push((measure, label, cells));
        }
    }
    (losses, all)
}

fn cell(compared: &[Compared]) -> String {
    let ratios: Vec<f64> = compared.iter().filter_map(Compared::ratio).collect();
    if ratios.is_empty() {
        let none = compared.iter().all(|compared| compared.samples == 0 && compared.predicted == Some(0.0));
        return if none { "none in either" } else { "-" }.to_owned();
    }
    if compared.iter().any(|compared| compared.simulated == Some(0.0)) {
        // Too rare to be seen in every case: those where it was seen would be the lucky ones.
        let sum = |of: fn(&Compared) -> Option<f64>| compared.iter().filter_map(of).sum::<f64>();
        return format!(
            "{:.2} (all together)",
            sum(|compared| compared.predicted) / sum(|compared| compared.simulated)
        );
    }
    let mean = (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp();
    let (low, high) = ratios
        .iter()
        .fold((f64::INFINITY, 0.0_f64), |(low, high), ratio| (low.min(*ratio), high.max(*ratio)));
    let text =
        if ratios.len() == 1 { format!("{mean:.2}") } else { format!("{mean:.2} ({low:.2} to {high:.2})") };
    if (low - 1.0).abs() > HOLDS || (high - 1.0).abs() > HOLDS { format!("**{text}**") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(predicted: f64, simulated: f64) -> Compared {
        Compared { predicted: Some(predicted), simulated: Some(simulated), samples: 9 }
    }

    #[test]
    fn cells_show_the_mean_and_the_range_and_what_strays() {
        assert_eq!(cell(&[compared(1.0, 1.0), compared(1.1, 1.0)]), "1.05 (1.00 to 1.10)");
        assert_eq!(cell(&[compared(1.0, 1.0), compared(4.0, 1.0)]), "**2.00 (1.00 to 4.00)**");
        assert_eq!(cell(&[compared(0.0, 3.0)]), "-");
        assert_eq!(cell(&[compared(1.0, 0.0), compared(1.0, 4.0)]), "0.50 (all together)");
        let nothing = Compared { predicted: Some(0.0), simulated: Some(0.0), samples: 0 };
        assert_eq!(cell(&[nothing]), "none in either");
    }

    #[test]
    fn rows_tell_bits_apart_and_leave_out_what_gossip_has_not() {
        let case = |delegation_bits| Case {
            members: 1_000,
            loss: 0.0,
            fanout: 3,
            probe_interval_ms: 1_000,
            gossip_interval_ms: 200,
            delegation_bits,
            zones: 1,
            zone_rtt_ms: 0,
        };
        let mut gossip = [compared(1.0, 1.0); MEASURES.len()];
        let delegated = gossip;
        gossip[MEASURES.len() - 4..].fill(NOT_COMPARED);
        let text = markdown(&[(case(None), gossip)]);
        assert!(text.contains("| `spread_p50_ms` | 1,000 | 1.00 |"), "{text}");
        assert!(!text.contains("copies_per_update"), "{text}");
        let text = markdown(&[(case(Some(1)), delegated), (case(Some(2)), delegated)]);
        for row in ["1,000, 1 bit", "1,000, 2 bits"] {
            assert!(text.contains(&format!("| `acks_per_update` | {row} | 1.00 |")), "{text}");
        }
    }
}
