//! Exact ReLUs: every payload, next to the server's file and to what the payload hides.
//!
//! Whoever guesses x knows from what is opened what all masks are, and with its own part the other server's bits, its
//! file, and so what most payloads hide: the difference of two pads is left, which must be uniform, and independent of
//! that under another payload of the same transfer.

use super::{Eyes, Place};
use crate::crypto::garble::{Block, BlockStream};
use crate::crypto::prg::Seed;
use crate::kernels::{AesBackend, RELU_BLOCK, ReluShares};
use crate::material::ReluMaterial;
use crate::material::pair::BLOCK;
use crate::material::pair::relu::BrokenRule;
use crate::numbers::fixed::low_mask;
use crate::numbers::relu::{Lane, MAX_WORDS, ReluShape};
use crate::protocol::tests::privacy::fields::{minus, xor};
use crate::protocol::tests::privacy::making::session::Slip;
use crate::protocol::tests::world::PARTIES;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// From which a server draws in a session of this seed, as `PairSession::set_up` has it.
pub(super) fn drawn(seed: &Seed) -> BlockStream {
    let (mut rng, mut random) = (ChaCha20Rng::from_seed(*seed.expose()), [0; 16]);
    rng.fill_bytes(&mut random);
    BlockStream::new(Block(u128::from_le_bytes(random)), AesBackend::active())
}

/// A server's part of some ReLUs.
#[derive(Default)]
pub(super) struct Part {
    /// Its bits of rho, its choices of u and of f, and as the chooser that of the wrap.
    pub(super) drawn: Vec<u64>,
    /// Its share of rho, and of u, v and d.
    pub(super) masks: Vec<u64>,
    words: Vec<[u64; MAX_WORDS]>,
    pub(super) f: Vec<u64>,
    pub(super) f_rho: Vec<u64>,
}

impl Part {
    fn read(shape: &ReluShape, chunk: &[u8], drawn: Vec<u64>) -> Self {
        let material = ReluMaterial::made::<u32>(*shape, chunk.to_vec().into()).unwrap();
        let (mut part, mut shares) =
            (Part { drawn, ..Part::default() }, ReluShares::<u32>::zeros());
        for block in 0..material.count().div_ceil(RELU_BLOCK) {
            material.digits(block, &mut shares);
            material.results(block, &mut shares);
            for i in 0..RELU_BLOCK.min(material.count() - block * RELU_BLOCK) {
                part.masks.push(u64::from(shares.masks[i]));
                part.words.push(shares.words.each_ref().map(|word| u64::from(word[i])));
                part.f.push(u64::from(shares.f[i]));
                part.f_rho.push(u64::from(shares.f_rho[i]));
            }
        }
        part
    }

    /// The elements `at`.
    fn of(&self, at: &[usize]) -> Self {
        let pick = |v: &[u64]| at.iter().map(|i| v[*i]).collect();
        Part {
            drawn: pick(&self.drawn),
            masks: pick(&self.masks),
            words: at.iter().map(|i| self.words[*i]).collect(),
            f: pick(&self.f),
            f_rho: pick(&self.f_rho),
        }
    }

    pub(super) fn lane(&self, lane: Lane) -> Vec<u64> {
        self.words.iter().map(|word| word[lane.word] >> lane.shift & low_mask(lane.bits)).collect()
    }

    /// All products of masks, side by side.
    pub(super) fn products(&self, shape: &ReluShape) -> Vec<u64> {
        let lanes = shape.products.iter().filter(|lane| lane.bits > 0);
        let mut all = vec![0; self.masks.len()];
        let mut at = 0;
        for lane in lanes {
            all.iter_mut().zip(self.lane(*lane)).for_each(|(all, bits)| *all |= bits << at);
            at += lane.bits;
        }
        all
    }

    /// Its share of rho_l mod 2^n.
    pub(super) fn low(&self, shape: &ReluShape) -> Vec<u64> {
        let n = shape.bits();
        let shares = self.masks.iter().zip(self.lane(shape.top));
        shares.map(|(masks, top)| masks.wrapping_add(top << (n - 1)) & low_mask(n)).collect()
    }

    /// The top bits of these.
    pub(super) fn carries(&self, shape: &ReluShape) -> Vec<u64> {
        self.low(shape).into_iter().map(|low| low >> (shape.bits() - 1)).collect()
    }

    /// Its share of R mod 2^l.
    pub(super) fn signed(&self, shape: &ReluShape) -> Vec<u64> {
        let (n, high) = (shape.bits(), self.lane(shape.high));
        self.masks.iter().zip(high).map(|(low, high)| low & low_mask(n) | high << n).collect()
    }
}

/// Those ReLUs of a batch in which the other server has one role.
pub(super) struct Half {
    pub(super) shape: ReluShape,
    /// Whether this server is the chooser.
    pub(super) chooser: bool,
    pub(super) own: Part,
    pub(super) other: Part,
    pub(super) z: Vec<u64>,
    pub(super) masked: Vec<u64>,
    pub(super) c: Vec<u64>,
    pub(super) v: Vec<u64>,
}

impl Half {
    /// D - 1.
    pub(super) fn masks(&self) -> u32 {
        self.shape.opened_bits() / 2
    }

    pub(super) fn len(&self) -> usize {
        self.z.len()
    }

    fn of(&self, at: &[usize]) -> Self {
        let pick = |v: &[u64]| at.iter().map(|i| v[*i]).collect();
        Half {
            own: self.own.of(at),
            other: self.other.of(at),
            z: pick(&self.z),
            masked: pick(&self.masked),
            c: pick(&self.c),
            v: pick(&self.v),
            ..*self
        }
    }

    /// rho, which whoever guesses x knows.
    pub(super) fn rho(&self) -> Vec<u64> {
        let shares = self.own.masks.iter().zip(&self.other.masks);
        shares.map(|(a, b)| a.wrapping_add(*b) & low_mask(self.shape.bits())).collect()
    }

    /// What was drawn is what the files have.
    fn check(&self) {
        let (n, masks) = (self.shape.bits(), self.masks());
        let drawn = xor(&self.own.drawn, &self.other.drawn);
        let shares = xor(&self.own.masks, &self.other.masks);
        for ((drawn, shares), rho) in drawn.iter().zip(shares).zip(self.rho()) {
            assert_eq!(drawn & low_mask(n), rho);
            assert_eq!((drawn ^ shares) >> n & low_mask(masks), 0, "u");
            let d = drawn >> (n + masks) ^ drawn >> (n - 1);
            assert_eq!((d ^ shares >> (n + 2 * masks)) & 1, 0, "d");
        }
    }
}

/// What came in a message under the pads of a transfer, one an element.
pub(super) struct Payload {
    pub(super) name: String,
    /// The choice, which this server made.
    pub(super) transfer: u32,
    /// A number, or else a vector.
    pub(super) sums: bool,
    pub(super) width: u32,
    pub(super) values: Vec<u64>,
    /// What it hides, if that follows from x and this server's part.
    pub(super) hidden: Option<Vec<u64>>,
    /// Of what this server makes of it.
    pub(super) own: Vec<u64>,
}

impl Payload {
    fn without(&self, what: &[u64]) -> Vec<u64> {
        let what: Vec<u64> = what.iter().map(|v| v & low_mask(self.width)).collect();
        if self.sums { minus(&self.values, &what, self.width) } else { xor(&self.values, &what) }
    }

    /// What is left of both pads.
    pub(super) fn bare(&self) -> Option<Vec<u64>> {
        self.hidden.as_ref().map(|hidden| self.without(hidden))
    }

    fn of(&self, at: &[usize]) -> Self {
        let pick = |v: &[u64]| at.iter().map(|i| v[*i]).collect::<Vec<u64>>();
        Payload {
            name: self.name.clone(),
            values: pick(&self.values),
            hidden: self.hidden.as_deref().map(pick),
            own: pick(&self.own),
            ..*self
        }
    }
}

impl Eyes<'_, '_> {
    /// ReLUs of a batch, in one block.
    pub(super) fn relus(&mut self, place: &Place, shape: &ReluShape) {
        assert!(place.at.len() <= BLOCK);
        let halves = self.halves(place, shape);
        halves.iter().for_each(Half::check);
        self.corrections();
        let payloads = self.payloads(&halves);
        for (half, payloads) in halves.iter().zip(&payloads) {
            let role = if half.chooser { "as the chooser, " } else { "as the other, " };
            match self.seat.slip {
                Slip::ReluRules => BrokenRule::ALL.iter().for_each(|rule| {
                    let (at, prefix) = (rule.broken_at(half), format!("{rule:?}, {role}"));
                    let half = half.of(&at);
                    if rule.is_of_payloads() {
                        let mut payloads: Vec<_> = payloads.iter().map(|p| p.of(&at)).collect();
                        rule.change(&mut payloads);
                        return self.received(&prefix, &half, &payloads);
                    }
                    self.guesses(&prefix, &half);
                }),
                _ => {
                    self.received(role, half, payloads);
                    self.guesses(role, half);
                }
            }
        }
    }

    /// Every payload, and those of one transfer next to each other.
    fn received(&mut self, prefix: &str, half: &Half, payloads: &[Payload]) {
        let n = half.shape.bits();
        let rho = half.rho();
        for (i, payload) in payloads.iter().enumerate() {
            let (name, width) = (format!("{prefix}{}", payload.name), payload.width);
            let apart = payload.without(&payload.own);
            self.joint(&format!("{name}, less its own share"), width, &apart);
            self.classes(&format!("{name} by rho"), width, &payload.values, (n, &rho));
            self.see(&name, width, payload.values.clone());
            let Some(bare) = payload.bare() else { continue };
            self.joint(&format!("{name}, without what it hides"), width, &bare);
            let others = payloads[..i].iter().filter(|o| o.transfer == payload.transfer);
            for other in others.filter(|other| other.hidden.is_some()) {
                let width = if other.sums && payload.sums { width.min(other.width) } else { 1 };
                let pads = other.bare().expect("what it hides is known");
                let cut = |v: &[u64]| v.iter().map(|v| v & low_mask(width)).collect::<Vec<u64>>();
                let name = format!("{name}, without what both hide, less {}", other.name);
                self.joint(&name, width, &minus(&cut(&bare), &cut(&pads), width));
            }
        }
    }

    /// Both roles of the other server in the order of its messages: first where it is the chooser.
    fn halves(&mut self, place: &Place, shape: &ReluShape) -> [Half; 2] {
        let (party, world) = (self.seat.party, self.seat.worlds[place.slot]);
        let count = place.at.len();
        let draws = self.drawn.each_mut().map(|stream| stream.take(count));
        let parts = PARTIES.map(|p| {
            let drawn = draws[p.index()].iter().map(|block| block.0 as u64).collect();
            Part::read(shape, world.made_chunk(p, place.op, &place.at).unwrap(), drawn)
        });
        let opened = |name| &self.opened[place.slot][&(name, place.op)][place.at.clone()];
        [party.other(), party].map(|chooser| {
            let at: Vec<usize> = (chooser.index()..count).step_by(2).collect();
            let pick = |name| at.iter().map(|i| opened(name)[*i]).collect::<Vec<u64>>();
            Half {
                shape: *shape,
                chooser: chooser == party,
                own: parts[party.index()].of(&at),
                other: parts[party.other().index()].of(&at),
                z: pick("x + rho"),
                masked: pick("masked bits"),
                c: pick("masked borrow"),
                v: pick("V"),
            }
        })
    }

    /// What both servers opened of what they made beside, and threw away.
    pub(super) fn sacrificed_relus(&mut self, theirs: &[u8], shape: &ReluShape) {
        let count = theirs.len() / (4 * (shape.words() + 3));
        self.drawn.iter_mut().for_each(|stream| drop(stream.take(count)));
        let used = |plane: usize| match plane {
            0 => shape.bits() + shape.opened_bits() + 1,
            _ if plane <= shape.words() => shape.used(plane - 1).count_ones(),
            _ => 32,
        };
        for (plane, words) in theirs.chunks_exact(4 * count).enumerate() {
            let bytes = words.chunks_exact(4).flat_map(|word| &word[..used(plane) as usize / 8]);
            let bytes: Vec<u64> = bytes.map(|byte| u64::from(*byte)).collect();
            self.joint("sacrificed ReLUs", 8, &bytes);
        }
    }
}
