//! The write-ahead log as a file: whether all that was acknowledged in it can be read.
//!
//! SQLite believes a log up to the first frame whose checksum is wrong and drops the rest without a word, as it must after
//! a power failure: the last transaction may not be whole then, and nobody was told that it is. Each commit is on the disk
//! before the next begins, so that *two* commits beyond the wrong frame mean another thing: the disk lost what was
//! acknowledged. The format is SQLite's (<https://sqlite.org/fileformat2.html#walformat>).

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

use super::{
    error::DatabaseError,
    files::{DATABASE, with_suffix},
};

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// What SQLite makes pages of, unless told otherwise.
const USUAL_PAGE: usize = 4096;

/// How often a log that changes meanwhile is read.
const TRIES: usize = 5;

/// What stands in a log beyond the place up to which it is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lost {
    /// Commits; at least one. That of the wrong frame itself may be beyond recognition.
    transactions: u64,
    /// The place, behind the last whole transaction.
    whole_bytes: u64,
}

/// Refuses a data directory whose log lost transactions that were acknowledged.
///
/// # Errors
/// `LogDamaged`, `Io`.
pub(super) fn check(dir: &Path) -> Result<(), DatabaseError> {
    let log = with_suffix(&dir.join(DATABASE), "-wal");
    match lost(&log) {
        Ok(None) => Ok(()),
        Ok(Some(Lost { transactions: 1, .. })) => {
            tracing::error!(
                log = %log.display(),
                "the end of the log is not whole and is dropped: after a power failure that is a transaction that nobody \
                 was told of; otherwise the disk is damaged, and the last or the last two transactions are lost"
            );
            Ok(())
        }
        Ok(Some(Lost { transactions, whole_bytes })) => {
            Err(DatabaseError::LogDamaged { log, transactions, whole_bytes })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(DatabaseError::io(log)(error)),
    }
}

/// What a log lost. A server that runs may be writing what is read here, so that only what is found twice is so.
fn lost(log: &Path) -> io::Result<Option<Lost>> {
    let mut found = scan(log)?;
    for _ in 0..TRIES {
        let Some(lost) = found else { break };
        found = scan(log)?;
        if found == Some(lost) {
            return Ok(found);
        }
    }
    Ok(None)
}

fn scan(log: &Path) -> io::Result<Option<Lost>> {
    let mut file = BufReader::with_capacity(1 << 20, File::open(log)?);
    let mut header = [0; HEADER];
    if !fill(&mut file, &mut header)? || header == [0; HEADER] {
        return Ok(None);
    }
    Scan::of(&header).run(file)
}

/// A walk through the frames.
struct Scan {
    page: usize,
    /// Whether checksums read words as big-endian.
    big: bool,
    /// What the frames of this log carry, if its header can be believed.
    salts: Option<[u8; 8]>,
    sum: [u32; 2],
}

impl Scan {
    fn of(header: &[u8; HEADER]) -> Self {
        let magic = word(header, 0);
        let big = magic & 1 == 1;
        let sum = checksum(big, [0; 2], &header[..24]);
        let sound = magic & !1 == 0x377f_0682 && sum == [word(header, 24), word(header, 28)];
        let page = if sound { word(header, 8) as usize } else { USUAL_PAGE };
        let mut salts = [0; 8];
        salts.copy_from_slice(&header[16..24]);
        Self { page, big, salts: sound.then_some(salts), sum }
    }

    fn run(mut self, mut frames: impl Read) -> io::Result<Option<Lost>> {
        let mut frame = vec![0; FRAME_HEADER + self.page];
        let (mut believed, mut at) = (self.salts.is_some(), HEADER as u64);
        let mut lost = Lost { transactions: 0, whole_bytes: if believed { at } else { 0 } };
        while fill(&mut frames, &mut frame)? {
            at += frame.len() as u64;
            let commits = word(&frame, 4) != 0;
            // Beyond a header that says nothing, the first frame tells what belongs together.
            let salts = *self.salts.get_or_insert_with(|| {
                let mut salts = [0; 8];
                salts.copy_from_slice(&frame[8..16]);
                salts
            });
            let current = frame[8..16] == salts;
            believed = believed && current && self.follows(&frame);
            match (believed, commits) {
                (true, true) => lost.whole_bytes = at,
                (false, true) if current => lost.transactions += 1,
                _ => {}
            }
        }
        Ok((lost.transactions > 0).then_some(lost))
    }

    /// Whether a frame has the checksum of everything up to it.
    fn follows(&mut self, frame: &[u8]) -> bool {
        let sum = checksum(self.big, self.sum, &frame[..8]);
        self.sum = checksum(self.big, sum, &frame[FRAME_HEADER..]);
        self.sum == [word(frame, 16), word(frame, 20)]
    }
}

fn checksum(big: bool, [mut one, mut other]: [u32; 2], bytes: &[u8]) -> [u32; 2] {
    let read = |word: [u8; 4]| if big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) };
    let (pairs, _) = bytes.as_chunks::<8>();
    for &[a, b, c, d, e, f, g, h] in pairs {
        one = one.wrapping_add(read([a, b, c, d])).wrapping_add(other);
        other = other.wrapping_add(read([e, f, g, h])).wrapping_add(one);
    }
    [one, other]
}

/// The big-endian number at a place of a header.
fn word(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_be_bytes(word)
}

/// Reads a whole piece; false if there is none any more.
fn fill(from: &mut impl Read, piece: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(piece) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
