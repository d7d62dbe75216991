use super::*;

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("swimring-snapshot-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join("member")
    }

    fn open(&self) -> Result<Opened, OpenError> {
        Log::open(&self.file(), 1 << 20, "shop", "web-1")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn identity(sheet: &mut Sheet<'_>) -> io::Result<()> {
    sheet.push(&Record::Identity { cluster: "shop", member: "web-1" })
}

fn set(sheet: &mut Sheet<'_>, version: u64) -> io::Result<()> {
    sheet.push(&Record::OwnKey { key: "key", version, value: Some(b"value") })
}

fn version(opened: &Opened) -> u64 {
    opened.contents.as_ref().map_or(0, |contents| contents.version)
}

#[test]
fn what_is_appended_and_written_anew_is_read_again() {
    let folder = Folder::new("round");
    let mut opened = folder.open().unwrap();
    assert!(opened.contents.is_none() && opened.log.wants_compaction());
    assert!(opened.log.append(|_| Ok(())).is_err(), "nothing is appended before it is written");
    opened.log.rewrite(1, identity).unwrap();
    for number in 1..=3 {
        opened.log.append(|sheet| set(sheet, number)).unwrap();
    }
    drop(opened);
    let mut opened = folder.open().unwrap();
    assert_eq!((version(&opened), opened.torn), (3, 0));
    opened.log.rewrite(2, |sheet| identity(sheet).and_then(|()| set(sheet, 4))).unwrap();
    opened.log.append(|sheet| set(sheet, 5)).unwrap();
    drop(opened);
    assert_eq!(version(&folder.open().unwrap()), 5);
    let mode = std::fs::metadata(folder.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, MODE);
}

#[test]
fn a_torn_end_is_cut_and_damage_is_an_error() {
    let folder = Folder::new("torn");
    let mut opened = folder.open().unwrap();
    opened.log.rewrite(1, identity).unwrap();
    opened.log.append(|sheet| set(sheet, 1)).unwrap();
    opened.log.append(|sheet| set(sheet, 2)).unwrap();
    drop(opened);
    let whole = std::fs::read(folder.file()).unwrap();
    std::fs::write(folder.file(), &whole[..whole.len() - 1]).unwrap();
    let opened = folder.open().unwrap();
    assert_eq!(version(&opened), 1);
    assert!(opened.torn > 0);
    drop(opened);
    let mut damaged = whole;
    damaged[70] ^= 1;
    std::fs::write(folder.file(), &damaged).unwrap();
    let error = folder.open().unwrap_err().to_string();
    assert!(error.starts_with("is damaged at byte ") && error.contains("or remove it"), "{error}");
}

#[test]
fn what_cannot_be_used_is_told_with_the_mend() {
    let folder = Folder::new("faults");
    let mut opened = folder.open().unwrap();
    opened.log.rewrite(1, identity).unwrap();
    assert!(matches!(folder.open(), Err(OpenError::InUse)), "one at a time");
    drop(opened);
    let told =
        |path: &Path, bytes_max, member| Log::open(path, bytes_max, "shop", member).unwrap_err().to_string();
    assert_eq!(
        told(&folder.file(), 1 << 20, "web-2"),
        "is the snapshot of the member \"web-1\" of the cluster \"shop\": give each member a file of its own"
    );
    assert!(told(&folder.file(), 10, "web-1").starts_with("has more than 10 bytes"));
    assert!(told(&folder.0, 10, "web-1").starts_with("is no regular file"));
    assert!(told(Path::new("/nonexistent/member"), 10, "web-1").starts_with("cannot be used: No such file"));
}

/// Whatever fails while it is written, the file is what it was or what it was to be.
#[test]
fn what_fails_leaves_the_file_as_it_was() {
    let folder = Folder::new("failing");
    let mut opened = folder.open().unwrap();
    opened.log.rewrite(1, identity).unwrap();
    opened.log.append(|sheet| set(sheet, 1)).unwrap();
    let full = || io::Error::from(ErrorKind::StorageFull);
    let failed = opened.log.append(|sheet| set(sheet, 2).and_then(|()| sheet.write()).and(Err(full())));
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::StorageFull);
    assert!(opened.log.wants_compaction());
    assert!(
        opened.log.append(|sheet| set(sheet, 3)).is_err(),
        "nothing goes behind what may be half written"
    );
    let failed = opened.log.rewrite(2, |sheet| identity(sheet).and_then(|()| sheet.write()).and(Err(full())));
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::StorageFull);
    assert!(!with_ending(&folder.file(), "new").exists());
    drop(opened);
    assert_eq!(version(&folder.open().unwrap()), 2);
}

#[test]
fn it_is_written_anew_when_it_has_grown() {
    let folder = Folder::new("grown");
    let mut opened = folder.open().unwrap();
    opened.log.rewrite(1, identity).unwrap();
    let value = vec![0; 60_000];
    let mut appended = 0;
    while !opened.log.wants_compaction() {
        let record = Record::OwnKey { key: "key", version: 1, value: Some(&value) };
        appended += opened.log.append(|sheet| sheet.push(&record)).unwrap();
    }
    assert!((COMPACTION_MIN - 100..COMPACTION_MIN + 100_000).contains(&appended), "{appended}");
}
