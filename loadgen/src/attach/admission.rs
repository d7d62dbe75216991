//! Whether the pool takes us in: looked at once, when the first member has joined and before the others do.
//!
//! A pool may answer a join with its view and drop the newcomer without a word: upstream's merge delegates
//! refuse on their own side only. Then nobody there probes us or gossips to us, and that is how it shows. What
//! can be told from the view itself, names that are taken and data centres that differ, is told at once.

use std::net::SocketAddr;

use swimring::State;
use swimring_codec::serf::Tags;

use super::addresses::OwnAddresses;
use super::identity::Names;
use crate::cli::{AttachOptions, PoolKind};

/// A member of the pool, as the first of ours has it in its view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenBits {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: SocketAddr,
    /// Its metadata.
    pub metadata: Vec<u8>,
    /// Its state in the view.
    pub state: State,
}

/// Checks the view of the first member. Gives how many real members live in it.
///
/// # Errors
/// One line that says why the pool does not suit us, and the mend.
pub fn check(
    options: &AttachOptions,
    names: &Names,
    addresses: &OwnAddresses,
    view: &[SeenBits],
) -> Result<usize, String> {
    let live: Vec<&SeenBits> =
        view.iter().filter(|seen| seen.state.is_live() && !addresses.contains(seen.address)).collect();
    if live.is_empty() {
        return Err("--join: nobody in the pool is alive besides us; give a member of it".to_owned());
    }
    if let Some(taken) = live.iter().find(|seen| names.number_of(&seen.name).is_some()) {
        return Err(format!(
            "--name-prefix {}: the pool has a member {} already, at {}; choose another prefix",
            options.name_prefix, taken.name, taken.address
        ));
    }
    if options.pool == PoolKind::Consul {
        check_consul(options, &live)?;
    }
    Ok(live.len())
}

fn check_consul(options: &AttachOptions, live: &[&SeenBits]) -> Result<(), String> {
    let mut agents = 0;
    for seen in live {
        let Ok(tags) = Tags::decode(&seen.metadata) else { continue };
        if !matches!(tags.get("role"), Some("consul" | "node")) {
            continue;
        }
        agents += 1;
        let (theirs, ours) =
            (tags.get("dc").unwrap_or_default(), options.datacenter.as_deref().unwrap_or_default());
        if theirs != ours {
            return Err(format!(
                "--datacenter {ours}: {} is in data centre {theirs}; give --datacenter {theirs}",
                seen.name
            ));
        }
    }
    if agents == 0 {
        return Err("--pool consul: nobody in the pool is a Consul agent; use --pool serf".to_owned());
    }
    Ok(())
}

/// What to say of a pool that answered the join and has not been heard of since.
pub fn ignored(options: &AttachOptions, target: SocketAddr, seconds: u64) -> String {
    let hint = match options.pool {
        PoolKind::Memberlist => "a merge delegate there may refuse us",
        PoolKind::Serf => "a merge delegate there may refuse us, or our tags",
        PoolKind::Consul => "a server there may refuse us: look for \"merge\" in its log",
    };
    format!(
        "--join {target}: it answered the join, and in {seconds} s nobody there has probed or gossiped to our first \
         member, as they do with members they know: {hint}; or datagrams do not reach {}",
        options.first_address
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attach::tests::options;

    fn seen(name: &str, last: u8, tags: &[(&str, &str)]) -> SeenBits {
        SeenBits {
            name: name.to_owned(),
            address: SocketAddr::from(([127, 0, 0, last], 8301)),
            metadata: Tags::encode(tags).unwrap(),
            state: State::Alive,
        }
    }

    fn checked(flags: &[&str], view: &[SeenBits]) -> Result<usize, String> {
        let options = options(flags);
        let addresses = options.addresses(7946).unwrap();
        check(&options, &Names::new(&options.name_prefix, options.run.members), &addresses, view)
    }

    #[test]
    fn a_consul_pool_of_our_data_centre_suits_us() {
        let server = seen("server-1", 1, &[("role", "consul"), ("dc", "dc1")]);
        let stranger = seen("other", 2, &[("role", "probe"), ("dc", "dc9")]);
        assert_eq!(checked(&["--pool", "consul"], &[server.clone(), stranger.clone()]), Ok(2));
        let fault = checked(&["--pool", "consul", "--datacenter", "dc2"], &[server]).unwrap_err();
        assert_eq!(fault, "--datacenter dc2: server-1 is in data centre dc1; give --datacenter dc1");
        let fault = checked(&["--pool", "consul"], &[stranger]).unwrap_err();
        assert!(fault.ends_with("use --pool serf"), "{fault}");
    }

    #[test]
    fn names_that_are_taken_and_empty_pools_are_told() {
        let taken = seen("swimring-00003", 1, &[]);
        let fault = checked(&["--pool", "serf"], std::slice::from_ref(&taken)).unwrap_err();
        assert!(fault.starts_with("--name-prefix swimring: the pool has a member swimring-00003"), "{fault}");
        assert_eq!(
            checked(&["--pool", "serf", "--name-prefix", "other"], std::slice::from_ref(&taken)),
            Ok(1)
        );
        let gone = SeenBits { state: State::Left, ..taken };
        let fault = checked(&["--pool", "serf"], &[gone]).unwrap_err();
        assert!(fault.starts_with("--join: nobody"), "{fault}");
    }
}
