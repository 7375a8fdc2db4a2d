//! Gates and hashes over the `aes` crate: the definition that the other backends are tested
//! against.

use super::{EvalAnd, GarbleAnd, sigma};
use crate::numbers::block::Block;
use ::aes::Aes128;
use ::aes::cipher::{Array, BlockCipherEncrypt, KeyInit};

/// An AES-128 key schedule.
pub(crate) struct Key(Aes128);

/// Instances whose blocks are encrypted together: enough to fill the pipelines, small enough for
/// the stack.
const CHUNK: usize = 32;

impl Key {
    pub(crate) fn new(bytes: [u8; 16]) -> Self {
        Key(Aes128::new(&Array(bytes)))
    }

    /// Davies-Meyer under this key: `x[i]` becomes E(`x[i]`) xor `x[i]`.
    fn compress(&self, x: &mut [Block; 2 * CHUNK]) {
        let input = *x;
        self.encrypt(x);
        x.iter_mut().zip(input).for_each(|(y, x)| *y ^= x);
    }

    fn encrypt(&self, x: &mut [Block]) {
        swap_on_big_endian(x);
        let bytes: &mut [[u8; 16]] = bytemuck::cast_slice_mut(x);
        self.0.encrypt_blocks(Array::cast_slice_from_core_mut(bytes));
        swap_on_big_endian(x);
    }
}

/// AES sees a block as its little-endian bytes on every machine.
fn swap_on_big_endian(x: &mut [Block]) {
    if cfg!(target_endian = "big") {
        x.iter_mut().for_each(|b| b.0 = b.0.swap_bytes());
    }
}

pub(crate) fn hash(key: &Key, x: &[Block], out: &mut [Block]) {
    for (x, out) in x.chunks(2 * CHUNK).zip(out.chunks_mut(2 * CHUNK)) {
        let mut buf = [Block::ZERO; 2 * CHUNK];
        buf.iter_mut().zip(x).for_each(|(b, &x)| *b = sigma(x));
        key.compress(&mut buf);
        out.copy_from_slice(&buf[..out.len()]);
    }
}

pub(crate) fn counter_mode(key: &Key, start: u64, out: &mut [Block]) {
    for (i, block) in out.iter_mut().enumerate() {
        *block = Block(u128::from(start.wrapping_add(i as u64)));
    }
    key.encrypt(out);
}

pub(crate) fn garble(key_g: &Key, key_e: &Key, delta: Block, gate: GarbleAnd<'_>) {
    let n = gate.len();
    for at in (0..n).step_by(CHUNK) {
        let m = CHUNK.min(n - at);
        let (a, b) = (&gate.a[at..at + m], &gate.b[at..at + m]);
        let hash_both = |key: &Key, x: &[Block]| {
            let mut h = [Block::ZERO; 2 * CHUNK];
            for (i, &x) in x.iter().enumerate() {
                h[i] = sigma(x);
                h[CHUNK + i] = sigma(x ^ delta);
            }
            key.compress(&mut h);
            h
        };
        let (ha, hb) = (hash_both(key_g, a), hash_both(key_e, b));
        for i in 0..m {
            let tg = ha[i] ^ ha[CHUNK + i] ^ delta.keep_if(b[i].colour());
            let wg = ha[i] ^ tg.keep_if(a[i].colour());
            let half = hb[i] ^ hb[CHUNK + i];
            let we = hb[i] ^ half.keep_if(b[i].colour());
            gate.table_g[at + i] = tg;
            gate.table_e[at + i] = half ^ a[i];
            gate.out[at + i] = wg ^ we;
        }
    }
}

pub(crate) fn eval(key_g: &Key, key_e: &Key, gate: EvalAnd<'_>) {
    let n = gate.len();
    for at in (0..n).step_by(CHUNK) {
        let m = CHUNK.min(n - at);
        let hash_chunk = |key: &Key, x: &[Block]| {
            let mut h = [Block::ZERO; CHUNK];
            hash(key, x, &mut h[..x.len()]);
            h
        };
        let (a, b) = (&gate.a[at..at + m], &gate.b[at..at + m]);
        let (ha, hb) = (hash_chunk(key_g, a), hash_chunk(key_e, b));
        for i in 0..m {
            let wg = ha[i] ^ gate.table_g[at + i].keep_if(a[i].colour());
            let we = hb[i] ^ (gate.table_e[at + i] ^ a[i]).keep_if(b[i].colour());
            gate.out[at + i] = wg ^ we;
        }
    }
}
