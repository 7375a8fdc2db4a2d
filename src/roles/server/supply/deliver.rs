//! Where a denoised image goes: into a file that is sealed to the receiver, or, where the receiver is one
//! of the two servers, to that one over the link.

use crate::artefact::{PublicModelFile, decoding, write_result};
use crate::crypto::alarm::AlarmHalf;
use crate::crypto::share;
use crate::files::container::SealTo;
use crate::files::container::header::{ImageShare, ResultShare};
use crate::files::output::OutputFile;
use crate::ids::{Party, SessionId};
use crate::model::decode_sums;
use crate::numbers::fixed::shrink;
use crate::numbers::ring::{self, Ring};
use crate::protocol::{BlindAlarm, ProtocolError};
use crate::roles::server::ServiceError;
use crate::roles::server::inputs::ServerKeys;
use crate::size::Size;
use crate::wire::{Channel, MAX_PAYLOAD, NetError, Tag};
use zeroize::Zeroizing;

/// Bytes of a share in a frame.
const PIECE: usize = MAX_PAYLOAD / 4;

/// A result at the server that it is for.
#[derive(Clone, Debug)]
pub struct OwnResult {
    /// In network units, row-major.
    pub units: Vec<f64>,
    /// Whether the range alarm was raised; none of a model without.
    pub alarm: Option<bool>,
}

/// The end of one image's way at this server.
pub(in crate::roles::server) enum Sink {
    /// A file; of the image share its header and the note behind its pixels.
    File { out: Box<OutputFile>, fields: ImageShare, note: Vec<u8> },
    /// The other server.
    Peer,
    /// This server, together with what the other one sends.
    Here,
}

/// What all sinks need to know.
pub(in crate::roles::server) struct Delivery<'a, R> {
    pub(in crate::roles::server) party: Party,
    pub(in crate::roles::server) keys: &'a ServerKeys<'a>,
    pub(in crate::roles::server) public: &'a PublicModelFile,
    pub(in crate::roles::server) size: Size,
    pub(in crate::roles::server) session: SessionId,
    /// This server's share of the weighted sums.
    pub(in crate::roles::server) sums: &'a [R],
    /// Its half of the range alarm.
    pub(in crate::roles::server) alarm: Option<AlarmHalf>,
    /// What compares both halves where the receiver is one of the servers and the model has an alarm.
    pub(in crate::roles::server) blind: Option<&'a mut BlindAlarm>,
}

impl Sink {
    /// Delivers the result; what stays here is returned.
    ///
    /// Security: whatever leaves has lost its low bits: [`crate::model::PublicModel::dropped_bits`] in a
    /// file; over the link, where the receiver knows half of the secrets, as many as the scale allows
    /// ([`crate::model::PublicModel::droppable_bits`]; docs/one-cloud.md).
    ///
    /// Cost: a file stays here; over the link one message of l / 8 bytes a pixel, and before it, of a model with a range
    /// alarm, what [`BlindAlarm::compare`] takes. Then one round.
    ///
    /// # Errors
    /// Those of the output and the channel; then neither server has the result.
    pub(in crate::roles::server) fn deliver<R: Ring>(
        self,
        of: &mut Delivery<'_, R>,
        channel: &mut dyn Channel,
    ) -> Result<Option<OwnResult>, ServiceError> {
        let written = match self {
            Sink::File { out, fields, note } => Some(of.write(*out, &fields, &note)?),
            Sink::Peer => {
                of.compare(channel)?;
                send(&of.shrunk(), channel)?;
                None
            }
            Sink::Here => {
                let alarm = of.compare(channel)?;
                let units = of.combined(channel)?;
                finish(channel)?;
                return Ok(Some(OwnResult { units, alarm }));
            }
        };
        // A file gets its name only when the other server has its half as well.
        finish(channel)?;
        written.map_or(Ok(()), OutputFile::commit)?;
        Ok(None)
    }
}

fn finish(channel: &mut dyn Channel) -> Result<(), NetError> {
    channel.send(Tag::Done, 0, Vec::new())?;
    channel.expect(Tag::Done).map(|_| ())
}

impl<R: Ring> Delivery<'_, R> {
    /// Whether the alarm was raised, if there is one and this server may know.
    fn compare(&mut self, channel: &mut dyn Channel) -> Result<Option<bool>, ServiceError> {
        match (self.blind.as_mut(), self.alarm) {
            (Some(blind), Some(half)) => Ok(blind.compare(half, channel)?),
            _ => Ok(None),
        }
    }

    fn write(
        &self,
        out: OutputFile,
        image: &ImageShare,
        note: &[u8],
    ) -> Result<OutputFile, ServiceError> {
        let result = ResultShare {
            party: self.party,
            image_id: image.image_id,
            model_id: image.model_id,
            session_id: self.session,
            ring_bits: R::RING,
            height: image.height,
            width: image.width,
            decode: decoding(self.public, image.levels),
            note: note.len() as u32,
            alarm: self.alarm.is_some(),
        };
        let ServerKeys { own, receiver, .. } = self.keys;
        let to_receiver = SealTo { sender: own, recipient: receiver };
        Ok(write_result(self.sums, self.alarm, note, result, to_receiver, out)?)
    }

    /// This server's share without the low bits.
    fn shrunk(&self) -> Zeroizing<Vec<R>> {
        let dropped = self.public.model.droppable_bits();
        let shrunk = self.sums.iter().map(|&sum| shrink(self.party, sum, dropped));
        Zeroizing::new(shrunk.collect())
    }

    /// The result, of both shares.
    fn combined(&self, channel: &mut dyn Channel) -> Result<Vec<f64>, ServiceError> {
        let theirs = receive::<R>(self.sums.len(), channel)?;
        let sums = Zeroizing::new(share::combine(&self.shrunk(), &theirs));
        let model = &self.public.model;
        let weights =
            model.network.outputs().weight_sums(self.size).map_err(ProtocolError::from)?;
        Ok(decode_sums(&sums, &weights, model.output_frac(), model.droppable_bits()))
    }
}

/// Sends a share in pieces.
fn send<R: Ring>(share: &[R], channel: &mut dyn Channel) -> Result<(), NetError> {
    for (number, piece) in share.chunks(PIECE / R::BYTES).enumerate() {
        channel.send(Tag::Result, number as u32, ring::to_le_bytes(piece))?;
    }
    Ok(())
}

/// Receives a share of so many elements; takes no more memory than they need.
fn receive<R: Ring>(
    count: usize,
    channel: &mut dyn Channel,
) -> Result<Zeroizing<Vec<R>>, NetError> {
    let mut share = Zeroizing::new(Vec::with_capacity(count));
    for (number, first) in (0..count).step_by(PIECE / R::BYTES).enumerate() {
        let expected = (count - first).min(PIECE / R::BYTES);
        let frame = channel.expect(Tag::Result)?;
        let payload = Zeroizing::new(frame.payload);
        match ring::from_le_bytes::<R>(&payload) {
            Some(piece) if piece.len() == expected && frame.batch as usize == number => {
                share.extend_from_slice(&Zeroizing::new(piece));
            }
            _ => {
                let text = format!(
                    "sent {} bytes as piece {} of a result, expected {} as piece {number}",
                    payload.len(),
                    frame.batch,
                    expected * R::BYTES
                );
                return Err(NetError::Protocol(text));
            }
        }
    }
    Ok(share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::pair;

    #[test]
    fn a_share_of_a_result_comes_whole_or_is_refused() {
        let share: Vec<u32> = (0..(PIECE / 4 + 3) as u32).map(|i| i.wrapping_mul(77)).collect();
        let (mut ours, mut theirs) = pair();
        send(&share, &mut theirs).unwrap();
        assert_eq!(*receive::<u32>(share.len(), &mut ours).unwrap(), share);
        for (count, piece, bytes) in [(9, 0, 35), (9, 0, 40), (9, 1, 36), (0, 0, 0)] {
            let (mut ours, mut theirs) = pair();
            theirs.send(Tag::Result, piece, vec![1; bytes]).unwrap();
            let received = receive::<u32>(count, &mut ours);
            assert_eq!(received.is_ok(), count == 0, "{count} {piece} {bytes}");
        }
    }
}
