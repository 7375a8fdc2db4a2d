//! Throughput of envelopes in memory, sealed and in clear, on one thread: what protecting a file
//! costs beside reading and writing it.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use ppdenoise::internals::files::container::header::{Body, OpenedWeights, Triples};
use ppdenoise::internals::files::container::{
    ChunkKey, Content, Envelope, EnvelopeReader, EnvelopeWriter, OpenFrom, SealTo,
};
use ppdenoise::internals::files::keys::SecretKey;
use ppdenoise::internals::material::Origin;
use ppdenoise_base::ids::Party;
use ppdenoise_base::ids::{Digest, ModelId, Role, TripleSetId, WeightMaskId};
use ppdenoise_base::numbers::ring::RingBits;
use std::io::{Cursor, Write, sink};

fn main() {
    divan::main();
}

const CHUNKS: u64 = 8;
/// Bytes of a chunk: a small one, and one of the demo's material.
const SIZES: [usize; 2] = [1 << 16, 1 << 22];

fn content(sealed: bool, chunk: usize) -> Content {
    let weight_mask_id = WeightMaskId::from_bytes([1; 16]);
    let (model_id, public_digest) = (ModelId::from_bytes([2; 16]), Digest::from_bytes([3; 32]));
    let ring_bits = RingBits::L32;
    let body: Body = if sealed {
        let (party, set_id) = (Party::S0, TripleSetId::from_bytes([4; 16]));
        let (height, width, slots, batch_rows) = (512, 512, 1, 64);
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
            origin: Origin::Dealt,
        }
        .into()
    } else {
        OpenedWeights { weight_mask_id, model_id, public_digest, ring_bits, elements: 1 }.into()
    };
    Content { payload_len: CHUNKS * chunk as u64, chunks: CHUNKS, body }
}

fn writer<W: Write>(out: W, key: &SecretKey, sealed: bool, chunk: usize) -> EnvelopeWriter<W> {
    let (public, content) = (key.public(), content(sealed, chunk));
    let writer = if sealed {
        EnvelopeWriter::sealed(out, SealTo { sender: key, recipient: &public }, content)
    } else {
        EnvelopeWriter::in_clear(out, public.fingerprint(), content)
    };
    writer.expect("a valid header")
}

fn write_all<W: Write>(mut writer: EnvelopeWriter<W>, bytes: &mut [u8]) -> W {
    for op in 0..CHUNKS {
        writer.chunk(ChunkKey::op(op as u32), black_box(bytes)).expect("memory");
    }
    writer.finish().expect("complete")
}

#[divan::bench(args = SIZES, consts = [false, true])]
fn write<const SEALED: bool>(bencher: Bencher, chunk: usize) {
    let (key, mut bytes) = (SecretKey::random().expect("randomness"), vec![5; chunk]);
    bencher.counter(BytesCount::new(CHUNKS as usize * chunk)).bench_local(|| {
        write_all(writer(sink(), &key, SEALED, chunk), &mut bytes);
    });
}

#[divan::bench(args = SIZES, consts = [false, true])]
fn read<const SEALED: bool>(bencher: Bencher, chunk: usize) {
    let (key, mut bytes) = (SecretKey::random().expect("randomness"), vec![5; chunk]);
    let file = write_all(writer(Vec::new(), &key, SEALED, chunk), &mut bytes);
    let public = key.public();
    let keys = OpenFrom { recipient: &key, sender: &public, role: Role::Dealer };
    bencher.counter(BytesCount::new(CHUNKS as usize * chunk)).bench_local(|| {
        let envelope = Envelope::read(Cursor::new(&file), "memory").expect("a header");
        let reader = if SEALED { envelope.unseal(keys) } else { envelope.in_clear() };
        let mut reader: EnvelopeReader<_> = reader.expect("the right keys");
        for op in 0..CHUNKS {
            reader.chunk_into(ChunkKey::op(op as u32), black_box(&mut bytes)).expect("intact");
        }
    });
}

/// Agreeing on a file's key and writing the smallest payload: two X25519 products and more.
#[divan::bench]
fn smallest_file(bencher: Bencher) {
    let key = SecretKey::random().expect("randomness");
    bencher.bench_local(|| write_all(writer(Vec::new(), &key, true, 1), &mut [0]));
}
