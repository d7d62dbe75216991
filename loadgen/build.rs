//! Records the commit that was built, so that a saved result can be traced to its source.
//!
//! In a checkout git is asked; in a package from the registry cargo left the commit in
//! `.cargo_vcs_info.json`; anywhere else the commit is `unknown`. Nothing here can fail a build.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // What the "-modified" mark depends on: the sources of this binary, and which commit is checked out. Git's index is
    // not among them: `git status` alone rewrites it, and everything would be linked again.
    for path in ["src", "Cargo.toml", "../engine/src", "../codec/src", "../Cargo.toml"] {
        watch(path);
    }
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

/// Cargo writes `{"git": {"sha1": "<40 hex digits>"}, ...}` into every package it publishes.
fn from_package() -> Option<String> {
    let text = std::fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let start = text.find("\"sha1\"")? + "\"sha1\"".len();
    let digits: String = text[start..].chars().skip_while(|c| !c.is_ascii_hexdigit()).take(12).collect();
    (digits.len() == 12 && digits.chars().all(|c| c.is_ascii_hexdigit())).then_some(digits)
}
