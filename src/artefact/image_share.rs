//! A shared image: `PREFIX.s0`, S0's share of the unpadded pixels and, for a model that adds them, of
//! the patch means; `PREFIX.s1`, a seed.

use super::{
    Note, Parties, PayloadSize, PublicModelFile, authenticate_elements, levels_of, random_seed,
    read_elements, read_note, read_seeds, start_sealed, verify_elements, write_elements,
    write_note, write_seeds,
};
use crate::crypto::prg::{Domain, Purpose, Seed};
use crate::crypto::share;
use crate::files::FormatError;
use crate::files::container::envelope::{Envelope, EnvelopeReader, OpenFrom, SealTo};
use crate::files::container::header::ImageShare;
use crate::files::container::stream::Stream;
use crate::files::keys::PublicKey;
use crate::files::output::OutputFile;
use crate::ids::ImageId;
use crate::ids::Party;
use crate::model::LevelMap;
use crate::numbers::ring::{Ring, RingBits};
use crate::size::Size;
use zeroize::Zeroizing;

/// An image encoded for a model, about to be shared.
pub(crate) struct SharedImage<'a> {
    /// A fresh id, which names the sharing.
    pub id: ImageId,
    /// Fixed-point pixels, row-major; the gateway's secret.
    pub encoded: &'a [i64],
    /// Rows and columns.
    pub size: Size,
    /// The image's noise level in grey levels.
    pub sigma: f64,
    /// How its grey levels were encoded.
    pub levels: LevelMap,
    /// The mean of each patch at the output scale, of [`crate::model::PublicModel::patch_means`].
    pub means: &'a [i64],
    /// What the receiver shall know of its file, and the receiver's key.
    pub note: Option<(&'a Note, &'a PublicKey)>,
}

/// The op number of the patch means in a payload; the pixels have 0.
const MEANS_OP: usize = 1;

/// Writes both shares of an image, complete but for their names, which `commit_all` and `commit_part`
/// of [`crate::files::output`] give them together.
///
/// Security: split by a fresh seed; each share is sealed from the gateway to its server. The note is
/// sealed to the receiver before that, and lies in S0's share only. Size: l / 8 bytes a pixel and
/// patch mean for S0, and the note; 32 bytes for S1.
///
/// # Errors
/// [`FormatError`] of the outputs; nothing is left behind.
pub(crate) fn write_image_shares(
    image: &SharedImage<'_>,
    public: &PublicModelFile,
    parties: &Parties,
    [s0_out, s1_out]: [OutputFile; 2],
) -> Result<[OutputFile; 2], FormatError> {
    let image_id = image.id;
    let note = image.note.map(|(note, receiver)| {
        note.seal(SealTo { sender: &parties.sender, recipient: receiver }, image_id)
    });
    let note = note.transpose()?.unwrap_or_default();
    let body = |party| ImageShare {
        party,
        image_id,
        model_id: public.facts.model_id,
        public_digest: public.facts.digest,
        ring_bits: public.model.ring,
        height: image.size.height as u32,
        width: image.size.width as u32,
        frac_bits: public.model.input.frac_bits,
        sigma: image.sigma,
        levels: levels_of(&image.levels),
        means: image.means.len() as u64,
        note: if party == Party::S0 { note.len() as u32 } else { 0 },
    };
    let seed = random_seed()?;
    let to_s0 = parties.to(Party::S0);
    let s0_out = match public.model.ring {
        RingBits::L32 => write_s0::<u32>(image, &note, &seed, to_s0, s0_out, body(Party::S0)),
        RingBits::L64 => write_s0::<u64>(image, &note, &seed, to_s0, s0_out, body(Party::S0)),
    }?;
    let size = PayloadSize::seeds(1);
    let mut out = start_sealed(s1_out, parties.to(Party::S1), size, body(Party::S1))?;
    write_seeds(&mut out, [&seed])?;
    let s1_out = out.finish()?;
    Ok([s0_out, s1_out])
}

fn write_s0<R: Ring>(
    image: &SharedImage<'_>,
    note: &[u8],
    seed: &Seed,
    keys: SealTo<'_>,
    out: OutputFile,
    body: ImageShare,
) -> Result<OutputFile, FormatError> {
    let parts = [(0, image.encoded), (MEANS_OP, image.means)];
    let sizes = parts.map(|(_, values)| PayloadSize::elements::<R>(values.len()));
    let size = sizes[0].and(sizes[1]).and(PayloadSize::note(note.len()));
    let mut out = start_sealed(out, keys, size, body)?;
    for (op, values) in parts {
        let values = values.iter().map(|&v| R::from_i64(v)).collect::<Vec<R>>();
        let values = Zeroizing::new(values);
        let mut stream = seed.stream(Domain::op(Purpose::ImageShare, op));
        write_elements(&mut out, op, &Zeroizing::new(share::split(&values, &mut stream)))?;
    }
    write_note(&mut out, note)?;
    out.finish()
}

/// What a share holds, unsealed.
pub struct ImageParts<R: Ring> {
    /// Shares of the pixels, row-major.
    pub pixels: Zeroizing<Vec<R>>,
    /// Shares of the patch means, if the model adds them.
    pub means: Zeroizing<Vec<R>>,
    /// The note to the receiver, still sealed; empty if there is none.
    pub note: Vec<u8>,
}

/// One server's share of an image, unsealed.
pub struct ImageShareFile {
    fields: ImageShare,
    payload: Payload,
}

enum Payload {
    Seed(Seed),
    Elements(Box<EnvelopeReader<Stream>>),
}

impl ImageShareFile {
    /// Unseals a share; a seed is read at once.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn unseal(file: Envelope<Stream>, keys: OpenFrom<'_>) -> Result<Self, FormatError> {
        let fields = *file.expect::<ImageShare>()?;
        let mut file = file.unseal(keys)?;
        let payload = match fields.party {
            Party::S0 => Payload::Elements(Box::new(file)),
            Party::S1 => {
                let [seed] = read_seeds(&mut file)?;
                file.finish()?;
                Payload::Seed(seed)
            }
        };
        Ok(ImageShareFile { fields, payload })
    }

    /// The fields of an image share.
    pub fn fields(&self) -> &ImageShare {
        &self.fields
    }

    /// Has the first chunk prove the header, which nobody but the gateway can then have made. Pipes
    /// are left alone. Cost: at most 2^18 elements are read and unsealed.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn authenticate(&mut self) -> Result<(), FormatError> {
        let ([(op, count), _], ring) = (self.parts(), self.fields.ring_bits);
        match &mut self.payload {
            // Unsealed with the header.
            Payload::Seed(_) => Ok(()),
            Payload::Elements(file) => authenticate_elements(&mut **file, ring, op, count),
        }
    }

    /// Checks every byte of a regular file ahead of [`ImageShareFile::into_parts`].
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn verify(&mut self) -> Result<(), FormatError> {
        let parts = self.parts();
        match &mut self.payload {
            Payload::Seed(_) => Ok(()),
            Payload::Elements(file) => {
                let note = self.fields.note;
                verify_elements(&mut **file, self.fields.ring_bits, parts, note)
            }
        }
    }

    /// The shares of all pixels and of the patch means, if there are any, and the note; checks every
    /// byte.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn into_parts<R: Ring>(self) -> Result<ImageParts<R>, FormatError> {
        let [pixels, means] = self.parts();
        match self.payload {
            Payload::Seed(seed) => {
                let [pixels, means] = [pixels, means].map(|(op, count)| {
                    Zeroizing::new(seed.stream(Domain::op(Purpose::ImageShare, op)).take(0, count))
                });
                Ok(ImageParts { pixels, means, note: Vec::new() })
            }
            Payload::Elements(mut file) => {
                let pixels = Zeroizing::new(read_elements(&mut *file, pixels.0, pixels.1)?);
                let means = Zeroizing::new(read_elements(&mut *file, means.0, means.1)?);
                let note = read_note(&mut *file, self.fields.note)?;
                file.finish()?;
                Ok(ImageParts { pixels, means, note })
            }
        }
    }

    /// Op number and count of what is shared.
    fn parts(&self) -> [(usize, usize); 2] {
        let pixels = self.fields.size().pixels();
        [(0, pixels), (MEANS_OP, self.fields.means as usize)]
    }
}
