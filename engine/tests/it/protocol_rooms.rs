//! The rooms of `src/protocol`: who may import whom. The order is the picture in `src/protocol/mod.rs`; an import from a
//! room to one that stands above it, or beside it in the same line, fails here, and so does one that goes around the rooms by
//! what `protocol` re-exports.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// From each room to its line in the picture, counted from the top.
type Order = BTreeMap<String, usize>;

/// The lines of the picture: names, a bar, and what they are.
fn order(page: &str) -> Order {
    let picture = page.split("```text").nth(1).and_then(|rest| rest.split("```").next()).expect("a picture");
    let rows = picture.lines().filter_map(|line| line.trim_start_matches("//!").split_once('|'));
    let names = rows.enumerate().flat_map(|(row, (names, _))| {
        let names = names.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        names.into_iter().map(move |name| (name, row))
    });
    names.collect()
}

/// A source file: its path below `src/protocol` without the ending, and its text.
struct Source {
    path: Vec<String>,
    code: String,
}

/// Code without comments and without its tests, which may look at whatever they need.
fn without_tests(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let tests = line == "#[cfg(test)]"
            && lines.peek().is_some_and(|next| next.starts_with("mod ") || next.starts_with("#[path"));
        if tests {
            break;
        }
        code.push_str(line.split("//").next().unwrap_or_default());
        code.push('\n');
    }
    code
}

fn sources(under: &Path, path: &[String], found: &mut Vec<Source>) {
    for entry in fs::read_dir(under).expect("the sources are beside the tests") {
        let file = entry.expect("an entry").path();
        let stem = file.file_stem().expect("a name").to_string_lossy().into_owned();
        let mut path = path.to_vec();
        if file.is_dir() {
            path.push(stem);
            sources(&file, &path, found);
        } else if file.extension().is_some_and(|extension| extension == "rs") && !stem.ends_with("_test") {
            if stem != "mod" {
                path.push(stem);
            }
            let code = without_tests(&fs::read_to_string(&file).expect("UTF-8"));
            found.push(Source { path, code });
        }
    }
}

/// The text of a brace's inside, split at its own commas.
fn branches(inside: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, letter) in inside.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inside[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inside[start..]);
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// Where the path that begins `text` leads: its first name, or those in its brace.
fn heads(text: &str) -> Vec<String> {
    let name = |text: &str| {
        let end = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(text.len());
        text[..end].to_owned()
    };
    let Some(rest) = text.strip_prefix('{') else { return vec![name(text)] };
    let mut depth = 1;
    let end = rest.find(|letter: char| {
        depth += i32::from(letter == '{') - i32::from(letter == '}');
        depth == 0
    });
    branches(&rest[..end.unwrap_or(rest.len())]).into_iter().map(name).collect()
}

/// The names right below `protocol` that a source refers to.
fn referred(source: &Source) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in source.code.match_indices("crate::protocol::") {
        names.extend(heads(&source.code[at + "crate::protocol::".len()..]));
    }
    for (at, _) in source.code.match_indices("super::") {
        if source.code[..at].ends_with("super::") {
            continue;
        }
        let mut rest = &source.code[at..];
        let mut depth = source.path.len();
        while let Some(shorter) = rest.strip_prefix("super::") {
            rest = shorter;
            depth = depth.saturating_sub(1);
        }
        if depth == 0 {
            names.extend(heads(rest));
        }
    }
    names
}

/// Imports that the picture does not allow, and how many it does.
fn violations(order: &Order, sources: &[Source]) -> (Vec<String>, usize) {
    let mut wrong = Vec::new();
    let mut allowed = 0;
    for source in sources {
        let Some(room) = source.path.first() else { continue };
        let Some(row) = order.get(room) else {
            wrong.push(format!("{room} is not in the picture"));
            continue;
        };
        for name in referred(source).into_iter().filter(|name| name != room) {
            match order.get(&name) {
                Some(below) if below > row => allowed += 1,
                Some(_) => wrong.push(format!("{} imports {name}", source.path.join("/"))),
                None => wrong.push(format!("{} imports {name} past its room", source.path.join("/"))),
            }
        }
    }
    (wrong, allowed)
}

/// The methods that a source adds to `Core`, which callers need not import.
fn added_to_core(source: &Source) -> Vec<&str> {
    let blocks = source.code.split("\nimpl Core {\n").skip(1);
    let lines = blocks.flat_map(|block| block.lines().take_while(|line| *line != "}"));
    let signatures = lines.filter(|line| line.starts_with("    ") && !line.starts_with("     "));
    let names = signatures.filter_map(|line| line.split_once("fn ").map(|(_, rest)| rest));
    names.map(|rest| rest.split(['(', '<']).next().unwrap_or_default()).collect()
}

/// Calls of what a room above has added to `Core`, and how many methods were added.
fn calls_upwards(order: &Order, sources: &[Source]) -> (Vec<String>, usize) {
    let row = |source: &Source| source.path.first().and_then(|room| order.get(room)).copied();
    let mut wrong = Vec::new();
    let mut methods = 0;
    for above in sources {
        for method in added_to_core(above) {
            methods += 1;
            let call = format!(".{method}(");
            let calls = |source: &&Source| source.code.contains("Core") && source.code.contains(&call);
            let below = sources.iter().filter(|source| row(source) > row(above)).filter(calls);
            wrong.extend(below.map(|source| format!("{} calls {method}", source.path.join("/"))));
        }
    }
    (wrong, methods)
}

#[test]
fn imports_between_rooms_go_down_the_picture() {
    let protocol = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/protocol");
    let order = order(&fs::read_to_string(protocol.join("mod.rs")).expect("UTF-8"));
    let mut found = Vec::new();
    sources(&protocol, &[], &mut found);
    let (wrong, allowed) = violations(&order, &found);
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(allowed >= 100, "only {allowed} imports found: has their spelling changed?");
    let (wrong, methods) = calls_upwards(&order, &found);
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(methods >= 30, "only {methods} methods of Core found: has their spelling changed?");
    let rooms: BTreeSet<_> = found.iter().filter_map(|source| source.path.first()).collect();
    assert_eq!(order.keys().collect::<BTreeSet<_>>(), rooms, "the picture has what there is");
}

#[test]
fn an_import_up_or_around_is_found() {
    let order = order(
        "//! ```text\n//! top    | above\n//! left right | beside each other\n//! low | below\n//! ```\n",
    );
    let source = |path: &[&str], code: &str| Source {
        path: path.iter().map(|&part| part.to_owned()).collect(),
        code: without_tests(code),
    };
    let wrong = |path: &[&str], code: &str| violations(&order, &[source(path, code)]).0;
    assert!(wrong(&["top", "file"], "use crate::protocol::{left::{A, B}, low::C};").is_empty());
    assert!(wrong(&["left", "file"], "use super::super::low::C;\nuse super::other::D;").is_empty());
    assert!(
        wrong(&["low"], "// crate::protocol::top\n#[cfg(test)]\nmod tests { use crate::protocol::top; }")
            .is_empty()
    );
    assert_eq!(wrong(&["low"], "use super::top::E;"), ["low imports top"]);
    assert_eq!(
        wrong(&["left", "file"], "fn f(x: crate::protocol::right::X) {}"),
        ["left/file imports right"]
    );
    assert_eq!(wrong(&["low", "file"], "use super::super::{left::A, low::B};"), ["low/file imports left"]);
    assert_eq!(wrong(&["left"], "use crate::protocol::Settings;"), ["left imports Settings past its room"]);
    assert_eq!(wrong(&["else"], ""), ["else is not in the picture"]);
    let above = source(&["top"], "\nimpl Core {\n    pub(super) fn send<T>(&mut self) {\n    }\n}\n");
    let below = source(&["low"], "fn f(core: &mut Core) { core.send(); }");
    assert_eq!(calls_upwards(&order, &[above, below]), (vec!["low calls send".to_owned()], 1));
}
