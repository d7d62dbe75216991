//! Replays the corpus: every input that is kept passes its harness, and the seeds are what the code says.
//!
//! `SWIMRING_WRITE_CORPUS=1` writes the seeds first.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

use swimring_fuzz::{TARGETS, Target};

fn folder(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name)
}

/// Writes the seeds of every target if that is asked for: before any test reads them, since tests run side by side.
fn write_seeds_if_asked() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if std::env::var_os("SWIMRING_WRITE_CORPUS").is_some() {
            TARGETS.iter().for_each(write_seeds);
        }
    });
}

fn write_seeds(target: &Target) {
    fs::create_dir_all(folder(target)).expect("a folder for the corpus");
    for seed in (target.seeds)() {
        fs::write(folder(target).join(seed.name + ".bin"), seed.bytes).expect("a seed");
    }
}

#[test]
fn every_kept_input_passes() {
    write_seeds_if_asked();
    for target in &TARGETS {
        let mut replayed = 0;
        for entry in fs::read_dir(folder(target)).expect("a corpus") {
            let path = entry.expect("an entry of the corpus").path();
            println!("{}", path.display());
            (target.run)(&fs::read(&path).expect("an input"));
            replayed += 1;
        }
        assert!(replayed >= (target.seeds)().len(), "{}: {replayed} inputs", target.name);
    }
}

#[test]
fn the_seeds_are_current() {
    write_seeds_if_asked();
    for target in &TARGETS {
        for seed in (target.seeds)() {
            let path = folder(target).join(format!("{}.bin", seed.name));
            let kept = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!(kept, seed.bytes, "{}: write it anew with SWIMRING_WRITE_CORPUS=1", path.display());
        }
    }
}

#[test]
fn every_target_has_a_binary() {
    let manifest = include_str!("../Cargo.toml");
    for target in &TARGETS {
        let source = format!("fuzz_targets/{}.rs", target.name);
        assert!(manifest.contains(&format!("path = \"{source}\"")), "no [[bin]] for {source}");
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(source).exists());
    }
}

#[test]
fn empty_and_tiny_inputs_pass() {
    for target in &TARGETS {
        (target.run)(&[]);
        for byte in 0..=u8::MAX {
            (target.run)(&[byte]);
            (target.run)(&[byte; 64]);
        }
    }
}
