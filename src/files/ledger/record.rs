//! The text of a ledger: one record a line, each ending in a checksum.
//!
//! ```text
//! ppdenoise ledger 4
//! slot SET_ID SLOT IMAGE_ID SESSION_ID CHECKSUM
//! done IMAGE_ID SESSION_ID CHECKSUM
//! weights WEIGHT_MASK_ID MODEL_ID DESCRIPTION_DIGEST HALF_DIGEST CHECKSUM
//! opened WEIGHT_MASK_ID OPENED_DIGEST CHECKSUM
//! count KEY MODEL_ID DAY TODAY IN_ALL TOLD CHECKSUM
//! ```
//!
//! A checksum covers its line and the checksum before it, so that a line cannot be changed,
//! removed from the middle or moved.

use super::count::{Count, Counted};
use crate::ids::{Digest, ImageId, ModelId, SessionId, TripleSetId, WeightMaskId};
use std::collections::HashMap;
use std::io::{self, BufRead, Read};

/// The first line.
pub(super) const HEADING: &str = "ppdenoise ledger 4\n";

/// Hexadecimal digits of a checksum.
const CHECKSUM_LEN: usize = 16;
/// No record is longer; a longer line is damage and is not read into memory.
const MAX_LINE: u64 = 512;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record {
    Slot { set: TripleSetId, slot: u64, image: ImageId, session: SessionId },
    Done { image: ImageId, session: SessionId },
    Weights { mask: WeightMaskId, weights: BoundWeights },
    Opened { mask: WeightMaskId, opened: Digest },
    Count { of: Counted, count: Count },
}

/// What the last record of something says, and what it was before: another ledger that lacks this record alone was
/// interrupted, one that lacks more is an older copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Latest<T> {
    pub(super) now: T,
    pub(super) before: T,
}

/// What a weight mask X is bound to at one server, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoundWeights {
    /// The sharing.
    pub model: ModelId,
    /// The digest of its public description.
    pub description: Digest,
    /// The digest of this server's half of U = G - X, all that it ever sends under X. The other server
    /// gets the half itself.
    pub half: Digest,
}

/// What a ledger says, up to where it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// The end of the last good record.
    pub(super) offset: u64,
    /// The number of lines up to there.
    lines: u64,
    /// The checksum of the last good record.
    checksum: String,
    next: HashMap<TripleSetId, Latest<u64>>,
    counts: HashMap<Counted, Latest<Option<Count>>>,
    done: HashMap<ImageId, SessionId>,
    weights: HashMap<WeightMaskId, BoundWeights>,
    opened: HashMap<WeightMaskId, Digest>,
}

/// How a ledger ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// With a whole record.
    Whole,
    /// With a record that lacks its newline only.
    NoNewline,
    /// With the beginning of a record that a crash interrupted.
    Torn,
}

/// Why a ledger could not be read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// This line is damaged.
    Line(u64),
    Io(io::Error),
}

impl State {
    /// A ledger of which only the heading was read.
    pub(super) fn start() -> Self {
        State {
            offset: HEADING.len() as u64,
            lines: 1,
            checksum: "0".repeat(CHECKSUM_LEN),
            next: HashMap::new(),
            counts: HashMap::new(),
            done: HashMap::new(),
            weights: HashMap::new(),
            opened: HashMap::new(),
        }
    }

    /// The lowest slot of `set` that was never marked nor passed over.
    pub(super) fn next(&self, set: TripleSetId) -> u64 {
        self.latest_next(set).now
    }

    /// The same, and before its last mark.
    pub(super) fn latest_next(&self, set: TripleSetId) -> Latest<u64> {
        self.next.get(&set).copied().unwrap_or_default()
    }

    /// The sets of which slots are marked.
    pub(super) fn sets(&self) -> impl Iterator<Item = TripleSetId> {
        self.next.keys().copied()
    }

    /// What is counted last, and before.
    pub(super) fn latest_count(&self, of: Counted) -> Latest<Option<Count>> {
        self.counts.get(&of).copied().unwrap_or_default()
    }

    /// Of whom something is counted.
    pub(super) fn counted(&self) -> impl Iterator<Item = Counted> {
        self.counts.keys().copied()
    }

    /// The last session of which both servers had the image's result.
    pub(super) fn done(&self, image: ImageId) -> Option<SessionId> {
        self.done.get(&image).copied()
    }

    /// What `mask` belongs to.
    pub(super) fn weights(&self, mask: WeightMaskId) -> Option<BoundWeights> {
        self.weights.get(&mask).copied()
    }

    /// The digest of what was opened under `mask`.
    pub(super) fn opened(&self, mask: WeightMaskId) -> Option<Digest> {
        self.opened.get(&mask).copied()
    }

    /// The line of `record`, if it were the next.
    pub(super) fn line(&self, record: Record) -> String {
        let text = text(record);
        let checksum = checksum(&self.checksum, text.as_bytes());
        format!("{text} {checksum}\n")
    }

    /// Takes in what follows [`State::offset`]. A torn tail stays outside.
    pub(super) fn read(&mut self, source: &mut impl BufRead) -> Result<Tail, ReadError> {
        let mut line = Vec::new();
        loop {
            line.clear();
            source.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).map_err(ReadError::Io)?;
            match line.as_slice() {
                [] => return Ok(Tail::Whole),
                [whole @ .., b'\n'] => {
                    if let Some((record, checksum)) = parse(whole, &self.checksum) {
                        self.accept(record, checksum, line.len() as u64)?;
                    } else if whole.first() == Some(&0) && ends(source)? {
                        // The file had grown, but its first page had not reached the disk.
                        return Ok(Tail::Torn);
                    } else {
                        return Err(self.damaged());
                    }
                }
                last => return self.last(last),
            }
        }
    }

    /// Judges a last line without newline.
    ///
    /// A line that has its whole checksum was written whole: it counts if it is right, and is
    /// damage if it is not. Only a shorter one was interrupted, and nothing was sent under it.
    fn last(&mut self, line: &[u8]) -> Result<Tail, ReadError> {
        if line.len() as u64 == MAX_LINE {
            return Err(self.damaged());
        }
        if let Some((record, checksum)) = parse(line, &self.checksum) {
            self.accept(record, checksum, line.len() as u64)?;
            return Ok(Tail::NoNewline);
        }
        if has_whole_checksum(line) { Err(self.damaged()) } else { Ok(Tail::Torn) }
    }

    fn accept(&mut self, record: Record, checksum: String, len: u64) -> Result<(), ReadError> {
        match record {
            Record::Slot { set, slot, .. } => {
                let after = slot.checked_add(1).ok_or(self.damaged())?;
                let next = self.next.entry(set).or_default();
                *next = Latest { now: after.max(next.now), before: next.now };
            }
            Record::Done { image, session } => {
                self.done.insert(image, session);
            }
            Record::Weights { mask, weights } => {
                if *self.weights.entry(mask).or_insert(weights) != weights {
                    return Err(self.damaged());
                }
            }
            Record::Opened { mask, opened } => {
                if *self.opened.entry(mask).or_insert(opened) != opened {
                    return Err(self.damaged());
                }
            }
            Record::Count { of, count } => {
                let before = self.latest_count(of).now;
                if before.is_some_and(|before| !count.follows(before)) {
                    return Err(self.damaged());
                }
                self.counts.insert(of, Latest { now: Some(count), before });
            }
        }
        self.checksum = checksum;
        self.offset += len;
        self.lines += 1;
        Ok(())
    }

    fn damaged(&self) -> ReadError {
        ReadError::Line(self.lines + 1)
    }
}

fn ends(source: &mut impl BufRead) -> Result<bool, ReadError> {
    source.fill_buf().map(<[u8]>::is_empty).map_err(ReadError::Io)
}

fn text(record: Record) -> String {
    match record {
        Record::Slot { set, slot, image, session } => {
            format!("slot {set} {slot} {image} {session}")
        }
        Record::Done { image, session } => format!("done {image} {session}"),
        Record::Weights { mask, weights: BoundWeights { model, description, half } } => {
            format!("weights {mask} {model} {description} {half}")
        }
        Record::Opened { mask, opened } => format!("opened {mask} {opened}"),
        Record::Count { of: Counted { key, model }, count } => {
            let Count { day, today, in_all, told } = count;
            format!("count {key} {model} {day} {today} {in_all} {told}")
        }
    }
}

fn parse(line: &[u8], before: &str) -> Option<(Record, String)> {
    let line = str::from_utf8(line).ok()?;
    let (body, found) = line.rsplit_once(' ')?;
    let expected = checksum(before, body.as_bytes());
    let fields: Vec<&str> = body.split(' ').collect();
    let record = match *fields.as_slice() {
        ["slot", set, slot, image, session] => Record::Slot {
            set: set.parse().ok()?,
            slot: slot.parse().ok()?,
            image: image.parse().ok()?,
            session: session.parse().ok()?,
        },
        ["done", image, session] => {
            Record::Done { image: image.parse().ok()?, session: session.parse().ok()? }
        }
        ["weights", mask, model, description, half] => Record::Weights {
            mask: mask.parse().ok()?,
            weights: BoundWeights {
                model: model.parse().ok()?,
                description: description.parse().ok()?,
                half: half.parse().ok()?,
            },
        },
        ["opened", mask, opened] => {
            Record::Opened { mask: mask.parse().ok()?, opened: opened.parse().ok()? }
        }
        ["count", key, model, day, today, in_all, told] => Record::Count {
            of: Counted { key: key.parse().ok()?, model: model.parse().ok()? },
            count: Count {
                day: day.parse().ok()?,
                today: today.parse().ok()?,
                in_all: in_all.parse().ok()?,
                told: told.parse().ok()?,
            },
        },
        _ => return None,
    };
    (found == expected).then_some((record, expected))
}

/// Whether a line without newline has as many fields as its kind and a full-length last one.
fn has_whole_checksum(line: &[u8]) -> bool {
    // A file that grew before its data came ends in zeros.
    let end = line.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1);
    let mut fields = line[..end].split(|&b| b == b' ');
    let wanted = match fields.next() {
        Some(b"slot") => 5,
        Some(b"weights") => 5,
        Some(b"count") => 7,
        Some(b"opened" | b"done") => 3,
        // Cut inside its first word, or no record at all.
        Some(word) => return word.len() > "weights".len(),
        None => return false,
    };
    let rest: Vec<&[u8]> = fields.collect();
    let whole = rest.last().is_some_and(|last| last.len() >= CHECKSUM_LEN);
    rest.len() > wanted || (rest.len() == wanted && whole)
}

fn checksum(before: &str, text: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("ppdenoise ledger line v1");
    hasher.update(before.as_bytes());
    hasher.update(text);
    let mut hex = hasher.finalize().to_hex().to_string();
    hex.truncate(CHECKSUM_LEN);
    hex
}
