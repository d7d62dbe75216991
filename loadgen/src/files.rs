//! Reading files that users name: whole, and refused before they are read where they are far too large.

use std::path::Path;

/// The text of a file of at most `bytes_max`, which is to be `what`, such as `settings file`.
///
/// # Errors
/// One line without the file's name.
pub fn read_bounded(path: &Path, bytes_max: u64, what: &str) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > bytes_max {
        return Err(format!("{size} bytes is no {what} (at most {bytes_max})"));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}
