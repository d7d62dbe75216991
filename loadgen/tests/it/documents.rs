//! `docs/LOADGEN.md` against the program: every metric and every flag that one names, the other has.

use std::collections::BTreeSet;

use clap::CommandFactory;
use swimring_loadgen::cli::Cli;

const PAGE: &str = include_str!("../../../docs/LOADGEN.md");
const SETTINGS: &str = include_str!("../../../docs/SETTINGS.md");
const METRICS: &str = include_str!("../../src/prometheus.rs");

/// Flags in the page's commands that are cargo's and Serf's.
const OTHERS: [&str; 2] = ["release", "path"];

/// The words of `text` that begin with `start`, without it.
fn words_after<'a>(text: &'a str, start: &str) -> BTreeSet<&'a str> {
    let ends = |letter: char| !(letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-'));
    text.split(start).skip(1).map(|rest| rest.split(ends).next().unwrap_or_default()).collect()
}

/// The flags of the commands that are called `names`.
fn flags(names: &[&str]) -> BTreeSet<String> {
    let mut program = Cli::command();
    program.build();
    let commands = program.get_subcommands().filter(|command| names.contains(&command.get_name()));
    commands
        .flat_map(|command| command.get_arguments().filter_map(|argument| argument.get_long()))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_flag_of_the_page_is_one_of_the_program() {
    let known = flags(&["run", "attach", "report"]);
    let named = words_after(PAGE, "`--").into_iter().chain(words_after(PAGE, " --"));
    let unknown: Vec<&str> = named
        .filter(|flag| {
            !flag.trim_start_matches('-').is_empty() && !known.contains(*flag) && !OTHERS.contains(flag)
        })
        .collect();
    assert!(unknown.is_empty(), "on the page alone: {unknown:?}");
}

#[test]
fn every_flag_of_a_run_is_on_the_page_or_a_setting() {
    let known = flags(&["run", "attach"]);
    assert!(known.len() > 40, "only {} flags", known.len());
    let missing: Vec<&String> = known
        .iter()
        .filter(|flag| !PAGE.contains(&format!("`--{flag}")) && *flag != "help")
        .filter(|flag| !SETTINGS.contains(&format!("| `{}` |", flag.replace('-', "_"))))
        .collect();
    assert!(missing.is_empty(), "not on the page: {missing:?}");
}

/// The names that `text` has between `quote`s: whole ones, and endings that share their beginning with one before.
fn metrics(text: &str, quote: char) -> BTreeSet<&str> {
    let of_metrics = |name: &&str| {
        ["swimring_", "process_", "_"].iter().any(|start| name.starts_with(start))
            && !name.contains([' ', '#'])
    };
    let named = text.split(quote).skip(1).step_by(2).filter(of_metrics);
    named.map(|name| name.split(['{', ':']).next().unwrap_or(name)).collect()
}

#[test]
fn every_metric_of_the_page_is_published_and_the_reverse() {
    let code = METRICS.split("#[cfg(test)]").next().unwrap_or(METRICS);
    let published: BTreeSet<&str> = metrics(code, '"');
    let page =
        PAGE.split("\n## ").find(|section| section.starts_with("Metrics")).expect("a section on metrics");
    // The engine's counters have one row for all.
    let page = page.replace("swimring_protocol_NAME_total", "swimring_protocol_");
    let listed = metrics(&page, '`');
    assert!(published.len() > 25, "only {published:?}");
    for name in &published {
        let ending = |listed: &&str| listed.starts_with('_') && name.ends_with(*listed);
        assert!(listed.contains(name) || listed.iter().any(ending), "{name} is not on the page");
    }
    for name in &listed {
        let is_ending = name.starts_with('_') && published.iter().any(|whole| whole.ends_with(name));
        assert!(
            published.contains(name) || is_ending || !name.contains("_total"),
            "{name} is on the page alone"
        );
    }
}
