//! Records the commit that is built, so that a saved result can be traced to its source. For build scripts.
//!
//! Every program asks for itself, since each is made of other sources. In a checkout git is asked; in a package from the registry cargo left the commit in
//! `.cargo_vcs_info.json`; anywhere else the commit is `unknown`. Nothing here can fail a build.
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::Command;

/// Folders of the workspace whose sources the load generator is made of, beside its own.
pub const LOADGEN: &[&str] = &["codec", "engine", "tooling"];

/// The same of the tuner and of the benches' programs, which simulate clusters and run fleets.
pub const TUNING: &[&str] = &["codec", "engine", "tooling", "simulation", "loadgen"];

/// Hands the commit to the package being built, as `SWIMRING_COMMIT`, and names what the build script depends on.
///
/// `folders` are those that the program is made of beside its own, which lies beside them: when a source changes,
/// the mark `-modified` may have to. Git's index is not among what is watched: `git status` alone rewrites it, and
/// everything would be linked again.
pub fn record(folders: &[&str]) {
    for path in ["build.rs", "src", "Cargo.toml", "../Cargo.toml"] {
        watch(path);
    }
    folders.iter().for_each(|folder| watch(&format!("../{folder}/src")));
    let commit = from_git().or_else(from_package).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rustc-env=SWIMRING_COMMIT={commit}");
}

/// Watches a path that exists. One that does not would make cargo run this at every build.
fn watch(path: &str) {
    if Path::new(path).exists() {
        println!("cargo:rerun-if-changed={path}");
    }
}

fn from_git() -> Option<String> {
    // A copy vendored into somebody else's repository must not report that repository's commit.
    git(&["ls-files", "--error-unmatch", "../codec/src/lib.rs", "build.rs"])?;
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    // The log of HEAD grows with each commit and each checkout, and with nothing else.
    if let Some(path) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        watch(&path);
    }
    // Without the locks: a build must not get in the way of somebody who commits at the same moment.
    let modified = git(&["--no-optional-locks", "status", "--porcelain", "--untracked-files=no"])?;
    Some(if modified.is_empty() { commit } else { format!("{commit}-modified") })
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn from_package() -> Option<String> {
    digits(&std::fs::read_to_string(".cargo_vcs_info.json").ok()?)
}

/// Cargo writes `{"git": {"sha1": "<40 hex digits>"}, ...}` into every package it publishes.
fn digits(text: &str) -> Option<String> {
    let start = text.find("\"sha1\"")? + "\"sha1\"".len();
    let digits: String = text[start..].chars().skip_while(|c| !c.is_ascii_hexdigit()).take(12).collect();
    (digits.len() == 12 && digits.chars().all(|c| c.is_ascii_hexdigit())).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commit_of_a_published_package_is_read() {
        let told = |sha1: &str| digits(&format!("{{\n  \"git\": {{\n    \"sha1\": \"{sha1}\"\n  }}\n}}"));
        let sha1 = "4f8526660b52aa0c3f1de0936d9c8b7f3e2d1c0b";
        assert_eq!(told(sha1).as_deref(), Some("4f8526660b52"));
        assert_eq!((told("4f85"), digits("{}")), (None, None));
    }
}
