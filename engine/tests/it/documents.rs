//! The documents against the tree: every link leads somewhere, every file that they name exists, and every path of the
//! code that they name (`Settings::validate`) is made of words that the code has.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Pages that tell of the past: what they name may be gone.
const HISTORY: [&str; 2] = ["CHANGELOG.md", "docs/results/20"];
/// Pages that name other projects' code.
const ABOUT_OTHERS: [&str; 2] = ["docs/INTEROP.md", "peers/README.md"];
/// Folders that hold no source.
const SKIPPED: [&str; 2] = ["target", "corpus"];
/// Endings of what is taken for the name of a file.
const ENDINGS: [&str; 9] = [".rs", ".md", ".toml", ".sh", ".svg", ".json", ".go", ".js", ".css"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All files below `folder`, as paths from the root, hidden and built ones left out.
fn files(folder: &Path, below: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("the sources are beside the tests") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("names are UTF-8");
        if name.starts_with('.') || SKIPPED.contains(&&*name) {
            continue;
        }
        let path = format!("{below}{name}");
        if entry.path().is_dir() {
            files(&entry.path(), &format!("{path}/"), found);
        } else {
            found.push(path);
        }
    }
}

/// The tree, and the pages among its files with their texts.
struct Tree {
    files: Vec<String>,
    pages: Vec<(String, String)>,
}

impl Tree {
    fn read() -> Tree {
        let mut found = Vec::new();
        files(&root(), "", &mut found);
        let pages: Vec<_> = found
            .iter()
            .filter(|path| path.ends_with(".md"))
            .map(|path| (path.clone(), fs::read_to_string(root().join(path)).expect("UTF-8")))
            .collect();
        assert!(pages.len() > 20, "only {} pages found", pages.len());
        Tree { files: found, pages }
    }

    /// Whether a file or folder is called `path`, or ends with it as a whole: `net/mmsg.rs` is found.
    fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let (whole, folder, inner) = (format!("/{path}"), format!("{path}/"), format!("/{path}/"));
        self.files.iter().any(|file| {
            file == path || file.ends_with(&whole) || file.starts_with(&folder) || file.contains(&inner)
        })
    }

    /// Pages of the present.
    fn current(&self) -> impl Iterator<Item = &(String, String)> {
        self.pages.iter().filter(|(path, _)| !HISTORY.iter().any(|past| path.starts_with(past)))
    }
}

/// A page without its blocks of code.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<String> {
    prose(text).split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text);
    let headings = headings.lines().filter(|line| line.starts_with('#'));
    let kept = |letter: &char| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_');
    let anchor = |line: &str| line.trim_start_matches('#').trim().to_lowercase();
    headings.map(|line| anchor(line).chars().filter(kept).collect::<String>().replace(' ', "-")).collect()
}

/// `docs/../engine` as `engine`.
fn normal(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Why `link` of the page at `path` leads nowhere.
fn fault(tree: &Tree, path: &str, text: &str, link: &str) -> Option<String> {
    let (target, anchor) =
        link.split_once('#').map_or((link, None), |(target, anchor)| (target, Some(anchor)));
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let target = if target.is_empty() { path.to_owned() } else { normal(&format!("{folder}/{target}")) };
    if !root().join(&target).exists() {
        return Some(format!("{path}: nothing at {link}"));
    }
    let page = tree.pages.iter().find(|(page, _)| *page == target).map_or(text, |(_, text)| text);
    let known = anchor.is_none_or(|anchor| anchors(page).contains(anchor));
    (!known).then(|| format!("{path}: no heading for {link}"))
}

#[test]
fn every_link_leads_somewhere() {
    let tree = Tree::read();
    let (mut links, mut faults) = (0, Vec::new());
    for (path, text) in &tree.pages {
        for rest in prose(text).split("](").skip(1) {
            let link = rest.split([')', ' ']).next().expect("split gives one part at least");
            if !link.contains("://") {
                links += 1;
                faults.extend(fault(&tree, path, text, link));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(links > 100, "only {links} links found: is a page written otherwise now?");
}

#[test]
fn every_file_that_a_page_names_exists() {
    let tree = Tree::read();
    let (mut named, mut faults) = (0, Vec::new());
    for (path, text) in tree.current() {
        // Blocks of code name files as well, but also those that a reader is to write: as `NAME` does.
        for name in quoted(text).iter().flat_map(|quoted| quoted.split([' ', ':'])) {
            let is_file = name.contains('/') && ENDINGS.iter().any(|ending| name.ends_with(ending));
            if is_file
                && !name.starts_with(['/', '~', '<', '.'])
                && !name.contains(['*', '<', '$'])
                && !name.contains("NAME")
            {
                named += 1;
                faults.extend((!tree.has(name)).then(|| format!("{path}: no file {name}")));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(named > 40, "only {named} files are named");
}

#[test]
fn every_path_of_the_code_that_a_page_names_has_words_of_the_code() {
    let tree = Tree::read();
    let sources = tree.files.iter().filter(|path| path.ends_with(".rs"));
    let code: String =
        sources.map(|path| fs::read_to_string(root().join(path)).expect("UTF-8") + "\n").collect();
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words: BTreeSet<&str> = code.split(|letter| !is_word(letter)).collect();
    let (mut named, mut faults) = (0, Vec::new());
    let ours = tree.current().filter(|(path, _)| !ABOUT_OTHERS.contains(&&**path));
    for (path, text) in ours {
        for name in quoted(text).iter().filter(|quoted| quoted.contains("::")) {
            let parts = name.split(|letter| !is_word(letter)).filter(|part| part.len() > 1);
            named += 1;
            faults.extend(
                parts.filter(|part| !words.contains(part)).map(|part| format!("{path}: {name}: {part}")),
            );
        }
    }
    assert!(faults.is_empty(), "on the page alone:\n{}", faults.join("\n"));
    assert!(named > 30, "only {named} paths are named");
}

/// One page and its data in one folder, and all of them in the index, the newest first.
#[test]
fn every_result_has_a_page_and_a_row_in_the_index() {
    let tree = Tree::read();
    let folders: BTreeSet<&str> = tree
        .files
        .iter()
        .filter_map(|path| path.strip_prefix("docs/results/")?.split_once('/').map(|(folder, _)| folder))
        .collect();
    let index = fs::read_to_string(root().join("docs/results/README.md")).expect("UTF-8");
    let rows: Vec<&str> =
        index.lines().filter_map(|line| line.strip_prefix("| [")?.split(']').next()).collect();
    for folder in &folders {
        assert!(
            tree.has(&format!("docs/results/{folder}/README.md")),
            "docs/results/{folder} has no README.md"
        );
    }
    assert_eq!(rows.iter().copied().collect::<BTreeSet<_>>(), folders, "rows of the index, and folders");
    let days: Vec<&str> = rows.iter().map(|row| &row[.."2026-11-20".len()]).collect();
    assert!(days.is_sorted_by(|newer, older| newer >= older), "not the newest first: {days:?}");
}

#[test]
fn headings_and_paths_are_read_as_readers_do() {
    assert!(anchors("# A\n## 13. Bounds\n### Whose: `x_y`\n").contains("13-bounds"));
    assert!(anchors("### Whose protocol: `upstream`").contains("whose-protocol-upstream"));
    assert_eq!(normal("docs/results/../../engine/src"), "engine/src");
    let page = "one `two` three\n```\n`four`\n```\n`five`";
    assert_eq!(quoted(page), ["two", "five"]);
}
