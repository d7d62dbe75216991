//! `docs/TUNING.md` and the README against the programs: every flag that they name exists.

use std::collections::BTreeSet;

use clap::{Command, CommandFactory};

const PAGES: [(&str, &str); 2] = [
    ("docs/TUNING.md", include_str!("../../../docs/TUNING.md")),
    ("README.md", include_str!("../../../README.md")),
];
const TUNING: &str = PAGES[0].1;

/// Flags in their commands that are cargo's and the kernel's tools'.
const OTHERS: [&str; 5] = ["release", "example", "workspace", "path", "open"];

fn flags(mut program: Command) -> BTreeSet<String> {
    program.build();
    let arguments = program.get_subcommands().flat_map(Command::get_arguments);
    arguments.filter_map(|argument| argument.get_long()).map(str::to_owned).collect()
}

/// The flags that `text` names, in commands and between backticks.
fn named(text: &str) -> BTreeSet<&str> {
    let ends = |letter: char| !(letter.is_ascii_alphanumeric() || letter == '-');
    let parts = text.split([' ', '`', '\n', '(']).filter_map(|word| word.strip_prefix("--"));
    parts.map(|rest| rest.split(ends).next().unwrap_or_default()).filter(|flag| !flag.is_empty()).collect()
}

#[test]
fn every_flag_of_the_pages_is_one_of_the_programs() {
    let mut known = flags(swimring_tuning::cli::Cli::command());
    known.extend(flags(swimring_loadgen::cli::Cli::command()));
    let mut count = 0;
    for (page, text) in PAGES {
        for flag in named(text) {
            count += 1;
            assert!(
                known.contains(flag) || OTHERS.contains(&flag),
                "{page} names --{flag}, which no program has"
            );
        }
    }
    assert!(count > 40, "only {count} flags are named");
}

#[test]
fn every_limit_and_measure_of_recommend_is_on_the_page() {
    let mut program = swimring_tuning::cli::Cli::command();
    program.build();
    let recommend = program.find_subcommand("recommend").expect("a command");
    let missing: Vec<&str> = recommend
        .get_arguments()
        .filter_map(|argument| argument.get_long())
        .filter(|flag| !matches!(*flag, "help" | "quiet") && !TUNING.contains(&format!("--{flag}")))
        .collect();
    assert!(missing.is_empty(), "not on the page: {missing:?}");
}
