//! Direct messages between embedded members, over real sockets.

#![allow(clippy::disallowed_methods, reason = "tests wait, and talk to several members at a time")]

use std::time::{Duration, Instant};

use crate::cluster_support::*;
use swimring::{
    CloseReason, Cluster, ClusterError, ClusterEvent, DirectMessage, Events, MemberError, MemberlistDialect,
    MemberlistOptions, MessageFailure, Question, WireOptions,
};

/// Two members that know each other.
fn pair() -> (Cluster, Cluster) {
    let one = start("one");
    let two = joined("two", &one);
    meet(&one, "two");
    (one, two)
}

/// Waits until `cluster` knows `name`.
fn meet(cluster: &Cluster, name: &str) {
    let deadline = Instant::now() + PATIENCE;
    while cluster.member(name).unwrap().is_none() {
        assert!(Instant::now() < deadline, "{name} is not known");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn next_message(events: &mut Events) -> DirectMessage {
    match until(events, "a message", |event| matches!(event, ClusterEvent::Message(_))).0 {
        ClusterEvent::Message(message) => message,
        other => panic!("{other:?}"),
    }
}

fn next_question(events: &mut Events) -> Question {
    match until(events, "a question", |event| matches!(event, ClusterEvent::Question(_))).0 {
        ClusterEvent::Question(question) => question,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_datagram_reaches_one_member_alone() {
    let (one, two) = pair();
    let three = joined("three", &one);
    meet(&three, "two");
    meet(&two, "three");
    let (mut heard, mut others) = (two.subscribe().unwrap(), one.subscribe().unwrap());
    three.send("two", "hello").unwrap();
    let message = next_message(&mut heard);
    assert_eq!((&*message.from, &message.payload[..], message.acknowledged), ("three", &b"hello"[..], false));
    block_on(one.as_async().send("two", [7; 1_360])).unwrap();
    assert_eq!(next_message(&mut heard).payload, vec![7; 1_360]);
    two.send("one", "").unwrap();
    let message = next_message(&mut others);
    assert_eq!((&*message.from, message.payload.len()), ("two", 0));
}

#[test]
fn what_cannot_be_sent_is_refused_and_says_why() {
    let (one, _two) = pair();
    let refusal = |result: Result<(), ClusterError>| match result {
        Err(ClusterError::Refused(error)) => error,
        other => panic!("{other:?}"),
    };
    let long = refusal(one.send("two", [0; 1_361]));
    assert_eq!(long, MemberError::MessageTooLarge { bytes: 1_361, fits: 1_360 });
    assert!(long.to_string().contains("1360"), "{long}");
    assert_eq!(refusal(one.send("nobody", "x")), MemberError::NotLive);
    assert_eq!(refusal(one.send("one", "x")), MemberError::NotLive, "nobody talks to itself");
    let long = one.send_reliable("two", vec![0; (512 << 10) + 1]).map(drop);
    assert_eq!(refusal(long), MemberError::MessageTooLong((512 << 10) + 1));
    assert_eq!(refusal(one.send_reliable("nobody", "x").map(drop)), MemberError::NotLive);
    one.leave(PATIENCE).wait().unwrap();
    assert!(matches!(one.send("two", "x"), Err(ClusterError::Left)));
    assert!(matches!(one.send_reliable("two", "x"), Err(ClusterError::Left)));
}

/// The `nth` message of a test: its number and some more bytes.
fn numbered(nth: u32) -> Vec<u8> {
    let more = if nth.is_multiple_of(97) { 300_000 } else { (nth % 13) as usize * 100 };
    [&nth.to_le_bytes()[..], &vec![nth as u8; more]].concat()
}

#[test]
fn what_is_sent_reliably_arrives_once_and_in_order() {
    const MESSAGES: u32 = 1_500;
    let (one, two) = pair();
    let mut heard = two.subscribe().unwrap();
    let receiving = std::thread::spawn(move || {
        for nth in 0..MESSAGES {
            let message = next_message(&mut heard);
            assert!(message.acknowledged && &*message.from == "one");
            assert_eq!(message.payload, numbered(nth), "message {nth}");
        }
        heard
    });
    let awaited = one.as_async();
    for burst in 0..15 {
        block_on(async {
            let mut sent = Vec::new();
            for nth in 0..100 {
                sent.push(awaited.send_reliable("two", numbered(burst * 100 + nth)).await.unwrap());
            }
            for sent in sent {
                sent.await.unwrap();
            }
        });
    }
    drop(receiving.join().unwrap());
}

#[test]
fn two_senders_are_heard_each_in_its_own_order() {
    const MESSAGES: u32 = 300;
    let (one, two) = pair();
    let three = joined("three", &one);
    meet(&three, "two");
    meet(&two, "three");
    let mut heard = two.subscribe().unwrap();
    let senders = [one, three].map(|sender| {
        std::thread::spawn(move || {
            let mut last = None;
            for nth in 0..MESSAGES {
                last = Some(sender.send_reliable("two", nth.to_le_bytes().to_vec()).unwrap());
            }
            last.unwrap().wait(PATIENCE).unwrap();
            sender
        })
    });
    let mut next = [0, 0];
    while next != [MESSAGES, MESSAGES] {
        let message = next_message(&mut heard);
        let expected = &mut next[usize::from(&*message.from == "three")];
        assert_eq!(message.payload[..], expected.to_le_bytes());
        *expected += 1;
    }
    for sender in senders {
        sender.join().unwrap();
    }
}

#[test]
fn questions_are_replied_to_once() {
    let (one, two) = pair();
    let mut heard = two.subscribe().unwrap();
    let replying = std::thread::spawn(move || {
        let question = next_question(&mut heard);
        assert_eq!((question.from(), &question.payload()[..]), ("one", &b"ready?"[..]));
        let same = question.clone();
        question.reply("yes").unwrap().wait(PATIENCE).unwrap();
        assert!(matches!(same.reply("no"), Err(ClusterError::Replied)));
        block_on(async {
            let question = next_question(&mut heard);
            question.reply_async(question.payload().clone()).await.unwrap().await.unwrap();
        });
        // Too late: the question is closed, and the reply is nobody's.
        let late = next_question(&mut heard);
        let over = next_question(&mut heard);
        assert_eq!(over.payload(), "over");
        late.reply("late").unwrap().wait(PATIENCE).unwrap();
        over.reply("done").unwrap().wait(PATIENCE).unwrap();
        two
    });
    assert_eq!(one.ask("two", "ready?", PATIENCE).unwrap(), "yes");
    let long = vec![3; 200_000];
    assert_eq!(block_on(one.as_async().ask("two", long.clone(), PATIENCE)).unwrap(), long);
    let unanswered = one.ask("two", "soon?", Duration::from_millis(200)).unwrap_err();
    assert!(matches!(unanswered, ClusterError::NoReply(MessageFailure::TimedOut)), "{unanswered}");
    assert_eq!(one.ask("two", "over", PATIENCE).unwrap(), "done");
    replying.join().unwrap();
}

#[test]
fn who_listens_to_nothing_is_told_of_nothing() {
    let (one, two) = pair();
    let undelivered = one.send_reliable("two", "x").unwrap().wait(PATIENCE).unwrap_err();
    assert!(matches!(undelivered, ClusterError::Undelivered(MessageFailure::Unheard)), "{undelivered}");
    let unheard = one.ask("two", "x", PATIENCE).unwrap_err();
    assert!(matches!(unheard, ClusterError::NoReply(MessageFailure::Unheard)), "{unheard}");
    let mut heard = two.subscribe().unwrap();
    one.send_reliable("two", "y").unwrap().wait(PATIENCE).unwrap();
    assert_eq!(next_message(&mut heard).payload, "y");
}

#[test]
fn a_full_queue_is_the_sender_s_to_know_and_keeps_what_it_took() {
    let one = start("one");
    let two = member("two").events_queued_max(16).start().unwrap();
    two.join([one.address()]).wait().unwrap();
    meet(&one, "two");
    let mut heard = two.subscribe().unwrap();
    let mut outcomes = Vec::new();
    for nth in 0..12_u8 {
        outcomes.push(one.send_reliable("two", vec![nth]).unwrap().wait(PATIENCE));
    }
    let taken = outcomes.iter().take_while(|outcome| outcome.is_ok()).count();
    assert!((1..=8).contains(&taken), "{outcomes:?}");
    let full = |outcome: &Result<(), ClusterError>| {
        matches!(outcome, Err(ClusterError::Undelivered(MessageFailure::Full)))
    };
    assert!(outcomes[taken..].iter().all(full), "{outcomes:?}");
    for nth in 0..taken as u8 {
        assert_eq!(next_message(&mut heard).payload[..], [nth]);
    }
    one.send_reliable("two", "again").unwrap().wait(PATIENCE).unwrap();
    assert_eq!(next_message(&mut heard).payload, "again");
}

#[test]
fn a_receiver_that_is_killed_is_an_error_and_one_that_restarts_is_heard_again() {
    let (one, two) = pair();
    let mut heard = two.subscribe().unwrap();
    one.send_reliable("two", "first").unwrap().wait(PATIENCE).unwrap();
    assert_eq!(next_message(&mut heard).payload, "first");
    let address = two.address();
    two.shutdown();
    let undelivered = one.send_reliable("two", "second").unwrap().wait(PATIENCE).unwrap_err();
    match undelivered {
        ClusterError::Undelivered(MessageFailure::Lost(reason)) => {
            assert!(!matches!(reason, CloseReason::Finished), "{reason}");
        }
        other => panic!("{other}"),
    }
    let two = member("two").bind(address).start().unwrap();
    let mut heard = two.subscribe().unwrap();
    two.join([one.address()]).wait().unwrap();
    let deadline = Instant::now() + PATIENCE;
    // It may have been declared failed meanwhile.
    loop {
        let sent = one.send_reliable("two", "third").and_then(|mut sent| sent.wait(PATIENCE));
        match sent {
            Ok(()) => break,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(next_message(&mut heard).payload, "third");
}

#[test]
fn too_many_that_wait_are_refused_and_room_can_be_awaited() {
    let (one, two) = pair();
    let mut heard = two.subscribe().unwrap();
    // 4 MiB wait at most: what is on its way counts.
    let chunk = vec![1; 500_000];
    let mut kept = Vec::new();
    let mut refused = 0;
    for _ in 0..200 {
        match one.send_reliable("two", chunk.clone()) {
            Ok(sent) => kept.push(sent),
            Err(ClusterError::QueueFull) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 0, "none of {} was refused", kept.len());
    let last = block_on(one.as_async().send_reliable("two", "last")).unwrap();
    kept.push(last);
    let messages = kept.len();
    for mut sent in kept {
        sent.wait(PATIENCE).unwrap();
    }
    let mut payload = Default::default();
    for _ in 0..messages {
        payload = next_message(&mut heard).payload;
    }
    assert_eq!(payload, "last");
}

#[test]
fn on_memberlist_s_wire_a_message_is_a_user_message() {
    let memberlist = |name: &str| {
        member(name).wire(WireOptions::Memberlist(MemberlistOptions::default())).start().unwrap()
    };
    let (one, two) = (memberlist("one"), memberlist("two"));
    two.join([one.address()]).wait().unwrap();
    meet(&one, "two");
    let mut heard = two.subscribe().unwrap();
    one.send("two", "hello").unwrap();
    let (event, _) = until(&mut heard, "the message", |event| matches!(event, ClusterEvent::User(_)));
    let ClusterEvent::User(event) = event else { unreachable!("that is what was waited for") };
    assert_eq!((&*event.name, &event.payload[..], event.origin), ("", &b"hello"[..], None));
    let long = one.send("two", [0; 1_101]).unwrap_err();
    let too_large = MemberError::MessageTooLarge { bytes: 1_101, fits: 1_100 };
    assert!(matches!(long, ClusterError::Refused(error) if error == too_large), "{long}");
    let refused = one.ask("two", "x", PATIENCE);
    assert!(matches!(refused, Err(ClusterError::Refused(MemberError::NoDirectMessages))), "{refused:?}");

    // Reliable ones have streams of their own, and come in order.
    let mut sent: Vec<_> =
        (0..20).map(|nth| one.send_reliable("two", format!("reliable {nth}")).unwrap()).collect();
    for nth in 0..20 {
        let (event, _) = until(&mut heard, "the message", |event| matches!(event, ClusterEvent::User(_)));
        let ClusterEvent::User(event) = event else { unreachable!("that is what was waited for") };
        assert_eq!((&*event.name, &event.payload[..]), ("", format!("reliable {nth}").as_bytes()));
    }
    sent.iter_mut().for_each(|sent| sent.wait(PATIENCE).unwrap());
    // Nobody listens at its address any more.
    two.shutdown();
    let undelivered = one.send_reliable("two", "late").and_then(|mut sent| sent.wait(PATIENCE));
    assert!(
        matches!(
            undelivered,
            Err(ClusterError::Undelivered(MessageFailure::Lost(_)) | ClusterError::Refused(_))
        ),
        "{undelivered:?}"
    );
}

/// Serf's members take user messages for Serf's own.
#[test]
fn in_a_pool_of_serf_s_there_are_no_direct_messages() {
    let serf = MemberlistOptions { dialect: MemberlistDialect::Serf, ..MemberlistOptions::default() };
    let [one, two] =
        ["one", "two"].map(|name| member(name).wire(WireOptions::Memberlist(serf.clone())).start().unwrap());
    two.join([one.address()]).wait().unwrap();
    meet(&one, "two");
    for refused in [one.send("two", "x"), one.send_reliable("two", "x").map(drop)] {
        assert!(matches!(refused, Err(ClusterError::Refused(MemberError::NoDirectMessages))), "{refused:?}");
    }
}
