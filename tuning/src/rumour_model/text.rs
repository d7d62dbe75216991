//! The basics for people: aligned tables.

use swimring_tooling::style::Style;
use swimring_tooling::table::Table;
use swimring_tooling::text::{ABSENT, counted, percent, significant, thousands};

use super::simulation::Mean;
use super::table::{Basics, Convergence, FanoutRow, Options};
use crate::outputs::text::paragraph;

/// Renders everything.
pub fn render(basics: &Basics, style: Style) -> String {
    let options = &basics.options;
    let mut lines = paragraph(&heading(options), style.columns());
    lines.push(String::new());
    for convergence in &basics.convergence {
        lines.extend(rounds(options, convergence, style));
        lines.push(String::new());
    }
    lines.extend(fanout(basics, style));
    lines.push(String::new());
    lines.extend(telling(basics, style));
    let mut text = lines.join("\n");
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn heading(options: &Options) -> String {
    let mut parts = vec![
        counted(options.members.into(), "member"),
        format!("fanout {}", options.fanout),
        format!("{} loss", percent(options.loss)),
    ];
    if let Some(limit) = options.retransmit_limit {
        parts.push(format!("told {limit} times at most"));
    }
    parts.push(format!("{} of each case, seed {}", counted(options.runs.into(), "run"), options.seed));
    format!("One write spreads among {}", parts.join(", "))
}

fn rounds(options: &Options, convergence: &Convergence, style: Style) -> Vec<String> {
    let mut lines = vec![style.heading(convergence.strategy.as_str())];
    let mut table = Table::new(5, 6);
    table.row(["round", "know", "simulated", "", "messages", "simulated", ""]);
    let simulated = &convergence.simulated;
    for (round, state) in convergence.formula.iter().enumerate() {
        let last = simulated.informed.len() - 1;
        let (informed, messages) = (simulated.informed[round.min(last)], simulated.messages[round.min(last)]);
        table.row([
            round.to_string(),
            number(state.informed),
            number(informed.mean),
            interval(informed),
            number(state.messages),
            if round > last { ABSENT.to_owned() } else { number(messages.mean) },
            if round > last { String::new() } else { interval(messages) },
        ]);
    }
    lines.extend(indented(&table, style));
    let until = match convergence.formula_until_all {
        Some((rounds, messages)) => {
            format!("{rounds:.1} rounds and {} messages by formula", number(messages))
        }
        None => format!("some never know within {} by formula", counted(options.rounds_max as u64, "round")),
    };
    let until = format!("  until all know: {until}; {}", simulated_until(convergence));
    lines.extend(paragraph(&until, style.columns()));
    lines
}

fn indented(table: &Table, style: Style) -> Vec<String> {
    let lines = table.lines_within(style.columns() - 2);
    lines.into_iter().map(|line| format!("  {line}").trim_end().to_owned()).collect()
}

fn simulated_until(convergence: &Convergence) -> String {
    let runs = &convergence.simulated;
    if runs.complete == 0 {
        return format!("in none of {} all knew", counted(runs.runs.into(), "run"));
    }
    let mut text = format!(
        "{:.1} {} and {} {} simulated",
        runs.rounds_until_all.mean,
        interval(runs.rounds_until_all),
        number(runs.messages_until_all.mean),
        interval(runs.messages_until_all),
    );
    if runs.complete < runs.runs {
        text.push_str(&format!(" ({} of {} runs reached all)", runs.complete, runs.runs));
    }
    text
}

fn fanout(basics: &Basics, style: Style) -> Vec<String> {
    let title = format!("Fanout {} over the size of the cluster, until all know", basics.options.fanout);
    // Serf's page knows one strategy: its column goes first where there is no room.
    let mut table = Table::new(7, 5).spare(&[8]);
    table.row(["members", "strategy", "rounds", "simulated", "", "messages", "simulated", "", "Serf"]);
    for row in &basics.fanout {
        table.row(fanout_cells(row, basics.options.runs));
    }
    let mut lines = vec![style.heading(&title)];
    lines.extend(indented(&table, style));
    let words = "  Serf: rounds until 99.99 % know by the formula that Serf's documentation published, which knows one \
                 strategy. Intervals are 95 % of the mean; a simulation ends when all know.";
    lines.extend(paragraph(words, style.columns()));
    lines
}

fn telling(basics: &Basics, style: Style) -> Vec<String> {
    if basics.telling.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![style.heading("One event on Swimring's wire, by the closed forms")];
    let mut table = Table::new(0, 0).spare(&[3]);
    let zones = basics.options.zones;
    let crossing = (zones > 1).then(|| "crossing".to_owned());
    let heads = ["", "p50 ms", "p99 ms", "last ms", "copies", "acks", "bytes"].map(str::to_owned);
    table.row(heads.into_iter().chain(crossing));
    let ms = |value: Option<f64>| value.map_or(ABSENT.to_owned(), significant);
    for told in &basics.telling {
        let cells = [
            told.name(),
            ms(told.p50_ms),
            ms(told.p99_ms),
            ms(told.last_p50_ms),
            format!("{:.2}", told.copies),
            format!("{:.2}", told.acks),
            significant(told.bytes),
        ];
        let crossing = (zones > 1).then(|| significant(told.crossed_per_zone));
        table.row(cells.into_iter().chain(crossing));
    }
    lines.extend(indented(&table, style));
    let further = match zones {
        0 | 1 => String::new(),
        _ => format!(
            " {zones} zones, {} ms more from one to another; crossing: copies of one event to each zone but the teller's.",
            significant(basics.options.zone_rtt_ms)
        ),
    };
    let words = format!(
        "  LAN preset, round trips of 1 ms, an event of 32 bytes each second: copies, acknowledgements and bytes of one \
         event that each member sends. Last: the median; with delegation no more than that.{further}"
    );
    lines.extend(paragraph(&words, style.columns()));
    lines
}

fn fanout_cells(row: &FanoutRow, runs: u32) -> [String; 9] {
    let formula = |of: fn(&(f64, f64)) -> String| row.formula.as_ref().map_or(ABSENT.to_owned(), of);
    let complete = row.complete > 0;
    let simulated = |text: String| if complete { text } else { ABSENT.to_owned() };
    let mut rounds = format!("{:.1}", row.rounds.mean);
    if row.complete < runs {
        rounds = format!("{rounds} in {}/{runs}", row.complete);
    }
    [
        row.members.to_string(),
        row.strategy.as_str().to_owned(),
        formula(|(rounds, _)| format!("{rounds:.1}")),
        simulated(rounds),
        if complete { interval(row.rounds) } else { String::new() },
        formula(|(_, messages)| number(*messages)),
        simulated(number(row.messages.mean)),
        if complete { interval(row.messages) } else { String::new() },
        row.serf_rounds.to_string(),
    ]
}

/// Members and messages: one decimal where it says something.
fn number(value: f64) -> String {
    if value < 999.95 { format!("{value:.1}") } else { thousands(value.round() as u64) }
}

fn interval(mean: Mean) -> String {
    let half = mean.interval;
    let text = if half > 0.0 && half < 0.095 {
        format!("{half:.2}")
    } else if half < 9.95 {
        format!("{half:.1}")
    } else {
        thousands(half.round() as u64)
    };
    format!("± {text}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rounds::Strategy;

    /// Everything small and without chance: one other to tell.
    #[test]
    fn a_small_table_is_the_expected_one() {
        let options = Options {
            members: 2,
            fanout: 1,
            strategies: vec![Strategy::Push],
            loss: 0.0,
            retransmit_limit: Some(3),
            seed: 1,
            runs: 4,
            rounds_max: 9,
            zones: 1,
            zone_rtt_ms: 0.0,
        };
        let text = render(&Basics::of(&options), Style::PLAIN);
        let lines: Vec<&str> = text.lines().take(9).collect();
        assert_eq!(
            lines,
            [
                "One write spreads among 2 members, fanout 1, 0 % loss, told 3 times at most, 4",
                "runs of each case, seed 1",
                "",
                "push",
                "  round     know   simulated            messages   simulated",
                "  0          1.0         1.0    ± 0.0        0.0         0.0    ± 0.0",
                "  1          2.0         2.0    ± 0.0        1.0         1.0    ± 0.0",
                "  until all know: 0.6 rounds and 0.6 messages by formula; 1.0 ± 0.0 and 1.0 ±",
                "  0.0 simulated",
            ]
        );
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        let rows = text.lines().skip_while(|line| !line.contains("on Swimring's wire"));
        let rows: Vec<&str> = rows.filter_map(|row| row.split("  ").find(|cell| !cell.is_empty())).collect();
        for name in ["gossip", "delegated, 1 bit", "delegated, 4 bits"] {
            assert!(rows.contains(&name), "{text}");
        }
    }

    #[test]
    fn what_never_ends_is_said() {
        let options = Options {
            members: 200,
            fanout: 2,
            strategies: vec![Strategy::Push],
            loss: 0.3,
            retransmit_limit: Some(2),
            seed: 1,
            runs: 20,
            rounds_max: 40,
            zones: 1,
            zone_rtt_ms: 0.0,
        };
        let text = render(&Basics::of(&options), Style::PLAIN);
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            text.contains("some never know within 40 rounds by formula; in none of 20 runs all knew"),
            "{text}"
        );
    }
}
