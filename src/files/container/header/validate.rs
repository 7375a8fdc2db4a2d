//! The one check of header fields, for writers and readers alike.

use super::checks::{ensure, range};
use super::{Cipher, Header, Invalid, Payload, Protection};
use crate::files::container::{MAX_LANES, MAX_MEMORY_KIB, MAX_PASSES, MIN_LANE_KIB, Stretching};

/// The most bytes and chunks of a payload: small enough that file lengths never overflow.
const MAX_FILE_PAYLOAD: u64 = 1 << 50;

pub(super) fn validate(header: &Header) -> Result<(), Invalid> {
    let Header { payload_len, chunks, .. } = *header;
    range("payload_len", payload_len, 1, MAX_FILE_PAYLOAD, "1 to 2^50 bytes")?;
    range("chunks", chunks, 1, MAX_FILE_PAYLOAD, "1 to 2^50")?;
    protection(header)?;
    header.body.check(&Payload { length: payload_len, chunks })
}

/// What is secret is sealed, what is public is in clear; there is no third way.
fn protection(header: &Header) -> Result<(), Invalid> {
    let Header { cipher, recipient, .. } = header;
    let expected = match (header.body.protection(), cipher) {
        (Protection::Clear, _) => "none",
        (Protection::Key, Cipher::Sealed { .. }) => "none or passphrase",
        (Protection::Key, Cipher::None | Cipher::Locked(_)) => "",
        (Protection::Sealed, _) => "sealed",
    };
    let found = cipher.to_string();
    ensure(expected.is_empty() || expected == found, "cipher", found, expected)?;
    let (expected, sealed) = match cipher {
        Cipher::Sealed { .. } => ("a key, for a sealed file", true),
        _ => ("none, for a file that is not sealed", false),
    };
    let found = recipient.map_or("none".into(), |key| key.short());
    ensure(recipient.is_some() == sealed, "recipient", found, expected)?;
    let Cipher::Locked(stretching) = cipher else { return Ok(()) };
    let Stretching { memory_kib, passes, lanes, .. } = *stretching;
    range("lanes", lanes, 1, MAX_LANES, "1 to 16")?;
    let least = MIN_LANE_KIB * lanes;
    range("memory_kib", memory_kib, least, MAX_MEMORY_KIB, "8 a lane to 2^20 KiB")?;
    range("passes", passes, 1, MAX_PASSES, "1 to 16")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::container::header::checks::MAX_PIXELS;
    use crate::files::container::header::*;
    use crate::ids::Party;
    use crate::ids::codec::{SmallError, encode_small};
    use crate::ids::*;
    use crate::material::Origin;
    use crate::numbers::ring::RingBits;

    fn header(body: impl Into<Body>) -> Header {
        let [sender, recipient] = [1, 2].map(|v| Fingerprint::from_bytes([v; 16]));
        let (recipient, cipher) = (Some(recipient), Cipher::Sealed { encapsulated: [3; 32] });
        Header { sender, recipient, cipher, payload_len: 8, chunks: 1, body: body.into() }
    }

    /// Both writer and reader refuse this header, naming the field.
    fn refused(header: Header, field: &str) {
        let unchecked = encode_small(&header).unwrap();
        for err in [header.to_bytes().unwrap_err(), Header::from_bytes(&unchecked).unwrap_err()] {
            assert!(matches!(err, SmallError::Field { field: f, .. } if f == field), "{err}");
        }
    }

    const LEVELS: Levels = Levels { sigma_ratio: 1.0, scale_about: 127.5, poisson: None };

    fn image() -> ImageShare {
        ImageShare {
            party: Party::S0,
            image_id: ImageId::from_bytes([2; 16]),
            model_id: ModelId::from_bytes([3; 16]),
            public_digest: Digest::from_bytes([4; 32]),
            ring_bits: RingBits::L32,
            height: 1 << 14,
            width: 1 << 14,
            frac_bits: 31,
            sigma: 25.0,
            levels: LEVELS,
            means: 0,
            note: 0,
        }
    }

    fn triples() -> Triples {
        let ImageShare { party, model_id, public_digest, ring_bits, height, width, .. } = image();
        let set_id = TripleSetId::from_bytes([5; 16]);
        let weight_mask_id = WeightMaskId::from_bytes([6; 16]);
        let (slots, batch_rows) = (1, 65536);
        Triples {
            party,
            set_id,
            weight_mask_id,
            model_id,
            public_digest,
            ring_bits,
            height,
            width,
            slots,
            batch_rows,
            origin: Origin::Made,
        }
    }

    fn result(change: fn(&mut Decoding)) -> ResultShare {
        let ImageShare { party, image_id, model_id, ring_bits, height, width, .. } = image();
        let session_id = SessionId::from_bytes([7; 16]);
        let mut decode = Decoding {
            frac_bits: 20,
            dropped_bits: 20,
            levels: LEVELS,
            mid_grey: 127.5,
            grey_per_unit: 51.0,
            patch: 3,
            stride: 3,
            padded: true,
            window: vec![1; 9],
            mosaic: false,
        };
        change(&mut decode);
        let note = 1072;
        ResultShare {
            party,
            image_id,
            model_id,
            session_id,
            ring_bits,
            height,
            width,
            decode,
            alarm: false,
            note,
        }
    }

    #[test]
    fn limits_are_inside() {
        let longest = header(ImageShare { note: 4_261_936, ..image() });
        assert_eq!(Header::from_bytes(&longest.to_bytes().unwrap()), Ok(longest));
        let bodies: [Body; 3] = [image().into(), triples().into(), result(|_| ()).into()];
        for header in bodies.map(header) {
            assert_eq!(Header::from_bytes(&header.to_bytes().unwrap()), Ok(header));
        }
    }

    #[test]
    fn the_largest_window_fits_a_header() {
        let whole = result(|d| {
            (d.patch, d.padded, d.window) = (127, false, vec![u16::MAX; 127 * 127]);
        });
        let header = header(whole);
        assert_eq!(Header::from_bytes(&header.to_bytes().unwrap()), Ok(header));
    }

    #[test]
    fn every_rule_refuses() {
        refused(Header { payload_len: 0, ..header(image()) }, "payload_len");
        refused(Header { payload_len: MAX_FILE_PAYLOAD + 1, ..header(image()) }, "payload_len");
        refused(Header { chunks: 0, ..header(image()) }, "chunks");
        refused(header(ImageShare { height: 0, ..image() }), "height");
        refused(header(ImageShare { width: 0, ..image() }), "width");
        refused(header(ImageShare { width: (1 << 14) + 1, ..image() }), "height * width");
        let (height, width) = (u32::MAX, u32::MAX);
        refused(header(ImageShare { height, width, ..image() }), "height * width");
        refused(header(ImageShare { frac_bits: 32, ..image() }), "frac_bits");
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            refused(header(ImageShare { sigma: bad, ..image() }), "sigma");
            let levels = Levels { sigma_ratio: bad, ..LEVELS };
            refused(header(ImageShare { levels, ..image() }), "sigma_ratio");
        }
        refused(header(ImageShare { means: MAX_PIXELS + 1, ..image() }), "means");
        // Any other length than a padded one would tell how long a name is.
        for bad in [1, 48, 1071, 1073, 4_261_936 + 1024, u32::MAX] {
            refused(header(ImageShare { note: bad, ..image() }), "note");
            refused(header(ResultShare { note: bad, ..result(|_| ()) }), "note");
        }
        for bad in [-0.5, 255.5, f64::NAN] {
            let levels = |change: fn(&mut Levels, f64)| {
                let mut levels = LEVELS;
                change(&mut levels, bad);
                header(ImageShare { levels, ..image() })
            };
            refused(levels(|l, bad| l.scale_about = bad), "scale_about");
            refused(
                levels(|l, bad| l.poisson = Some(PoissonNoise { gain: bad, read_noise: 0.0 })),
                "gain",
            );
            refused(
                levels(|l, bad| l.poisson = Some(PoissonNoise { gain: 1.0, read_noise: bad })),
                "read_noise",
            );
        }
        refused(header(result(|d| d.dropped_bits = 21)), "dropped_bits");
        refused(header(Triples { slots: 0, ..triples() }), "slots");
        refused(header(Triples { batch_rows: 0, ..triples() }), "batch_rows");
        refused(header(Triples { batch_rows: 65537, ..triples() }), "batch_rows");
        refused(header(result(|d| d.mid_grey = f64::NAN)), "mid_grey");
        refused(header(result(|d| d.grey_per_unit = 0.0)), "grey_per_unit");
        refused(header(result(|d| d.patch = 0)), "patch");
        refused(header(result(|d| d.patch = 128)), "patch");
        refused(header(result(|d| d.stride = 0)), "stride");
        refused(header(result(|d| d.stride = 4)), "stride");
        refused(header(result(|d| d.stride = 2)), "stride");
        refused(header(result(|d| d.window.truncate(8))), "window length");
        refused(header(result(|d| d.window.fill(0))), "window");
        let share = ModelShare {
            party: Party::S0,
            model_id: image().model_id,
            ring_bits: RingBits::L32,
            public_digest: image().public_digest,
            elements: 0,
        };
        refused(header(share), "elements");
    }

    #[test]
    fn every_kind_is_protected_in_its_way() {
        let clear = |body: Body| {
            let (recipient, cipher) = (None, Cipher::None);
            Header { recipient, cipher, ..header(body) }
        };
        let role = Role::Dealer;
        let valid = |header: &Header| header.to_bytes().is_ok();
        refused(clear(image().into()), "cipher");
        refused(clear(result(|_| ()).into()), "cipher");
        refused(Header { recipient: None, ..header(image()) }, "recipient");
        assert!(valid(&clear(PublicKeyOf { role }.into())));
        refused(header(PublicKeyOf { role }), "cipher");
        refused(header(SecretKeyOf { role }), "cipher");
        let secret = clear(SecretKeyOf { role }.into());
        assert!(valid(&secret));
        let someone = Some(Fingerprint::from_bytes([2; 16]));
        refused(Header { recipient: someone, ..secret.clone() }, "recipient");
        let locked = |memory_kib, passes, lanes| {
            let cipher = Cipher::Locked(Stretching { salt: [0; 16], memory_kib, passes, lanes });
            Header { cipher, ..secret.clone() }
        };
        assert!(valid(&locked(1 << 16, 3, 4)) && valid(&locked(1 << 20, 16, 16)));
        // A hostile file may ask neither for all memory nor for all day.
        refused(locked((1 << 20) + 1, 3, 4), "memory_kib");
        refused(locked(u32::MAX, 3, 4), "memory_kib");
        refused(locked(31, 3, 4), "memory_kib");
        refused(locked(1 << 16, 0, 4), "passes");
        refused(locked(1 << 16, 17, 4), "passes");
        refused(locked(1 << 16, 3, 0), "lanes");
        refused(locked(1 << 16, 3, u32::MAX), "lanes");
        refused(Header { cipher: locked(64, 1, 1).cipher, ..clear(image().into()) }, "cipher");
    }

    #[test]
    fn numbers_without_meaning_are_named() {
        let bytes = header(image()).to_bytes().unwrap();
        // sender 16, recipient 17, cipher 33, payload_len 1, chunks 1, kind 1, party, ids, ring.
        for (at, expected) in [(68, "kind"), (69, "party"), (69 + 1 + 64, "ring_bits")] {
            let mut bytes = bytes.clone();
            bytes[at] = 99;
            let err = Header::from_bytes(&bytes).unwrap_err();
            let SmallError::Field { field, value, .. } = err else { panic!("{err}") };
            assert_eq!((field, value.as_str()), (expected, "99"));
        }
        let mut cipher = bytes.clone();
        cipher[33] = 9;
        assert_eq!(Header::from_bytes(&cipher), Err(SmallError::UnknownCipher { found: 9 }));
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Header::from_bytes(&longer), Err(SmallError::LeftOver { left: 1 }));
    }
}
