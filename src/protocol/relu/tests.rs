//! Two servers in memory against the definition, and what they send counted.

use super::testing::{relu, run, seeds};
use super::*;
use crate::crypto::alarm::raised;
use crate::crypto::prg::{Domain, Purpose, Seed};
use crate::material::{Origin, SlotView};
use crate::numbers::fixed::sign_extend;
use crate::numbers::relu::Zone;
use crate::numbers::ring;

fn random(n: u32, count: usize) -> Vec<i64> {
    let stream = Seed::from_bytes([7; 32]).bulk(Domain::of(Purpose::ImageShare));
    stream.take::<u64>(0, count).into_iter().map(|v| sign_extend(v, n)).collect()
}

const LEAKY: Slope = Slope { above: 10, below: 1 };

/// Exact at the widths of networks, in both rings, for every slope, and in batches that begin and end anywhere.
#[test]
fn results_are_exact() {
    fn check<R: Ring>(n: u32) {
        let mut x = random(n, 5000);
        let b = 1i64 << (n - 1);
        x[..7].copy_from_slice(&[0, -1, 1, b - 1, -b, b / 2, -b / 2]);
        for slope in [Slope::RELU, Slope::ABS, LEAKY] {
            let op = ReluOp { slope, ..relu::<R>(n) };
            let run = run::<R>(op, &x, &seeds(1), &[0, 3, 1500, 5000]);
            let expected: Vec<i64> = x.iter().map(|x| slope.eval(*x)).collect();
            assert_eq!(run.results, expected, "n = {n}, {slope:?}");
        }
    }
    for n in [15, 17, 18] {
        check::<u32>(n);
        check::<u64>(n);
    }
}

#[test]
fn every_x_of_nine_bits() {
    let x: Vec<i64> = (-256..256).collect();
    let zone = Some(Zone::FOUR);
    let shape = ReluShape::of::<u32>(9, zone).unwrap();
    for slope in [Slope::RELU, Slope::ABS, LEAKY] {
        for number in 0..20 {
            let run = run::<u32>(ReluOp { shape, slope }, &x, &seeds(number), &[0, 512]);
            let expected: Vec<i64> = x.iter().map(|x| slope.eval(*x)).collect();
            assert_eq!(run.results, expected, "{slope:?}");
        }
    }
}

/// 24 bytes dealt; n, 6 and 1 bits sent, packed, and 32 more for V: 7 bytes at n = 17.
#[test]
fn bytes_are_those_of_the_design() {
    const COUNT: usize = 1024;
    for (n, dealt) in [(17, 24), (15, 24), (18, 28)] {
        let run = run::<u32>(relu::<u32>(n), &random(n, COUNT), &seeds(2), &[0, COUNT]);
        assert_eq!(run.dealt, dealt * COUNT, "n = {n}");
        let bits = |round: usize| run.messages[round].each_ref().map(|m| m.len() * 8);
        let each = |bits: u32| [bits as usize * COUNT; 2];
        assert_eq!(run.messages.len(), 3);
        assert_eq!([0, 1, 2].map(bits), [each(n), each(6), each(1)], "n = {n}");
        let v = ring::to_le_bytes(&run.shares[0]).len() * 8;
        let all: usize = (0..3).map(|round| bits(round)[0]).sum::<usize>() + v;
        assert_eq!(all, (n as usize + 6 + 1 + 32) * COUNT, "n = {n}");
    }
    // A block of 512, and one of 13 that fills its last bytes partly.
    let run = run::<u32>(relu::<u32>(17), &random(17, 525), &seeds(2), &[0, 512, 525]);
    let lengths: Vec<usize> = run.messages.iter().map(|[m, _]| m.len()).collect();
    assert_eq!(lengths, [1088, 384, 64, 28, 10, 2]);
}

#[test]
fn threads_do_not_change_a_message() {
    let x = random(17, 3000);
    let of = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let run = pool.install(|| run::<u32>(relu::<u32>(17), &x, &seeds(3), &[0, 3000]));
        (run.messages, run.shares, run.halves)
    };
    assert_eq!(of(1), of(3));
}

/// The halves differ if and only if a value is where the zone says.
#[test]
fn the_alarm_is_raised_by_one_value() {
    let (b, op) = (1i64 << 16, relu::<u32>(17));
    // The range of samples with margin 2, and what is never seen.
    let mut x: Vec<i64> = random(17, 2000).into_iter().map(|x| x / 2).collect();
    x[..3].copy_from_slice(&[b / 2, -3 * b / 4, 0]);
    let halves = |x: &[i64]| run::<u32>(op, x, &seeds(4), &[0, 700, 2000]).halves;
    assert!(!raised(halves(&x)));
    for (at, value) in [(5, 3 * b / 4), (699, b - 1), (700, -b), (1999, 3 * b / 4 + 1)] {
        let mut outside = x.clone();
        outside[at] = value;
        assert!(raised(halves(&outside)), "{value} at {at}");
    }
    // Guaranteed ranges have no alarm and are used up to their end.
    let shape = ReluShape::of::<u32>(17, None).unwrap();
    let quiet = run::<u32>(ReluOp { shape, ..op }, &[b - 1, -b], &seeds(4), &[0, 2]);
    assert!(!raised(quiet.halves));
}

/// The alarm of a whole network of values as the page's zones say, over many masks.
#[test]
fn zones_are_those_of_the_page() {
    let b = 1i64 << 8;
    for (zone, certain, never) in [
        (Zone::THREE, 3 * b / 4..b, -3 * b / 4..b / 2 + 1),
        (Zone::FOUR, 3 * b / 4..b, -3 * b / 4..5 * b / 8 + 1),
        (Zone::FOUR_EARLY, b / 2..b, -b / 2..3 * b / 8 + 1),
    ] {
        let op = ReluOp { shape: ReluShape::of::<u32>(9, Some(zone)).unwrap(), slope: Slope::RELU };
        let all: Vec<i64> = never.collect();
        assert!(!raised(run::<u32>(op, &all, &seeds(5), &[0, all.len()]).halves), "{zone:?}");
        for x in certain {
            assert!(raised(run::<u32>(op, &[x], &seeds(5), &[0, 1]).halves), "{zone:?} {x}");
        }
    }
}

#[test]
fn malformed_messages_and_material_are_refused() {
    let seed = Seed::from_bytes([1; 32]);
    let slot = SlotView::new(Party::S1, &seed, 0, Origin::Dealt);
    let mut engine = ReluEngine::new(Party::S1, vec![Some(relu::<u32>(17))]);
    let mut begin = |explicit: Vec<u8>| {
        let activation =
            ActivationBatch { op: 0, at: 0..13, slot: &slot, explicit: explicit.into() };
        engine.begin(activation, vec![0u32; 13])
    };
    assert!(matches!(
        begin(vec![0; 24]),
        Err(ProtocolError::Material { op: 0, first: 0, last: 13 })
    ));
    let messages: [(&str, Vec<u8>, &str); 6] = [
        ("inputs", vec![0; 27], "27 bytes for masked inputs, expected 28"),
        ("inputs", vec![0xff; 28], "masked inputs with padding set"),
        ("digits", vec![0; 11], "11 bytes for masked bits of digits, expected 10"),
        ("digits", vec![0xff; 10], "masked bits of digits with padding set"),
        ("borrows", vec![0; 3], "3 bytes for masked borrows, expected 2"),
        ("borrows", vec![0xff; 2], "masked borrows with padding set"),
    ];
    for (round, bad, text) in messages {
        let Ok(Step::Exchange(mut state, _)) = begin(Vec::new()) else { panic!("good material") };
        let mut engine = ReluEngine::new(Party::S1, vec![Some(relu::<u32>(17))]);
        let good: &[usize] = match round {
            "inputs" => &[],
            "digits" => &[28],
            _ => &[28, 10],
        };
        for len in good {
            let Ok(Step::Exchange(next, _)) = engine.advance(0, state, &vec![0; *len]) else {
                panic!("a good message")
            };
            state = next;
        }
        let error = match Engine::<u32>::advance(&mut engine, 0, state, &bad) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("{round}: a bad message was taken"),
        };
        assert!(error.contains(text), "{error}");
    }
}
