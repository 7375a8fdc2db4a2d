//! What the line between two servers carries, and the extension that is fastest on it.
//!
//! A wider field of the extension sends fewer bytes a transfer and computes more. Which pays is a matter of the line:
//! both servers measure it, or are told, and take the slower of what both know.

use super::{ProtocolError, wrong_length};
use crate::crypto::ot::extension::FieldBits;
use crate::wire::{Channel, Tag};
use std::time::{Duration, Instant};

/// The first frame that is timed, and the last.
const SIZES: [usize; 2] = [1 << 16, 1 << 24];
/// A frame that takes so long, and [`PATIENCE`] times as long as an empty one, tells the rate.
const LONG: Duration = Duration::from_millis(100);
const PATIENCE: u32 = 8;

/// The field for a line of so many Mbit/s each way.
///
/// Each limit lies between two lines on which one field and the next were faster, with a core for each server
/// (docs/protocols.md, the width of the extension).
pub(crate) fn field_for(mbit: u32) -> FieldBits {
    match mbit {
        0..130 => FieldBits::EIGHT,
        130..260 => FieldBits::SEVEN,
        260..380 => FieldBits::SIX,
        380..600 => FieldBits::FIVE,
        _ => FieldBits::FOUR,
    }
}

/// Mbit/s that the line carries each way while both ways are busy, the same number at both servers; more than can be
/// told in a moment is some large number.
///
/// Cost: frames of 64 KiB to 16 MiB, four times as large each, until one takes a tenth of a second; 2 rounds each, and
/// 4 more.
/// Security: nothing sent depends on a secret.
///
/// # Errors
/// [`ProtocolError::Net`].
pub(crate) fn measure(channel: &mut dyn Channel) -> Result<u32, ProtocolError> {
    // The first exchange waits for the other server; the second is as fast as the line answers.
    time(channel, 0)?;
    let empty = time(channel, 0)?;
    let mut size = SIZES[0];
    loop {
        let took = time(channel, size)?;
        if took >= LONG.max(PATIENCE * empty) || size == SIZES[1] {
            let bits = 8.0 * size as f64;
            return Ok((bits / took.as_secs_f64() / 1e6).clamp(1.0, 1e6) as u32);
        }
        size *= 4;
    }
}

/// How long a frame of so many bytes took each way, by the slower of both servers' clocks.
fn time(channel: &mut dyn Channel, size: usize) -> Result<Duration, ProtocolError> {
    let started = Instant::now();
    channel.send(Tag::Line, 0, vec![0x5a; size])?;
    let frame = channel.expect(Tag::Line)?;
    if frame.payload.len() != size {
        return Err(wrong_length("a frame that is timed", frame.payload.len(), size));
    }
    let ours = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX).max(1);
    let theirs = channel.exchange(Tag::Line, &ours.to_le_bytes())?;
    // An exchange gives as many bytes as it was given.
    let theirs = u64::from_le_bytes(theirs.try_into().expect("eight bytes"));
    Ok(Duration::from_micros(ours.max(theirs)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{MAX_PAYLOAD, pair};

    #[test]
    fn a_slower_line_takes_a_wider_field() {
        // What lines of 100, 200, 300, 600 and 1,000 Mbit/s were measured to carry.
        let fields = [1, 90, 176, 266, 500, 747, u32::MAX].map(|mbit| field_for(mbit).bits());
        assert_eq!(fields, [8, 8, 7, 6, 5, 4, 4]);
    }

    /// Both must choose the same field, whatever their clocks say; what is sent for it is bounded.
    #[test]
    fn both_servers_find_one_number() {
        const { assert!(SIZES[1] <= MAX_PAYLOAD) };
        let (mut a, mut b) = pair();
        let [ours, theirs] = std::thread::scope(|scope| {
            let other = scope.spawn(|| measure(&mut b).unwrap());
            [measure(&mut a).unwrap(), other.join().unwrap()]
        });
        assert_eq!(ours, theirs);
        assert!(ours >= 1);
        let sent = a.traffic().bytes_sent;
        assert!(sent < 4 * SIZES[1] as u64 / 3 + 1000, "{sent} bytes");
    }

    /// The first frame is empty, and then comes how long it took.
    #[test]
    fn frames_and_times_of_another_length_are_refused() {
        for (sent, expected) in
            [(&[3][..], "3 bytes for a frame"), (&[0, 7], "sent 7 bytes as piece 0, expected 8")]
        {
            let (mut a, mut b) = pair();
            sent.iter().for_each(|&n| b.send(Tag::Line, 0, vec![0; n]).unwrap());
            let refused = measure(&mut a).unwrap_err().to_string();
            assert!(refused.contains(expected), "{refused}");
        }
    }
}
