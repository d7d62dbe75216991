//! The members to join through, and the warning before a pool that others depend on is touched.

use std::net::{IpAddr, SocketAddr};

use swimring::Resolve;
use swimring::net::{Endpoint, NetError, NetOptions};
use swimring_tooling::text::{counted, significant};

use super::addresses::OwnAddresses;
use super::schedule;
use crate::cli::{AttachOptions, PoolKind};
use crate::own_addresses;

/// Ports tried after the usual one.
const PORTS_TRIED: u16 = 100;

/// Most addresses to join through. Which are left out beyond it is drawn.
const TARGETS_MAX: usize = 1024;

/// The addresses of `--join`: all that each name stands for, in an order drawn from the run's seed; the first of
/// each name, then the second of each.
///
/// # Errors
/// One line that names the address and the mend.
pub fn resolve(options: &AttachOptions, resolver: &dyn Resolve) -> Result<Vec<SocketAddr>, String> {
    let mut rng = fastrand::Rng::with_seed(options.run.seed);
    let mut each = Vec::new();
    for given in &options.join {
        let mut found = addresses_of(given, options, resolver)?;
        rng.shuffle(&mut found);
        each.push(found);
    }
    let longest = each.iter().map(Vec::len).max().unwrap_or(0);
    let mut targets = Vec::new();
    for address in (0..longest).flat_map(|at| each.iter().filter_map(move |found| found.get(at))) {
        if targets.len() < TARGETS_MAX && !targets.contains(address) {
            targets.push(*address);
        }
    }
    Ok(targets)
}

/// What `given` stands for of the members' own family: others could not be sent to from their addresses.
fn addresses_of(
    given: &str,
    options: &AttachOptions,
    resolver: &dyn Resolve,
) -> Result<Vec<SocketAddr>, String> {
    let fault = |reason: &str| format!("--join {given}: {reason}; give an address, or a name that resolves");
    let found = match given.parse::<SocketAddr>() {
        Ok(address) => vec![address],
        Err(_) => {
            let (host, port) = given.rsplit_once(':').ok_or_else(|| fault("no port"))?;
            let port = port.parse().map_err(|_| fault("no port from 1 to 65535"))?;
            resolver.resolve(host, port).map_err(|error| fault(&error.to_string()))?
        }
    };
    if found.is_empty() {
        return Err(fault("no address"));
    }
    let family = |address: &SocketAddr| address.is_ipv4() == options.first_address.is_ipv4();
    let own: Vec<_> = found.into_iter().filter(family).collect();
    if own.is_empty() {
        return Err(format!(
            "--join {given}: not of the same address family as --first-address {}; give both as IPv4 or both as IPv6",
            options.first_address
        ));
    }
    let kind = |address: &SocketAddr| own_addresses::check_kind("--join", address.ip());
    if own.iter().all(|address| kind(address).is_err()) {
        kind(&own[0])?;
    }
    Ok(own.into_iter().filter(|address| kind(address).is_ok()).collect())
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// What has to be confirmed with `--yes`: nothing for a pool on loopback.
pub fn warning(options: &AttachOptions, targets: &[SocketAddr]) -> Option<String> {
    let elsewhere = targets.iter().find(|target| !is_loopback(target.ip()))?;
    let run = &options.run;
    let members = counted(u64::from(run.members), "member");
    let pool = match options.pool {
        PoolKind::Memberlist => "memberlist pool",
        PoolKind::Serf => "Serf cluster",
        PoolKind::Consul => "Consul data centre",
    };
    let mut doing = Vec::new();
    if run.kills > 0 {
        doing.push(format!("{} of them vanish, which every member will see fail", run.kills));
    }
    if options.churn.per_second > 0.0 {
        doing.push(format!("{} leave and join a second", significant(options.churn.per_second)));
    }
    if run.events.per_second > 0.0 {
        doing.push(format!("{} user events a second go to every member", significant(run.events.per_second)));
    }
    let doing = if doing.is_empty() { "they only take part".to_owned() } else { doing.join(", ") };
    let ramp = schedule::told(schedule::ramp(options));
    let catalog = if options.catalog { " The catalogue will list each as a node." } else { "" };
    Some(format!(
        "--join {elsewhere} is not on this machine's loopback: {members} would join the {pool} there at {} a \
         second. Each join moves the pool's whole view, and everybody will hear of it, keep it in memory and \
         probe it; for {} {doing}, after a ramp of {ramp} and before leaves of {ramp}. Suspicion timeouts and gossip grow with the pool's size while it lasts.{catalog} All \
         that remain leave at the end and on Ctrl-C; in members' lists they stay as left, and those that vanished as failed, \
         until they are reaped. Add --yes to do it",
        significant(options.ramp.per_second),
        humantime::format_duration(run.duration),
    ))
}

/// Checks that this machine has the members' addresses, and that `targets` can be reached from them.
///
/// # Errors
/// One line that names the flag and the mend.
pub fn check_addresses(addresses: &OwnAddresses, targets: &[SocketAddr]) -> Result<(), String> {
    own_addresses::check(addresses.members(), |number| addresses.of(number).ip())?;
    let first = addresses.first().ip();
    match targets.iter().find(|target| !is_loopback(target.ip())) {
        Some(target) if is_loopback(first) => Err(format!(
            "--first-address {first}: {target} cannot reach members on loopback; give addresses of this machine \
             that it can reach"
        )),
        _ => Ok(()),
    }
}

/// A port that the workers can have on all addresses: the one asked for, or the usual one or the next that is
/// free.
///
/// # Errors
/// One line that names the flag and the mend.
pub fn pick_port(options: &AttachOptions) -> Result<u16, String> {
    let wildcard = wildcard(options.first_address);
    let workers = options.run.workers as u16;
    let free = |port: u16| -> Result<(), NetError> {
        for worker in 0..workers {
            Endpoint::bind(SocketAddr::new(wildcard, port + worker), &NetOptions::default())?;
        }
        Ok(())
    };
    let wanted = options.port_wanted();
    let tries = if options.port.is_some() { 1 } else { PORTS_TRIED };
    for port in (wanted..=u16::MAX - (workers - 1)).take(usize::from(tries)) {
        match free(port) {
            Ok(()) => return Ok(port),
            Err(NetError::PortInUse { .. }) => {}
            Err(error) => return Err(format!("--port {port}: {error}")),
        }
    }
    Err(match options.port {
        Some(port) => format!(
            "--port {port}: in use on this machine, if only on one address, and members at their own addresses take \
             a port on all of them; choose another, or leave it out for the next that is free"
        ),
        None => format!("--port: none of the {PORTS_TRIED} ports from {wanted} on is free; name one"),
    })
}

/// All addresses of `address`' family.
pub fn wildcard(address: IpAddr) -> IpAddr {
    if address.is_ipv4() { IpAddr::from([0_u8; 4]) } else { IpAddr::from([0_u8; 16]) }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::attach::tests::options;

    /// Every name has ten addresses of each family.
    #[derive(Debug)]
    struct Ten;

    impl Resolve for Ten {
        fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
            let name = host.len() as u8;
            let v6 = (0..10).map(|number| SocketAddr::from(([0xfd00, 0, 0, 0, 0, 0, 0, number], port)));
            Ok(v6.chain((0..10).map(|number| SocketAddr::from(([10, 0, name, number], port)))).collect())
        }
    }

    #[test]
    fn every_address_of_every_name_is_a_target_and_their_order_is_drawn() {
        let of_seed = |seed: &str| {
            let options = options(&["--join", "a,bb:80,10.9.9.9", "--seed", seed]);
            resolve(&options, &Ten).unwrap()
        };
        let targets = of_seed("1");
        assert_eq!(targets.len(), 21);
        assert!(targets.iter().all(SocketAddr::is_ipv4), "{targets:?}");
        // Each name has its turn before any has a second one.
        assert_eq!(targets[2], SocketAddr::from(([10, 9, 9, 9], 7946)));
        assert_eq!((targets[1].port(), targets[4].port()), (80, 80));
        assert_eq!(targets, of_seed("1"));
        assert_ne!(targets, of_seed("2"));
    }

    #[test]
    fn a_name_of_the_other_family_alone_is_refused() {
        let options = options(&["--join", "[fd00::1]:80"]);
        let fault = resolve(&options, &Ten).unwrap_err();
        assert!(fault.contains("not of the same address family as --first-address 127."), "{fault}");
    }
}
