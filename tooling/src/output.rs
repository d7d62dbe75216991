//! What a program says, on streams that may be closed or full.
//!
//! `println!` panics there, in the middle of a run or at its end. A pipe whose reader has gone is no fault:
//! its reader has read enough. Any other refusal of standard output is told, and costs the exit status;
//! where standard error does not take a line there is nobody left to tell.

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use serde::Serialize;

/// Says `line` on standard error, after the program's name.
pub fn tell(program: &str, line: &str) {
    // In one piece: other threads say things too.
    let _ = io::stderr().write_all(format!("{program}: {line}\n").as_bytes());
}

/// Writes `text` to standard output.
///
/// # Errors
/// One line, if it does not take it all and its reader has not gone.
pub fn print(text: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    told(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// What to say of an attempt to write to standard output.
///
/// # Errors
/// As [`print()`].
pub fn told(written: io::Result<()>) -> Result<(), String> {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(format!("standard output: {error}")),
        _ => Ok(()),
    }
}

/// Whether a file's name stands for standard output.
pub fn is_standard_output(path: &Path) -> bool {
    path == Path::new("-")
}

/// Writes `text` to the file that `flag` names, or to standard output for `-`.
///
/// # Errors
/// One line that starts with the flag.
pub fn write(flag: &str, path: &Path, text: &str) -> Result<(), String> {
    if is_standard_output(path) {
        return print(text).map_err(|fault| format!("{flag} -: {fault}"));
    }
    std::fs::write(path, text).map_err(|error| format!("{flag} {}: {error}", path.display()))
}

/// Writes `document` as JSON, with a line end, to the file that `flag` names, or to standard output for `-`.
///
/// # Errors
/// One line that starts with the flag.
pub fn write_json(flag: &str, path: &Path, document: &impl Serialize) -> Result<(), String> {
    let text = serde_json::to_string_pretty(document);
    let text = text.map_err(|error| format!("{flag} {}: {error}", path.display()))?;
    write(flag, path, &format!("{text}\n"))
}

/// Writes `lines` as CSV under a heading with the names of their fields, to the file that `flag` names, or to
/// standard output for `-`.
///
/// # Errors
/// One line that starts with the flag.
pub fn write_csv(
    flag: &str,
    path: &Path,
    lines: impl IntoIterator<Item = impl Serialize>,
) -> Result<(), String> {
    let named = |fault: &dyn std::fmt::Display| format!("{flag} {}: {fault}", path.display());
    let mut writer = csv::Writer::from_writer(Vec::new());
    for line in lines {
        writer.serialize(line).map_err(|error| named(&error))?;
    }
    let bytes = writer.into_inner().map_err(|error| named(error.error()))?;
    write(flag, path, &String::from_utf8_lossy(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Line {
        members: u32,
        loss: Option<f64>,
    }

    #[test]
    fn documents_end_with_a_line_end_and_faults_start_with_the_flag() {
        let folder = tempfile::tempdir().unwrap();
        let (json, csv) = (folder.path().join("a.json"), folder.path().join("a.csv"));
        let lines = [Line { members: 10, loss: None }, Line { members: 20, loss: Some(0.5) }];
        write_json("--json", &json, &lines[1]).unwrap();
        write_csv("--csv", &csv, &lines).unwrap();
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        assert_eq!(read(&json), "{\n  \"members\": 20,\n  \"loss\": 0.5\n}\n");
        assert_eq!(read(&csv), "members,loss\n10,\n20,0.5\n");
        for fault in [write_json("--json", folder.path(), &1), write_csv("--json", folder.path(), &lines)] {
            let fault = fault.unwrap_err();
            assert!(fault.starts_with(&format!("--json {}: ", folder.path().display())), "{fault}");
        }
    }

    #[test]
    fn a_reader_that_has_gone_is_no_fault_and_a_full_disk_is() {
        assert_eq!(told(Ok(())), Ok(()));
        assert_eq!(told(Err(io::Error::from_raw_os_error(32))), Ok(()));
        let full = told(Err(io::Error::from_raw_os_error(28)));
        assert_eq!(full, Err("standard output: No space left on device (os error 28)".to_owned()));
    }
}
