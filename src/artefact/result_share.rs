//! A denoised image in shares: each server's weighted sums, and how the receiver reads them.

use super::error::{ArtefactError, PairError};
use super::{
    PayloadSize, PublicModelFile, level_map, read_alarm, read_elements, read_note, start_sealed,
    write_alarm, write_elements, write_note,
};
use crate::crypto::alarm::{self, AlarmHalf};
use crate::crypto::share;
use crate::files::container::envelope::{EnvelopeReader, OpenFrom, SealTo, open_file};
use crate::files::container::header::{Decoding, Levels, ResultShare};
use crate::files::container::stream::Stream;
use crate::files::keys::{PublicKey, SecretKey};
use crate::files::output::OutputFile;
use crate::files::{FormatError, Place};
use crate::ids::{ImageId, Role, SessionId};
use crate::image::{Residual, Sketch};
use crate::model::{LevelMap, Normalisation, decode_sums};
use crate::network::Outputs;
use crate::numbers::fixed::shrink;
use crate::numbers::ring::{Ring, RingBits};
use crate::size::Size;
use zeroize::Zeroizing;

/// Writes a server's share of a denoised image, its half of the range alarm, and the image's note, sealed to the
/// receiver; the caller gives it its name.
///
/// Security: of `sums` the low bits are dropped that `fields` says, so that no file tells a result to
/// the last place: where the servers made the material themselves, a product may be off by one, and
/// whether it is tells of the other server's secrets (docs/protocols.md, aggregation).
///
/// # Errors
/// [`FormatError`] of the output.
pub(crate) fn write_result<R: Ring>(
    sums: &[R],
    alarm: Option<AlarmHalf>,
    note: &[u8],
    fields: ResultShare,
    keys: SealTo<'_>,
    out: OutputFile,
) -> Result<OutputFile, FormatError> {
    let size = PayloadSize::elements::<R>(sums.len())
        .and(PayloadSize::alarm(alarm.is_some()))
        .and(PayloadSize::note(note.len()));
    let (party, dropped) = (fields.party, fields.decode.dropped_bits);
    let mut out = start_sealed(out, keys, size, fields)?;
    let shrunk = sums.iter().map(|&sum| shrink(party, sum, dropped)).collect();
    let shrunk: Zeroizing<Vec<R>> = Zeroizing::new(shrunk);
    write_elements(&mut out, 0, &shrunk)?;
    write_alarm(&mut out, alarm)?;
    write_note(&mut out, note)?;
    out.finish()
}

/// How the receiver turns sums into grey levels.
pub(crate) fn decoding(public: &PublicModelFile, levels: Levels) -> Decoding {
    let Outputs { patch, stride, padded, window } = public.model.network.outputs();
    Decoding {
        frac_bits: public.model.output_frac(),
        dropped_bits: public.model.dropped_bits(),
        levels,
        mid_grey: public.model.units.mid_grey,
        grey_per_unit: public.model.units.grey_per_unit,
        patch: patch as u32,
        stride: stride as u32,
        padded,
        window: window.to_vec(),
        mosaic: public.model.network.is_of_colours(),
    }
}

/// A reconstructed image.
pub struct Reconstruction {
    /// Rows and columns.
    pub size: Size,
    /// Network units, row-major.
    units: Vec<f64>,
    /// How they become grey levels.
    map: LevelMap,
    /// The image's id.
    pub image_id: ImageId,
    /// The session that computed it.
    pub session_id: SessionId,
    /// The gateway's note, still sealed; empty if there is none.
    pub note: Vec<u8>,
    /// Whether the range alarm was raised; nothing if the model has none.
    pub alarm: Option<bool>,
    /// Whether it is the mosaic of a colour picture.
    pub mosaic: bool,
}

impl Reconstruction {
    /// Grey levels, row-major, neither rounded nor clipped.
    pub fn grey(&self) -> impl Iterator<Item = f64> {
        self.units.iter().map(|&units| self.map.to_grey(units))
    }

    /// The residual, estimated from a sketch of the noisy picture; nothing if that is of another size.
    pub fn residual(&self, sketch: &Sketch) -> Option<Residual> {
        let units = self.map.units;
        sketch.residual(self.size, self.units.iter().map(|&value| units.to_level(value)))
    }
}

/// A result share's fields and its note, still sealed, without its elements; `servers` as for
/// [`reconstruct`].
///
/// # Errors
/// [`FormatError`]; the elements are not checked.
pub(crate) fn read_result_note(
    place: &Place,
    receiver: &SecretKey,
    servers: &[PublicKey; 2],
) -> Result<(ResultShare, Vec<u8>), FormatError> {
    let file = open_file(place)?;
    let fields = file.expect::<ResultShare>()?.clone();
    let mut file = file.unseal(from_server(&fields, receiver, servers))?;
    let pixels = fields.size().pixels();
    let elements = match fields.ring_bits {
        RingBits::L32 => PayloadSize::elements::<u32>(pixels),
        RingBits::L64 => PayloadSize::elements::<u64>(pixels),
    };
    if fields.note == 0 {
        return Ok((fields, Vec::new()));
    }
    let before = elements.and(PayloadSize::alarm(fields.alarm));
    file.seek(before.bytes, before.chunks)?;
    let note = read_note(&mut file, fields.note)?;
    Ok((fields, note))
}

/// By whom and from whom a result is opened.
fn from_server<'a>(
    fields: &ResultShare,
    receiver: &'a SecretKey,
    servers: &'a [PublicKey; 2],
) -> OpenFrom<'a> {
    let (sender, role) = (&servers[fields.party.index()], Role::server(fields.party));
    OpenFrom { recipient: receiver, sender, role }
}

/// Adds two result shares up and decodes them. `servers` are the keys of server 0 and server 1.
///
/// Security: each share was sealed to `receiver` by its server, or is refused.
///
/// # Errors
/// [`FormatError`] of either file, [`PairError`] if they do not belong together.
pub(crate) fn reconstruct(
    places: [&Place; 2],
    receiver: &SecretKey,
    servers: &[PublicKey; 2],
) -> Result<Reconstruction, ArtefactError> {
    let files = [open_file(places[0])?, open_file(places[1])?];
    let fields =
        [files[0].expect::<ResultShare>()?.clone(), files[1].expect::<ResultShare>()?.clone()];
    let keys = |file: usize| from_server(&fields[file], receiver, servers);
    for (i, file) in files.iter().enumerate() {
        file.check_keys(keys(i))?;
    }
    check_pair(places, &fields)?;
    let [first, second] = files;
    let files = [first.unseal(keys(0))?, second.unseal(keys(1))?];
    match fields[0].ring_bits {
        RingBits::L32 => combine::<u32>(files, &fields),
        RingBits::L64 => combine::<u64>(files, &fields),
    }
}

fn check_pair(places: [&Place; 2], [a, b]: &[ResultShare; 2]) -> Result<(), PairError> {
    let [first, second] = places.map(|place| place.name().display().to_string());
    if let Some((file, _)) =
        [&first, &second].into_iter().zip([a, b]).find(|(_, f)| f.decode.window.contains(&0))
    {
        return Err(PairError::Window { file: file.clone() });
    }
    if a.party == b.party {
        return Err(PairError::SameParty { first, second, party: a.party });
    }
    let differ = |what, ours: String, theirs: String| {
        let (first, second) = (first.clone(), second.clone());
        if ours == theirs {
            return Ok(());
        }
        Err(PairError::Different { first, second, what, ours, theirs })
    };
    differ("images", a.image_id.short(), b.image_id.short())?;
    differ("sessions", a.session_id.short(), b.session_id.short())?;
    let rest = |f: &ResultShare| {
        let decode = &f.decode;
        let (ring, alarm) = (f.ring_bits.bits(), f.alarm);
        format!("{} {ring} {}x{} {alarm} {decode:?}", f.model_id, f.height, f.width)
    };
    differ("descriptions", rest(a), rest(b))
}

fn combine<R: Ring>(
    [mut a, mut b]: [EnvelopeReader<Stream>; 2],
    of: &[ResultShare; 2],
) -> Result<Reconstruction, ArtefactError> {
    let fields = &of[0];
    let size = fields.size();
    let decode = &fields.decode;
    let outputs = Outputs {
        patch: decode.patch as usize,
        stride: decode.stride as usize,
        padded: decode.padded,
        window: &decode.window,
    };
    // It also judges the size, before there is memory for it.
    let weights = outputs.weight_sums(size)?;
    let first: Vec<R> = read_elements(&mut a, 0, size.pixels())?;
    let second: Vec<R> = read_elements(&mut b, 0, size.pixels())?;
    let halves = [read_alarm(&mut a, fields.alarm)?, read_alarm(&mut b, fields.alarm)?];
    let alarm = halves[0].zip(halves[1]).map(|(a, b)| alarm::raised([a, b]));
    // S0's share has it.
    let mut note = read_note(&mut a, of[0].note)?;
    note.extend(read_note(&mut b, of[1].note)?);
    a.finish()?;
    b.finish()?;
    let sums = share::combine(&first, &second);
    let units = Normalisation { mid_grey: decode.mid_grey, grey_per_unit: decode.grey_per_unit };
    let map = level_map(&decode.levels, units);
    let units = decode_sums(&sums, &weights, decode.frac_bits, decode.dropped_bits);
    let (image_id, session_id) = (fields.image_id, fields.session_id);
    let mosaic = decode.mosaic;
    Ok(Reconstruction { size, units, map, image_id, session_id, note, alarm, mosaic })
}
