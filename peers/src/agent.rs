//! An agent that knows nothing of us, as a child process that cannot outlive its holder.
//!
//! The agent runs under a small shell that waits for two things: the agent's end, which ends the shell, and the
//! end of the shell's own standard input, which comes when the holder is dropped, returns, panics or is killed,
//! and kills the agent. `PR_SET_PDEATHSIG` would be shorter, but it fires when the *thread* ends that started the
//! process.
#![allow(clippy::disallowed_methods, reason = "waits for other processes, in real time")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::Error;
use crate::wait::wait_for;

/// `$1` is the log, the rest the agent's command line. Descriptor 3 is the shell's standard input, which a
/// background process would otherwise have replaced by /dev/null.
const KEEPER: &str = r#"
log=$1; shift
exec 3<&0
"$@" 3<&- </dev/null >"$log" 2>&1 &
agent=$!
echo "$agent"
(cat >/dev/null; kill -KILL "$agent") <&3 >/dev/null 2>&1 &
exec 3<&-
wait "$agent"
"#;

/// Bytes of the log's end that an error repeats.
const LOG_TAIL_MAX: usize = 4_096;

/// A running agent and its directory.
#[derive(Debug)]
pub(crate) struct Agent {
    name: String,
    keeper: Child,
    agent: Pid,
    directory: TempDir,
}

impl Agent {
    /// A new directory for an agent.
    pub(crate) fn directory() -> Result<TempDir, Error> {
        tempfile::Builder::new().prefix("swimring-peer-").tempdir().map_err(Error::os("make a directory"))
    }

    /// Starts `program` with these arguments; its output goes to a file in `directory`.
    pub(crate) fn start(
        name: String,
        program: &Path,
        arguments: &[String],
        directory: TempDir,
    ) -> Result<Agent, Error> {
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .arg(directory.path().join("log"))
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Error::os(format!("start {name}")))?;
        let mut line = String::new();
        if let Some(output) = keeper.stdout.take() {
            BufReader::new(output).read_line(&mut line).map_err(Error::os(format!("start {name}")))?;
        }
        let Ok(number) = line.trim().parse() else {
            let _ = keeper.kill();
            let _ = keeper.wait();
            return Err(Error::Unavailable(format!("{name} could not be started by a shell")));
        };
        Ok(Agent { name, keeper, agent: Pid::from_raw(number), directory })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.agent.as_raw().unsigned_abs()
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.path().join("log")
    }

    /// All that the agent has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read(self.log_path())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The error that says that the agent has ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<Error> {
        match self.keeper.try_wait() {
            Ok(None) => None,
            Ok(Some(_)) | Err(_) => Some(Error::Ended {
                program: self.name.clone(),
                log: tail(&self.log(), LOG_TAIL_MAX).to_string(),
            }),
        }
    }

    /// Sends a signal to the agent itself, if it still runs.
    pub(crate) fn signal(&mut self, signal: Signal) -> Result<(), Error> {
        if let Some(ended) = self.ended() {
            return Err(ended);
        }
        kill(self.agent, signal)
            .map_err(|errno| Error::Os { what: format!("signal {}", self.name), source: errno.into() })
    }

    /// Waits until the agent has ended.
    pub(crate) fn wait_for_end(&mut self, timeout: Duration) -> Result<(), Error> {
        let name = self.name.clone();
        wait_for(timeout, || format!("{name} to end"), || Ok(self.ended().map(|_| ())))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // The end of the keeper's input kills the agent, whose end ends the keeper.
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// The last `at_most` bytes of a text, from the beginning of a line where there is one.
pub(crate) fn tail(text: &str, at_most: usize) -> &str {
    let Some(mut from) = text.len().checked_sub(at_most) else { return text };
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let rest = &text[from..];
    rest.split_once('\n').map_or(rest, |(_, lines)| lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(20);

    fn start(arguments: &[&str]) -> Agent {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        Agent::start("sh".into(), Path::new("/bin/sh"), &arguments, Agent::directory().unwrap()).unwrap()
    }

    fn lives(process_id: u32) -> bool {
        Path::new(&format!("/proc/{process_id}")).exists()
    }

    #[test]
    fn dropping_the_holder_kills_the_agent_and_removes_its_directory() {
        let agent = start(&["-c", "exec sleep 1000"]);
        let (process_id, path) = (agent.process_id(), agent.path().to_path_buf());
        assert!(lives(process_id) && path.exists());
        drop(agent);
        crate::wait_until(TIMEOUT, "the agent's end", || !lives(process_id)).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn the_end_of_an_agent_is_noticed_and_its_log_repeated() {
        let mut agent = start(&["-c", "echo out of cheese; exit 3"]);
        agent.wait_for_end(TIMEOUT).unwrap();
        let text = agent.ended().expect("it has ended").to_string();
        assert!(text.contains("sh has ended") && text.contains("out of cheese"), "{text}");
        assert!(agent.signal(Signal::SIGTERM).is_err());
    }

    #[test]
    fn a_signal_reaches_the_agent_itself() {
        let mut agent =
            start(&["-c", "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done"]);
        crate::wait_until(TIMEOUT, "the trap", || agent.log().contains("ready")).unwrap();
        agent.signal(Signal::SIGTERM).unwrap();
        agent.wait_for_end(TIMEOUT).unwrap();
        assert!(agent.log().contains("bye"));
    }

    #[test]
    fn a_tail_is_whole_lines() {
        assert_eq!(tail("one\ntwo\nthree\n", 8), "three\n");
        assert_eq!(tail("one\n", 8), "one\n");
        assert_eq!(tail("ééé", 3), "é");
    }
}
