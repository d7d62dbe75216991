//! The table of bounds in `docs/ARCHITECTURE.md` (section 13) against the code: every constant, setting and option
//! that it names exists, and a constant that is a plain number has the value that its row states.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const PAGE: &str = include_str!("../../../docs/ARCHITECTURE.md");

/// The rows of section 13, cell by cell, without the tables' heads.
fn rows() -> Vec<Vec<&'static str>> {
    let section = PAGE.split("\n## ").find(|section| section.starts_with("13. Bounds")).expect("section 13");
    let lines = section.lines().filter(|line| line.starts_with('|') && !line.starts_with("|---"));
    let cells = |line: &'static str| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>();
    lines.map(cells).filter(|cells| cells[0] != "Bound").collect()
}

/// What stands between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

fn is_constant(name: &str) -> bool {
    name.len() > 1
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

fn sources(under: &Path, found: &mut String) {
    for entry in fs::read_dir(under).expect("the sources are beside the tests") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push_str(&fs::read_to_string(&path).expect("UTF-8"));
        }
    }
}

/// The engine and the codec in one text.
fn code() -> String {
    let engine = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut code = String::new();
    sources(&engine.join("src"), &mut code);
    sources(&engine.join("../codec/src"), &mut code);
    code
}

/// Constants with the expressions that define them: two files may each have one of the same name.
fn constants(code: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut constants = BTreeMap::<&str, Vec<&str>>::new();
    for line in code.lines() {
        let Some((_, definition)) = line.split_once("const ") else { continue };
        let Some((name, rest)) = definition.split_once(':') else { continue };
        let Some((_, value)) = rest.split_once(" = ") else { continue };
        if is_constant(name) {
            constants.entry(name).or_default().push(value.trim_end_matches(';'));
        }
    }
    constants
}

/// A whole number as it is written in Rust: `1_400`, `1 << 20`, `64 * 1024`.
fn number(text: &str) -> Option<u64> {
    let parsed = |text: &str| text.trim().replace('_', "").parse::<u64>().ok();
    match (text.split_once("<<"), text.split_once('*')) {
        (Some((left, right)), _) => Some(parsed(left)? << parsed(right)?),
        (_, Some((left, right))) => Some(parsed(left)? * parsed(right)?),
        _ => parsed(text),
    }
}

/// `1234567` as `1,234,567`.
fn with_commas(number: u64) -> String {
    match number / 1000 {
        0 => number.to_string(),
        thousands => format!("{},{:03}", with_commas(thousands), number % 1000),
    }
}

/// How the page may write what `expression` defines; nothing where that is no plain number.
fn spellings(expression: &str) -> Vec<String> {
    let duration =
        |unit: &str| expression.strip_prefix(unit).and_then(|rest| number(rest.strip_suffix(')')?));
    if let Some(seconds) = duration("Duration::from_secs(") {
        let mut spellings = vec![format!("{} s", with_commas(seconds))];
        spellings.extend((seconds % 60 == 0).then(|| format!("{} min", seconds / 60)));
        return spellings;
    }
    if let Some(millis) = duration("Duration::from_millis(") {
        return vec![format!("{} ms", with_commas(millis))];
    }
    let Some(value) = number(expression) else { return Vec::new() };
    let mut spellings = vec![with_commas(value)];
    if value.is_power_of_two() {
        spellings.push(format!("2^{}", value.trailing_zeros()));
    }
    for (bytes, unit) in [(1 << 20, "MiB"), (1 << 10, "KiB")] {
        spellings.extend((value >= bytes && value % bytes == 0).then(|| format!("{} {unit}", value / bytes)));
    }
    spellings
}

/// Whether `text` has `wanted` as a whole: `16` is not in `16,384` nor in `116`.
fn states(text: &str, wanted: &str) -> bool {
    text.match_indices(wanted).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let mut after = text[at + wanted.len()..].chars();
        let longer = match after.next() {
            Some(',') => after.next().is_some_and(|next| next.is_ascii_digit()),
            next => next.is_some_and(char::is_alphanumeric),
        };
        !longer && !before.is_some_and(|before| before.is_alphanumeric() || before == '^')
    })
}

#[test]
fn a_bound_that_the_page_states_is_the_bound_of_the_code() {
    let code = code();
    let constants = constants(&code);
    let mut compared = 0;
    for row in rows() {
        for name in row[..2].iter().flat_map(|cell| quoted(cell)).filter(|name| is_constant(name)) {
            let definitions = constants.get(name).unwrap_or_else(|| panic!("{name} is on the page alone"));
            for expression in definitions {
                let spellings = spellings(expression);
                compared += usize::from(!spellings.is_empty());
                let stated = spellings.is_empty() || spellings.iter().any(|wanted| states(row[1], wanted));
                assert!(stated, "{name} is {expression}; the page says: {}", row[1]);
            }
        }
    }
    assert!(compared >= 50, "only {compared} numbers were compared: has their spelling changed?");
}

#[test]
fn a_setting_or_option_that_bounds_something_exists() {
    let code = code();
    let words: BTreeSet<&str> =
        code.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').collect();
    let mut found = 0;
    for row in rows() {
        for name in quoted(row[0]).filter(|name| !is_constant(name)) {
            for part in name.split("::") {
                assert!(words.contains(part), "{name} is on the page alone");
            }
            found += 1;
        }
    }
    assert!(found >= 20, "only {found} settings and options found");
}

/// The sizes in section 3 are those that the code asserts of its types.
#[test]
fn what_a_member_costs_is_what_the_code_asserts() {
    let code = code();
    let section = PAGE.split("\n## ").find(|section| section.starts_with("3. Memory")).expect("section 3");
    let rows = section.lines().filter(|line| line.starts_with("| "));
    let mut compared = 0;
    for cells in rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>()) {
        for (name, bytes) in quoted(cells[0]).zip(cells[1].split(", ")) {
            let asserted = format!("size_of::<{name}>() <= {});", bytes.replace(',', "_"));
            assert!(
                code.contains(&asserted),
                "{name}: the page says {bytes}, and the code has no `{asserted}`"
            );
            compared += 1;
        }
    }
    assert_eq!(compared, 12, "types on the page");
}

/// Section 3 says so.
#[test]
fn a_member_itself_is_less_than_a_kibibyte() {
    assert!(size_of::<swimring::protocol::Member>() < 1024, "{}", size_of::<swimring::protocol::Member>());
}

#[test]
fn numbers_are_compared_as_wholes() {
    assert!(states("16 probes", "16") && states("128, 65,000 bytes", "128") && states("2^27 above", "2^27"));
    assert!(!states("16,384 per member", "16") && !states("116", "16") && !states("2^16", "16"));
    assert_eq!(spellings("1 << 20"), ["1,048,576", "2^20", "1 MiB", "1024 KiB"]);
    assert_eq!(spellings("Duration::from_secs(600)"), ["600 s", "10 min"]);
    assert_eq!(spellings("size_of::<u64>()"), Vec::<String>::new());
}
