//! A part of a test in a process of its own: another test of this program, which is ignored otherwise. It is listened to, and
//! killed.

#![allow(dead_code, reason = "each test file uses a part")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};

use super::PATIENCE;

/// A process, and what it says. It ends with whoever started it, however that does: its standard input is closed.
pub struct TestProcess {
    child: Child,
    until: Option<ChildStdin>,
    said: Receiver<String>,
}

impl TestProcess {
    /// What runs this program, to be given an environment.
    pub fn program() -> Command {
        Command::new(std::env::current_exe().unwrap())
    }

    /// Runs `test` of `program`.
    pub fn start(mut program: Command, test: &str) -> TestProcess {
        program.args(["--exact", test, "--ignored", "--nocapture"]);
        let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let (sender, said) = channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            // A line without an end was not written whole.
            while out.read_line(&mut line).is_ok_and(|length| length > 0) && line.ends_with('\n') {
                let _ = sender.send(line.trim_end().to_owned());
                line.clear();
            }
        });
        let until = child.stdin.take();
        TestProcess { child, until, said }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it says.
    pub fn next(&self) -> String {
        self.said.recv_timeout(PATIENCE).expect("it says more")
    }

    /// The next line in which it says `what`: the harness writes into lines, too.
    pub fn until(&self, what: &str) -> String {
        std::iter::repeat_with(|| self.next()).find(|line| line.contains(what)).unwrap()
    }

    /// Tells it `last`, and no more, and waits for its end.
    pub fn finish(mut self, last: &str) -> ExitStatus {
        self.until.take().unwrap().write_all(last.as_bytes()).unwrap();
        self.child.wait().unwrap()
    }

    /// Kills it, and gives the rest of what it has said.
    pub fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.said.iter().collect()
    }
}

impl Drop for TestProcess {
    /// Kills it, as `kill -9` does.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
