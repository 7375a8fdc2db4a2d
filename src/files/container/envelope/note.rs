//! A note from the gateway to the receiver, which the servers carry and cannot open.
//!
//! Sealed as a file is, with a key of its own that is bound to the image's id: a note of another
//! image does not open.

use super::seal::{ENCAPSULATED_LEN, OpenFrom, SealTo, Use, decapsulate, draw, encapsulate};
use super::{ChunkKey, header_hash};
use crate::files::container::sizes::TAG_LEN;
use crate::files::error::FormatError;
use crate::ids::ImageId;
use zeroize::Zeroizing;

/// What is sealed is a multiple of this many bytes.
pub(crate) const NOTE_UNIT: usize = 1024;
/// What sealing adds: the encapsulated key and the tag.
pub(crate) const NOTE_OVERHEAD: usize = ENCAPSULATED_LEN + TAG_LEN;
/// The most bytes of a sealed note: 64 KiB of fields and a sketch of 4 MiB, each with its head.
pub(crate) const MAX_NOTE: usize = (65 + 4097) * NOTE_UNIT + NOTE_OVERHEAD;

/// Seals a note of the image.
///
/// Security: HPKE in auth mode, AES-256-GCM under a key that serves once. Two notes of the same
/// contents have nothing in common but their length.
///
/// # Errors
/// [`FormatError::Random`]; [`FormatError::UnusableKey`].
pub(crate) fn seal_note(
    keys: SealTo<'_>,
    image: ImageId,
    mut note: Zeroizing<Vec<u8>>,
) -> Result<Vec<u8>, FormatError> {
    let unusable = || FormatError::UnusableKey { key: keys.recipient.fingerprint().short() };
    let (encapsulated, agreed) = encapsulate(Use::Note, keys, draw()?).map_err(|_| unusable())?;
    let key = agreed.bind(image.as_bytes()).map_err(|_| unusable())?;
    let mut sealer = key.sealer(header_hash(image.as_bytes()), 1);
    let tag = sealer.seal(ChunkKey::ONLY, &mut note).ok_or_else(unusable)?;
    Ok([&encapsulated[..], &note, &tag].concat())
}

/// What [`seal_note`] sealed; nothing if these are not the keys, the image and the bytes.
pub(crate) fn open_note(
    keys: OpenFrom<'_>,
    image: ImageId,
    sealed: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let (encapsulated, rest) = sealed.split_first_chunk::<ENCAPSULATED_LEN>()?;
    let (body, tag) = rest.split_last_chunk::<TAG_LEN>()?;
    let key = decapsulate(Use::Note, keys, encapsulated, image.as_bytes()).ok()?;
    let opener = key.opener(header_hash(image.as_bytes()), 1);
    let mut note = Zeroizing::new(body.to_vec());
    opener.open(0, ChunkKey::ONLY, &mut note, *tag).then_some(note)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::keys::SecretKey;
    use crate::ids::Role;

    #[test]
    fn a_note_opens_with_its_keys_and_image_only() {
        let [gateway, receiver, other] = [(); 3].map(|()| SecretKey::random().unwrap());
        let image = ImageId::from_bytes([7; 16]);
        let to = SealTo { sender: &gateway, recipient: &receiver.public() };
        let text = b"a name".to_vec();
        let sealed = seal_note(to, image, Zeroizing::new(text.clone())).unwrap();
        assert_eq!(sealed.len(), text.len() + NOTE_OVERHEAD);
        assert!(!sealed.windows(6).any(|w| w == &text[..]));
        assert_ne!(sealed, seal_note(to, image, Zeroizing::new(text.clone())).unwrap());
        let open = |recipient: &SecretKey, sender: &SecretKey, image, sealed: &[u8]| {
            let sender = &sender.public();
            open_note(OpenFrom { recipient, sender, role: Role::Gateway }, image, sealed)
        };
        assert_eq!(open(&receiver, &gateway, image, &sealed).as_deref(), Some(&text));
        assert!(open(&other, &gateway, image, &sealed).is_none());
        assert!(open(&receiver, &other, image, &sealed).is_none());
        assert!(open(&receiver, &gateway, ImageId::from_bytes([8; 16]), &sealed).is_none());
        for at in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[at] ^= 1;
            assert!(open(&receiver, &gateway, image, &bad).is_none(), "byte {at}");
            assert!(open(&receiver, &gateway, image, &sealed[..at]).is_none(), "length {at}");
        }
    }
}
