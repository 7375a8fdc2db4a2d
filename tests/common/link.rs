//! What a tap between two servers can read: the frames of the plain link, the records of TLS.

use super::Job;
use super::kill::{DONE, GREETING, IMAGE, MARKED, OPENING, SLOT_OFFER};
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes of a frame before its payload.
const HEADER: usize = 9;

/// One frame of a server, perhaps without its end.
pub struct Frame<'a> {
    pub tag: u8,
    pub start: usize,
    pub end: usize,
    pub payload: &'a [u8],
}

/// The frames in the bytes that left a server.
pub fn frames(bytes: &[u8]) -> Vec<Frame<'_>> {
    let (mut found, mut start) = (Vec::new(), 0);
    while let Some(header) = bytes.get(start..start + HEADER) {
        let length = u32::from_le_bytes(header[..4].try_into().unwrap()) as usize;
        let end = start + HEADER + length;
        let payload = &bytes[start + HEADER..end.min(bytes.len())];
        found.push(Frame { tag: header[4], start, end, payload });
        start = end;
    }
    found
}

/// What the tap can read of a session.
#[derive(Clone)]
pub enum Link {
    /// `--insecure`: every frame.
    Plain,
    /// TLS: where records begin and end. Frames never share one, so the one record of a short frame
    /// tells its length; the tags of frames by their lengths are those of a plain session.
    Tls(Arc<HashMap<usize, u8>>),
}

/// Bytes of a record before its content, and behind it: the kind of the content, the tag.
const RECORD_HEADER: usize = 5;
const RECORD_TAIL: usize = 17;
/// The most content of a record.
const RECORD: usize = 16_384;
const APPLICATION_DATA: u8 = 23;

impl Link {
    /// The lengths of frames in sessions of one kind over a plain link.
    ///
    /// Panics if two frames of one length, of which one decides something, have unlike tags; an
    /// opening may be as long as V, which is before all openings.
    pub fn tls<'a>(plain: impl IntoIterator<Item = &'a Vec<u8>>) -> Link {
        let mut tags = HashMap::new();
        let deciding = [GREETING, IMAGE, MARKED, SLOT_OFFER, DONE];
        for frame in plain.into_iter().flat_map(|bytes| frames(bytes)) {
            let length = (frame.end - frame.start).min(RECORD);
            let other = *tags.entry(length).or_insert(frame.tag);
            if (other, frame.tag) == (IMAGE, OPENING) {
                continue;
            }
            let decides = deciding.contains(&frame.tag) || deciding.contains(&other);
            assert!(other == frame.tag || !decides, "{length} bytes: tags {other}, {}", frame.tag);
        }
        Link::Tls(Arc::new(tags))
    }

    /// What a server sent, frame by frame. Under TLS a record each, without its payload, and with
    /// the tag 0 for those of the handshake.
    pub fn frames<'a>(&self, bytes: &'a [u8]) -> Vec<Frame<'a>> {
        let Link::Tls(tags) = self else { return frames(bytes) };
        let (mut greeted, mut past_v) = (false, false);
        let mut tag = |record: &Record| {
            let known = tags.get(&record.content).filter(|_| record.kind == APPLICATION_DATA);
            let tag = known.copied().unwrap_or(0);
            greeted |= tag == GREETING;
            match tag {
                // The handshake, and Ready, which is as long as Done.
                _ if !greeted => 0,
                IMAGE if past_v => OPENING,
                tag => {
                    past_v |= tag == IMAGE;
                    tag
                }
            }
        };
        let frame = |r: Record| Frame { tag: tag(&r), start: r.start, end: r.end, payload: &[] };
        records(bytes).into_iter().map(frame).collect()
    }

    /// The flags of a job over this link.
    pub fn job(&self, job: Job) -> Job {
        let job = job.flags(&["--wait", "20", "--timeout", "20"]);
        match self {
            Link::Plain => job.flags(&["--insecure"]),
            Link::Tls(_) => job,
        }
    }
}

/// One record of TLS, perhaps without its end.
pub struct Record {
    pub kind: u8,
    pub start: usize,
    pub end: usize,
    /// Bytes that it carries, if it is encrypted.
    pub content: usize,
}

/// The records in the bytes that left a server.
pub fn records(bytes: &[u8]) -> Vec<Record> {
    let (mut found, mut start) = (Vec::new(), 0);
    while let Some(header) = bytes.get(start..start + RECORD_HEADER) {
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        let end = start + RECORD_HEADER + length;
        found.push(Record {
            kind: header[0],
            start,
            end,
            content: length.saturating_sub(RECORD_TAIL),
        });
        start = end;
    }
    found
}
