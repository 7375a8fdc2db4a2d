//! A silent correlated OT beside the extension, on one core; an item is a transfer.
//!
//! A prototype to decide by, semi-honest and without messages of its own kind: Ferret (Yang, Weng, Lan, Zhang, Wang,
//! CCS 2020) with the correlated trees of Half-Tree (Guo, Yang, Wang, Zhang, Xie, Zhang, Liu, Eurocrypt 2023). An
//! iteration turns k + t depth transfers into t 2^depth: t trees with one leaf unknown to the receiver are transfers
//! with regular noise of weight t as choices, and to each is added the sum of ten of k transfers with uniform choices.
//! The last outputs are the next iteration's inputs. All q have the lowest bit 0 and delta has 1, so a t ends in its choice.
//! Choices come out at random: a caller that wants others sends one bit for each, by `choose_later`.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use ppdenoise_base::numbers::bits::Bits;
use ppdenoise_crypto::garble::hash::Hasher;
use ppdenoise_crypto::garble::{Block, BlockStream, Delta, Tweak};
use ppdenoise_crypto::ot::extension::FieldBits;
use ppdenoise_crypto::ot::testing::{delta, extension};
use ppdenoise_crypto::ot::{SemiHonestCotReceiver, SemiHonestCotSender, choose_later};
use ppdenoise_kernels::AesBackend;
use std::fmt;

/// Transfers that are summed up for each output.
const SUMMANDS: usize = 10;
/// Outputs whose summands are drawn together, so that their numbers stay in the first cache.
const TOGETHER: usize = 256;

/// Parameters of regular LPN over F_2: n = trees 2^depth outputs, `secrets` transfers behind the code.
#[derive(Clone, Copy)]
struct Set {
    name: &'static str,
    trees: usize,
    depth: usize,
    secrets: usize,
}

const SETS: [Set; 4] = [
    // What other programs quote as Table 2 of Ferret and of Wolverine (S&P 2021), regular noise.
    Set { name: "Ferret's", trees: 1319, depth: 13, secrets: 589_760 },
    // The sets that Ferret's authors use today (`emp-ot`, `tuning.h`), chosen after the attacks of 2023 to 2025.
    Set { name: "2^19", trees: 1900, depth: 13, secrets: 1 << 19 },
    Set { name: "2^17", trees: 1170, depth: 11, secrets: 1 << 17 },
    Set { name: "2^16", trees: 850, depth: 10, secrets: 1 << 16 },
];

impl Set {
    fn leaves(&self) -> usize {
        1 << self.depth
    }

    /// The transfers that an iteration consumes.
    fn inputs(&self) -> usize {
        self.secrets + self.trees * self.depth
    }

    /// The trees whose outputs are for use; those of the others are the next inputs.
    fn trees_for_use(&self) -> usize {
        self.trees - self.inputs().div_ceil(self.leaves())
    }

    fn transfers(&self) -> usize {
        self.trees_for_use() * self.leaves()
    }

    fn message_bytes(&self) -> usize {
        self.trees * self.depth * Block::BYTES
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.message_bytes() as f64 / self.transfers() as f64;
        write!(f, "{} ({} transfers, {bytes:.4} B each)", self.name, self.transfers())
    }
}

/// What both servers do alike: widening trees, and the code.
struct Common {
    set: Set,
    hasher: Hasher,
    /// A tweak a tree, never used twice.
    tweak: u64,
    code: BlockStream,
    children: Vec<Block>,
    numbers: Vec<Block>,
    summands: Vec<u32>,
}

impl Common {
    fn new(set: Set) -> Self {
        let backend = AesBackend::active();
        Common {
            set,
            hasher: Hasher::detached([1; 16], backend),
            tweak: 0,
            code: BlockStream::new(Block(0xc0de), backend),
            children: vec![Block::ZERO; set.leaves() / 2],
            numbers: vec![Block::ZERO; TOGETHER * SUMMANDS / 4],
            summands: Vec::new(),
        }
    }

    fn hash_of_zero(&self) -> Block {
        let mut hash = [Block::ZERO];
        self.hasher.hash_into(Tweak::detached(self.tweak), &[Block::ZERO], &mut hash);
        hash[0]
    }

    /// The level below the first half of `nodes`: a left child is the hash of its parent and the right one the rest,
    /// left ones first. Returns the sums of the left and of the right ones.
    fn widen(&mut self, nodes: &mut [Block]) -> [Block; 2] {
        let (parents, right) = nodes.split_at_mut(nodes.len() / 2);
        let children = &mut self.children[..parents.len()];
        self.hasher.hash_into(Tweak::detached(self.tweak), parents, children);
        let mut sums = [Block::ZERO; 2];
        for ((parent, right), &left) in parents.iter_mut().zip(right).zip(&*children) {
            *right = *parent ^ left;
            *parent = left;
            sums[0] ^= left;
            sums[1] ^= *right;
        }
        sums
    }

    /// Adds the sums of ten secrets each to leaves. The numbers are public and so may be the order of the reads; ten
    /// independent reads for each of many outputs keep the memory busy without a hint.
    fn encode(&mut self, secrets: &[Block], out: &mut [Block]) {
        let count = secrets.len() as u64;
        for out in out.chunks_mut(TOGETHER) {
            self.code.fill(&mut self.numbers[..(out.len() * SUMMANDS).div_ceil(4)]);
            let words: &[u32] = bytemuck::cast_slice(&self.numbers);
            self.summands.clear();
            self.summands.extend(words.iter().map(|&w| ((u64::from(w) * count) >> 32) as u32));
            let (summands, _) = self.summands.as_chunks::<SUMMANDS>();
            for (out, summands) in out.iter_mut().zip(summands) {
                *out = summands.iter().fold(*out, |sum, &i| sum ^ secrets[i as usize]);
            }
        }
    }
}

fn without_choice(block: Block) -> Block {
    Block(block.0 & !1)
}

/// The server with delta.
struct Sender {
    common: Common,
    delta: Delta,
    roots: BlockStream,
    inputs: Vec<Block>,
}

impl Sender {
    /// An iteration, tree by tree: `take` gets the q of each. Returns the message.
    fn iterate(&mut self, mut take: impl FnMut(&[Block])) -> Vec<Block> {
        let (set, delta) = (self.common.set, self.delta.expose());
        let inputs = std::mem::take(&mut self.inputs);
        let (secrets, masks) = inputs.split_at(set.secrets);
        let mut leaves = vec![Block::ZERO; set.leaves()];
        let mut message = Vec::with_capacity(masks.len());
        for (tree, masks) in masks.chunks_exact(set.depth).enumerate() {
            let mut root = [Block::ZERO];
            self.roots.fill(&mut root);
            (leaves[0], leaves[1]) = (root[0], root[0] ^ delta);
            message.push(masks[0] ^ root[0]);
            for (level, &mask) in masks.iter().enumerate().skip(1) {
                let [left, _] = self.common.widen(&mut leaves[..2 << level]);
                message.push(mask ^ left);
            }
            self.common.tweak += 1;
            leaves.iter_mut().for_each(|leaf| *leaf = without_choice(*leaf));
            self.common.encode(secrets, &mut leaves);
            hand_out(&set, tree, &leaves, &mut self.inputs, &mut take);
        }
        message
    }
}

/// The server with the choices.
struct Receiver {
    common: Common,
    inputs: Vec<Block>,
}

impl Receiver {
    /// An iteration, tree by tree: `take` gets the t of each.
    fn iterate(&mut self, message: &[Block], mut take: impl FnMut(&[Block])) {
        let set = self.common.set;
        let inputs = std::mem::take(&mut self.inputs);
        let (secrets, masks) = inputs.split_at(set.secrets);
        let mut leaves = vec![Block::ZERO; set.leaves()];
        let trees = masks.chunks_exact(set.depth).zip(message.chunks_exact(set.depth));
        for (tree, (masks, message)) in trees.enumerate() {
            self.punctured(masks, message, &mut leaves);
            self.common.tweak += 1;
            self.common.encode(secrets, &mut leaves);
            hand_out(&set, tree, &leaves, &mut self.inputs, &mut take);
        }
    }

    /// The leaves of the sender's tree without their lowest bits, and delta added to one. On each level the choice is
    /// the side whose sum is known, and the path to that leaf goes the other way. The leaf is secret: all nodes of a
    /// level are written, on the path or not.
    fn punctured(&mut self, masks: &[Block], message: &[Block], leaves: &mut [Block]) {
        let known = |level: usize| (masks[level].colour(), masks[level] ^ message[level]);
        let nothing = self.common.hash_of_zero();
        let (choice, sum) = known(0);
        (leaves[0], leaves[1]) = (sum.keep_if(!choice), sum.keep_if(choice));
        let mut path = usize::from(!choice);
        for level in 1..masks.len() {
            let width = 1 << level;
            let found = self.common.widen(&mut leaves[..2 * width]);
            let (choice, sum) = known(level);
            let away = sum ^ found[0].keep_if(!choice) ^ found[1].keep_if(choice);
            // All nodes add up to delta but for the lowest bit, so the last unknown one comes from the others.
            let (here, last) = (found[0] ^ found[1] ^ away ^ nothing, level + 1 == masks.len());
            let here = nothing ^ Block(here.0 | 1).keep_if(last);
            let fix = [
                away.keep_if(!choice) ^ here.keep_if(choice),
                away.keep_if(choice) ^ here.keep_if(!choice),
            ];
            let (left, right) = leaves[..2 * width].split_at_mut(width);
            let mask = Block(if last { !1 } else { !0 });
            for (i, (left, right)) in left.iter_mut().zip(right).enumerate() {
                let on_path = i == path;
                *left = Block((*left ^ fix[0].keep_if(on_path)).0 & mask.0);
                *right = Block((*right ^ fix[1].keep_if(on_path)).0 & mask.0);
            }
            path += width * usize::from(!choice);
        }
        set_choice(leaves, path);
    }
}

/// Sets the lowest bit of one leaf, in constant time.
fn set_choice(leaves: &mut [Block], at: usize) {
    leaves.iter_mut().enumerate().for_each(|(i, leaf)| leaf.0 |= u128::from(i == at));
}

/// The outputs of the last trees become inputs, the others are for use.
fn hand_out(
    set: &Set,
    tree: usize,
    outputs: &[Block],
    inputs: &mut Vec<Block>,
    take: &mut impl FnMut(&[Block]),
) {
    if tree < set.trees_for_use() {
        take(outputs);
    } else {
        let left = set.inputs() - inputs.len();
        inputs.extend_from_slice(&outputs[..left.min(outputs.len())]);
    }
}

fn random_bits(seed: u128, count: usize) -> Bits {
    let blocks = BlockStream::new(Block(seed), AesBackend::active()).take(count);
    blocks.iter().map(|block| block.colour()).collect()
}

/// Both servers, their first inputs made by the extension.
fn servers(set: Set) -> (Sender, Receiver) {
    let (mut sender, mut receiver) = extension(FieldBits::FOUR, delta(), 1);
    let choices = random_bits(2, set.inputs());
    let (t, message) = receiver.extend(&choices);
    let q = sender.extend(set.inputs(), &message).expect("fits");
    let q = q.into_iter().map(without_choice).collect();
    let ends_in_choice = |(t, c): (Block, bool)| Block(without_choice(t).0 | u128::from(c));
    let t = t.into_iter().zip(choices.iter()).map(ends_in_choice).collect();
    let roots = BlockStream::new(Block(3), AesBackend::active());
    let common = [0; 2].map(|_| Common::new(set));
    let [of_sender, of_receiver] = common;
    let sender = Sender { common: of_sender, delta: delta(), roots, inputs: q };
    (sender, Receiver { common: of_receiver, inputs: t })
}

/// Three iterations give transfers with balanced choices, never a block twice, and chosen choices for a bit each.
fn check(set: Set) {
    let (mut sender, mut receiver) = servers(set);
    let mut seen = std::collections::HashSet::new();
    for _ in 0..3 {
        let (mut q, mut t) = (Vec::new(), Vec::new());
        let message = sender.iterate(|blocks| q.extend_from_slice(blocks));
        assert_eq!(message.len() * Block::BYTES, set.message_bytes());
        receiver.iterate(&message, |blocks| t.extend_from_slice(blocks));
        assert_eq!((q.len(), t.len()), (set.transfers(), set.transfers()));
        let choices: Bits = t.iter().map(|t| t.colour()).collect();
        correlated(&q, &choices, &t);
        let ones = choices.iter().filter(|&choice| choice).count() as f64;
        let limit = 6.0 * (q.len() as f64 / 4.0).sqrt();
        assert!((ones - q.len() as f64 / 2.0).abs() < limit, "{ones} of {}", q.len());
        assert!(q.iter().all(|&q| seen.insert(q)));
        let wanted = random_bits(4, q.len());
        choose_later(&mut q, &delta(), &choices.xor(&wanted).to_bytes()).expect("a bit each");
        correlated(&q, &wanted, &t);
    }
}

fn correlated(q: &[Block], choices: &Bits, t: &[Block]) {
    let delta = delta();
    let fits = |((&q, choice), &t): ((&Block, bool), &Block)| t == q ^ delta.times(choice);
    assert!(q.iter().zip(choices.iter()).zip(t).all(fits));
}

fn main() {
    check(Set { name: "small", trees: 97, depth: 5, secrets: 300 });
    check(SETS[3]);
    divan::main();
}

/// An iteration at the server with delta.
#[divan::bench(args = SETS, sample_count = 10, sample_size = 1)]
fn silent_sender(bencher: Bencher, set: Set) {
    let (mut sender, _) = servers(set);
    bencher.counter(ItemsCount::new(set.transfers())).bench_local(|| {
        sender.iterate(|q| {
            black_box(q);
        })
    });
}

/// An iteration at the server with the choices; the same message each time, which takes no other time than the right one.
#[divan::bench(args = SETS, sample_count = 10, sample_size = 1)]
fn silent_receiver(bencher: Bencher, set: Set) {
    let (mut sender, mut receiver) = servers(set);
    let message = sender.iterate(|_| ());
    bencher.counter(ItemsCount::new(set.transfers())).bench_local(|| {
        receiver.iterate(&message, |t| {
            black_box(t);
        });
    });
}

/// The code alone.
#[divan::bench(args = SETS, sample_count = 10, sample_size = 1)]
fn code(bencher: Bencher, set: Set) {
    let (sender, _) = servers(set);
    let (mut common, mut leaves) = (sender.common, vec![Block::ZERO; set.leaves()]);
    bencher.counter(ItemsCount::new(64 * leaves.len())).bench_local(|| {
        (0..64).for_each(|_| common.encode(&sender.inputs[..set.secrets], &mut leaves));
    });
}
