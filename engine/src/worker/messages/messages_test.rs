//! Tests of both sides together: whatever breaks, what is delivered is delivered once and in order, and every message ends.

use std::collections::VecDeque;

use swimring_codec::native::{STREAM_PREFIX_LEN, StreamBody, StreamMessage};

use super::*;

const TO: MemberId = MemberId(2);
const FROM: MemberId = MemberId(1);

fn at(ms: u64) -> Time {
    Time::from_micros(ms * 1_000)
}

fn header() -> FrameHeader {
    FrameHeader { cluster: 1, source: FROM, destination: TO, root: 0, quiet: false }
}

/// A stream between the two sides, with what is on its way on it.
#[derive(Default)]
struct Wire {
    token: u64,
    there: VecDeque<(u64, u64, Vec<u8>)>,
    back: VecDeque<(u64, DirectOutcome)>,
}

/// The messages that `outgoing` writes.
fn written(outgoing: &mut Outgoing, now: Time) -> Vec<(u64, u64, Vec<u8>)> {
    let mut bytes = Vec::new();
    outgoing.write(TO, now, &mut StreamWriter::new(header(), &mut bytes));
    let (mut rest, mut turns) = (&bytes[..], Vec::new());
    while let Some((prefix, tail)) = rest.split_first_chunk::<STREAM_PREFIX_LEN>() {
        let (message, tail) = tail.split_at(u32::from_le_bytes(*prefix) as usize);
        let StreamBody::Direct(turn) = StreamMessage::decode(message).unwrap().body else { panic!("a turn") };
        turns.push((turn.session, turn.sequence, turn.payload.to_vec()));
        rest = tail;
    }
    turns
}

struct Both {
    outgoing: Outgoing,
    incoming: Incoming,
    wire: Option<Wire>,
    tokens: u64,
    now: Time,
    delivered: Vec<u64>,
    ended: HashMap<u64, Option<MessageFailure>>,
}

impl Both {
    fn new() -> Both {
        Both {
            outgoing: Outgoing::new(7, Duration::from_secs(5), Duration::from_secs(2)),
            incoming: Incoming::default(),
            wire: None,
            tokens: 0,
            now: at(1),
            delivered: Vec::new(),
            ended: HashMap::new(),
        }
    }

    fn send(&mut self, ticket: u64, timeout_ms: u64) -> bool {
        let deadline = self.now + Duration::from_millis(timeout_ms);
        self.outgoing.push(TO, (ticket, DirectRole::Message, deadline), ticket.to_le_bytes().to_vec())
    }

    fn forward(&mut self) {
        match self.outgoing.ready(TO, self.now) {
            None => {}
            Some(Ready::NewStream) => {
                self.tokens += 1;
                let there = written(&mut self.outgoing, self.now).into();
                self.outgoing.opened(TO, self.tokens, ExchangeId::numbered(self.tokens), self.now);
                self.wire = Some(Wire { token: self.tokens, there, back: VecDeque::new() });
            }
            Some(Ready::On(_)) => {
                let more = written(&mut self.outgoing, self.now);
                self.wire.as_mut().unwrap().there.extend(more);
            }
        }
    }

    fn end(&mut self, ended: impl IntoIterator<Item = Ended>) {
        for Ended { ticket, failure, .. } in ended {
            assert!(self.ended.insert(ticket, failure).is_none(), "{ticket} ends twice");
        }
    }

    /// The receiver reads one message, and has room for it or not.
    fn read(&mut self, room: bool) {
        let Some(wire) = &mut self.wire else { return };
        let Some((session, sequence, payload)) = wire.there.pop_front() else { return };
        let outcome = self.incoming.before(FROM, session, sequence).unwrap_or_else(|| {
            let outcome = if room { DirectOutcome::Taken } else { DirectOutcome::Full };
            self.incoming.judged(FROM, session, sequence, outcome);
            if room {
                self.delivered.push(u64::from_le_bytes(payload.try_into().unwrap()));
            }
            outcome
        });
        wire.back.push_back((sequence, outcome));
    }

    fn hear(&mut self) {
        let Some((sequence, outcome)) = self.wire.as_mut().and_then(|wire| wire.back.pop_front()) else {
            return;
        };
        let ended = self.outgoing.answered(TO, sequence, outcome, self.now);
        self.end(ended);
    }

    fn tear(&mut self, reason: CloseReason) {
        let Some(wire) = self.wire.take() else { return };
        let ended = self.outgoing.closed(wire.token, reason, self.now);
        self.end(ended);
    }

    fn tick(&mut self) {
        let (mut ended, mut ready, mut close) = (Vec::new(), Vec::new(), Vec::new());
        self.outgoing.tick(self.now, &mut ended, &mut ready, &mut close);
        if !close.is_empty() {
            self.wire = None;
        }
        self.end(ended);
        if !ready.is_empty() {
            self.forward();
        }
    }
}

#[test]
fn whatever_breaks_messages_come_once_in_order_and_all_end() {
    let mut reached = [0; 4];
    for seed in 0..300 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut both = Both::new();
        let mut sent = 0;
        for _ in 0..2_000 {
            both.now = both.now + Duration::from_micros(rng.u64(..20_000));
            match rng.u8(..100) {
                0..30 => sent += u64::from(both.send(sent, rng.u64(500..5_000))),
                30..65 => both.read(rng.u8(..20) != 0),
                65..95 => both.hear(),
                95 => both.tear(CloseReason::PeerClosed),
                96 => {
                    // As where the stream thread takes no more: what was written last is nowhere.
                    if let Some(wire) = both.wire.take() {
                        both.outgoing.broke(TO, both.now);
                        drop(wire);
                    }
                }
                _ => both.tick(),
            }
            both.forward();
        }
        while both.ended.len() < sent as usize {
            both.now = both.now + Duration::from_millis(20);
            both.read(true);
            both.hear();
            both.tick();
        }
        assert!(both.delivered.windows(2).all(|pair| pair[0] < pair[1]), "seed {seed}: in order, once");
        for (ticket, failure) in &both.ended {
            let delivered = both.delivered.binary_search(ticket).is_ok();
            match failure {
                None => assert!(delivered, "seed {seed}: {ticket} is said to have arrived"),
                Some(MessageFailure::Full) => assert!(!delivered, "seed {seed}: {ticket} was refused"),
                Some(MessageFailure::TimedOut | MessageFailure::Lost(_)) => {}
                other => panic!("seed {seed}: {ticket} ended with {other:?}"),
            }
            let kind = match failure {
                None => 0,
                Some(MessageFailure::Full) => 1,
                Some(MessageFailure::TimedOut) => 2,
                Some(_) => 3,
            };
            reached[kind] += 1;
        }
        // All is given back.
        both.now = both.now + Duration::from_secs(10);
        both.tick();
        assert!(both.outgoing.is_empty());
        assert!(both.outgoing.has_room(TO, outgoing::BYTES_MAX.min(outgoing::QUEUE_BYTES_MAX)));
    }
    assert!(reached.iter().all(|times| *times > 20), "{reached:?}");
}

#[test]
fn a_refused_connection_ends_all_that_wait_for_it() {
    let mut both = Both::new();
    for ticket in 0..100 {
        assert!(both.send(ticket, 5_000));
    }
    both.forward();
    assert_eq!(both.wire.as_ref().unwrap().there.len(), outgoing::WINDOW_MAX);
    let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    both.tear(CloseReason::Refused(refused.into()));
    assert_eq!(both.ended.len(), 100);
    assert!(both.ended.values().all(|failure| matches!(failure, Some(MessageFailure::Lost(_)))));
}

/// On memberlist's wire nothing but the end of its stream says what became of a message.
#[test]
fn with_a_stream_each_a_message_has_arrived_when_its_receiver_closes_it() {
    let mut outgoing = Outgoing::new(7, Duration::from_secs(5), Duration::from_secs(2)).with_one_each();
    let (mut now, mut ended) = (at(1), Vec::new());
    for ticket in 0..3 {
        assert!(outgoing.push(TO, (ticket, DirectRole::Message, at(5_000)), vec![ticket as u8]));
    }
    let broken = CloseReason::Broken(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into());
    for (token, reason) in [(1, CloseReason::PeerClosed), (2, broken), (3, CloseReason::PeerClosed)] {
        assert_eq!(outgoing.ready(TO, now), Some(Ready::NewStream));
        assert_eq!(outgoing.take_one(TO), Some(&[token as u8 - 1][..]), "in order");
        outgoing.opened(TO, token, ExchangeId::numbered(token), now);
        assert_eq!(outgoing.ready(TO, now), None, "one after the other");
        ended.extend(outgoing.closed(token, reason, now));
        assert!(outgoing.closed(token, reason, now).is_empty());
        now = now + Duration::from_millis(60);
    }
    let failures: Vec<_> = ended.iter().map(|ended| (ended.ticket, ended.failure)).collect();
    assert_eq!(failures, [(0, None), (1, Some(MessageFailure::Lost(broken))), (2, None)]);
    assert!(outgoing.has_room(TO, outgoing::QUEUE_BYTES_MAX), "all is given back");

    // One whose stream cannot be opened has not been sent, and goes again.
    assert!(outgoing.push(TO, (3, DirectRole::Message, at(5_000)), vec![3]));
    assert!(outgoing.take_one(TO).is_some());
    outgoing.broke(TO, now);
    now = now + Duration::from_millis(60);
    assert_eq!((outgoing.ready(TO, now), outgoing.take_one(TO)), (Some(Ready::NewStream), Some(&[3][..])));
    // One that is not answered in time is given up, and its stream with it.
    outgoing.opened(TO, 4, ExchangeId::numbered(4), now);
    let (mut late, mut ready, mut close) = (Vec::new(), Vec::new(), Vec::new());
    outgoing.tick(at(6_000), &mut late, &mut ready, &mut close);
    assert_eq!((late.len(), late[0].failure), (1, Some(MessageFailure::TimedOut)));
    assert_eq!((close, outgoing.is_empty()), (vec![ExchangeId::numbered(4)], true));
}

#[test]
fn queues_are_bounded_by_messages_bytes_and_receivers() {
    let mut outgoing = Outgoing::new(7, Duration::from_secs(5), Duration::from_secs(2));
    let how = |ticket| (ticket, DirectRole::Message, at(1_000));
    for ticket in 0..outgoing::QUEUE_MAX as u64 {
        assert!(outgoing.push(TO, how(ticket), Vec::new()));
    }
    assert!(!outgoing.push(TO, how(9), Vec::new()));
    assert!(outgoing.push(FROM, how(9), vec![0; outgoing::QUEUE_BYTES_MAX]));
    assert!(!outgoing.push(FROM, how(9), vec![0]));
    for id in 10..outgoing::RECEIVERS_MAX as u64 + 8 {
        assert!(outgoing.push(MemberId(id), how(9), Vec::new()));
    }
    assert!(!outgoing.push(MemberId(5), how(9), Vec::new()));
    for id in 10..25 {
        assert!(outgoing.push(MemberId(id), how(9), vec![0; outgoing::QUEUE_BYTES_MAX]));
    }
    assert!(!outgoing.push(MemberId(30), how(9), vec![0]), "64 MiB wait");
}
