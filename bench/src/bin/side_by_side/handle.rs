//! What a datagram, or a push/pull, costs its receiver.
//!
//! The Go program feeds one memberlist instance and prints its processor time; we feed one member the same
//! bytes, and take ours. In both it is the time of the whole process per datagram: memberlist's queue,
//! worker and garbage collector are its own, and so is whatever we do. Go has one processor: with more it spends
//! more on the same work.

use std::process::Command;
use std::time::Duration;

use serde::Deserialize;
use swimring_bench::{Form, PacketDeck, PacketMember, known_push_pull};
use swimring_tooling::cpu::CpuTime;

use crate::results::{Case, median};

const KNOWN: [usize; 4] = [100, 1_000, 10_000, 50_000];
const PUSH_PULL_MEMBERS: usize = 10_000;
/// Processor time that one turn of memberlist's measures, and spends before.
const MEMBERLIST_TURN: &[&str] = &["--measure=500ms", "--warm-up=200ms"];
/// The same for one turn of ours, which is over sooner since it does more in it.
const TURN: Duration = Duration::from_millis(250);
const WARM_UP: Duration = Duration::from_millis(100);
/// By how much the bytes that both are fed may differ: members are drawn by different generators, and the header
/// of a push/pull can be written in several ways.
const BYTES_TOLERANCE: f64 = 0.01;

/// A line of the Go program.
#[derive(Deserialize)]
struct Measured {
    ns: f64,
    bytes: usize,
}

/// One turn of work that can be done again and again.
trait Work {
    /// A few of it; how many.
    fn some(&mut self) -> u32;
    fn bytes(&self) -> usize;
    /// Makes sure that it was what it says.
    fn check(&mut self);
}

struct Datagrams {
    form: Form,
    member: PacketMember,
    deck: PacketDeck,
}

impl Work for Datagrams {
    fn some(&mut self) -> u32 {
        for _ in 0..1_000 {
            self.member.handle(self.deck.draw());
        }
        1_000
    }

    fn bytes(&self) -> usize {
        self.deck.bytes()
    }

    fn check(&mut self) {
        self.member.check_datagrams(self.form);
    }
}

struct PushPulls {
    form: Form,
    member: PacketMember,
    request: Vec<u8>,
}

impl Work for PushPulls {
    fn some(&mut self) -> u32 {
        self.member.exchange(&self.request);
        1
    }

    fn bytes(&self) -> usize {
        self.request.len()
    }

    fn check(&mut self) {
        self.member.check_exchanges(self.form);
    }
}

/// Measures every case whose name contains `wanted`.
pub fn measure(rounds: usize, wanted: &str) -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    for form in Form::ALL {
        for known in KNOWN {
            let name = format!("handle/{}/{known}", form.name());
            if name.contains(wanted) {
                let (member, deck) = (PacketMember::new(form, known), PacketDeck::new(form, known));
                cases.push(alternate(name, known, rounds, &mut Datagrams { form, member, deck })?);
            }
        }
    }
    for form in Form::ALL {
        let name = format!("pushpull/{}/{PUSH_PULL_MEMBERS}", form.name());
        if name.contains(wanted) {
            let member = PacketMember::new(form, PUSH_PULL_MEMBERS);
            let request = known_push_pull(form, PUSH_PULL_MEMBERS);
            cases.push(alternate(name, PUSH_PULL_MEMBERS, rounds, &mut PushPulls { form, member, request })?);
        }
    }
    Ok(cases)
}

/// Both sides in turns.
fn alternate(name: String, known: usize, rounds: usize, work: &mut dyn Work) -> Result<Case, String> {
    let mut case = Case { name, bytes: work.bytes(), ..Case::default() };
    for _ in 0..rounds {
        let theirs = memberlist(&case.name, known)?;
        let difference = (theirs.bytes as f64 / case.bytes as f64 - 1.0).abs();
        if difference > BYTES_TOLERANCE {
            return Err(format!(
                "{}: {} bytes there, {} here: not the same work",
                case.name, theirs.bytes, case.bytes
            ));
        }
        case.memberlist_ns.push(theirs.ns);
        spend(WARM_UP, work);
        case.swimring_ns.push(spend(TURN, work));
    }
    work.check();
    let [low, middle, high] = case.ratios();
    let (theirs, ours) = (median(&case.memberlist_ns) / 1e3, median(&case.swimring_ns) / 1e3);
    eprintln!("{:<26} {theirs:>10.1} us {ours:>9.2} us  {middle:>5.1}x ({low:.1} to {high:.1})", case.name);
    Ok(case)
}

/// Works until so much processor time is spent; nanoseconds for each.
fn spend(limit: Duration, work: &mut dyn Work) -> f64 {
    let (began, mut done) = (CpuTime::of_process(), 0);
    loop {
        done += work.some();
        let spent = CpuTime::of_process().since(began).total();
        if spent >= limit {
            return spent.as_nanos() as f64 / f64::from(done);
        }
    }
}

fn memberlist(name: &str, known: usize) -> Result<Measured, String> {
    let program = swimring_peers::program("memberlist").map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.arg("bench").args(["--cases", name, "--members", &known.to_string()]).args(MEMBERLIST_TURN);
    let output =
        command.env("GOMAXPROCS", "1").output().map_err(|error| format!("memberlist-peer: {error}"))?;
    let failed = || format!("memberlist-peer, {name}: {}", String::from_utf8_lossy(&output.stderr).trim());
    if !output.status.success() {
        return Err(failed());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().next().and_then(|line| serde_json::from_str(line).ok()).ok_or_else(failed)
}
