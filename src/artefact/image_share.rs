//! A shared image: `PREFIX.s0`, S0's share of the unpadded pixels and, for a model that adds them, of
//! the patch means; `PREFIX.s1`, a seed.

use super::{
    Parties, PayloadSize, PublicModelFile, levels_of, random_seed, read_elements, read_seeds,
    start_sealed, verify_elements, write_elements, write_seeds,
};
use crate::format::envelope::{Envelope, EnvelopeReader, OpenFrom, SealTo};
use crate::format::header::ImageShare;
use crate::format::output::{OutputFile, commit_all};
use crate::format::{FormatError, ImageId};
use crate::model::LevelMap;
use crate::party::Party;
use crate::prg::{Domain, Purpose, Seed};
use crate::ring::{Ring, RingBits};
use crate::share;
use std::fs::File;
use std::io::BufReader;
use zeroize::Zeroizing;

/// An image encoded for a model, about to be shared.
pub struct SharedImage<'a> {
    /// Fixed-point pixels, row-major; the gateway's secret.
    pub encoded: &'a [i64],
    /// Rows and columns.
    pub size: (usize, usize),
    /// The image's noise level in grey levels.
    pub sigma: f64,
    /// How its grey levels were encoded.
    pub levels: LevelMap,
    /// The mean of each patch at the output scale, of [`crate::model::PublicModel::patch_means`].
    pub means: &'a [i64],
}

/// The op number of the patch means in a payload; the pixels have 0.
const MEANS_OP: usize = 1;

/// Writes both shares of an image; returns its fresh id.
///
/// Security: split by a fresh seed; each share is sealed from the gateway to its server. Size: l / 8 bytes a pixel and patch mean for S0, 32 bytes for
/// S1.
///
/// # Errors
/// [`FormatError`] of the outputs; nothing is left behind.
pub fn write_image_shares(
    image: &SharedImage<'_>,
    public: &PublicModelFile,
    parties: &Parties,
    [s0_out, s1_out]: [OutputFile; 2],
) -> Result<ImageId, FormatError> {
    let image_id = ImageId::random()?;
    let body = |party| ImageShare {
        party,
        image_id,
        model_id: public.model_id,
        public_digest: public.digest,
        ring_bits: public.model.ring,
        height: image.size.0 as u32,
        width: image.size.1 as u32,
        frac_bits: public.model.input.frac_bits,
        sigma: image.sigma,
        levels: levels_of(&image.levels),
        means: image.means.len() as u64,
    };
    let seed = random_seed()?;
    let to_s0 = parties.to(Party::S0);
    let s0_out = match public.model.ring {
        RingBits::L32 => write_s0::<u32>(image, &seed, to_s0, s0_out, body(Party::S0)),
        RingBits::L64 => write_s0::<u64>(image, &seed, to_s0, s0_out, body(Party::S0)),
    }?;
    let size = PayloadSize::seeds(1);
    let mut out = start_sealed(s1_out, parties.to(Party::S1), size, body(Party::S1))?;
    write_seeds(&mut out, [&seed])?;
    let s1_out = out.finish()?;
    commit_all([s0_out, s1_out])?;
    Ok(image_id)
}

fn write_s0<R: Ring>(
    image: &SharedImage<'_>,
    seed: &Seed,
    keys: SealTo<'_>,
    out: OutputFile,
    body: ImageShare,
) -> Result<OutputFile, FormatError> {
    let parts = [(0, image.encoded), (MEANS_OP, image.means)];
    let sizes = parts.map(|(_, values)| PayloadSize::elements::<R>(values.len()));
    let size = sizes[0].and(sizes[1]);
    let mut out = start_sealed(out, keys, size, body)?;
    for (op, values) in parts {
        let values = values.iter().map(|&v| R::from_i64(v)).collect::<Vec<R>>();
        let values = Zeroizing::new(values);
        let mut stream = seed.stream(Domain::op(Purpose::ImageShare, op));
        write_elements(&mut out, op, &Zeroizing::new(share::split(&values, &mut stream)))?;
    }
    out.finish()
}

/// One server's share of an image, unsealed.
pub struct ImageShareFile {
    fields: ImageShare,
    payload: Payload,
}

enum Payload {
    Seed(Seed),
    Elements(Box<EnvelopeReader<BufReader<File>>>),
}

impl ImageShareFile {
    /// Unseals a share; a seed is read at once.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn unseal(
        file: Envelope<BufReader<File>>,
        keys: OpenFrom<'_>,
    ) -> Result<Self, FormatError> {
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

    /// Checks every byte of a regular file ahead of [`ImageShareFile::into_shares`].
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn verify(&mut self) -> Result<(), FormatError> {
        let parts = self.parts();
        match &mut self.payload {
            Payload::Seed(_) => Ok(()),
            Payload::Elements(file) => verify_elements(&mut **file, self.fields.ring_bits, parts),
        }
    }

    /// The shares of all pixels and of the patch means, if there are any; checks every byte.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn into_shares<R: Ring>(self) -> Result<[Vec<R>; 2], FormatError> {
        let [pixels, means] = self.parts();
        match self.payload {
            Payload::Seed(seed) => Ok([pixels, means].map(|(op, count)| {
                seed.stream(Domain::op(Purpose::ImageShare, op)).take(0, count)
            })),
            Payload::Elements(mut file) => {
                let pixels = read_elements(&mut *file, pixels.0, pixels.1)?;
                let means = read_elements(&mut *file, means.0, means.1)?;
                file.finish()?;
                Ok([pixels, means])
            }
        }
    }

    /// Op number and count of what is shared.
    fn parts(&self) -> [(usize, usize); 2] {
        let pixels = self.fields.height as usize * self.fields.width as usize;
        [(0, pixels), (MEANS_OP, self.fields.means as usize)]
    }
}
