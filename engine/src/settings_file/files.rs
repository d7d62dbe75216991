//! Reading files that users name: whole, and no further than a bound. What a file says of its own size is not
//! asked: a device or a pipe says 0 and may never end.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// The text of a file of at most `bytes_max`, which is to be `what`, such as `settings file`.
///
/// # Errors
/// One line without the file's name.
pub fn read_bounded(path: &Path, bytes_max: u64, what: &str) -> Result<String, String> {
    let told = |error: std::io::Error| match error.kind() {
        ErrorKind::IsADirectory => format!("is a folder, and no {what}"),
        _ => error.to_string(),
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(told)?;
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(told)?;
    if bytes.len() as u64 > bytes_max {
        return Err(format!("more than {bytes_max} bytes: no {what} is so long"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("no {what}: it is not text (UTF-8) from byte {at} on")
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn what_never_ends_is_read_no_further_than_the_bound() {
        let fault = read_bounded(Path::new("/dev/zero"), 1 << 20, "settings file").unwrap_err();
        assert_eq!(fault, "more than 1048576 bytes: no settings file is so long");
    }

    #[test]
    fn a_pipe_is_read_like_a_file_and_bounded_like_one() {
        let through_a_pipe = |bytes: &[u8]| {
            let (reader, mut writer) = std::io::pipe().unwrap();
            writer.write_all(bytes).unwrap();
            drop(writer);
            let path = format!("/proc/self/fd/{}", reader.as_raw_fd());
            read_bounded(Path::new(&path), 100, "settings file")
        };
        assert_eq!(through_a_pipe(b"preset = \"lan\"").unwrap(), "preset = \"lan\"");
        assert_eq!(through_a_pipe(&[b'a'; 100]).unwrap().len(), 100);
        let fault = through_a_pipe(&[b'a'; 101]).unwrap_err();
        assert_eq!(fault, "more than 100 bytes: no settings file is so long");
    }

    #[test]
    fn what_is_no_text_and_no_file_is_told() {
        let fault = |path: &str| read_bounded(Path::new(path), 100, "report").unwrap_err();
        assert_eq!(fault("/proc"), "is a folder, and no report");
        assert!(fault("/nonexistent").starts_with("No such file or directory"));
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"ab\xff").unwrap();
        drop(writer);
        let path = format!("/proc/self/fd/{}", reader.as_raw_fd());
        assert_eq!(fault(&path), "no report: it is not text (UTF-8) from byte 2 on");
    }
}
