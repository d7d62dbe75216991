//! The trains against a naive twin: a list of (source, destination, frame).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use proptest::prelude::*;
use swimring_codec::native::FRAME_MAX;

use super::NetOptions;
use super::gso_trains::{CHUNKS_MAX, Train, Trains};
use super::size_class::SizeClass;
use crate::protocol::FrameSink;

/// Where a frame leaves from and where it goes.
type Way = (Option<IpAddr>, SocketAddr);

/// What was written and not refused, in order.
type Twin = Vec<(Way, Vec<u8>)>;

fn address(number: u8) -> SocketAddr {
    match number {
        // Addresses that differ in one part only.
        0..8 => SocketAddr::from(([10, 0, 0, number], 7946)),
        8..16 => SocketAddr::from(([10, 0, 0, 1], 7900 + u16::from(number))),
        _ => SocketAddr::from(([0xfd00, 0, 0, 0, 0, 0, 0, u16::from(number)], 7946)),
    }
}

fn source(number: u8) -> Option<IpAddr> {
    match number {
        0 => None,
        1..3 => Some(IpAddr::from([127, 0, 0, number])),
        _ => Some(IpAddr::V6(Ipv6Addr::from_bits(u128::from(number)))),
    }
}

/// Lengths around the class borders, and any.
fn frame_len() -> impl Strategy<Value = usize> {
    prop_oneof![1..=FRAME_MAX, prop::sample::select(vec![1, 63, 64, 65, 96, 97, 512, 513, 1024, 1025, 1400])]
}

fn options() -> impl Strategy<Value = NetOptions> {
    (any::<bool>(), 1..200usize, 1000..100_000usize, 1..40usize).prop_map(|parts| NetOptions {
        segmentation: parts.0,
        train_segments_max: parts.1,
        train_bytes_max: parts.2,
        trains_max: parts.3,
        train_memory_bytes: 64 << 10,
        ..NetOptions::default()
    })
}

/// Runs of frames one way, so that trains fill.
fn writes() -> impl Strategy<Value = Vec<(u8, u8, usize, usize)>> {
    prop::collection::vec((0..5u8, 0..24u8, frame_len(), prop_oneof![Just(1usize), 1..160usize]), 1..40)
}

/// Writes all of `writes`; what was taken, and how many were not.
fn fill(trains: &mut Trains, writes: &[(u8, u8, usize, usize)]) -> (Twin, u64) {
    let (mut twin, mut refused, mut byte) = (Twin::new(), 0, 0u8);
    for (from, to, len, times) in writes {
        trains.set_source(source(*from));
        for _ in 0..*times {
            // Never zero, so that padding is told from content.
            byte = byte % 255 + 1;
            match trains.reserve(address(*to), *len) {
                Some(room) => {
                    assert_eq!(room.len(), *len);
                    room.fill(byte);
                    twin.push(((source(*from), address(*to)), vec![byte; *len]));
                }
                None => refused += 1,
            }
        }
    }
    (twin, refused)
}

/// What a receiver that splits by segment size would see of `train`.
fn split(trains: &Trains, train: &Train) -> Vec<Vec<u8>> {
    let stretches = train.stretches().collect::<Vec<_>>();
    assert!(stretches.len() <= CHUNKS_MAX);
    let bytes: Vec<u8> =
        stretches.iter().flat_map(|(start, len)| &trains.memory()[*start..start + len]).copied().collect();
    assert_eq!(bytes.len(), train.bytes());
    bytes.chunks(train.segment_bytes()).map(<[u8]>::to_vec).collect()
}

/// Takes from `twin` the first frames that belong with `train`, with their places in what was written.
fn expected(twin: &mut Vec<(usize, (Way, Vec<u8>))>, train: &Train) -> (Vec<usize>, Vec<Vec<u8>>) {
    let (mut places, mut frames) = (Vec::new(), Vec::new());
    twin.retain(|(place, (way, frame))| {
        let class = SizeClass::holding(frame.len()).unwrap().bytes();
        let takes = frames.len() < train.segments()
            && *way == (train.source(), train.to())
            && class == train.segment_bytes();
        if takes {
            places.push(*place);
            frames.push(frame.clone());
        }
        !takes
    });
    (places, frames)
}

fn check(trains: &Trains, options: &NetOptions, twin: Twin) -> Result<(), TestCaseError> {
    let mut twin: Vec<_> = twin.into_iter().enumerate().collect();
    let mut opened_at = Vec::new();
    for train in trains.open() {
        let (places, frames) = expected(&mut twin, train);
        opened_at.push(places[0]);
        prop_assert!(train.segments() <= options.train_segments_max.min(128));
        prop_assert!(train.bytes() <= options.train_bytes_max.clamp(FRAME_MAX, 65_000));
        for (number, frame) in frames.iter().enumerate() {
            let (start, len) = trains.frame(train, number);
            prop_assert_eq!(&trains.memory()[start..start + len], &frame[..]);
        }
        if options.segmentation {
            let mut padded = frames;
            let last = padded.len() - 1;
            padded[..last].iter_mut().for_each(|frame| frame.resize(train.segment_bytes(), 0));
            prop_assert_eq!(split(trains, train), padded);
        }
    }
    prop_assert!(opened_at.is_sorted(), "trains leave in the order their first frames were written");
    prop_assert!(twin.is_empty(), "{} frames are in no train", twin.len());
    Ok(())
}

proptest! {
    #[test]
    fn trains_hold_what_was_written(options in options(), rounds in prop::collection::vec(writes(), 1..4)) {
        let mut trains = Trains::new(&options);
        let mut shed = 0;
        for writes in rounds {
            let (twin, refused) = fill(&mut trains, &writes);
            shed += refused;
            prop_assert_eq!(trains.shed_frames(), shed);
            prop_assert!(trains.open().len() <= options.trains_max);
            // Nothing is refused while there is room for whatever comes.
            if refused > 0 {
                prop_assert!(trains.is_half_full());
            }
            check(&trains, &options, twin)?;
            trains.clear();
            prop_assert!(trains.is_empty() && !trains.is_half_full());
        }
    }
}

#[test]
fn a_full_train_is_followed_by_another() {
    let mut trains = Trains::new(&NetOptions::default());
    let (twin, _) = fill(&mut trains, &[(0, 0, 64, 300), (0, 0, 1400, 100)]);
    let segments: Vec<usize> = trains.open().iter().map(Train::segments).collect();
    assert_eq!(segments, [128, 128, 44, 46, 46, 8]);
    assert!(trains.open().iter().all(|train| train.stretches().count() == 1), "adjacent chunks are joined");
    check(&trains, &NetOptions::default(), twin).unwrap();
}

#[test]
fn segments_are_as_long_as_the_path_takes() {
    let options = NetOptions::default();
    let mut trains = Trains::new(&options);
    let (narrow, wide) = (SocketAddr::from(([127, 0, 0, 1], 7946)), address(0));
    assert_eq!(trains.paths_mut().learn(narrow, 1233), 1232);
    let mut write = |to, len| trains.reserve(to, len).unwrap().fill(7);
    for to in [narrow, wide] {
        [1100, 1232, 900, 1100].into_iter().for_each(|len| write(to, len));
    }
    write(narrow, 1233);
    let shapes: Vec<_> =
        trains.open().iter().map(|train| (train.segments(), train.segment_bytes())).collect();
    assert_eq!(shapes, [(3, 1232), (1, 1024), (3, 1400), (1, 1024), (1, 1400)]);
    assert_eq!(
        trains.open().iter().map(Train::is_oversize).collect::<Vec<_>>(),
        [false, false, false, false, true]
    );
    assert_eq!((trains.frame_bytes_max(narrow), trains.frame_bytes_max(wide)), (1232, FRAME_MAX));
    // What is written after the path was forgotten does not join the shorter segments.
    let options = NetOptions { path_memory: std::time::Duration::from_millis(1), ..options };
    let mut trains = Trains::new(&options);
    trains.paths_mut().learn(narrow, 1233);
    trains.reserve(narrow, 1100).unwrap().fill(7);
    while trains.frame_bytes_max(narrow) < FRAME_MAX {
        trains.paths_mut().forget_old();
    }
    trains.reserve(narrow, 1400).unwrap().fill(7);
    let shapes: Vec<_> =
        trains.open().iter().map(|train| (train.segments(), train.segment_bytes())).collect();
    assert_eq!(shapes, [(1, 1232), (1, 1400)]);
}

#[test]
fn nothing_is_padded_beyond_the_longest_frame() {
    let options = NetOptions { frame_bytes_max: 1252, ..NetOptions::default() };
    let mut trains = Trains::new(&options);
    for len in [1252, 1100, 60, 1252] {
        trains.reserve(address(0), len).unwrap().fill(7);
    }
    let shapes: Vec<_> =
        trains.open().iter().map(|train| (train.segments(), train.segment_bytes())).collect();
    assert_eq!(shapes, [(3, 1252), (1, 64)]);
}

#[test]
fn what_is_no_frame_is_refused() {
    let mut trains = Trains::new(&NetOptions::default());
    assert!(trains.reserve(address(0), 0).is_none());
    assert!(trains.reserve(address(0), FRAME_MAX + 1).is_none());
    assert_eq!((trains.unsendable_frames(), trains.shed_frames(), trains.is_empty()), (2, 0, true));
}

#[test]
fn one_thousand_addresses_cost_one_segment_each() {
    let mut trains = Trains::new(&NetOptions { train_memory_bytes: 64 << 10, ..NetOptions::default() });
    for number in 0..1024u16 {
        let to = SocketAddr::from(([10, 1, (number >> 8) as u8, number as u8], 7946));
        assert!(trains.reserve(to, 60).is_some(), "{number}");
    }
    assert!(trains.reserve(address(0), 60).is_none(), "all trains are open");
    assert_eq!(trains.shed_frames(), 1);
}

#[test]
fn giving_up_segmentation_keeps_what_was_gathered() {
    let mut trains = Trains::new(&NetOptions::default());
    let (mut twin, _) = fill(&mut trains, &[(1, 0, 64, 5), (0, 3, 1400, 2)]);
    trains.limit_segments(1);
    twin.extend(fill(&mut trains, &[(1, 0, 64, 3)]).0);
    let segments: Vec<usize> = trains.open().iter().map(Train::segments).collect();
    assert_eq!(segments, [5, 2, 1, 1, 1]);
    check(&trains, &NetOptions { segmentation: false, ..NetOptions::default() }, twin).unwrap();
}
