//! `docs/SIMULATION.md` against the tests and the protocol: the test of every claim, and every item of a behaviour, has a row.

use std::collections::BTreeSet;

use swimring::protocol::Behaviour;

const PAGE: &str = include_str!("../../../docs/SIMULATION.md");
const PAPERS: [&str; 2] = [include_str!("paper_swim.rs"), include_str!("paper_lifeguard.rs")];

fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_test_of_every_claim_is_on_the_page_and_the_reverse() {
    let section = PAGE.split("\n## ").find(|section| section.starts_with("The papers' claims"));
    let mut named = quoted(section.expect("a section on the papers"));
    named.retain(|name| !name.starts_with("paper_"));
    let tests: BTreeSet<&str> = PAPERS
        .iter()
        .flat_map(|file| file.split("#[test]\n").skip(1))
        .filter_map(|test| test.split_once("fn ")?.1.split('(').next())
        .collect();
    assert!(tests.len() > 20, "only {tests:?}");
    assert_eq!(named, tests, "tests that the page names, and those of the papers");
}

#[test]
fn every_item_of_a_behaviour_has_a_row_and_the_reverse() {
    let section =
        PAGE.split("| item | ").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("a table of items");
    let rows: Vec<&str> =
        section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let items: Vec<&str> = Behaviour::ITEMS.iter().map(|(name, ..)| *name).collect();
    assert_eq!(rows, items, "rows of the page, and items");
}
