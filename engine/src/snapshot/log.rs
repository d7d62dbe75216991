//! The file of a snapshot: locked, read once, appended to, and written anew when it has grown.
//!
//! It is written anew beside itself, brought to the disk, and renamed: at each moment one of the two is there whole. An
//! append that fails leaves the file as a crash would, and nothing is appended any more: then it has to be written anew.
//! So whatever happens, what a file says is what it said at the end of some batch.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use thiserror::Error;

use super::contents::Contents;
use super::record::{Fault, Record, Writer};

/// Bytes that are written in one system call.
const CHUNK: usize = 256 << 10;

/// The file is written anew when it is this long, and twice as long as when it was last.
const COMPACTION_MIN: usize = 1 << 20;

/// Owner only: values may be secrets.
const MODE: u32 = 0o600;

/// Why a file cannot be used: what follows its name.
#[derive(Error)]
pub enum OpenError {
    /// Another process, or another member of this one, uses it.
    #[error("is in use by another member: give each a file of its own")]
    InUse,
    /// The operating system refuses.
    #[error("cannot be used: {0}; give a path to a file in a folder that this process may write to")]
    Refused(io::Error),
    /// It is a folder or a device.
    #[error("is no regular file: give the path of a file, which is made if it is not there")]
    NoFile,
    /// It is longer than what a member may have kept.
    #[error("has more than {0} bytes, which no snapshot of this member has: check the path, or remove it")]
    TooLong(u64),
    /// It is no snapshot that this program can read.
    #[error(
        "{0}: check the path, bring back a good copy, or remove it, and with it what the member had kept"
    )]
    Fault(Fault),
    /// It is another member's.
    #[error(
        "is the snapshot of the member {member:?} of the cluster {cluster:?}: give each member a file of its own"
    )]
    Foreign {
        /// Whose it is.
        member: String,
        /// In which cluster that is.
        cluster: String,
    },
}

crate::error_text::debug_is_the_sentence!(OpenError);

/// A file that is locked, and has been read.
#[derive(Debug)]
pub struct Opened {
    /// The file. It is to be written anew before anything is appended.
    pub log: Log,
    /// What was kept in it; nothing if there was none.
    pub contents: Option<Contents>,
    /// Bytes at the end of it that a crash had left half written.
    pub torn: usize,
}

/// The records that are to be in the file, one after the other: handed to whoever writes them.
#[derive(Debug)]
pub struct Sheet<'a> {
    file: &'a mut File,
    writer: &'a mut Writer,
}

impl Sheet<'_> {
    /// Adds `record`, unless it is one that could not be read.
    ///
    /// # Errors
    /// What the operating system says when it does not take what has been added so far.
    pub fn push(&mut self, record: &Record<'_>) -> io::Result<()> {
        self.writer.push(record);
        if self.writer.bytes().len() >= CHUNK { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> io::Result<()> {
        self.file.write_all(self.writer.bytes())?;
        self.writer.taken();
        Ok(())
    }
}

/// A file that can be appended to.
#[derive(Debug)]
struct Current {
    file: File,
    writer: Writer,
    batches: u64,
    /// Bytes that it had when it was new.
    base: usize,
}

/// See the module.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    /// Held as long as the file is in use.
    _lock: File,
    current: Option<Current>,
}

impl Log {
    /// Locks and reads the file at `path`, of at most `bytes_max`, which is the snapshot of `member` of `cluster`.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: &Path, bytes_max: u64, cluster: &str, member: &str) -> Result<Opened, OpenError> {
        let lock = lock(path)?;
        let bytes = read(path, bytes_max)?;
        let log = Log { path: path.to_owned(), _lock: lock, current: None };
        // Where somebody has made an empty one there is nothing to be lost.
        if bytes.is_empty() {
            return Ok(Opened { log, contents: None, torn: 0 });
        }
        let (contents, whole) = Contents::read(&bytes).map_err(OpenError::Fault)?;
        if contents.cluster != cluster || contents.member != member {
            return Err(OpenError::Foreign { member: contents.member, cluster: contents.cluster });
        }
        Ok(Opened { log, contents: Some(contents), torn: bytes.len() - whole })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it has to be written anew before anything is appended, or should be, having grown.
    pub fn wants_compaction(&self) -> bool {
        self.current
            .as_ref()
            .is_none_or(|current| current.writer.file_len() > COMPACTION_MIN.max(2 * current.base))
    }

    /// Appends what `write` writes as one batch, and brings it to the disk. Gives its length.
    ///
    /// # Errors
    /// What the operating system says; then the file has to be written anew.
    pub fn append(&mut self, write: impl FnOnce(&mut Sheet<'_>) -> io::Result<()>) -> io::Result<usize> {
        let Some(mut current) = self.current.take() else {
            return Err(io::Error::other("the file has to be written anew"));
        };
        let before = current.writer.file_len();
        current.batches += 1;
        let mut sheet = Sheet { file: &mut current.file, writer: &mut current.writer };
        sheet.push(&Record::Batch(current.batches))?;
        write(&mut sheet)?;
        sheet.write()?;
        current.file.sync_data()?;
        let written = current.writer.file_len() - before;
        self.current = Some(current);
        Ok(written)
    }

    /// Writes the file anew, with what `write` writes, under this salt; it is on the disk then, under its name. Gives its
    /// length.
    ///
    /// # Errors
    /// What the operating system says; then the file is what it was.
    pub fn rewrite(
        &mut self,
        salt: u64,
        write: impl FnOnce(&mut Sheet<'_>) -> io::Result<()>,
    ) -> io::Result<usize> {
        let new = with_ending(&self.path, "new");
        let written = self.write_new(&new, salt, write);
        if written.is_err() {
            // It may be what fills the disk.
            let _ = std::fs::remove_file(&new);
        }
        let current = written?;
        let length = current.base;
        self.current = Some(current);
        Ok(length)
    }

    fn write_new(
        &self,
        new: &Path,
        salt: u64,
        write: impl FnOnce(&mut Sheet<'_>) -> io::Result<()>,
    ) -> io::Result<Current> {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(MODE).open(new)?;
        // One that was left there may have others.
        file.set_permissions(Permissions::from_mode(MODE))?;
        let mut writer = Writer::new(salt);
        let mut sheet = Sheet { file: &mut file, writer: &mut writer };
        write(&mut sheet)?;
        sheet.write()?;
        file.sync_all()?;
        std::fs::rename(new, &self.path)?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        let base = writer.file_len();
        Ok(Current { file, writer, batches: 0, base })
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

/// Takes the lock of the snapshot at `path`. It is a file of its own, since the snapshot is replaced by others.
fn lock(path: &Path) -> Result<File, OpenError> {
    let mut options = OpenOptions::new();
    let lock = options.write(true).create(true).truncate(false).mode(MODE).open(with_ending(path, "lock"));
    let lock = lock.map_err(OpenError::Refused)?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(error) if error == rustix::io::Errno::WOULDBLOCK => Err(OpenError::InUse),
        Err(error) => Err(OpenError::Refused(error.into())),
    }
}

/// The bytes of the file at `path`; none if there is no file.
fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, OpenError> {
    let about = match std::fs::metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(OpenError::Refused(error)),
    };
    if !about.is_file() {
        return Err(OpenError::NoFile);
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(OpenError::Refused)?;
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(OpenError::Refused)?;
    if bytes.len() as u64 > bytes_max { Err(OpenError::TooLong(bytes_max)) } else { Ok(bytes) }
}

#[cfg(test)]
#[path = "log_test.rs"]
mod tests;
