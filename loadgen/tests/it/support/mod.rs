//! The binary, started, watched through its own metrics, signalled and waited for.

// Tests meet the clock, ports and processes.
#![allow(clippy::disallowed_methods)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use swimring_loadgen::report::Report;
use swimring_tooling::layers::shielded;

/// Times a run is tried again that found this machine too busy to be measured: its own words, status 98.
const TRIES: usize = 4;

/// Settings under which a kill is known everywhere within three seconds, and which still forgive a test
/// machine that stalls for a tenth of one.
pub const QUICK: [&str; 8] = [
    "--probe-interval-ms",
    "500",
    "--probe-timeout-ms",
    "400",
    "--suspicion-multiplier",
    "2",
    "--gossip-interval-ms",
    "50",
];

/// The binary with arguments.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_swimring-loadgen"));
    shielded(&mut command).args(arguments);
    command
}

/// Runs the binary to its end.
pub fn loadgen(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the binary was built with this test")
}

/// `run` with [`QUICK`] settings and `arguments`; again if this machine was too busy meanwhile.
pub fn run(arguments: &[&str]) -> Output {
    let arguments = [&["run"], &QUICK[..], arguments].concat();
    for _ in 1..TRIES {
        let output = loadgen(&arguments);
        if output.status.code() != Some(98) {
            return output;
        }
    }
    loadgen(&arguments)
}

/// The JSON report of `run`, which must be valid, and its exit status.
pub fn report(arguments: &[&str]) -> (Report, Option<i32>) {
    let output = run(&[arguments, &["--json", "-"]].concat());
    let report = Report::from_json(&text(&output.stdout)).unwrap_or_else(|fault| {
        panic!("{fault}: {}", text(&output.stderr));
    });
    assert!(report.valid, "{:?}", report.invalid_reasons);
    (report, output.status.code())
}

/// Output as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is UTF-8")
}

/// A port that was free for TCP a moment ago.
pub fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    free.expect("this machine has a free port").port()
}

/// A run in progress, with its metrics.
pub struct Running {
    child: Child,
    stderr: BufReader<ChildStderr>,
    metrics: SocketAddr,
}

impl Running {
    /// Starts `run` with `arguments` and waits for the line that says so. Standard output goes to `stdout`.
    pub fn start(arguments: &[&str], stdout: Stdio) -> Running {
        Running::begin(&[&["run"], arguments].concat(), stdout)
    }

    /// Starts any command that measures.
    pub fn begin(arguments: &[&str], stdout: Stdio) -> Running {
        let metrics = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut child = command(&[arguments, &["--metrics", &metrics.to_string()]].concat())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary was built with this test");
        let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut running = Running { child, stderr, metrics };
        running.wait_for_line("measuring");
        running
    }

    /// Reads standard error up to a line that contains `part`.
    pub fn wait_for_line(&mut self, part: &str) {
        let mut read = String::new();
        while !read.lines().last().is_some_and(|line| line.contains(part)) {
            let length = self.stderr.read_line(&mut read).expect("standard error is UTF-8");
            assert!(length > 0, "the run ended without a line with `{part}`: {read}");
        }
    }

    /// One scrape, as Prometheus does it.
    pub fn scrape(&self) -> String {
        let mut stream = TcpStream::connect(self.metrics).expect("the endpoint answers");
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).expect("metrics are UTF-8");
        assert!(page.starts_with("HTTP/1.1 200 OK"), "{page}");
        page
    }

    /// Waits until the metrics say that the run is in `phase`.
    pub fn wait_for_phase(&mut self, phase: &str) {
        let line = format!("swimring_phase{{phase=\"{phase}\"}} 1");
        while !self.scrape().lines().any(|shown| shown == line) {
            let ended = self.child.try_wait().expect("it is our child");
            assert!(ended.is_none(), "the run ended before it was {phase}: {ended:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id is an i32");
        kill(Pid::from_raw(pid), signal).expect("it is our child");
    }

    /// Waits for the end: exit status, standard output if it was piped, and the rest of standard error.
    pub fn end(mut self) -> (Option<i32>, String, String) {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        if let Some(mut pipe) = self.child.stdout.take() {
            pipe.read_to_string(&mut stdout).expect("output is UTF-8");
        }
        self.stderr.read_to_string(&mut stderr).expect("standard error is UTF-8");
        let status = self.child.wait().expect("it is our child");
        (status.code(), stdout, stderr)
    }
}
