//! Who the virtual members say they are: names, and the tags by which Serf and Consul know what a member is.
//!
//! In Consul's pool a member is an *observer* unless `--catalog` is given: its role is one that no server
//! knows, so that it is gossiped with like everyone else and otherwise left alone. A catalogue node looks
//! like a client agent, with an id of its own: two members with one id would keep everybody out of the pool.

use swimring::{MemberlistDialect, MemberlistOptions};
use swimring_codec::MemberId;
use swimring_codec::memberlist::Versions;
use swimring_codec::serf::Tags;

use crate::cli::{AttachOptions, PoolKind};
use crate::fleet::MemberNumber;

/// The role of members that were given none.
const ROLE: &str = "swimring";
/// Longest prefix of names: names then stay below any peer's bound.
const PREFIX_MAX: usize = 64;
/// Consul registers nobody whose build it cannot parse as a version and a revision.
const BUILD: &str = "1.20.6:swimring";

/// The names of a fleet's members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// With the dash.
    prefix: String,
    members: u32,
}

impl Names {
    /// Names of `members` members that begin with `prefix`.
    pub fn new(prefix: &str, members: u32) -> Names {
        Names { prefix: format!("{prefix}-"), members }
    }

    /// The name of member `number`.
    pub fn of(&self, number: MemberNumber) -> String {
        format!("{}{number:05}", self.prefix)
    }

    /// The number of the member called `name`.
    #[inline]
    pub fn number_of(&self, name: &str) -> Option<MemberNumber> {
        let digits = name.strip_prefix(self.prefix.as_str())?;
        if digits.len() < 5 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        digits.parse().ok().filter(|number| *number < self.members)
    }
}

/// Names and metadata of a fleet's members.
#[derive(Clone, Debug)]
pub struct Identities {
    /// Their names.
    pub names: Names,
    pool: PoolKind,
    /// Those that all have.
    tags: Vec<(String, String)>,
    /// Seeds the ids of catalogue nodes; nothing for observers.
    ids: Option<u64>,
}

impl Identities {
    /// As `options` say.
    ///
    /// # Errors
    /// One line that names the flag and the mend.
    pub fn new(options: &AttachOptions) -> Result<Identities, String> {
        let prefix = &options.name_prefix;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if prefix.is_empty() || prefix.len() > PREFIX_MAX || !prefix.bytes().all(fits) {
            return Err(format!(
                "--name-prefix '{prefix}': 1 to {PREFIX_MAX} letters, digits and dashes, as all pools take them"
            ));
        }
        let tags = if options.pool.has_tags() { tags(options)? } else { Vec::new() };
        let names = Names::new(prefix, options.run.members);
        let ids = options.catalog.then_some(options.run.seed);
        let identities = Identities { names, pool: options.pool, tags, ids };
        // All are as long as the first.
        identities.try_metadata(0).map_err(|error| format!("--tag: {error}"))?;
        Ok(identities)
    }

    fn try_metadata(&self, number: MemberNumber) -> Result<Vec<u8>, String> {
        if !self.pool.has_tags() {
            return Ok(Vec::new());
        }
        let mut tags = self.tags.clone();
        if let Some(seed) = self.ids {
            tags.push(("id".to_owned(), uuid(seed ^ MemberId::of_name(&self.names.of(number)).0)));
        }
        Tags::encode(&tags).map_err(|error| error.to_string())
    }

    /// The metadata of member `number`.
    pub fn metadata(&self, number: MemberNumber) -> Vec<u8> {
        // It was tried when these were made.
        self.try_metadata(number).unwrap_or_default()
    }
}

/// The tags that all members have.
fn tags(options: &AttachOptions) -> Result<Vec<(String, String)>, String> {
    let mut tags: Vec<(String, String)> = Vec::new();
    for (name, value) in &options.tags {
        if tags.iter().any(|(other, _)| other == name) {
            return Err(format!("--tag {name}={value}: given twice"));
        }
        check_tag(options, name, value)?;
        tags.push((name.clone(), value.clone()));
    }
    let mut add = |name: &str, value: &str| {
        if !tags.iter().any(|(other, _)| other == name) {
            tags.push((name.to_owned(), value.to_owned()));
        }
    };
    if options.catalog {
        for (name, value) in [
            ("role", "node"),
            ("segment", ""),
            ("vsn", "2"),
            ("vsn_min", "2"),
            ("vsn_max", "3"),
            ("build", BUILD),
        ] {
            add(name, value);
        }
    }
    add("role", ROLE);
    if let Some(datacenter) = &options.datacenter {
        add("dc", datacenter);
    }
    Ok(tags)
}

/// Tags that would have Consul take members for what they are not.
fn check_tag(options: &AttachOptions, name: &str, value: &str) -> Result<(), String> {
    let fault = |mend: &str| Err(format!("--tag {name}={value}: {mend}"));
    match name {
        "dc" => fault("give --datacenter"),
        "role" if value == "consul" => fault(
            "the pool's leader would take the members for servers and make them voters; use another role",
        ),
        "role" if options.catalog => fault("--catalog sets it"),
        "role" if options.pool == PoolKind::Consul && value == "node" => {
            fault("client agents have more than a role; use --catalog")
        }
        "id" if options.pool == PoolKind::Consul => {
            fault("members with one id keep everybody out of the pool; --catalog gives each its own")
        }
        "segment" | "ap" | "fips" if options.pool == PoolKind::Consul && !value.is_empty() => {
            fault("Consul refuses members with it")
        }
        _ => Ok(()),
    }
}

/// A random UUID (version 4) that follows from `seed`.
fn uuid(seed: u64) -> String {
    let bits = fastrand::Rng::with_seed(seed).u128(..);
    let bits = bits & !(0xf << 76) | 4 << 76;
    let bits = bits & !(0b11 << 62) | 0b10 << 62;
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// The wire that `options` ask for.
pub fn wire(options: &AttachOptions) -> MemberlistOptions {
    let (versions, dialect) = match options.pool {
        PoolKind::Memberlist => (Versions::PLAIN, MemberlistDialect::Memberlist),
        PoolKind::Serf => (Versions::SERF_AGENT, MemberlistDialect::Serf),
        PoolKind::Consul => (Versions::SERF, MemberlistDialect::Serf),
    };
    MemberlistOptions {
        label: options.label.clone(),
        secret_keys: options.key.iter().cloned().collect(),
        versions,
        dialect,
        ..MemberlistOptions::default()
    }
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
