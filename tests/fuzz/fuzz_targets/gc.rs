//! Messages of the `gc` engine, and material from a file, for both servers and rings.
#![no_main]
use libfuzzer_sys::fuzz_target;
use ppdenoise_crypto::prg::Seed;
use ppdenoise_base::ids::Party;
use ppdenoise::internals::material::{Chunk, Origin, SlotView};
use ppdenoise_base::numbers::ring::Ring;
use ppdenoise::internals::protocol::{ActivationBatch, Engine, GcEngine, GcSession, Step};
use ppdenoise::internals::wire::{MemChannel, pair};
use ppdenoise_fuzz::peer::Bytes;
use ppdenoise_fuzz::world::{GC_32, GC_64, SLOT, World};
use ppdenoise_fuzz::{memory::bounded, seeds};
use std::cell::RefCell;

/// Activations of a step.
const COUNT: usize = 3;
/// Steps after which the sessions are made anew: their counters run out some time.
const REFRESH: u32 = 1 << 14;

thread_local! {
    static ENGINES: RefCell<Option<([GcEngine; 4], u32)>> = const { RefCell::new(None) };
    static LENGTHS: [Vec<Vec<usize>>; 2] = [lengths::<u32>(&GC_32), lengths::<u64>(&GC_64)];
}

fuzz_target!(init: seeds(messages), |data: &[u8]| {
    ENGINES.with_borrow_mut(|cell| {
        if cell.as_ref().is_none_or(|(_, used)| *used > REFRESH) {
            let ([a, b], [c, d]) = (engines(&GC_32), engines(&GC_64));
            *cell = Some(([a, b, c, d], 0));
        }
        let Some((engines, used)) = cell else { return };
        *used += 1;
        let mut bytes = Bytes(data);
        let which = usize::from(bytes.byte() & 3);
        let party = [Party::S0, Party::S1][which & 1];
        LENGTHS.with(|lengths| {
            let lengths = &lengths[which >> 1][party.index()];
            bounded((64 << 20) + 16 * data.len(), || match which >> 1 {
                0 => step::<u32>(&GC_32, party, &mut engines[which], bytes, lengths),
                _ => step::<u64>(&GC_64, party, &mut engines[which], bytes, lengths),
            });
        });
    });
});

fn step<R: Ring>(
    world: &World,
    party: Party,
    engine: &mut GcEngine,
    mut bytes: Bytes<'_>,
    lengths: &[usize],
) {
    let explicit = if party == Party::S0 { bytes.message(COUNT * R::BYTES) } else { Vec::new() };
    let z = (0..COUNT).map(|_| R::from_u64(bytes.word().into())).collect();
    let slot = SlotView::new(party, &world.seeds[party.index()].slots, SLOT, Origin::Dealt);
    let (op, _, _) = world.model.public.network.activations().next().expect("a hidden layer");
    let activation = ActivationBatch { op, at: 0..COUNT, slot: &slot, explicit: Chunk::from(explicit) };
    let mut next = engine.begin(activation, z);
    let mut lengths = lengths.iter();
    loop {
        match next {
            Ok(Step::Exchange(state, _)) => {
                let due = lengths.next().copied().unwrap_or(0);
                next = Engine::<R>::advance(engine, op, state, &bytes.message(due));
            }
            Ok(Step::Done(shares)) => {
                assert_eq!(shares.len(), COUNT);
                return;
            }
            Err(_) => return,
        }
    }
}

/// The lengths of what each server receives from an honest other one.
fn lengths<R: Ring>(world: &World) -> Vec<Vec<usize>> {
    let mut engines = engines(world);
    let (op, _, _) = world.model.public.network.activations().next().expect("a hidden layer");
    let slots = [Party::S0, Party::S1]
        .map(|party| SlotView::new(party, &world.seeds[party.index()].slots, SLOT, Origin::Dealt));
    let mut steps = [0, 1].map(|i| {
        let explicit = if i == 0 { vec![0; COUNT * R::BYTES] } else { Vec::new() };
        let explicit = Chunk::from(explicit);
        let activation = ActivationBatch { op, at: 0..COUNT, slot: &slots[i], explicit };
        Some(engines[i].begin(activation, vec![R::ZERO; COUNT]).expect("our own step"))
    });
    let mut received = vec![Vec::new(), Vec::new()];
    loop {
        let states = [0, 1].map(|i| match steps[i].take() {
            Some(Step::Exchange(state, message)) => Some((state, message)),
            _ => None,
        });
        let [Some((a, to_b)), Some((b, to_a))] = states else { return received };
        received[0].push(to_a.len());
        received[1].push(to_b.len());
        steps[0] = Some(engines[0].advance(op, a, &to_a).expect("an honest message"));
        steps[1] = Some(engines[1].advance(op, b, &to_b).expect("an honest message"));
    }
}

fn engines(world: &World) -> [GcEngine; 2] {
    let (mut a, mut b) = pair();
    let engine = |party: Party, channel: &mut MemChannel| {
        let seed = Seed::from_bytes([70 + party.index() as u8; 32]);
        let session = GcSession::set_up(party, &seed, channel).expect("both are honest");
        GcEngine::new(session, &world.model.public)
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| engine(Party::S1, &mut b));
        [engine(Party::S0, &mut a), other.join().expect("both are honest")]
    })
}

fn messages() -> Vec<Vec<u8>> {
    (0..4u8).map(|which| [&[which], &[0x5a; 6000][..]].concat()).collect()
}
