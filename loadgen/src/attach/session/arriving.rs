//! Joining the pool: the first member alone, until the pool is seen to accept it, then the others, and then a wait
//! until all views agree.

use std::time::Duration;

use swimring::net::Trains;
use swimring::worker::Host;
use swimring_codec::MemberId;
use swimring_tooling::output::tell;
use swimring_tooling::text::counted;

use super::{Attachment, LOOK_EVERY, LOOK_OFTEN, Session};
use crate::attach::admission::{self, SeenBits};
use crate::attach::contact;
use crate::attach::roster::Stage;
use crate::attach::watch::Watch;
use crate::cli::PROGRAM;
use crate::progress::Phase;

/// How long views may take to be complete once everybody has joined.
const CONVERGENCE_MAX: Duration = Duration::from_secs(60);
/// Until members whose view lacks somebody ask for another one, and how many of a worker's do so at once.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(5);
const ASKED_AT_ONCE: usize = 8;

impl Session<'_> {
    /// Brings everybody in. How long it took until every view was complete.
    pub(super) fn join(&mut self, phases: &mut Attachment<'_, '_>) -> Result<Option<Duration>, String> {
        self.begun = phases.fleet.elapsed();
        self.joiner.add(0, self.begun);
        self.join_outstanding(phases)?;
        self.admitted(phases)?;
        let now = phases.fleet.elapsed();
        (1..self.options.run.members).for_each(|number| self.joiner.add(number, now));
        self.join_outstanding(phases)?;
        self.converge(phases)
    }

    fn join_outstanding(&mut self, phases: &mut Attachment<'_, '_>) -> Result<(), String> {
        while self.joiner.outstanding() > 0 {
            phases.unless_interrupted()?;
            self.joiner.advance(&phases.fleet)?;
            phases.sample(self, Phase::Starting, phases.fleet.elapsed() - self.begun, Some(self.joins()))?;
            let now = phases.fleet.elapsed();
            let due = self.joiner.next_due().map_or(LOOK_OFTEN, |due| due.saturating_sub(now));
            std::thread::sleep(due.clamp(Duration::from_millis(1), LOOK_OFTEN));
        }
        Ok(())
    }

    /// Joins that succeeded, and how many it takes.
    fn joins(&self) -> (u64, u64) {
        (self.common.roster.at(Stage::Present).count() as u64, u64::from(self.options.run.members))
    }

    /// Whether the pool takes the first member in.
    fn admitted(&mut self, phases: &mut Attachment<'_, '_>) -> Result<(), String> {
        let view = phases.fleet.ask(0, |host, _| {
            let first = host.member(0);
            let known = first.into_iter().flat_map(|member| member.members(host.shared()));
            known
                .map(|known| SeenBits {
                    name: known.name.to_owned(),
                    address: known.address,
                    metadata: known.metadata.to_vec(),
                    state: known.state,
                })
                .collect::<Vec<_>>()
        });
        let view = view.map_err(|error| error.to_string())?;
        let live = admission::check(self.options, &self.common.names, &self.common.addresses, &view)?;
        if !self.options.run.quiet {
            tell(PROGRAM, &format!("the pool has {}", counted(live as u64, "member")));
        }
        let patience = contact::patience(&phases.settings);
        let since = phases.fleet.elapsed();
        while phases.fleet.ask(0, |host, _| host.observer.heard.noticed).map_err(|error| error.to_string())?
            == 0
        {
            phases.unless_interrupted()?;
            if phases.fleet.elapsed() - since > patience {
                return Err(admission::ignored(self.options, self.joiner.contact(), patience.as_secs()));
            }
            phases.sample(self, Phase::Starting, phases.fleet.elapsed() - self.begun, Some(self.joins()))?;
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Waits until all views agree on who is there. A rumour misses some, and memberlist's push/pulls, which
    /// would repair that, come minutes apart in a large pool: a member whose view still lacks another after a
    /// while asks for one view more.
    fn converge(&mut self, phases: &mut Attachment<'_, '_>) -> Result<Option<Duration>, String> {
        let since = phases.fleet.elapsed();
        let mut ask_at = since + ASK_AGAIN_AFTER;
        loop {
            let now = phases.fleet.elapsed();
            if self.is_complete(phases)? {
                return Ok(Some(now - self.begun));
            }
            phases.unless_interrupted()?;
            if now - since > CONVERGENCE_MAX {
                return Ok(None);
            }
            if now >= ask_at {
                self.ask_again(phases)?;
                ask_at = now + ASK_AGAIN_AFTER;
            }
            phases.sample(self, Phase::Starting, now - self.begun, Some(self.joins()))?;
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Has those whose view lacks somebody join once more, a few at a time.
    fn ask_again(&self, phases: &Attachment<'_, '_>) -> Result<(), String> {
        let most = live_bounds(phases)?.1;
        let target = self.joiner.contact();
        let asked = phases.fleet.ask_all(|_| {
            Box::new(move |host: &mut Host<Watch>, trains: &mut Trains| {
                let lacking = host.members().filter(|(_, member)| member.live() < most);
                let lacking: Vec<_> = lacking.map(|(local, _)| local).take(ASKED_AT_ONCE).collect();
                for local in lacking {
                    host.command(local, trains, |member, now, commons, out| {
                        member.join(now, target, MemberId::NONE, 0, commons, out);
                    });
                }
            })
        });
        asked.map(|_| ()).map_err(|error| error.to_string())
    }

    fn is_complete(&self, phases: &Attachment<'_, '_>) -> Result<bool, String> {
        let (least, most) = live_bounds(phases)?;
        Ok(least == most && most > self.options.run.members as usize)
    }
}

/// The fewest and the most members that any of ours holds to be alive.
fn live_bounds(phases: &Attachment<'_, '_>) -> Result<(usize, usize), String> {
    let bounds = phases.fleet.ask_all(|_| {
        Box::new(|host: &mut Host<Watch>, _: &mut Trains| {
            let live = host.members().map(|(_, member)| member.live());
            live.fold((usize::MAX, 0), |(least, most), live| (least.min(live), most.max(live)))
        })
    });
    let bounds = bounds.map_err(|error| error.to_string())?;
    let least = bounds.iter().map(|(least, _)| *least).min().unwrap_or(0);
    let most = bounds.iter().map(|(_, most)| *most).max().unwrap_or(0);
    Ok((least, most))
}
