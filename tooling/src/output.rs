//! What a program says, on streams that may be closed or full.
//!
//! `println!` panics there, in the middle of a run or at its end. A pipe whose reader has gone is no fault:
//! whoever closed it has read enough. Any other refusal of standard output is told, and costs the exit status;
//! where standard error does not take a line there is nobody left to tell.

use std::io::{self, ErrorKind, Write};
use std::path::Path;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_has_gone_is_no_fault_and_a_full_disk_is() {
        assert_eq!(told(Ok(())), Ok(()));
        assert_eq!(told(Err(io::Error::from_raw_os_error(32))), Ok(()));
        let full = told(Err(io::Error::from_raw_os_error(28)));
        assert_eq!(full, Err("standard output: No space left on device (os error 28)".to_owned()));
    }
}
