//! The greeting: its fixed part, its body below the digest, the comparison.
#![no_main]
use libfuzzer_sys::fuzz_target;
use ppdenoise_base::size::Size;
use ppdenoise_base::ids::Party;
use ppdenoise_base::ids::codec::{decode_small, encode_small};
use ppdenoise_base::ids::{Digest, Fingerprint, ModelId, SessionId, TripleSetId, WeightMaskId};
use ppdenoise::internals::material::Origin;
use ppdenoise_base::numbers::ring::RingBits;
use ppdenoise::internals::protocol::{Identity, SetFacts, greet};
use ppdenoise::internals::wire::{Channel, Frame, MAGIC, NetError, Tag, Traffic, WIRE_VERSION};
use ppdenoise_fuzz::{memory::bounded, seeds};

/// What a greeting of `serve` is for (docs/wire.md).
const DENOISE: u8 = 1;

/// Answers the greeting with these bytes.
struct Greeter(Vec<u8>);

impl Channel for Greeter {
    fn send(&mut self, _: Tag, _: u32, _: Vec<u8>) -> Result<(), NetError> {
        Ok(())
    }

    fn recv(&mut self) -> Result<Frame, NetError> {
        Ok(Frame { tag: Tag::Hello, batch: 0, payload: std::mem::take(&mut self.0) })
    }

    fn traffic(&self) -> Traffic {
        Traffic::default()
    }
}

fuzz_target!(init: seeds(greetings), |data: &[u8]| {
    let Some((&how, body)) = data.split_first() else { return };
    let greeting = if how % 2 == 0 { body.to_vec() } else { greeting(body) };
    let mut channel = Greeter(greeting);
    let ours = identity(Party::S0);
    let result = bounded((4 << 20) + 8 * data.len(), || greet(&ours, &mut channel));
    if let Err(e) = result {
        // What a peer can make us print is short.
        assert!(e.to_string().len() < 4096);
    }
});

/// A greeting around `body`, with the digest that fits it.
fn greeting(body: &[u8]) -> Vec<u8> {
    let digest = decode_small::<Identity>(body).ok().and_then(|identity| {
        let neutral = Identity {
            party: Party::S0,
            server: Fingerprint::from_bytes([0; Fingerprint::LEN]),
            nonce: SessionId::from_bytes([0; SessionId::LEN]),
            opened_weights: None,
            ..identity
        };
        Some(Digest::of(&encode_small(&neutral).ok()?))
    });
    let digest = digest.unwrap_or(Digest::from_bytes([0; Digest::LEN]));
    [&MAGIC[..], &WIRE_VERSION.to_le_bytes(), &[DENOISE], digest.as_bytes(), body].concat()
}

fn identity(party: Party) -> Identity {
    Identity {
        party,
        server: Fingerprint::from_bytes([party.index() as u8; 16]),
        nonce: SessionId::from_bytes([3; 16]),
        model_id: ModelId::from_bytes([4; 16]),
        public_digest: Digest::from_bytes([5; 32]),
        weight_mask_id: WeightMaskId::from_bytes([6; 16]),
        ring: RingBits::L32,
        engine: "lut".into(),
        sets: [7, 8].map(set).into(),
        opened_weights: None,
    }
}

fn set(id: u8) -> SetFacts {
    let set_id = TripleSetId::from_bytes([id; 16]);
    SetFacts { set_id, size: Size::square(512), slots: 10, batch_rows: 128, origin: Origin::Dealt }
}

fn greetings() -> Vec<Vec<u8>> {
    [Party::S0, Party::S1]
        .into_iter()
        .flat_map(|party| {
            let body = encode_small(&identity(party)).expect("a small identity");
            if party == Party::S1 {
                let met = greet(&identity(Party::S0), &mut Greeter(greeting(&body)));
                met.expect("a seed that the servers agree on");
            }
            [[&[1], &body[..]].concat(), [&[0], &greeting(&body)[..]].concat()]
        })
        .collect()
}
