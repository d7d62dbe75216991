//! `swimring-loadgen attach`, from checked options to an exit status.

use std::net::SocketAddr;
use std::time::Duration;

use swimring::SystemResolver;
use swimring_tooling::environment::{self, Environment};
use swimring_tooling::exit::Exit;
use swimring_tooling::output::tell;
use swimring_tooling::refusal::complain;

use super::outcome::Merged;
use super::plan::AttachPlan;
use super::{contact, session, targets};
use crate::BUILD;
use crate::bottleneck;
use crate::cli::{AttachOptions, PROGRAM};
use crate::preflight::{self, Needs};
use crate::report::{Report, Subject, changed_settings};
use crate::run::{self, Executed};

/// What an attachment leaves behind.
pub(super) struct Attached {
    /// The same as a run leaves.
    pub(super) executed: Executed,
    /// Everything heard of real members.
    pub(super) merged: Merged,
    /// Longest silence of the pool before it counts as cut off.
    pub(super) patience: Duration,
}

/// Carries out `attach`: everything is said on standard output and standard error.
pub fn attach(options: &AttachOptions) -> Exit {
    let told = |faults: Vec<String>, exit: Exit| {
        complain(PROGRAM, &faults);
        exit
    };
    let targets = match targets::resolve(options, &SystemResolver) {
        Ok(targets) => targets,
        Err(fault) => return told(vec![fault], Exit::CouldNotRun),
    };
    if let Some(warning) = targets::warning(options, &targets).filter(|_| !options.yes) {
        return told(vec![warning], Exit::BadArguments);
    }
    attempt(options, &targets).unwrap_or_else(|faults| told(faults, Exit::CouldNotRun))
}

/// An attachment, or one line per reason why not.
fn attempt(options: &AttachOptions, targets: &[SocketAddr]) -> Result<Exit, Vec<String>> {
    let environment = Environment::here(BUILD);
    let one = |fault: String| vec![fault];
    let asked = options.addresses(options.port_wanted()).map_err(one)?;
    targets::check_addresses(&asked, targets).map_err(one)?;
    preflight::check(options.run.members, &Needs::of(&options.run))?;
    let port = targets::pick_port(options).map_err(one)?;
    if options.port.is_none() && port != options.port_wanted() && !options.run.quiet {
        let wanted = options.port_wanted();
        tell(PROGRAM, &format!("port {wanted} is in use here; the members are at port {port}"));
    }
    let mut options = options.clone();
    options.run.bind = targets::wildcard(options.first_address);
    options.run.port = port;
    let run = &options.run;
    let plan = AttachPlan::new(run.members, run.duration, run.kills, run.events, options.churn, run.seed);
    run::carry_out(
        run,
        &plan.plan,
        |surroundings| session::execute(&options, &plan, targets, surroundings),
        |attached| assemble(&options, attached, environment),
    )
}

/// The report of an attachment that began in `environment`, with its objectives judged.
fn assemble(options: &AttachOptions, attached: Attached, environment: Environment) -> Report {
    let Attached { executed, mut merged, patience } = attached;
    for line in &merged.shed {
        tell(PROGRAM, line);
    }
    let mut reasons = bottleneck::reasons(&executed.measurements, executed.probe_timeout);
    merged.real_members.cut_off = contact::reasons(&merged.contact, &merged.real_members, patience);
    reasons.extend(merged.real_members.cut_off.iter().cloned());
    let mut settings = options.settings();
    let mut defaults = options.default_settings(environment::cores());
    settings.extend(executed.protocol);
    defaults.extend(executed.protocol_preset);
    let subject = Subject {
        seed: options.run.seed,
        wire: executed.wire,
        settings_changed: changed_settings(&settings, &defaults),
        settings,
        environment,
    };
    let mut report = Report::new(subject, &executed.measurements, reasons);
    report.false_deaths += merged.false_deaths;
    report.real_members = Some(merged.real_members);
    let value = report.to_value();
    report.slos = options.run.slos.iter().map(|slo| slo.judge(&value)).collect();
    report
}
