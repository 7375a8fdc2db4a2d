//! Material that two servers make between themselves, a core each: `cargo bench --bench lookup_pair`.

use divan::Bencher;
use divan::counter::ItemsCount;
use ppdenoise::internals::material::{Origin, SlotView};
use ppdenoise::internals::protocol::PairSession;
use ppdenoise::internals::wire::{MemChannel, pair};
use ppdenoise_base::ids::Party;
use ppdenoise_crypto::ot::extension::FieldBits;
use ppdenoise_crypto::prg::Seed;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// Elements of a sample: a batch of a convolutional network.
const BATCH: usize = 1 << 17;

fn main() {
    divan::main();
}

/// One server: its session, its end of the channel, one compute thread.
struct Server {
    party: Party,
    session: PairSession,
    channel: MemChannel,
    pool: ThreadPool,
}

fn servers() -> [Server; 2] {
    let (a, b) = pair();
    std::thread::scope(|scope| {
        let ends = [(Party::S0, a), (Party::S1, b)].map(|(party, mut channel)| {
            scope.spawn(move || {
                let seed = Seed::from_bytes([party.index() as u8; 32]);
                let session = PairSession::set_up(party, FieldBits::FOUR, &seed, &mut channel)
                    .expect("a set-up");
                let pool = ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
                Server { party, session, channel, pool }
            })
        });
        ends.map(|end| end.join().expect("no panic"))
    })
}

/// Runs a step at both servers at once.
fn both(
    servers: &mut [Server; 2],
    step: impl Fn(&mut PairSession, &mut MemChannel, &SlotView<'_>) + Sync,
) {
    std::thread::scope(|scope| {
        for Server { party, session, channel, pool } in servers {
            let step = &step;
            scope.spawn(move || {
                let seed = Seed::from_bytes([9; 32]);
                let view = SlotView::new(*party, &seed, 0, Origin::Made);
                pool.install(|| step(session, channel, &view));
            });
        }
    });
}

/// Lookups a second of two servers with one core each; (hi, lo).
#[divan::bench(args = [(8, 5), (8, 6), (9, 6)], sample_count = 5, sample_size = 1)]
fn lookups(bencher: Bencher<'_, '_>, (hi, lo): (u32, u32)) {
    let mut servers = servers();
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        both(&mut servers, |session, channel, view| {
            session.lookups::<u32>(channel, view, 1, 0..BATCH, hi, lo).expect("lookups");
        });
    });
}

/// Square pairs a second of two servers with one core each.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn squares(bencher: Bencher<'_, '_>) {
    let mut servers = servers();
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        both(&mut servers, |session, channel, view| {
            session.squares::<u32>(channel, view, 1, 0..BATCH).expect("squares");
        });
    });
}
