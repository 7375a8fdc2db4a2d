//! What each frame of a session consists of: the fields, their widths, and what masks them. All of it
//! follows from public sizes.

use crate::crypto::garble::Program;
use crate::crypto::ot::pads::selection_bytes;
use crate::ids::Party;
use crate::kernels::{RELU_BLOCK, ReluShares};
use crate::material;
use crate::material::{BatchSpan, ReluMaterial, SlotView};
use crate::model::piecewise::Plan;
use crate::model::piecewise::steps::{carry_product_bits, wrap_product_bits};
use crate::model::{ActivationSpec, ExactRelu};
use crate::network::Op;
use crate::numbers::fixed::low_mask;
use crate::numbers::packing;
use crate::numbers::ring;
use crate::numbers::ring::{Ring, RingBits};
use crate::protocol::tests::world::{SIZE, World};
use crate::wire::Tag;
use std::ops::Range;

/// A mask of the dealer's, of which each server has a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mask {
    /// X, of the weights.
    Weights,
    /// Y of the image or of the input of a later linear op.
    Input,
    /// rho.
    Lookup,
    /// m.
    Value,
    /// m'.
    Slope,
    /// a, of a square pair.
    Root,
    /// u and v, of the digits of an exact ReLU.
    Digits,
    /// d, of its borrow.
    Borrow,
}

/// A run of numbers of one kind in a frame's payload.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) name: &'static str,
    pub(super) op: usize,
    /// The elements that the masks cover.
    pub(super) at: Range<usize>,
    pub(super) bytes: Range<usize>,
    pub(super) width: u32,
    pub(super) count: usize,
    pub(super) mask: Option<Mask>,
}

impl Piece {
    /// Whether its shares are joined by exclusive or; what has no mask is no number to add to another.
    pub(super) fn is_xored(&self) -> bool {
        self.mask.is_none_or(Mask::is_xored)
    }
}

impl Mask {
    /// 1 where the mask is added or exclusive-ored, 2^64 - 1 where it is subtracted.
    pub(super) fn sign(self) -> u64 {
        match self {
            Mask::Lookup | Mask::Value | Mask::Slope | Mask::Digits | Mask::Borrow => 1,
            Mask::Weights | Mask::Input | Mask::Root => u64::MAX,
        }
    }

    /// Whether shares are joined by exclusive or.
    pub(super) fn is_xored(self) -> bool {
        matches!(self, Mask::Digits | Mask::Borrow)
    }

    /// A party's share of the mask of elements `at`, mod 2^width.
    pub(super) fn share(
        self,
        world: &World,
        party: Party,
        op: usize,
        at: Range<usize>,
        width: u32,
    ) -> Vec<u64> {
        let share = match world.model.public.ring {
            RingBits::L32 => self.elements::<u32>(world, party, op, at, width),
            RingBits::L64 => self.elements::<u64>(world, party, op, at, width),
        };
        share.into_iter().map(|v| v & low_mask(width)).collect()
    }

    fn elements<R: Ring>(
        self,
        world: &World,
        party: Party,
        op: usize,
        at: Range<usize>,
        width: u32,
    ) -> Vec<u64> {
        let view: SlotView<'_> = world.view(party);
        let mut first = vec![R::ZERO; at.len()];
        let mut second = first.clone();
        match self {
            Mask::Weights => {
                let seed = &world.seeds[party.index()].weight_mask;
                first = material::weight_mask(seed, op, at.len());
            }
            Mask::Input => first = view.input_mask(op, at),
            Mask::Lookup if exact(world, op).is_some() => {
                return relu_masks::<R>(world, party, op, &at, self);
            }
            Mask::Lookup => match world.made_chunk(party, op, &at) {
                Some(chunk) => made_rho(world, op, chunk, &mut first),
                None => view.lookup_masks(op, at, width).dealt_rho(0, &mut first),
            },
            Mask::Value | Mask::Slope => {
                view.lookup_masks(op, at, width).sum_masks(0, [&mut first, &mut second]);
                if self == Mask::Slope {
                    first = second;
                }
            }
            Mask::Root => first = view.square_root(op, at),
            Mask::Digits | Mask::Borrow => return relu_masks::<R>(world, party, op, &at, self),
        }
        first.into_iter().map(Ring::to_u64).collect()
    }
}

/// rho of a chunk that the servers made: the last of its numbers.
fn made_rho<R: Ring>(world: &World, op: usize, chunk: &[u8], rho: &mut [R]) {
    assert!(matches!(world.model.public.network.ops()[op], Op::Activation(_)));
    let bytes = &chunk[chunk.len() - rho.len() * R::BYTES..];
    ring::copy_from_le_bytes(rho, bytes).expect("a chunk ends with rho");
}

/// The exact ReLU of an op, if it is one.
fn exact(world: &World, op: usize) -> Option<&ExactRelu> {
    match &world.model.public.network.ops()[op] {
        Op::Activation(ActivationSpec::Exact(relu)) => Some(relu),
        _ => None,
    }
}

/// A party's shares of a mask of exact ReLUs that the servers made.
fn relu_masks<R: Ring>(
    world: &World,
    party: Party,
    op: usize,
    at: &Range<usize>,
    mask: Mask,
) -> Vec<u64> {
    let shape = exact(world, op).and_then(|relu| relu.shape::<R>()).expect("an exact ReLU");
    let chunk = world.made_chunk(party, op, at).expect("made by the servers").to_vec();
    let material = ReluMaterial::made::<R>(shape, chunk.into()).expect("a whole chunk");
    let (below, mut shares) = (shape.bits(), ReluShares::<R>::zeros());
    let down = match mask {
        Mask::Digits => below,
        Mask::Borrow => below + shape.opened_bits(),
        _ => 0,
    };
    let mut all = Vec::with_capacity(at.len());
    for block in 0..at.len().div_ceil(RELU_BLOCK) {
        material.digits(block, &mut shares);
        let count = RELU_BLOCK.min(at.len() - all.len());
        all.extend(shares.masks[..count].iter().map(|masks| masks.to_u64() >> down));
    }
    all
}

/// Lays pieces one after the other.
#[derive(Default)]
struct Layout {
    pieces: Vec<Piece>,
    end: usize,
}

impl Layout {
    fn masked(
        &mut self,
        name: &'static str,
        mask: Mask,
        op: usize,
        at: Range<usize>,
        width: u32,
    ) -> &mut Self {
        let count = at.len();
        self.add(name, Some(mask), (op, at), (count, width));
        self
    }

    fn raw(&mut self, name: &'static str, op: usize, count: usize, width: u32) -> &mut Self {
        self.add(name, None, (op, 0..0), (count, width));
        self
    }

    fn add(
        &mut self,
        name: &'static str,
        mask: Option<Mask>,
        (op, at): (usize, Range<usize>),
        (count, width): (usize, u32),
    ) {
        let len = packing::packed_len(count, width).unwrap();
        let bytes = self.end..self.end + len;
        self.end += len;
        self.pieces.push(Piece { name, op, at, bytes, width, count, mask });
    }
}

/// The pieces of the `nth` frame with this tag and batch that `sender` sends.
///
/// # Panics
/// If the pieces do not make `len` bytes: the list below is out of date.
pub(super) fn pieces(
    world: &World,
    sender: Party,
    (tag, batch, nth): (Tag, u32, usize),
    len: usize,
) -> Vec<Piece> {
    let network = &world.model.public.network;
    let ring = world.model.public.ring.bits();
    let mut layout = Layout::default();
    match tag {
        Tag::Weights => {
            let (op, linear) = network.linears().nth(nth).unwrap();
            layout.masked("U", Mask::Weights, op, 0..linear.weights(), ring);
        }
        Tag::Image => {
            let op = network.maps()[0].op;
            layout.masked("V of the image", Mask::Input, op, 0..SIZE.pixels(), ring);
        }
        Tag::Opening => opening(world, sender, batch, nth, &mut layout),
        Tag::EngineSetup => set_up(nth, &mut layout),
        other => panic!("a session has no frames {other:?}"),
    }
    assert_eq!(layout.end, len, "{tag:?} frame {nth} of batch {batch}");
    layout.pieces
}

fn opening(world: &World, sender: Party, batch: u32, nth: usize, layout: &mut Layout) {
    let network = &world.model.public.network;
    let ring = world.model.public.ring.bits();
    let BatchSpan { stage, rows } = world.layout.batch(batch as usize);
    let ops = &network.stages()[stage].ops;
    let mut before = 0;
    for (op, spec, width) in network.activations().filter(|(op, ..)| ops.contains(op)) {
        let at = rows.start * width..rows.end * width;
        let own = match spec {
            ActivationSpec::Lookup(_) => 2,
            ActivationSpec::Piecewise(_) => 6,
            ActivationSpec::Exact(_) => 3,
        };
        if nth == before + own {
            layout.masked("V", Mask::Input, op, at, ring);
            return;
        } else if nth < before + own {
            match spec {
                ActivationSpec::Lookup(_) if nth == before => {
                    layout.masked("x + rho", Mask::Lookup, op, at, spec.input_bits());
                }
                ActivationSpec::Lookup(_) => {
                    layout.masked("c", Mask::Value, op, at.clone(), ring);
                    layout.masked("e", Mask::Slope, op, at, ring);
                }
                ActivationSpec::Piecewise(plan) => {
                    garbled(plan, sender, nth - before, op, at, layout);
                }
                ActivationSpec::Exact(relu) => {
                    let shape = relu.shape_in(world.model.public.ring).unwrap();
                    let (name, mask, width) = match nth - before {
                        0 => ("x + rho", Mask::Lookup, shape.bits()),
                        1 => ("masked bits", Mask::Digits, shape.opened_bits()),
                        _ => ("masked borrow", Mask::Borrow, 1),
                    };
                    layout.masked(name, mask, op, at, width);
                }
            }
            return;
        }
        before += own + 1;
    }
    panic!("batch {batch} has no frame {nth}");
}

/// Message `round` of an activation op with garbled circuits (docs/protocols.md).
fn garbled(
    plan: &Plan,
    sender: Party,
    round: usize,
    op: usize,
    at: Range<usize>,
    layout: &mut Layout,
) {
    let n = at.len();
    let (ring, index) = (plan.scales.ring_bits, plan.index_bits());
    // Corrections: 32 columns of whole blocks.
    let corrections = |bits: usize| bits.div_ceil(128) * 32 * 2;
    let selection = n * ((1 << index) - 1);
    assert_eq!(packing::packed_len(selection, ring).unwrap(), selection_bytes(n, index, ring));
    match (round, sender) {
        (0, Party::S0) => {
            let count = corrections(n * plan.scales.input_bits as usize);
            layout.raw("corrections of inputs", op, count, 64);
        }
        (1, Party::S1) => {
            let tables = Program::new(plan.comparison().circuit()).table_bytes(n) / 8;
            layout.raw("tables", op, tables, 64);
            layout.raw("corrections of indices", op, corrections(n * index as usize), 64);
            layout.raw("carry product", op, n, carry_product_bits(plan));
            layout.masked("x - a", Mask::Root, op, at, ring);
        }
        (2, Party::S0) => {
            layout.masked("x - a", Mask::Root, op, at, ring);
            layout.raw("selection", op, selection, ring);
        }
        (3, Party::S1) => {
            layout.raw("selection", op, selection, ring);
        }
        (4, Party::S0) => {
            layout.raw("corrections of top bits", op, corrections(n), 64);
        }
        (5, Party::S1) => {
            layout.raw("wrap product", op, n, wrap_product_bits(plan));
        }
        // The other server's turn.
        _ => {}
    }
}

/// Set-up of a session of garbled circuits. The encodings of points are of even numbers below
/// 2^255 - 19, of which not every one is a point, so that bits of the first and the last byte are fixed:
/// these bytes are not part of a field.
fn set_up(nth: usize, layout: &mut Layout) {
    let points = |layout: &mut Layout, count: usize| {
        for _ in 0..count {
            layout.end += 1;
            layout.raw("bytes of points", 0, 30, 8);
            layout.end += 1;
        }
    };
    match nth {
        0 => {
            layout.raw("nonce", 0, 256, 1);
            points(layout, 1);
        }
        1 => points(layout, 128),
        2 => {
            layout.raw("seed trees", 0, 512, 64);
        }
        _ => {
            layout.raw("part of the alarm's key", 0, 256, 1);
        }
    }
}

/// The numbers of a piece.
pub(super) fn values(piece: &Piece, payload: &[u8]) -> Vec<u64> {
    packing::unpack(&payload[piece.bytes.clone()], piece.width, piece.count)
        .expect("numbers are packed without set padding")
}
