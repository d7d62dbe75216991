//! What the tests of this module have in common.

use std::ffi::OsString;

use swimring::MemberlistDialect;

use super::addresses::OwnAddresses;
use super::identity::Names;
use super::roster::Roster;
use super::watch::Common;
use crate::cli::{self, AttachOptions, Command, PROGRAM};

/// The options of `attach` to a Serf pool on loopback, with further flags.
pub(crate) fn options(flags: &[&str]) -> AttachOptions {
    check(flags).expect("the options are accepted")
}

/// The same, or the faults.
pub(crate) fn check(flags: &[&str]) -> Result<AttachOptions, Vec<String>> {
    let pool: &[&str] = if flags.contains(&"--pool") { &[] } else { &["--pool", "serf"] };
    let target: &[&str] = if flags.contains(&"--join") { &[] } else { &["--join", "127.0.0.1"] };
    let line = [PROGRAM, "attach"].iter().chain(target).chain(pool).chain(flags).map(OsString::from);
    match cli::parse(line).expect("the flags are accepted").command {
        Command::Attach(arguments) => arguments.check(2),
        _ => panic!("attach was meant"),
    }
}

/// What watches have in common, with nobody started.
pub(crate) fn common(options: &AttachOptions, addresses: OwnAddresses) -> Common {
    let members = options.run.members;
    Common {
        addresses,
        names: Names::new(&options.name_prefix, members),
        roster: Roster::new(members),
        churns: vec![false; members as usize],
        run: 7,
        event_bytes: 100,
        dialect: MemberlistDialect::Serf,
    }
}
