//! The handshake: who plays which party, and that both compute the same thing.
//!
//! Each server sends its [`Identity`]; everything in it is public. Both compare every field and one
//! digest over all of them before anything is opened.

use super::ProtocolError;
use crate::ids::Party;
use crate::ids::codec::{Decode, Encode};
use crate::ids::codec::{decode_small, encode_small};
use crate::ids::{Digest, Fingerprint, ModelId, SessionId, TripleSetId, WeightMaskId};
use crate::material::Origin;
use crate::numbers::ring::RingBits;
use crate::size::Size;
use crate::wire::{Channel, MAGIC, NetError, Tag, WIRE_VERSION};

/// Sets of triples named in an error: a peer may name thousands.
pub(super) const SHOWN: usize = 16;

/// What a server says of itself and of the job; public throughout.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Identity {
    /// Which party it plays.
    pub party: Party,
    /// The fingerprint of its key.
    pub server: Fingerprint,
    /// Random, for the session id.
    pub nonce: SessionId,
    /// The model's id.
    pub model_id: ModelId,
    /// The digest of the model's public description: ops, scales, tables, engine.
    pub public_digest: Digest,
    /// The id of the weights' mask X.
    pub weight_mask_id: WeightMaskId,
    /// The ring.
    pub ring: RingBits,
    /// The name of the activation engine.
    pub engine: String,
    /// The sets of triples, in the order of their ids.
    pub sets: Vec<SetFacts>,
    /// The digest of the opened weights U it has kept from a former session, if any.
    pub opened_weights: Option<Digest>,
}

/// What a server says of a set of triples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SetFacts {
    /// The set.
    pub set_id: TripleSetId,
    /// Rows and columns of the images it is for.
    pub size: Size,
    /// Its slots.
    pub slots: u64,
    /// Patches a batch.
    pub batch_rows: u32,
    /// Who made it.
    pub origin: Origin,
}

/// What the handshake settles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// The session's id, the same at both servers.
    pub session: SessionId,
    /// Whether both hold the same opened weights, so that U need not be opened again.
    pub weights_known: bool,
    /// The key that the other server named as its own.
    pub peer: Fingerprint,
}

/// Exchanges identities and compares them.
///
/// Cost: 1 round. Security: nothing sent depends on a share. Who the peer is was settled by the channel.
///
/// # Errors
/// `ProtocolError::SameParty`, `ProtocolError::Mismatch` naming the first field that differs,
/// `ProtocolError::Net` for a peer that is no such server or of another version.
pub fn greet(ours: &Identity, channel: &mut dyn Channel) -> Result<Agreement, ProtocolError> {
    channel.send(Tag::Hello, 0, encode(ours)?)?;
    let theirs = decode(&channel.expect(Tag::Hello)?.payload)?;
    compare(ours, &theirs)?;
    let (first, second) = match ours.party {
        Party::S0 => (ours, &theirs),
        Party::S1 => (&theirs, ours),
    };
    let session = Digest::of(&[*first.nonce.as_bytes(), *second.nonce.as_bytes()].concat());
    let known = ours.opened_weights.is_some() && ours.opened_weights == theirs.opened_weights;
    let mut id = [0; SessionId::LEN];
    id.copy_from_slice(&session.as_bytes()[..SessionId::LEN]);
    Ok(Agreement { session: SessionId::from_bytes(id), weights_known: known, peer: theirs.server })
}

/// What a greeting is for. The numbers are part of the wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Purpose {
    /// Images, or products ahead of time.
    Denoise = 1,
    /// Material.
    Make = 2,
    /// Which material both have.
    Stock = 3,
}

impl Purpose {
    fn text(number: u8) -> String {
        match number {
            1 => "`serve` or `prepare`".into(),
            2 => "`gen-triplets`".into(),
            3 => "`serve` with a folder of triples".into(),
            other => format!("command {other}"),
        }
    }
}

/// A greeting: the magic bytes, the wire's version, what it is for, the digest of what both must agree on, and the
/// rest.
pub(super) fn greeting(purpose: Purpose, agreed: Digest, body: &[u8]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&WIRE_VERSION.to_le_bytes());
    bytes.push(purpose as u8);
    bytes.extend_from_slice(agreed.as_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// The digest and the rest of a greeting of the same version for the same purpose.
pub(super) fn parse_greeting(
    purpose: Purpose,
    bytes: &[u8],
) -> Result<(Digest, &[u8]), ProtocolError> {
    let Some((magic, rest)) = bytes.split_first_chunk::<8>() else {
        return Err(broken("sent no greeting of a ppdenoise server".into()));
    };
    let (Some((version, rest)), true) = (rest.split_first_chunk::<2>(), *magic == MAGIC) else {
        return Err(broken("sent no greeting of a ppdenoise server".into()));
    };
    let version = u16::from_le_bytes(*version);
    if version != WIRE_VERSION {
        let (ours, theirs) = (WIRE_VERSION.to_string(), version.to_string());
        return Err(ProtocolError::Mismatch { what: "wire version", ours, theirs });
    }
    let cut_off = || broken("sent a greeting that is cut off".into());
    let (&found, rest) = rest.split_first().ok_or_else(cut_off)?;
    if found != purpose as u8 {
        let (ours, theirs) = (Purpose::text(purpose as u8), Purpose::text(found));
        return Err(ProtocolError::Mismatch { what: "the command", ours, theirs });
    }
    let (digest, body) = rest.split_first_chunk::<{ Digest::LEN }>().ok_or_else(cut_off)?;
    Ok((Digest::from_bytes(*digest), body))
}

pub(super) fn broken(text: String) -> ProtocolError {
    ProtocolError::Net(NetError::Protocol(text))
}

/// What a server sends of itself, as bytes.
pub(super) fn small<T: Encode>(value: &T) -> Result<Vec<u8>, ProtocolError> {
    encode_small(value).map_err(ProtocolError::from)
}

/// What the other server sent of itself, whose digest must be `digest`.
pub(super) fn parse_body<T: Decode<()>>(
    body: &[u8],
    digest: Digest,
    agreed: impl Fn(&T) -> Result<Digest, ProtocolError>,
) -> Result<T, ProtocolError> {
    let identity: T =
        decode_small(body).map_err(|e| broken(format!("sent a malformed greeting: {e}")))?;
    if agreed(&identity)? != digest {
        return Err(broken("sent a greeting whose digest does not match it".into()));
    }
    Ok(identity)
}

fn encode(identity: &Identity) -> Result<Vec<u8>, ProtocolError> {
    Ok(greeting(Purpose::Denoise, agreed(identity)?, &small(identity)?))
}

fn decode(bytes: &[u8]) -> Result<Identity, ProtocolError> {
    let (digest, body) = parse_greeting(Purpose::Denoise, bytes)?;
    parse_body(body, digest, agreed)
}

/// The digest over everything that must be equal at both servers.
fn agreed(identity: &Identity) -> Result<Digest, ProtocolError> {
    let neutral = Identity {
        party: Party::S0,
        server: Fingerprint::from_bytes([0; Fingerprint::LEN]),
        nonce: SessionId::from_bytes([0; SessionId::LEN]),
        opened_weights: None,
        ..identity.clone()
    };
    Ok(Digest::of(&small(&neutral)?))
}

fn compare(ours: &Identity, theirs: &Identity) -> Result<(), ProtocolError> {
    if ours.party == theirs.party {
        return Err(ProtocolError::SameParty(ours.party.index()));
    }
    let sets = |i: &Identity, tell: fn(&SetFacts) -> String| {
        listed(i.sets.iter().take(SHOWN).map(tell), i.sets.len())
    };
    let size = |i| sets(i, |set| format!("{}x{}", set.size.height, set.size.width));
    let slots = |i| sets(i, |set| set.slots.to_string());
    let batches = |i| sets(i, |set| set.batch_rows.to_string());
    let origins = |i| sets(i, |set| set.origin.to_string());
    let ids = |i| sets(i, |set| set.set_id.short());
    differs("the engine", plain(&ours.engine), plain(&theirs.engine))?;
    differs("the model", ours.model_id.short(), theirs.model_id.short())?;
    differs("the model's description", ours.public_digest.short(), theirs.public_digest.short())?;
    differs("the weight mask", ours.weight_mask_id.short(), theirs.weight_mask_id.short())?;
    differs("the triples", ids(ours), ids(theirs))?;
    differs("the ring", ours.ring.bits().to_string(), theirs.ring.bits().to_string())?;
    differs("the image size", size(ours), size(theirs))?;
    differs("the number of slots", slots(ours), slots(theirs))?;
    differs("the batch size", batches(ours), batches(theirs))?;
    differs("the makers of the triples", origins(ours), origins(theirs))?;
    differs("the job", agreed(ours)?.to_string(), agreed(theirs)?.to_string())
}

/// An error that names what differs.
pub(super) fn differs(
    what: &'static str,
    ours: String,
    theirs: String,
) -> Result<(), ProtocolError> {
    if ours == theirs { Ok(()) } else { Err(ProtocolError::Mismatch { what, ours, theirs }) }
}

/// The peer's text is not trusted: printable characters, and few of them.
pub(super) fn plain(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).take(16).collect()
}

/// The first of `total` things, and how many more there are.
pub(crate) fn listed(shown: impl Iterator<Item = String>, total: usize) -> String {
    let shown: Vec<String> = shown.collect();
    match (shown.is_empty(), total.saturating_sub(shown.len())) {
        (true, _) => "none".to_string(),
        (false, 0) => shown.join(", "),
        (false, more) => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::pair;
    use proptest::prelude::*;

    fn identity(party: Party) -> Identity {
        Identity {
            party,
            server: Fingerprint::from_bytes([party.index() as u8; 16]),
            nonce: SessionId::from_bytes([7 + party.index() as u8; 16]),
            model_id: ModelId::from_bytes([1; 16]),
            public_digest: Digest::of(b"public"),
            weight_mask_id: WeightMaskId::from_bytes([2; 16]),
            ring: RingBits::L32,
            engine: "lut".into(),
            sets: vec![SetFacts {
                set_id: TripleSetId::from_bytes([3; 16]),
                size: Size::new(64, 48),
                slots: 2,
                batch_rows: 128,
                origin: Origin::Dealt,
            }],
            opened_weights: None,
        }
    }

    type Met = Result<Agreement, ProtocolError>;

    fn meet(a: &Identity, b: &Identity) -> [Met; 2] {
        let (mut left, mut right) = pair();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| greet(b, &mut right));
            [greet(a, &mut left), other.join().unwrap()]
        })
    }

    #[test]
    fn servers_with_the_same_job_agree_on_a_session() {
        let [a, b] = meet(&identity(Party::S0), &identity(Party::S1));
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_eq!(a.session, b.session);
        assert_eq!([b.peer, a.peer], [0, 1].map(|v| Fingerprint::from_bytes([v; 16])));
        assert!(!a.weights_known);
        let known = |p| Identity { opened_weights: Some(Digest::of(b"u")), ..identity(p) };
        let [a, _] = meet(&known(Party::S0), &known(Party::S1));
        assert!(a.unwrap().weights_known);
        let [a, _] = meet(&known(Party::S0), &identity(Party::S1));
        assert!(!a.unwrap().weights_known);
    }

    #[test]
    fn every_difference_is_named_at_both_ends() {
        type Edit = fn(&mut Identity);
        let edits: [(&str, Edit); 11] = [
            ("the engine", |i| i.engine = "gc".into()),
            ("the model", |i| i.model_id = ModelId::from_bytes([9; 16])),
            ("the model's description", |i| i.public_digest = Digest::of(b"other")),
            ("the weight mask", |i| i.weight_mask_id = WeightMaskId::from_bytes([9; 16])),
            ("the triples", |i| i.sets[0].set_id = TripleSetId::from_bytes([9; 16])),
            ("the ring", |i| i.ring = RingBits::L64),
            ("the image size", |i| i.sets[0].size = Size::new(48, 64)),
            ("the number of slots", |i| i.sets[0].slots = 3),
            ("the batch size", |i| i.sets[0].batch_rows = 64),
            ("the makers of the triples", |i| i.sets[0].origin = Origin::Made),
            ("the triples", |i| i.sets.clear()),
        ];
        for (name, edit) in edits {
            let mut other = identity(Party::S1);
            edit(&mut other);
            for result in meet(&identity(Party::S0), &other) {
                match result {
                    Err(ProtocolError::Mismatch { what, .. }) => assert_eq!(what, name),
                    other => panic!("{name}: {other:?}"),
                }
            }
        }
    }

    #[test]
    fn two_servers_of_one_party_are_told() {
        for result in meet(&identity(Party::S1), &identity(Party::S1)) {
            assert!(matches!(result, Err(ProtocolError::SameParty(1))));
        }
    }

    #[test]
    fn another_wire_version_is_named() {
        let mut bytes = encode(&identity(Party::S0)).unwrap();
        bytes[8] += 1;
        let error = decode(&bytes).unwrap_err().to_string();
        let (here, there) = (WIRE_VERSION, WIRE_VERSION + 1);
        assert!(error.contains(&format!("wire version: here {here}, there {there}")), "{error}");
    }

    proptest! {
        #[test]
        fn any_greeting_is_parsed_or_refused(mut tail: Vec<u8>, cut in 0usize..400, flip in 0usize..300) {
            let mut good = encode(&identity(Party::S0)).unwrap();
            let at = flip % good.len();
            good[at] ^= 1 + (tail.len() % 255) as u8;
            // Only what both must agree on is digested; a flip elsewhere may parse.
            let parsed = decode(&good);
            prop_assert!((10..43).contains(&at) <= parsed.is_err());
            good.truncate(cut);
            let _ = decode(&good);
            tail.splice(0..0, MAGIC);
            let _ = decode(&tail);
        }

        /// Bodies under a digest that fits, compared with ours: what is printed stays short.
        #[test]
        fn any_body_is_compared_or_refused(at: usize, byte: u8, tail: Vec<u8>, sets in 0usize..2000) {
            let mut other = identity(Party::S1);
            let set_id = TripleSetId::from_bytes([byte; 16]);
            other.sets = vec![SetFacts { set_id, ..other.sets[0] }; sets];
            let mut body = encode_small(&other).unwrap();
            let at = at % body.len();
            body[at] ^= byte;
            body.extend(tail);
            if let Ok(theirs) = decode_small::<Identity>(&body)
                && let Err(e) = compare(&identity(Party::S0), &theirs)
            {
                prop_assert!(e.to_string().len() < 1000);
            }
        }
    }
}
