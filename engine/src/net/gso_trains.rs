//! Trains: frames gathered by destination until the next flush.
//!
//! A train is what will leave as one segmented send: frames for one address, each in a segment of the same
//! size class, the last one cut to its true length. All trains share one stretch of memory that is filled
//! from the front and emptied as a whole by a flush, so memory stays warm and nothing is ever freed. A train
//! takes chunks of 1, 1, 2, 4, ... 64 segments from it, so that a thousand addresses with one frame each
//! cost no more memory than one address with a thousand; chunks that happen to touch are joined.
//!
//! Frames that leave from different addresses are different trains. Where trains do not leave segmented every
//! frame is a train of its own. Towards a path that is narrower than a size class, segments are what the path
//! takes; a frame that is longer than that goes alone, and in fragments.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::options::{NetOptions, TRAIN_BYTES_MAX, TRAIN_SEGMENTS_MAX};
use super::paths::Paths;
use super::size_class::{CLASS_MIN, SizeClass};
use super::train_index::{Place, TrainIndex};
use crate::protocol::FrameSink;
use swimring_codec::native::FRAME_MAX;

/// Chunks double from one segment to [`TRAIN_SEGMENTS_MAX`] in so many steps.
pub(super) const CHUNKS_MAX: usize = 8;
const _: () = assert!(1 << (CHUNKS_MAX - 1) == TRAIN_SEGMENTS_MAX);

/// Frames on their way out, gathered by destination.
///
/// Frames to one address leave in the order written within a size class; trains leave in the order their
/// first frames were written, but for frames that have to be fragmented, which may overtake others.
#[derive(Debug)]
pub struct Trains {
    memory: Box<[u8]>,
    /// Bytes of `memory` taken.
    used: usize,
    /// Frame length of the segment that starts at `offset`, at `offset / CLASS_MIN`.
    lengths: Box<[u16]>,
    trains: Box<[Train]>,
    /// How many of `trains` are open.
    open: usize,
    /// How many of those, the first ones, are in `index`.
    indexed: usize,
    index: TrainIndex,
    /// Where frames leave from; nothing leaves it to the socket and the route.
    source: Option<IpAddr>,
    /// Segments are padded, because trains leave segmented.
    segmentation: bool,
    segments_max: usize,
    bytes_max: usize,
    /// The longest frame that is written: no shorter one is padded beyond it.
    frame_bytes_max: usize,
    /// Paths that take fewer bytes than a frame may have.
    paths: Paths,
    shed_frames: u64,
    unsendable_frames: u64,
}

/// One train.
#[derive(Clone, Copy, Debug)]
pub(super) struct Train {
    source: Option<IpAddr>,
    to: SocketAddr,
    class: SizeClass,
    /// Bytes of a segment: those of the class, or as many as the path takes if that is fewer.
    segment: u16,
    /// A single frame that is longer than the path takes.
    oversize: bool,
    /// Where the index has it, if it does.
    place: Place,
    segments: u16,
    /// Segments the current chunk has room for.
    room: u16,
    chunk_count: u8,
    chunks: [Chunk; CHUNKS_MAX],
    /// Where the last segment starts, and its frame's length.
    last: (u32, u16),
}

/// Adjacent segments.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chunk {
    start: u32,
    segments: u16,
}

impl Train {
    /// Where it leaves from, if that was said.
    pub(super) fn source(&self) -> Option<IpAddr> {
        self.source
    }

    pub(super) fn to(&self) -> SocketAddr {
        self.to
    }

    pub(super) fn segments(&self) -> usize {
        usize::from(self.segments)
    }

    pub(super) fn segment_bytes(&self) -> usize {
        usize::from(self.segment)
    }

    /// Whether it is a single frame that is longer than its path takes in one piece.
    pub(super) fn is_oversize(&self) -> bool {
        self.oversize
    }

    /// Bytes on the wire when sent segmented: full segments, and the last one's true length.
    pub(super) fn bytes(&self) -> usize {
        (self.segments() - 1) * self.segment_bytes() + usize::from(self.last.1)
    }

    /// The stretches of memory (start, length) that make up the train.
    pub(super) fn stretches(&self) -> impl Iterator<Item = (usize, usize)> {
        let chunks = &self.chunks[..usize::from(self.chunk_count)];
        let mut left = self.bytes();
        chunks.iter().map(move |chunk| {
            let bytes = left.min(usize::from(chunk.segments) * self.segment_bytes());
            left -= bytes;
            (chunk.start as usize, bytes)
        })
    }

    /// Where segment `number` starts.
    pub(super) fn segment_start(&self, mut number: usize) -> usize {
        for chunk in &self.chunks[..usize::from(self.chunk_count)] {
            let segments = usize::from(chunk.segments);
            if number < segments {
                return chunk.start as usize + number * self.segment_bytes();
            }
            number -= segments;
        }
        unreachable!("segment {number} past the end of a train")
    }

    /// Segments this train may still grow by before it is full.
    fn growth(&self, segments_max: usize, bytes_max: usize) -> usize {
        segments_max.min(bytes_max / self.segment_bytes()).saturating_sub(self.segments())
    }

    /// Adds room for `segments` more at `start`.
    fn extend(&mut self, start: usize, segments: usize) {
        let last = self.chunks[..usize::from(self.chunk_count)].last();
        let end = last.map(|chunk| chunk.start as usize + usize::from(chunk.segments) * self.segment_bytes());
        if end != Some(start) {
            self.chunks[usize::from(self.chunk_count)] = Chunk { start: start as u32, segments: 0 };
            self.chunk_count += 1;
        }
        self.room = segments as u16;
    }

    /// Takes the next segment for a frame of `len` bytes: where it starts.
    #[inline]
    fn take(&mut self, len: usize) -> usize {
        let bytes = self.segment_bytes();
        let chunk = &mut self.chunks[usize::from(self.chunk_count) - 1];
        let start = chunk.start as usize + usize::from(chunk.segments) * bytes;
        chunk.segments += 1;
        self.segments += 1;
        self.room -= 1;
        self.last = (start as u32, len as u16);
        start
    }
}

impl Trains {
    /// Empty trains within the bounds that `options` sets.
    pub fn new(options: &NetOptions) -> Trains {
        let trains_max = options.trains_max.clamp(1, 16_384);
        let memory_bytes = options.train_memory_bytes.clamp(64 << 10, 64 << 20);
        let nowhere = Train {
            source: None,
            to: SocketAddr::from(([0, 0, 0, 0], 0)),
            class: SizeClass::holding(1).expect("a class holds one byte"),
            segment: CLASS_MIN as u16,
            oversize: false,
            place: TrainIndex::nowhere(),
            segments: 0,
            room: 0,
            chunk_count: 0,
            chunks: [Chunk::default(); CHUNKS_MAX],
            last: (0, 0),
        };
        Trains {
            // Not zero, so that the pages are touched now: a first touch costs microseconds each.
            memory: vec![0xff; memory_bytes].into(),
            used: 0,
            lengths: vec![1; memory_bytes / CLASS_MIN + 1].into(),
            trains: vec![nowhere; trains_max].into(),
            open: 0,
            indexed: 0,
            index: TrainIndex::new(trains_max),
            source: None,
            segmentation: options.segmentation,
            segments_max: options.train_segments_max.clamp(1, TRAIN_SEGMENTS_MAX),
            bytes_max: options.train_bytes_max.clamp(FRAME_MAX, TRAIN_BYTES_MAX),
            frame_bytes_max: options.frame_bytes_max.clamp(CLASS_MIN, FRAME_MAX),
            paths: Paths::new(options.path_memory.max(Duration::from_millis(1))),
            shed_frames: 0,
            unsendable_frames: 0,
        }
    }

    /// Frames reserved from now on leave from `source`, which must be an address of this machine (any of
    /// 127.0.0.0/8 is), until the next call; `None`: from the address that the socket is bound to, or that
    /// the route prefers where it is bound to a wildcard.
    ///
    /// The kernel refuses an address that is not this machine's, or not of the destination's family; the
    /// driver counts such frames as send errors.
    #[inline]
    pub fn set_source(&mut self, source: Option<IpAddr>) {
        self.source = source;
    }

    /// Whether no frame waits for a flush.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.open == 0
    }

    /// Whether the trains or their memory are more than half used up: time to
    /// [flush](crate::net::Driver::flush). The driver does so between the messages it receives; a caller
    /// that writes many frames between turns should ask.
    #[inline]
    pub fn is_half_full(&self) -> bool {
        self.open * 2 > self.trains.len() || self.used * 2 > self.memory.len()
    }

    /// Frames refused because all trains were open or their memory full.
    pub fn shed_frames(&self) -> u64 {
        self.shed_frames
    }

    /// Frames refused because they were empty or longer than
    /// [`FRAME_MAX`](swimring_codec::native::FRAME_MAX).
    pub fn unsendable_frames(&self) -> u64 {
        self.unsendable_frames
    }

    /// The open trains, in the order they were opened.
    pub(super) fn open(&self) -> &[Train] {
        &self.trains[..self.open]
    }

    /// The memory that the trains' offsets point into.
    pub(super) fn memory(&self) -> &[u8] {
        &self.memory
    }

    /// The frame in segment `number` of `train`: where it starts, and its true length.
    pub(super) fn frame(&self, train: &Train, number: usize) -> (usize, usize) {
        if number + 1 == train.segments() {
            return (train.last.0 as usize, usize::from(train.last.1));
        }
        let start = train.segment_start(number);
        (start, usize::from(self.lengths[start / CLASS_MIN]))
    }

    /// What is known of narrow paths.
    pub(super) fn paths_mut(&mut self) -> &mut Paths {
        &mut self.paths
    }

    /// Whether trains leave segmented.
    pub(super) fn segmentation(&self) -> bool {
        self.segmentation
    }

    /// Trains leave segmented from now on, at most `segments_max` segments each; one or none: not at all.
    pub(super) fn limit_segments(&mut self, segments_max: usize) {
        self.segments_max = self.segments_max.min(segments_max).max(1);
        self.segmentation &= self.segments_max > 1;
    }

    /// Forgets all frames: the driver has sent them, or they are not to be sent.
    pub fn clear(&mut self) {
        for train in &self.trains[..self.indexed] {
            self.index.clear(train.place);
        }
        (self.open, self.indexed) = (0, 0);
        self.used = 0;
    }

    /// Room for one more frame of `len` bytes in train `number`: where it starts.
    #[inline]
    fn append(&mut self, number: usize, len: usize) -> Option<usize> {
        if self.trains[number].room == 0 {
            self.grow(number)?;
        }
        let train = &mut self.trains[number];
        if self.segmentation && train.segments > 0 {
            let (start, len) = (train.last.0 as usize, usize::from(train.last.1));
            self.memory[start + len..start + train.segment_bytes()].fill(0);
        }
        Some(train.take(len))
    }

    /// Gives train `number` as many segments more as it has, if there is memory.
    fn grow(&mut self, number: usize) -> Option<()> {
        let train = &self.trains[number];
        let (bytes, growth) = (train.segment_bytes(), train.growth(self.segments_max, self.bytes_max));
        let segments = train.segments().max(1).min(growth).min((self.memory.len() - self.used) / bytes);
        if segments == 0 {
            return None;
        }
        self.trains[number].extend(self.used, segments);
        self.used += segments * bytes;
        Some(())
    }

    /// Opens a train for (`to`, `class`) with segments of `segment` bytes and takes its first.
    fn open_train(
        &mut self,
        to: SocketAddr,
        (class, segment): (SizeClass, usize),
        place: Place,
        len: usize,
    ) -> Option<usize> {
        let number = self.open;
        if number == self.trains.len() || self.memory.len() - self.used < segment {
            return None;
        }
        let train = &mut self.trains[number];
        (train.source, train.to, train.class, train.place) = (self.source, to, class, place);
        (train.segment, train.oversize) = (segment as u16, false);
        (train.segments, train.room, train.chunk_count) = (0, 0, 0);
        self.index.set(place, number);
        self.open += 1;
        self.indexed = self.open;
        self.append(number, len)
    }

    /// Opens a train that stays alone with its frame. Nothing is gained from gathering frames that leave
    /// one by one, so the index is not asked, which is most of what a frame costs here.
    #[inline]
    fn open_single(&mut self, to: SocketAddr, class: SizeClass, len: usize, oversize: bool) -> Option<usize> {
        let (number, start) = (self.open, self.used);
        if number == self.trains.len() || self.memory.len() - start < class.bytes() {
            return None;
        }
        let train = &mut self.trains[number];
        (train.source, train.to, train.class) = (self.source, to, class);
        (train.segment, train.oversize) = (class.bytes() as u16, oversize);
        (train.segments, train.room, train.chunk_count) = (1, 0, 1);
        train.chunks[0] = Chunk { start: start as u32, segments: 1 };
        train.last = (start as u32, len as u16);
        self.open += 1;
        self.used += class.bytes();
        Some(start)
    }

    /// Where the frame goes.
    #[inline]
    fn place(&mut self, to: SocketAddr, class: SizeClass, len: usize) -> Option<usize> {
        let path_takes = self.paths.frame_bytes_max(to.ip());
        if !self.segmentation || len > path_takes {
            return self.open_single(to, class, len, len > path_takes);
        }
        let longest = if len <= self.frame_bytes_max { self.frame_bytes_max } else { FRAME_MAX };
        // No two segments may start closer than the smallest class is long.
        let segment = class.bytes().min(path_takes.max(CLASS_MIN)).min(longest);
        let (trains, source) = (&self.trains, self.source);
        let is = |number: usize| {
            let train = &trains[number];
            train.class == class
                && train.segment_bytes() == segment
                && train.to == to
                && train.source == source
        };
        match self.index.find(source, to, class, is) {
            (_, Some(number))
                if trains[number].room > 0
                    || trains[number].growth(self.segments_max, self.bytes_max) > 0 =>
            {
                self.append(number, len)
            }
            (place, _) => self.open_train(to, (class, segment), place, len),
        }
    }
}

impl FrameSink for Trains {
    #[inline]
    fn reserve(&mut self, to: SocketAddr, len: usize) -> Option<&mut [u8]> {
        let Some(class) = SizeClass::holding(len) else {
            self.unsendable_frames += 1;
            return None;
        };
        let Some(start) = self.place(to, class, len) else {
            self.shed_frames += 1;
            return None;
        };
        self.lengths[start / CLASS_MIN] = len as u16;
        Some(&mut self.memory[start..start + len])
    }

    #[inline]
    fn set_source(&mut self, source: Option<IpAddr>) {
        Trains::set_source(self, source);
    }

    #[inline]
    fn frame_bytes_max(&self, to: SocketAddr) -> usize {
        self.paths.frame_bytes_max(to.ip())
    }
}
