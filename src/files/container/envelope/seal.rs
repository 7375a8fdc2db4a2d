//! Chunks under a key: how a sealed file's key comes about, and how it is used.
//!
//! A file's key is exported from HPKE (RFC 9180) in auth mode, DHKEM(X25519, HKDF-SHA256): only who
//! has the sender's or the recipient's secret key can know it. The exporter's context is every byte
//! of the header, so another header means another key. Chunks are sealed by AES-256-GCM with their
//! index in the file as the nonce.
//!
//! No nonce serves twice under a key: a key is drawn for one file, becomes one [`Sealer`], which
//! nobody can copy, and that counts for itself.

use super::{ChunkKey, HeaderHash, Tag};
use crate::files::keys::{PublicKey, SecretKey};
use crate::ids::RandomError;
use crate::ids::Role;
use hpke::aead::{AeadCtxS, ExportOnlyAead};
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256 as Kem;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable, HpkeError, OpModeR, OpModeS, Serializable};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use std::convert::Infallible;
use zeroize::{Zeroize, Zeroizing};

/// What a key is agreed on for; separates the uses of HPKE from one another.
#[derive(Clone, Copy, Debug)]
pub(super) enum Use {
    /// The chunks of a file.
    File,
    /// A gateway's note to the receiver.
    Note,
}

impl Use {
    fn info(self) -> &'static [u8] {
        match self {
            Use::File => b"ppdenoise sealed file v1",
            Use::Note => b"ppdenoise sealed note v1",
        }
    }
}

/// Bytes of an encapsulated key.
pub(crate) const ENCAPSULATED_LEN: usize = 32;
/// Bytes of randomness that encapsulating takes.
pub(super) const RANDOMNESS_LEN: usize = 32;

/// From whom to whom a file is sealed.
#[derive(Clone, Copy, Debug)]
pub struct SealTo<'a> {
    /// Its maker, who is thereby known to be.
    pub sender: &'a SecretKey,
    /// Who may read it.
    pub recipient: &'a PublicKey,
}

/// By whom and from whom a sealed file is opened.
#[derive(Clone, Copy, Debug)]
pub struct OpenFrom<'a> {
    /// The reader's own key.
    pub recipient: &'a SecretKey,
    /// The key of who must have made the file.
    pub sender: &'a PublicKey,
    /// Whose key that is, for messages.
    pub role: Role,
}

/// A key that is agreed on and not yet bound to a header.
pub(super) struct Agreed(AeadCtxS<ExportOnlyAead, HkdfSha256, Kem>);

/// Agrees on a key with the recipient; also what the recipient needs to agree on it too.
pub(super) fn encapsulate(
    purpose: Use,
    keys: SealTo<'_>,
    randomness: Zeroizing<[u8; RANDOMNESS_LEN]>,
) -> Result<([u8; ENCAPSULATED_LEN], Agreed), HpkeError> {
    let recipient = public(keys.recipient)?;
    let mode = OpModeS::<Kem>::Auth((secret(keys.sender)?, public(&keys.sender.public())?));
    let (encapsulated, context) = hpke::setup_sender_with_rng::<ExportOnlyAead, HkdfSha256, Kem>(
        &mode,
        &recipient,
        purpose.info(),
        &mut Drawn { bytes: randomness, used: 0 },
    )?;
    let mut bytes = [0; ENCAPSULATED_LEN];
    encapsulated.write_exact(&mut bytes);
    Ok((bytes, Agreed(context)))
}

/// The recipient's side of [`encapsulate`], and the binding to the header.
pub(super) fn decapsulate(
    purpose: Use,
    keys: OpenFrom<'_>,
    encapsulated: &[u8; ENCAPSULATED_LEN],
    header: &[u8],
) -> Result<FileKey, HpkeError> {
    export(keys, encapsulated, purpose.info(), header).map(FileKey)
}

/// What the recipient exports in a context under `info`.
fn export(
    keys: OpenFrom<'_>,
    encapsulated: &[u8; ENCAPSULATED_LEN],
    info: &[u8],
    exporter_context: &[u8],
) -> Result<Zeroizing<[u8; 32]>, HpkeError> {
    let encapsulated = <Kem as hpke::Kem>::EncappedKey::from_bytes(encapsulated)?;
    let context = hpke::setup_receiver::<ExportOnlyAead, HkdfSha256, Kem>(
        &OpModeR::Auth(public(keys.sender)?),
        &secret(keys.recipient)?,
        &encapsulated,
        info,
    )?;
    let mut key = Zeroizing::new([0; 32]);
    context.export(exporter_context, key.as_mut_slice())?;
    Ok(key)
}

impl Agreed {
    /// The file's key under this header, which is every byte before the header's tag.
    pub(super) fn bind(self, header: &[u8]) -> Result<FileKey, HpkeError> {
        let mut key = Zeroizing::new([0; 32]);
        self.0.export(header, key.as_mut_slice())?;
        Ok(FileKey(key))
    }
}

fn secret(key: &SecretKey) -> Result<<Kem as hpke::Kem>::PrivateKey, HpkeError> {
    <Kem as hpke::Kem>::PrivateKey::from_bytes(key.agreement().as_bytes())
}

fn public(key: &PublicKey) -> Result<<Kem as hpke::Kem>::PublicKey, HpkeError> {
    <Kem as hpke::Kem>::PublicKey::from_bytes(&key.agreement())
}

/// Fresh randomness for one encapsulation.
///
/// # Errors
/// [`RandomError`] if the operating system has no random bytes.
pub(super) fn draw() -> Result<Zeroizing<[u8; RANDOMNESS_LEN]>, RandomError> {
    let mut bytes = Zeroizing::new([0; RANDOMNESS_LEN]);
    getrandom::fill(bytes.as_mut_slice())?;
    Ok(bytes)
}

/// Hands out bytes that were drawn before, so that a failure of the operating system is an error
/// and not a panic.
struct Drawn {
    bytes: Zeroizing<[u8; RANDOMNESS_LEN]>,
    used: usize,
}

impl TryRng for Drawn {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// # Panics
    /// If more is asked for than an X25519 key takes: bytes never serve twice.
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        out.copy_from_slice(&self.bytes[self.used..][..out.len()]);
        self.used += out.len();
        Ok(())
    }
}

impl TryCryptoRng for Drawn {}

/// The key of one file. It becomes a [`Sealer`] or an [`Opener`], once.
pub(super) struct FileKey(Zeroizing<[u8; 32]>);

impl FileKey {
    /// A key that somebody else derived for one file only.
    pub(super) fn new(key: Zeroizing<[u8; 32]>) -> Self {
        FileKey(key)
    }

    pub(super) fn sealer(self, header: HeaderHash, chunks: u64) -> Sealer {
        Sealer { cipher: self.cipher(header, chunks), next: 0 }
    }

    pub(super) fn opener(self, header: HeaderHash, chunks: u64) -> Opener {
        Opener(self.cipher(header, chunks))
    }

    fn cipher(&self, header: HeaderHash, chunks: u64) -> Box<Cipher> {
        let key = UnboundKey::new(&AES_256_GCM, self.0.as_slice()).expect("a key of 32 bytes");
        Box::new(Cipher { key: LessSafeKey::new(key), header, chunks })
    }
}

struct Cipher {
    key: LessSafeKey,
    header: HeaderHash,
    chunks: u64,
}

/// Header hash, slot, op, piece, length.
type AssociatedData = [u8; 32 + 8 + 4 + 4 + 8];

impl Cipher {
    /// Index of the chunk (u64), whether it is the last (0 or 1), three zeros.
    fn nonce(&self, index: u64) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        nonce[..8].copy_from_slice(&index.to_le_bytes());
        nonce[8] = u8::from(index + 1 == self.chunks);
        Nonce::assume_unique_for_key(nonce)
    }

    fn associated(&self, key: ChunkKey, len: usize) -> Aad<AssociatedData> {
        let mut data = [0; 56];
        data[..32].copy_from_slice(&self.header);
        data[32..40].copy_from_slice(&key.slot.to_le_bytes());
        data[40..44].copy_from_slice(&key.op.to_le_bytes());
        data[44..48].copy_from_slice(&key.piece.to_le_bytes());
        data[48..].copy_from_slice(&(len as u64).to_le_bytes());
        Aad::from(data)
    }
}

/// Seals the chunks of one file, each index once.
pub(super) struct Sealer {
    cipher: Box<Cipher>,
    next: u64,
}

impl Sealer {
    /// Seals the next chunk in place and returns its tag; nothing, and the bytes wiped, beyond the
    /// number of chunks or the cipher's longest message (64 GiB).
    pub(super) fn seal(&mut self, key: ChunkKey, bytes: &mut [u8]) -> Option<Tag> {
        let index = self.next;
        if index >= self.cipher.chunks {
            bytes.zeroize();
            return None;
        }
        // Whatever happens below, this index is spent.
        self.next += 1;
        let (nonce, data) = (self.cipher.nonce(index), self.cipher.associated(key, bytes.len()));
        match self.cipher.key.seal_in_place_separate_tag(nonce, data, bytes) {
            Ok(tag) => tag.as_ref().try_into().ok(),
            Err(_) => {
                bytes.zeroize();
                None
            }
        }
    }
}

/// Opens the chunks of one file, in any order.
pub(super) struct Opener(Box<Cipher>);

impl Opener {
    /// Opens in place the chunk that has `index` chunks before it. False if anything differs from
    /// what was sealed; then `bytes` is meaningless.
    pub(super) fn open(&self, index: u64, key: ChunkKey, bytes: &mut [u8], tag: Tag) -> bool {
        let (nonce, data) = (self.0.nonce(index), self.0.associated(key, bytes.len()));
        self.0.key.open_in_place_separate_tag(nonce, data, tag.into(), bytes, 0..).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        std::array::from_fn(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
    }

    /// The X25519 half of a key; the other does not matter here.
    fn pair(agreement: &str) -> SecretKey {
        let mut both = [1; 64];
        both[..32].copy_from_slice(&bytes::<32>(agreement));
        SecretKey::from_bytes(&both)
    }

    /// RFC 9180, appendix A.7.3: mode auth, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, export-only.
    #[test]
    fn known_answer_of_the_rfc() {
        let ephemeral = pair("83d3f217071bbf600ba6f081f6e4005d27b97c8001f55cb5ff6ea3bbea1d9295");
        let recipient = pair("ed88cda0e91ca5da64b6ad7fc34a10f096fa92f0b9ceff9d2c55124304ed8b4a");
        let sender =
            pair("c85f136e06d72d28314f0e34b10aadc8d297e9d71d45a5662c2b7c3b9f9f9405").public();
        assert_eq!(
            sender.agreement(),
            bytes("89eb1feae431159a5250c5186f72a15962c8d0debd20a8389d8b6e4996e14306")
        );
        let keys = OpenFrom { recipient: &recipient, sender: &sender, role: Role::Dealer };
        let encapsulated = ephemeral.public().agreement();
        let exported = |context: &[u8]| {
            *export(keys, &encapsulated, &bytes::<20>(INFO_OF_RFC), context).unwrap()
        };
        const INFO_OF_RFC: &str = "4f6465206f6e2061204772656369616e2055726e";
        assert_eq!(
            exported(&[]),
            bytes("83c1bac00a45ed4cb6bd8a6007d2ce4ec501f55e485c5642bd01bf6b6d7d6f0a")
        );
        assert_eq!(
            exported(&[0]),
            bytes("08a1d1ad2af3ef5bc40232a64f920650eb9b1034fac3892f729f7949621bf06e")
        );
    }
}
