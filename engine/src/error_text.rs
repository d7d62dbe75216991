//! Errors whose `Debug` is their sentence.
//!
//! `fn main() -> Result<(), ClusterError>` prints an error with `Debug`, and so do `unwrap` and `expect`: that
//! is where most people meet their first error. A dump of variants would hide the sentence that names the
//! setting and what it has to be. So `Debug` says what `Display` says, for every error of this crate, by one macro
//! instead of `#[derive(Debug)]`; a test looks that no error derives it. What an error is made of can still
//! be matched.

/// Gives each error a `Debug` that is its `Display`.
macro_rules! debug_is_the_sentence {
    ($($error:ty),+ $(,)?) => {$(
        impl std::fmt::Debug for $error {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, out)
            }
        }
    )+};
}
pub(crate) use debug_is_the_sentence;

/// `a`, `a or b`, `a, b or c`.
pub(crate) fn listed(names: &[&str]) -> String {
    match names.split_last() {
        None => String::new(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use crate::stream::{CloseReason, OsError};
    use crate::worker::JoinFailure;
    use crate::{Cluster, ClusterError, JoinError, SeedError};

    fn sources(under: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(under).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }

    #[test]
    fn no_error_derives_debug() {
        let mut files = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
        let mut errors = 0;
        for file in &files {
            for line in fs::read_to_string(file).unwrap().lines() {
                let line = line.trim();
                let derived = line.strip_prefix("#[derive(").and_then(|rest| rest.strip_suffix(")]"));
                let names: Vec<&str> = derived.unwrap_or_default().split(", ").collect();
                if names.iter().any(|name| matches!(*name, "Error" | "thiserror::Error")) {
                    errors += 1;
                    assert!(!names.contains(&"Debug"), "{}: {line}", file.display());
                }
            }
        }
        assert!(errors >= 10, "only {errors} errors found: has their spelling changed?");
    }

    #[test]
    fn what_main_and_unwrap_print_is_the_sentence() {
        let elsewhere = Cluster::builder("one").bind(([203, 0, 113, 1], 0)).start().unwrap_err();
        let shown = format!("{elsewhere:?}");
        assert!(shown.starts_with("bind address 203.0.113.1:0: not an address of this machine"), "{shown}");
        let refused = OsError { kind: std::io::ErrorKind::ConnectionRefused, code: Some(111) };
        let failure = JoinFailure::Closed(CloseReason::Refused(refused));
        assert_eq!(format!("{:?}", SeedError::Failed(failure)), "connection refused: no member runs there");
        let nested = ClusterError::from(JoinError::Cancelled);
        assert_eq!(format!("{nested:?} {nested:#?}"), "the join was cancelled the join was cancelled");
    }
}
