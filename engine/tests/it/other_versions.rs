//! Members of another version of the native format are refused: each frame and stream message is counted, and the
//! first one is a line in the log.

#![allow(clippy::disallowed_methods, reason = "real sockets are what is waited for")]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use swimring::protocol::Event;
use swimring::worker::{EventContext, Fleet, FleetOptions, Observer};
use swimring_codec::native::{DecodeError, FrameHeader, FrameWriter, HEADER_LEN, VERSION};
use swimring_codec::{Incarnation, MemberId};

/// How long to wait for what must happen: far longer than it takes.
const PATIENCE: Duration = Duration::from_secs(30);

struct Nobody;

impl Observer for Nobody {
    fn event(&mut self, _: &EventContext<'_>, _: &Event) {}
}

/// What the engine's workers say, of all fleets of this program.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn install() -> Log {
        let log = Log::default();
        let writer = log.clone();
        let format = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing_subscriber::filter::LevelFilter::WARN);
        format.with_writer(move || writer.clone()).init();
        log
    }

    /// Lines that name `address`.
    fn of(&self, address: SocketAddr) -> Vec<String> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&bytes);
        text.lines().filter(|line| line.contains(&format!("from={address}"))).map(str::to_owned).collect()
    }
}

/// A frame without messages, as `version` begins it.
fn frame(version: u8) -> Vec<u8> {
    let header =
        FrameHeader { cluster: 0, source: MemberId(7), destination: MemberId::NONE, root: 0, quiet: false };
    let mut bytes = vec![0; HEADER_LEN];
    FrameWriter::new(header, &mut bytes).expect("room for the header").finish();
    bytes[0] = version;
    bytes
}

fn refused(fleet: &Fleet<Nobody>) -> u64 {
    fleet.ask(0, |host, _| host.counters().refused[DecodeError::Version(0).index()]).unwrap()
}

fn wait_until_refused(fleet: &Fleet<Nobody>, count: u64) {
    let begun = Instant::now();
    while refused(fleet) < count {
        assert!(begun.elapsed() < PATIENCE, "{} of {count} were refused", refused(fleet));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(refused(fleet), count);
}

#[test]
fn another_version_is_counted_each_time_and_said_once() {
    let log = Log::install();
    let mut fleet = Fleet::start(&FleetOptions::default(), |_| Nobody).unwrap();
    fleet.ask(0, |host, _| host.add("alice", b"", Incarnation::new(1)).map(|_| ()).unwrap()).unwrap();
    let address = fleet.address(0);

    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let from = socket.local_addr().unwrap();
    for _ in 0..3 {
        socket.send_to(&frame(1), address).unwrap();
    }
    socket.send_to(&frame(VERSION), address).unwrap();
    wait_until_refused(&fleet, 3);
    let lines = log.of(from);
    let [line] = &lines[..] else { panic!("not one line: {lines:?}") };
    for part in ["WARN", "theirs=1", &format!("ours={VERSION}"), "one version in the whole cluster"] {
        assert!(line.contains(part), "{part} is not in: {line}");
    }

    // A member of version 1 that wants to join.
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let joining = stream.local_addr().unwrap();
    let message = frame(1);
    stream.write_all(&u32::try_from(message.len()).unwrap().to_le_bytes()).unwrap();
    stream.write_all(&message).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "the stream is closed without an answer");
    wait_until_refused(&fleet, 4);
    assert_eq!(log.of(joining), Vec::<String>::new(), "said already");
    fleet.stop().unwrap();
}
