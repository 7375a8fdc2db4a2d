//! Both servers in one process, on seeded shares and material.

mod graphs;
mod hostile;
mod law;
mod made_relus;
mod privacy;
mod recorder;
mod world;

use super::{Engine, LutEngine};
use crate::crypto::alarm::AlarmHalf;
use crate::crypto::prg::{Domain, Purpose, Seed};
use crate::crypto::share;
use crate::ids::Party;
use crate::material::{Origin, SlotView};
use crate::model::piecewise::Piecewise;
use crate::model::{
    Method, QuantiseOptions, QuantisedModel, Ranges, TwinInput, quantise, random_convolutional,
    random_model, run_twin, suited,
};
use crate::numbers::fixed::low_mask;
use crate::numbers::ring::{Ring, RingBits};
use crate::wire::{Channel, MemChannel, pair};
use recorder::{Recorder, Replay};
use world::{SIZE, World};

fn secure_equals_twin<R: Ring, E: Engine<R> + Send>(world: &World, engines: [E; 2]) {
    let [mut first, mut second] = engines.map(Recorder::new);
    let ([s0, s1], _) = world.run::<R, _>([&mut first, &mut second]);
    let mut replay = Replay { world, recorders: [&first, &second] };
    let input =
        TwinInput { image: &world.image, size: world.size, plane: world.plane, watched: false };
    let twin = run_twin::<R>(&world.model, &input, &mut replay, &mut |_| ()).unwrap();
    assert!(share::combine(&s0, &s1) == twin.sums);
}

/// Layer by layer and at the output, bit for bit.
#[test]
fn the_secure_computation_equals_the_twin_exactly() {
    for hidden in [&[12, 7][..], &[5]] {
        let world = World::new(RingBits::L32, hidden, 128, 20);
        secure_equals_twin::<u32, _>(&world, world.engines());
    }
    let world = World::new(RingBits::L64, &[12, 7], 128, 20);
    secure_equals_twin::<u64, _>(&world, world.engines());
}

/// The same for garbled circuits, with several batches in flight and each piecewise function; of the
/// two results that the last rounding allows the twin takes the one that came out.
#[test]
fn the_garbled_computation_equals_the_twin_exactly() {
    for function in [Piecewise::zheng(), Piecewise::refit2(), Piecewise::refit()] {
        let gc = || Method::Gc {
            function: function.clone(),
            refit: function.name == "refit",
            alarm: false,
        };
        let world = World::with(RingBits::L32, gc(), &[12, 7], 11, 20);
        secure_equals_twin::<u32, _>(&world, world.gc_engines());
        let world = World::with(RingBits::L64, gc(), &[5], 128, 20);
        secure_equals_twin::<u64, _>(&world, world.gc_engines());
    }
}

/// The same with material that is explicit at both servers, as they make it themselves: lookups and
/// garbled circuits, patches and convolutions, both rings.
#[test]
fn made_material_equals_the_twin_exactly() {
    let world = World::new(RingBits::L32, &[12, 7], 11, 20).made();
    secure_equals_twin::<u32, _>(&world, world.engines());
    let world = convolutional(RingBits::L64, 64).made();
    secure_equals_twin::<u64, _>(&world, world.engines());
    let gc = Method::Gc { function: Piecewise::refit2(), refit: false, alarm: false };
    let world = World::with(RingBits::L64, gc, &[5], 128, 20).made();
    secure_equals_twin::<u64, _>(&world, world.gc_engines());
    let gc = Method::Gc { function: Piecewise::relu(), refit: false, alarm: false };
    let mut world = convolutional_with(gc, RingBits::L32, 100, 1).made();
    world.prepared = [true, false];
    secure_equals_twin::<u32, _>(&world, world.gc_engines());
}

/// The same for models with mean shift: a residual one needs nothing more, any other gets the
/// shares of the patch means.
#[test]
fn the_mean_shift_equals_the_twin_exactly() {
    for residual in [false, true] {
        let model = random_model(&[12, 7], 2.0, residual).with_mean_shift().unwrap();
        let method = Method::lut(2);
        let options = QuantiseOptions::guaranteed(RingBits::L32, method, 2.5);
        let world = World::of(quantise(&model, &options).unwrap(), 11, 20);
        assert_eq!(world.model.public.network.adds_mean(), !residual);
        secure_equals_twin::<u32, _>(&world, world.engines());
    }
}

/// A convolutional network with tanh and calibrated ranges.
fn convolutional(ring: RingBits, batch_rows: usize) -> World {
    convolutional_with(Method::lut(2), ring, batch_rows, 1)
}

fn convolutional_with(method: Method, ring: RingBits, batch_rows: usize, stride: usize) -> World {
    let ranges = Ranges::Calibrated { margin: 1.25 };
    let model = suited(random_convolutional(&[5, 4], 1.5, stride), &method);
    let options = QuantiseOptions { ring, method, interval: 1.0, ranges, one_cloud: false };
    World::of(quantise(&model, &options).unwrap(), batch_rows, 20)
}

/// The same layer by layer over the whole image: an image is masked once, and so is every map
/// between two convolutions, whatever the batches.
#[test]
fn convolutions_equal_the_twin_exactly() {
    for batch_rows in [7, 40, 1000] {
        let world = convolutional(RingBits::L32, batch_rows);
        secure_equals_twin::<u32, _>(&world, world.engines());
    }
    let world = convolutional(RingBits::L64, 64);
    secure_equals_twin::<u64, _>(&world, world.engines());
}

/// With a stride the maps are smaller than the image; their last lines lie closer together where
/// the stride does not fit the image.
#[test]
fn convolutions_with_a_stride_equal_the_twin_exactly() {
    for (ring, batch_rows, stride) in [(RingBits::L32, 7, 2), (RingBits::L64, 100, 3)] {
        let world = convolutional_with(Method::lut(2), ring, batch_rows, stride);
        match ring {
            RingBits::L32 => secure_equals_twin::<u32, _>(&world, world.engines()),
            RingBits::L64 => secure_equals_twin::<u64, _>(&world, world.engines()),
        }
    }
    let method = Method::Gc { function: Piecewise::relu(), refit: false, alarm: false };
    let world = convolutional_with(method, RingBits::L32, 100, 2);
    secure_equals_twin::<u32, _>(&world, world.gc_engines());
}

/// With exact ReLUs nothing is random but truncation; the two halves of the alarm are equal, since no value comes near the
/// end of a range with this margin, and differ where the margin is missing.
#[test]
fn exact_relus_equal_the_twin_and_alarm_beyond_their_range() {
    for (ring, batch_rows, stride) in
        [(RingBits::L32, 100, 1), (RingBits::L32, 7, 2), (RingBits::L64, 64, 1)]
    {
        for (margin, raised) in [(4.0, false), (1.01, true)] {
            let model = exact(ring, stride, (margin, raised));
            let mut world = World::of(model, batch_rows, 20);
            world.prepared = [raised, true];
            let halves = match ring {
                RingBits::L32 => alarms::<u32, _>(&world, world.relu_engines::<u32>()),
                RingBits::L64 => alarms::<u64, _>(&world, world.relu_engines::<u64>()),
            };
            assert_eq!(crate::crypto::alarm::raised(halves), raised, "{ring:?} {margin}");
        }
    }
}

/// The same with ReLUs that the two servers made.
#[test]
fn made_exact_relus_equal_the_twin_and_alarm_beyond_their_range() {
    for (ring, batch_rows, stride) in [(RingBits::L32, 100, 1), (RingBits::L64, 64, 2)] {
        for (margin, raised) in [(4.0, false), (1.01, true)] {
            let model = exact(ring, stride, (margin, raised));
            let mut world = World::of(model, batch_rows, 20);
            world.prepared = [raised, true];
            let halves = match ring {
                RingBits::L32 => {
                    let world = world.with_made_relus::<u32>();
                    alarms::<u32, _>(&world, world.relu_engines::<u32>())
                }
                RingBits::L64 => {
                    let world = world.with_made_relus::<u64>();
                    alarms::<u64, _>(&world, world.relu_engines::<u64>())
                }
            };
            assert_eq!(crate::crypto::alarm::raised(halves), raised, "{ring:?} {margin}");
        }
    }
}

/// The same with garbled comparisons, dealt and made, whose alarm takes no byte beyond the session's key.
#[test]
fn garbled_convolutions_alarm_beyond_their_range() {
    let garbled = |ring, of: (f64, bool), alarm| {
        let method = Method::Gc { function: Piecewise::relu(), refit: false, alarm };
        ranged(method, ring, 1, of)
    };
    for (ring, batch_rows) in [(RingBits::L32, 100), (RingBits::L32, 7), (RingBits::L64, 64)] {
        for (margin, raised) in [(4.0, false), (1.01, true)] {
            let mut world = World::of(garbled(ring, (margin, raised), true), batch_rows, 20);
            world.prepared = [raised, true];
            let world = if raised { world.made() } else { world };
            let halves = match ring {
                RingBits::L32 => alarms::<u32, _>(&world, world.gc_engines()),
                RingBits::L64 => alarms::<u64, _>(&world, world.gc_engines()),
            };
            assert_eq!(crate::crypto::alarm::raised(halves), raised, "{ring:?} {margin}");
        }
    }
    let bytes = |alarm| {
        let world = World::of(garbled(RingBits::L32, (4.0, false), alarm), 100, 20);
        let [mut first, mut second] = world.gc_engines();
        let (_, traffic) = world.run::<u32, _>([&mut first, &mut second]);
        traffic.bytes_sent + traffic.bytes_received
    };
    assert_eq!(bytes(true), bytes(false));
}

/// A network with exact ReLUs and ranges of a margin; `beyond`: values leave them.
fn exact(ring: RingBits, stride: usize, of: (f64, bool)) -> QuantisedModel {
    ranged(Method::Relu { alarm: true }, ring, stride, of)
}

fn ranged(
    method: Method,
    ring: RingBits,
    stride: usize,
    (margin, beyond): (f64, bool),
) -> QuantisedModel {
    let ranges = Ranges::Calibrated { margin };
    let options = QuantiseOptions { ring, method, interval: 1.0, ranges, one_cloud: false };
    let mut model = random_convolutional(&[5, 4], 1.5, stride);
    if beyond {
        let extremes = model.extremes.iter_mut().flatten().flatten();
        extremes.for_each(|extreme| *extreme /= 3.0);
    }
    quantise(&model, &options).unwrap()
}

/// Both halves of the alarm of a run that equals the twin.
fn alarms<R: Ring, E: Engine<R> + Send>(world: &World, engines: [E; 2]) -> [AlarmHalf; 2] {
    let [mut first, mut second] = engines.map(Recorder::new);
    let ([s0, s1], _) = world.run::<R, _>([&mut first, &mut second]);
    let mut replay = Replay { world, recorders: [&first, &second] };
    let input =
        TwinInput { image: &world.image, size: world.size, plane: world.plane, watched: false };
    let twin = run_twin::<R>(&world.model, &input, &mut replay, &mut |_| ()).unwrap();
    assert!(share::combine(&s0, &s1) == twin.sums);
    [first, second].map(|mut recorder| Engine::<R>::alarm(&mut recorder).expect("an alarm"))
}

/// And with garbled signs.
#[test]
fn garbled_convolutions_equal_the_twin_exactly() {
    for (ring, batch_rows) in [(RingBits::L32, 100), (RingBits::L64, 1000)] {
        let method = Method::Gc { function: Piecewise::relu(), refit: false, alarm: false };
        let world = convolutional_with(method, ring, batch_rows, 1);
        match ring {
            RingBits::L32 => secure_equals_twin::<u32, _>(&world, world.gc_engines()),
            RingBits::L64 => secure_equals_twin::<u64, _>(&world, world.gc_engines()),
        }
    }
}

#[test]
fn convolutions_do_not_depend_on_batches_or_preparation() {
    let run = |batch_rows, prepared| {
        let mut world = convolutional(RingBits::L32, batch_rows);
        world.prepared = prepared;
        let [mut a, mut b] = world.engines();
        world.run::<u32, LutEngine>([&mut a, &mut b]).0
    };
    let whole = run(1000, [false; 2]);
    for (batch_rows, prepared) in [(1, [false; 2]), (33, [true, false]), (50, [true; 2])] {
        assert_eq!(run(batch_rows, prepared), whole);
    }
}

/// Bytes each way: U, the image, and for each activation the lookup's and one V of the map.
#[test]
fn bytes_of_a_convolutional_network_are_as_stated() {
    let world = convolutional(RingBits::L32, 40);
    let [mut a, mut b] = world.engines();
    let (_, traffic) = world.run::<u32, LutEngine>([&mut a, &mut b]);
    let (pixels, network) = (SIZE.pixels(), &world.model.public.network);
    let mut expected = 4 * pixels + 9;
    expected += network.linears().map(|(_, l)| 4 * l.weights() + 9).sum::<usize>();
    for (_, spec, features) in network.activations() {
        for batch in world.layout.stage_batches(0) {
            let count = world.layout.batch(batch).rows.len() * features;
            let packed = (count * spec.input_bits() as usize).div_ceil(8);
            expected += packed + 12 * count + 3 * 9;
        }
    }
    assert_eq!(traffic.bytes_sent, expected as u64);
}

/// The batch size is no part of what is computed.
#[test]
fn results_do_not_depend_on_batches() {
    let run = |batch_rows| {
        let world = World::new(RingBits::L32, &[12, 7], batch_rows, 20);
        let [mut a, mut b] = world.engines();
        world.run::<u32, LutEngine>([&mut a, &mut b]).0
    };
    let whole = run(1000);
    assert_eq!(whole, run(1));
    assert_eq!(whole, run(17));
}

/// Nor is it whether a server has prepared its products, or how many threads compute.
#[test]
fn results_do_not_depend_on_preparation_or_threads() {
    let run = |prepared, threads, ring: RingBits| {
        let mut world = World::new(ring, &[12, 7], 9, 20);
        world.prepared = prepared;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let [mut a, mut b] = world.engines();
            match ring {
                RingBits::L32 => format!("{:?}", world.run::<u32, LutEngine>([&mut a, &mut b]).0),
                RingBits::L64 => format!("{:?}", world.run::<u64, LutEngine>([&mut a, &mut b]).0),
            }
        })
    };
    for ring in [RingBits::L32, RingBits::L64] {
        let plain = run([false; 2], 1, ring);
        for prepared in [[true, false], [false, true], [true; 2]] {
            assert_eq!(run(prepared, 3, ring), plain);
        }
    }
}

/// Fresh material rounds differently, by at most a few units of the output scale.
#[test]
fn fresh_material_changes_the_result_within_units() {
    let run = |seed| {
        let world = World::new(RingBits::L32, &[12, 7], 128, seed);
        let [mut a, mut b] = world.engines();
        let ([s0, s1], _) = world.run::<u32, LutEngine>([&mut a, &mut b]);
        (share::combine(&s0, &s1), world)
    };
    let ((one, world), (two, _)) = (run(20), run(40));
    assert_ne!(one, two);
    let weights = world.model.public.network.outputs().weight_sums(SIZE).unwrap();
    let frac = world.model.public.output_frac();
    let decode = |sums: &[u32]| crate::model::decode_sums(sums, &weights, frac, 0);
    for (a, b) in decode(&one).iter().zip(decode(&two)) {
        assert!((a - b).abs() < 0.05, "{a} against {b}");
    }
}

/// The stated cost: n / 8 + 3 l / 8 bytes an activation each way, and the image once.
#[test]
fn online_bytes_are_as_stated() {
    let world = World::new(RingBits::L32, &[12, 7], 128, 20);
    let [mut a, mut b] = world.engines();
    let (_, traffic) = world.run::<u32, LutEngine>([&mut a, &mut b]);
    let rows = world.model.public.network.grid(SIZE).unwrap().rows();
    let mut expected = 4 * SIZE.pixels() + 9;
    expected +=
        world.model.public.network.linears().map(|(_, l)| 4 * l.weights() + 9).sum::<usize>();
    for (_, spec, features) in world.model.public.network.activations() {
        let count = rows * features;
        let packed = (count * spec.input_bits() as usize).div_ceil(8);
        expected += packed + 12 * count + 3 * 9;
    }
    assert_eq!(traffic.bytes_sent, expected as u64);
    assert_eq!(traffic.bytes_sent, traffic.bytes_received);
}

/// A peer that sends an opening of the wrong length or batch is an error, not a panic.
#[test]
fn a_peer_that_breaks_the_protocol_is_refused() {
    let garblings: [fn(&mut crate::wire::Frame); 2] =
        [|frame| frame.payload.truncate(3), |frame| frame.batch ^= 7];
    for garble in garblings {
        let world = World::new(RingBits::L32, &[6], 128, 20);
        let [mut a, mut b] = world.engines();
        let (mut ours, mut middle_a) = pair();
        let (mut middle_b, mut theirs) = pair();
        std::thread::scope(|scope| {
            let (world, b) = (&world, &mut b);
            scope.spawn(move || drop(world.serve::<u32, _>(Party::S1, b, &mut theirs)));
            scope.spawn(move || relay(&mut middle_a, &mut middle_b, garble));
            let error = world.serve::<u32, _>(Party::S0, &mut a, &mut ours).unwrap_err();
            assert!(error.to_string().contains("broke the protocol"), "{error}");
        });
    }
}

/// Passes frames both ways until an opening comes from the far side; garbles that and stops.
fn relay(near: &mut MemChannel, far: &mut MemChannel, garble: fn(&mut crate::wire::Frame)) {
    use crate::wire::Tag;
    loop {
        let Ok(frame) = near.recv() else { return };
        let _ = far.send(frame.tag, frame.batch, frame.payload);
        let Ok(mut frame) = far.recv() else { return };
        let opening = frame.tag == Tag::Opening;
        if opening {
            garble(&mut frame);
        }
        let _ = near.send(frame.tag, frame.batch, frame.payload);
        if opening {
            return;
        }
    }
}

/// Exhaustive: every mask rho and every input x of a small table, both values of W, and random
/// m, m': the opened shares add up to the table's value for that mask, and nothing else.
#[test]
fn lookup_is_exact_for_every_mask_and_input() {
    exhaustive_lookup::<u32>();
    exhaustive_lookup::<u64>();
}

fn exhaustive_lookup<R: Ring>() {
    use crate::kernels::{LookupTable, masked_sums};
    use crate::numbers::slope_table::SlopeTable;
    let table = SlopeTable::fit("tanh", f64::tanh, 2, 5, 2, 9);
    let prepared = LookupTable::new(&table.values, &table.slopes).unwrap();
    let mut stream = Seed::from_bytes([3; 32]).stream(Domain::of(Purpose::OneHot));
    let n = table.input_bits();
    for rho in 0..1u64 << n {
        let (rho_hi, rho_lo) = (rho >> table.lo, rho & low_mask(table.lo));
        for x in 0..1u64 << n {
            let random: Vec<R> = stream.take((rho << n | x) * 3, 3);
            let one_hot_1 = random[0].to_u64() & low_mask(32);
            let one_hot_0 = one_hot_1 ^ 1 << rho_hi;
            let w = R::from_i64(if one_hot_0 >> rho_hi & 1 == 1 { 1 } else { -1 });
            let opened = (x + rho) & low_mask(n);
            let sums = [one_hot_0, one_hot_1].map(|share| {
                let (mut p, mut q, mut ones) = ([R::ZERO], [R::ZERO], [R::ZERO]);
                let offset = [(opened >> table.lo) as u32];
                masked_sums(&prepared, &[share], &offset, [&mut p, &mut q, &mut ones]);
                (p[0].add(q[0].mul(R::from_u64(opened & low_mask(table.lo)))), q[0], ones[0])
            });
            let (m, m2) = (random[1], random[2]);
            let c = sums[0].0.sub(sums[1].0).add(m);
            let e = sums[0].1.sub(sums[1].1).add(m2);
            let k2 = w.mul(R::from_u64(rho_lo));
            let k3 = k2.mul(m2).sub(w.mul(m));
            let k1 = sums[0].2.sub(sums[1].2);
            assert_eq!(k1, w);
            let y = c.mul(k1).sub(e.mul(k2)).add(k3);
            assert_eq!(y.to_i64(), table.eval_masked(x, rho_lo), "rho {rho} x {x}");
        }
    }
}

/// Material of another length than the layout says is an error that names the op.
#[test]
fn short_material_is_refused() {
    let world = World::new(RingBits::L32, &[6], 128, 20);
    let view = SlotView::new(Party::S0, &world.seeds[0].slots, 5, Origin::Dealt);
    assert!(view.add_product::<u32>(1, 0..4, &[0; 15], &mut [0; 4]).is_none());
    let lookup = |bytes| view.lookup::<u32>(2, 0..4, 9, 6, vec![0; bytes].into());
    assert!(lookup(4 * (64 + 8) - 1).is_none());
    assert!(lookup(4 * (64 + 8)).is_some());
}
