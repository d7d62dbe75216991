//! A cluster of memberlist's, in the Go program.

use std::net::Ipv4Addr;
use std::time::Duration;

use swimring_peers::Error;
use swimring_peers::memberlist::{MemberlistOptions, MemberlistPeer};

use crate::cluster::{
    BOOTSTRAP_MAX, DETECTION_MAX, EVENT_BYTES, EVENT_WINDOW, EVENTS_PER_SECOND, IDLE, KILL_SPAN, KILLS,
    SETTLE, events,
};
use crate::results::{Cluster, Whose, now, spread, wait};

/// Away from the addresses that tests use.
const FIRST_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 60, 0, 1);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Runs a cluster of this size.
pub fn run(whose: Whose, members: usize) -> Result<Cluster, String> {
    let mut cluster = Cluster::new(whose, members);
    measure(&mut cluster).map_err(|error| format!("{} of {members}: {error}", whose.title()))?;
    Ok(cluster)
}

fn measure(cluster: &mut Cluster) -> Result<(), Error> {
    let options = MemberlistOptions {
        first_address: FIRST_ADDRESS,
        members: cluster.members,
        compression: cluster.whose != Whose::MemberlistPlain,
        quiet_events: true,
        log_level: "none",
        start_timeout: BOOTSTRAP_MAX,
        ..MemberlistOptions::default()
    };
    let Some(mut peer) = start(cluster, options)? else { return Ok(()) };
    wait(SETTLE);
    let idle_us = idle(cluster, &mut peer)?;
    spread_events(cluster, &mut peer, idle_us)?;
    kill(cluster, &mut peer)
}

/// Starts and joins all; nothing if the views did not become complete.
fn start(cluster: &mut Cluster, options: MemberlistOptions) -> Result<Option<MemberlistPeer>, Error> {
    let began = now();
    let mut peer = match MemberlistPeer::start(options) {
        Ok(peer) => peer,
        Err(Error::Timeout { .. } | Error::Refused { .. }) => return Ok(give_up(cluster)),
        Err(error) => return Err(error),
    };
    match peer.wait_for_count(cluster.members, BOOTSTRAP_MAX.saturating_sub(began.elapsed())) {
        Ok(()) => {
            cluster.bootstrap_s = Some(began.elapsed().as_secs_f64());
            Ok(Some(peer))
        }
        Err(Error::Timeout { .. }) => {
            cluster.resident_bytes = Some(peer.stats()?.resident_bytes);
            Ok(give_up(cluster))
        }
        Err(error) => Err(error),
    }
}

fn give_up(cluster: &mut Cluster) -> Option<MemberlistPeer> {
    cluster.remarks.push(format!("views not complete within {} s", BOOTSTRAP_MAX.as_secs()));
    None
}

/// Processor time while nothing happens: microseconds per second by the wall.
fn idle(cluster: &mut Cluster, peer: &mut MemberlistPeer) -> Result<f64, Error> {
    let before = peer.stats()?;
    wait(IDLE);
    let after = peer.stats()?;
    let idle_us = (after.cpu_s - before.cpu_s) * 1e12 / (after.time_us - before.time_us) as f64;
    cluster.idle_us_per_member_second = Some(idle_us / cluster.members as f64);
    cluster.resident_bytes = Some(after.resident_bytes);
    Ok(idle_us)
}

/// Sends events from one member after the other and takes what they cost above idling.
fn spread_events(cluster: &mut Cluster, peer: &mut MemberlistPeer, idle_us: f64) -> Result<(), Error> {
    let (began, before) = (now(), peer.stats()?);
    let mut sent = Vec::new();
    for number in 0..events() {
        let due = Duration::from_secs(number as u64) / EVENTS_PER_SECOND as u32;
        wait(due.saturating_sub(began.elapsed()));
        let mut payload = vec![b'e'; EVENT_BYTES];
        payload[..8].copy_from_slice(format!("{number:08}").as_bytes());
        let sender = number * 7 % cluster.members;
        let sent_us = peer.event(sender, swimring_peers::memberlist::Message::Raw(payload.clone()))?;
        sent.push((sender, sent_us, payload));
    }
    wait(EVENT_WINDOW.saturating_sub(began.elapsed()));
    let after = peer.stats()?;
    let window_s = (after.time_us - before.time_us) as f64 / 1e6;
    let spent_us = (after.cpu_s - before.cpu_s) * 1e6 - idle_us * window_s;
    cluster.events = sent.len();
    cluster.us_per_event_per_member =
        (spent_us > 0.0).then(|| spent_us / (sent.len() * cluster.members) as f64);
    let mut delays_ms = Vec::new();
    for (sender, sent_us, payload) in &sent {
        let others = peer.heard(payload)?.into_iter().filter(|heard| heard.at != *sender);
        delays_ms.extend(others.map(|heard| (heard.time_us - sent_us) as f64 / 1e3));
    }
    let expected = sent.len() * (cluster.members - 1);
    cluster.delivered_ratio = Some(delays_ms.len() as f64 / expected as f64);
    let [_, middle, last] = spread(delays_ms);
    (cluster.spread_ms_p50, cluster.spread_ms_max) = (Some(middle), Some(last));
    cluster.false_deaths = Some(after.log.marked_failed);
    Ok(())
}

/// Stops some members without a word and waits until everyone knows.
fn kill(cluster: &mut Cluster, peer: &mut MemberlistPeer) -> Result<(), Error> {
    let mut victims = Vec::new();
    for number in 0..KILLS {
        let victim = (2 * number + 1) * cluster.members / (2 * KILLS);
        victims.push((peer.name(victim), peer.kill(victim)?));
        wait(KILL_SPAN / (KILLS as u32 - 1));
    }
    let (began, observers) = (now(), cluster.members - KILLS);
    let (mut firsts, mut lasts) = (Vec::new(), Vec::new());
    for (name, killed_us) in &victims {
        let times = loop {
            let departures = peer.departures(name)?;
            let times: Vec<f64> =
                departures.iter().map(|departure| (departure.time_us - killed_us) as f64 / 1e6).collect();
            // Other victims may have learned of it before their own end.
            let knowing =
                departures.iter().filter(|departure| !is_victim(&victims, peer, departure.at)).count();
            if knowing >= observers || began.elapsed() > DETECTION_MAX {
                break (times, knowing >= observers);
            }
            wait(LOOK_EVERY);
        };
        let ([first, _, last], detected) = (spread(times.0), times.1);
        if detected {
            firsts.push(first);
            lasts.push(last);
        }
    }
    cluster.kills = KILLS;
    cluster.kills_detected = Some(firsts.len());
    if !firsts.is_empty() {
        cluster.first_detection_s = Some(spread(firsts)[1]);
        cluster.last_detection_s = Some(spread(lasts)[2]);
    }
    Ok(())
}

fn is_victim(victims: &[(String, i64)], peer: &MemberlistPeer, member: usize) -> bool {
    let name = peer.name(member);
    victims.iter().any(|(victim, _)| *victim == name)
}
