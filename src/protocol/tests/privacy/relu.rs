//! What the servers open of exact ReLUs, with the real engine.

use super::HONEST;
use super::stats::{Field, MAX_TESTS, Verdicts};
use crate::crypto::prg::{Domain, Purpose, Seed};
use crate::numbers::ring;
use crate::protocol::relu::testing::{Run, relu, run, seeds};

const COUNT: usize = 1 << 17;
const N: u32 = 17;
const B: i64 = 1 << (N - 1);

/// The opened fields of a run, and what joins them: name, width, values.
fn fields(run: &Run<u32>) -> Vec<(&'static str, u32, Vec<u64>)> {
    let z = run.opened(0, N, false);
    let (masked, c) = (run.opened(1, 6, true), run.opened(2, 1, true));
    // V = y - Y under a fresh Y: what the next linear op opens.
    let y = Seed::from_bytes([55; 32]).bulk(Domain::of(Purpose::InputMask));
    let mut v: Vec<u32> = run.results.iter().map(|y| *y as u32).collect();
    ring::sub_assign(&mut v, &y.take(0, COUNT));
    let joined = |i: usize| z[i] >> (N - 5) | masked[i] << 5 | c[i] << 11;
    let low = |i: usize| z[i] & 7 | (masked[i] & 7) << 3 | c[i] << 6;
    let with_v = |i: usize| u64::from(v[i] >> 26) | z[i] >> (N - 2) << 6 | c[i] << 8;
    vec![
        ("z, the masked bits and c", 12, (0..COUNT).map(joined).collect()),
        ("the low bits of z, the masked bits and c", 7, (0..COUNT).map(low).collect()),
        ("V, z and c", 9, (0..COUNT).map(with_v).collect()),
        ("S1's share of y", 32, run.shares[1].iter().map(|v| u64::from(*v)).collect()),
        ("S0's share of y", 32, run.shares[0].iter().map(|v| u64::from(*v)).collect()),
        ("z", N, z),
        ("the masked bits", 6, masked),
        ("c", 1, c),
        ("V", 32, v.into_iter().map(u64::from).collect()),
    ]
}

fn of(x: i64, seeds: &[Seed; 2]) -> Run<u32> {
    run(relu::<u32>(N), &vec![x; COUNT], seeds, &[0, COUNT])
}

#[test]
fn a_server_sees_nothing_of_what_it_compares() {
    let mut verdicts = Verdicts::default();
    let mut first: Option<Vec<Field>> = None;
    for (number, x) in [0, -1, B - 1, -B, 5, B / 2].into_iter().enumerate() {
        let fields: Vec<Field> = fields(&of(x, &seeds(number as u8)))
            .into_iter()
            .map(|(name, width, values)| {
                let mut field = Field::new(width);
                field.push(&values);
                field.uniform(&format!("{name} of {x}"), &mut verdicts);
                field
            })
            .collect();
        match &first {
            None => first = Some(fields),
            Some(first) => {
                let pairs = first.iter().zip(&fields);
                pairs.for_each(|(a, b)| a.same_as(b, &format!("of {x}"), &mut verdicts));
            }
        }
    }
    assert!(verdicts.count() < MAX_TESTS / HONEST, "{} tests", verdicts.count());
    assert!(verdicts.alarms().is_empty(), "{:?}", verdicts.alarms());
}

/// The same tests catch servers with equal seeds (all masks of bits cancel) and a slot that serves twice.
#[test]
fn broken_masks_alarm() {
    let alarms = |fields: Vec<(&'static str, u32, Vec<u64>)>| {
        let mut verdicts = Verdicts::default();
        for (name, width, values) in fields {
            let mut field = Field::new(width);
            field.push(&values);
            field.uniform(name, &mut verdicts);
        }
        verdicts.alarms().into_iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    let found = |alarms: &[String], name: &str| alarms.iter().any(|a| a.starts_with(name));
    let equal = alarms(fields(&of(7, &[4, 4].map(|b| Seed::from_bytes([b; 32])))));
    for name in ["z, low", "the masked bits", "c", "z, the masked bits and c"] {
        assert!(found(&equal, name), "{name}: {equal:?}");
    }
    let [a, b] = [of(7, &seeds(1)), of(-9, &seeds(1))].map(|run| fields(&run));
    let differences = a.into_iter().zip(b).map(|((name, width, a), (_, _, b))| {
        (name, width, a.iter().zip(&b).map(|(a, b)| a ^ b).collect())
    });
    let twice = alarms(differences.collect());
    for name in ["z", "the masked bits"] {
        assert!(found(&twice, name), "{name}: {twice:?}");
    }
}
