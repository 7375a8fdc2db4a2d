//! Hints and ciphertexts of chosen X and Y, and what a server does wrong that uses a secret twice.
//!
//! S0 holds X, S1 encrypts Y. Rules R1 to R5 of docs/protocols.md; the types keep R2 and R6.

use super::linear::{COUNTED, Ciphertext, Publics, ciphertexts, hints};
use crate::crypto::prg::{Domain, Purpose, Seed};
use crate::ids::Party;
use crate::material::pair::linear::{
    BatchName, Encryptor, FreshBytes, HintPiece, HintSeed, Holder, LinearPlan, MaskName, MaskNonce,
    OpPlan, Packing, Part, PeerHints, RoundingSeed, TileShape,
};
use crate::protocol::tests::privacy::campaign::{Seen, Shape};
use crate::protocol::tests::privacy::fields::minus;
use crate::protocol::tests::privacy::stats::{MAX_TESTS, Verdicts};
use crate::protocol::tests::privacy::{HONEST, compare, judge};
use crate::wire::Tag;

/// What X or Y consists of.
#[derive(Clone, Copy, Debug)]
enum Value {
    Random,
    All(u32),
}

/// What a server does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slip {
    None,
    /// R1: the secret and the errors of the first batch serve the second.
    SecretTwice,
    /// R2: the secrets r of the hints serve another packing.
    PackingsShareSecrets,
    /// R2: they serve another X under the same name.
    MasksShareSecrets,
    /// R3: hints are sent again under fresh errors.
    HintsAgain,
    /// R5: u does not depend on the servers' contributions.
    RoundingFixed,
}

struct Chosen {
    x: Value,
    y: Value,
    tiles: bool,
    slip: Slip,
}

/// Sessions, each with a mask of its own.
const SESSIONS: usize = 6;
const OUTPUTS: usize = 4;
const CHANNELS: usize = 4;
/// Places of a batch that are used.
const USED: usize = 1200;

impl Chosen {
    fn new(x: Value, y: Value, tiles: bool) -> Self {
        Chosen { x, y, tiles, slip: Slip::None }
    }

    fn seed(&self, what: &str, number: usize) -> Seed {
        let context = format!("{:?} {:?} {} {what} {number}", self.x, self.y, self.tiles);
        Seed::from_bytes([2; 32]).derive(Domain::of(Purpose::InputMask), context.as_bytes())
    }

    fn numbers(&self, value: Value, what: &str, number: usize, count: usize) -> Vec<u32> {
        match value {
            Value::Random => {
                self.seed(what, number).bulk(Domain::of(Purpose::InputMask)).take(0, count)
            }
            Value::All(v) => vec![v; count],
        }
    }

    fn plan(&self, tile: TileShape) -> OpPlan {
        let (inputs, packing) = if self.tiles {
            (9 * CHANNELS, Packing::Tiles(tile))
        } else {
            (CHANNELS, Packing::Columns)
        };
        OpPlan { op: 1, inputs, columns: inputs, outputs: OUTPUTS, packing }
    }

    fn part(&self, tile: TileShape) -> (Part, usize) {
        if !self.tiles {
            return (Part::Columns(0..USED), USED);
        }
        let (lines, columns) = tile.windows();
        let rows = lines * columns;
        let part =
            Part::Tile { slot: 0, lines: 0..lines, columns: 0..columns, width: columns, rows };
        (part, rows)
    }

    fn run(&self) -> Seen {
        let mut seen = Seen { fields: Default::default(), shapes: vec![Shape::new()] };
        for session in 0..SESSIONS {
            self.session(session, &mut seen);
        }
        seen
    }

    fn session(&self, session: usize, seen: &mut Seen) {
        let tile = TileShape::of_kernel(3, CHANNELS);
        let plan = LinearPlan::of(vec![self.plan(tile)]);
        let op = &plan.ops()[0];
        let byte = |what| *self.seed(what, session).expose();
        let name = MaskName {
            id: std::array::from_fn(|i| byte("id")[i]),
            model_id: [4; 16],
            nonces: [MaskNonce(byte("nonce 0")), MaskNonce(byte("nonce 1"))],
        };
        let x = self.numbers(self.x, "x", session, op.inputs * OUTPUTS);
        let holder = |x: &[u32], plan: &LinearPlan| {
            let seed = HintSeed::new(self.seed("hints", session));
            Holder::of(name.clone(), vec![x.to_vec()], seed, plan.clone())
        };
        let first = holder(&x, &plan);
        let piece = HintPiece { index: 0, rows: 0..OUTPUTS };
        let sent = first.hint(&piece);
        seen.shapes[0].push((0, Tag::Hint as u8, 0, sent.len()));
        let publics = Publics::new(&name, op, Party::S0);
        let bare = |sent: &[u8], op: &OpPlan, x: &[u32]| -> Vec<Vec<u64>> {
            let rows = hints(sent).into_iter().zip(x.chunks_exact(op.inputs));
            rows.map(|(hint, x)| minus(&hint, &publics.sum(op, x), 56)).collect()
        };
        let mine = bare(&sent, op, &x);
        let fields = &mut seen.fields[1];
        for (row, hint) in hints(&sent).iter().enumerate() {
            fields.add("hints".into(), 56, hint);
            fields.add("hints, without X".into(), 56, &mine[row]);
            let next = &mine[(row + 1) % OUTPUTS];
            fields.add("hints, without X, less the next".into(), 56, &minus(&mine[row], next, 56));
        }
        // The same seed for something else: what a second hint adds to the first.
        let share = |other: Holder, slip| {
            if self.slip == slip { other.with_secrets_of(&first) } else { other }
        };
        let small = LinearPlan::of(vec![self.plan(TileShape::shaped(3, CHANNELS, 64, 64))]);
        let other_x = self.numbers(Value::Random, "another x", session, x.len());
        let others = [
            ("another packing", share(holder(&x, &small), Slip::PackingsShareSecrets), &x),
            ("another X", share(holder(&other_x, &plan), Slip::MasksShareSecrets), &other_x),
        ];
        for (what, other, x) in others {
            // One packing of columns is as good as another.
            if !self.tiles && what == "another packing" {
                continue;
            }
            let theirs = bare(&other.hint(&piece), &other.plan().ops()[0], x);
            for (a, b) in mine.iter().zip(&theirs) {
                fields.add(format!("hints, without X, less those of {what}"), 56, &minus(a, b, 56));
            }
        }
        let again = match self.slip {
            Slip::HintsAgain => holder(&x, &plan).with_errors_of(&self.seed("errors", session)),
            _ => holder(&x, &plan),
        };
        // R3: the same bytes. Before they are rounded, so that other errors cannot hide in the rounding,
        // where they show in one coefficient of 2^26: an average of many such hints comes near X.
        let errors = [&first, &again].map(|h| h.hint_errors(0, 0));
        assert_eq!(errors[0] == errors[1], self.slip != Slip::HintsAgain);
        assert!(self.slip == Slip::HintsAgain || again.hint(&piece) == sent);
        let mut peer = PeerHints::new(plan.clone());
        peer.add(&piece, &sent).unwrap();
        let encryptor = Encryptor::new(Party::S1, name.clone(), peer).unwrap();
        self.batches(session, (&first, &encryptor), seen);
    }

    /// Two batches, the second made again in a session whose seed of u is another.
    fn batches(&self, session: usize, (holder, encryptor): (&Holder, &Encryptor), seen: &mut Seen) {
        let op = &holder.plan().ops()[0];
        let (part, rows) = self.part(TileShape::of_kernel(3, CHANNELS));
        let count = part.coefficients(op) * op.elements();
        let rounding = |contribution: usize| {
            let number = if self.slip == Slip::RoundingFixed { 0 } else { contribution };
            RoundingSeed::new([
                self.seed("u of S0", number).expose(),
                self.seed("u of S1", number).expose(),
            ])
        };
        let mut before: Option<Vec<Ciphertext>> = None;
        for number in 0..2 {
            let fresh = 2 * session + number;
            let y = self.numbers(self.y, "y of S1", fresh, count);
            let own = self.numbers(Value::Random, "y of S0", fresh, count);
            let name = BatchName { set_id: [5; 16], slot: 7, op: 1, number: number as u32 };
            let secrets = self.seed("secret of both", session);
            let run = |rounding: &RoundingSeed| {
                let bytes = FreshBytes::new(self.seed("batch", fresh));
                let mut masking = encryptor.encrypt(0, &part, name, bytes, &y);
                if self.slip == Slip::SecretTwice {
                    masking = masking.with_secret_of(&secrets);
                }
                let packed = holder.packed(0);
                let mut receiving = packed.receive(&part, &own);
                let mut sent = Vec::new();
                while let Some(piece) = masking.next_piece() {
                    receiving.masks(&piece).unwrap();
                    sent.extend(piece);
                }
                let [mut z_h, mut z_e] = [0; 2].map(|_| vec![0u32; rows * OUTPUTS]);
                receiving.finish(&name, rounding, None, &mut z_h).unwrap();
                masking.finish(rounding, None, &mut z_e);
                (sent, [z_h, z_e])
            };
            let (sent, z) = run(&rounding(2 * fresh));
            let (_, again) = run(&rounding(2 * fresh + 1));
            seen.shapes[0].push((1, Tag::Masks as u8, number as u32, sent.len()));
            let masks = ciphertexts(&sent);
            let fields = &mut seen.fields[0];
            let used = COUNTED.min(y.len() / op.elements());
            for (k, mask) in masks.iter().enumerate() {
                fields.add("ciphertexts, high".into(), 64, &mask.high);
                fields.add("ciphertexts, low".into(), 20, &mask.low);
                if let Some(before) = &before {
                    let apart = mask.less(&before[k]);
                    fields.add(
                        "ciphertexts, less those of another batch: high".into(),
                        64,
                        &apart.high,
                    );
                    fields.add(
                        "ciphertexts, less those of another batch: low".into(),
                        20,
                        &apart.low,
                    );
                }
                if k < op.elements() {
                    let y =
                        y.chunks_exact(op.elements()).take(used).map(|row| u64::from(row[k]) << 32);
                    let bare = minus(&mask.high[..used], &y.collect::<Vec<u64>>(), 64);
                    fields.add("ciphertexts, without Y".into(), 64, &bare);
                }
            }
            for (i, fields) in seen.fields.iter_mut().enumerate() {
                let wide = |v: &[u32]| v.iter().map(|v| u64::from(*v)).collect::<Vec<u64>>();
                let (z, again) = (wide(&z[i]), wide(&again[i]));
                fields.add("share of Z".into(), 32, &z);
                fields.add(
                    "share of Z, less that under another u".into(),
                    32,
                    &minus(&z, &again, 32),
                );
            }
            if matches!(self.x, Value::All(0)) {
                let off = |(a, b): (&u32, &u32)| matches!(a.wrapping_add(*b) as i32, -1..=1);
                assert!(z[0].iter().zip(&z[1]).all(off), "X = 0: the sum is 0");
            }
            before = Some(masks);
        }
    }
}

/// The least and the largest numbers, none, and random ones: each server's view is uniform and alike.
#[test]
fn a_server_sees_nothing_of_chosen_masks() {
    use Value::{All, Random};
    let choices =
        [(Random, Random), (All(0), Random), (Random, All(0)), (All(1 << 31), All(u32::MAX))];
    for tiles in [false, true] {
        let mut verdicts = Verdicts::default();
        let mut first: Option<Seen> = None;
        for (x, y) in choices {
            let seen = Chosen::new(x, y, tiles).run();
            let what = format!("X {x:?}, Y {y:?}");
            judge(&seen, &what, &mut verdicts);
            match &first {
                None => first = Some(seen),
                Some(first) => compare(first, &seen, &what, &mut verdicts),
            }
        }
        println!("{} tests, least p {:.1e}", verdicts.count(), verdicts.least());
        assert!(verdicts.count() < MAX_TESTS / HONEST);
        assert!(verdicts.alarms().is_empty(), "{:?}", verdicts.alarms());
    }
}

fn alarms(slip: Slip, value: Value, field: &str) {
    let mut verdicts = Verdicts::default();
    let seen = Chosen { slip, ..Chosen::new(value, Value::Random, true) }.run();
    judge(&seen, "", &mut verdicts);
    let alarms = verdicts.alarms();
    assert!(alarms.iter().any(|(name, _)| name.contains(field)), "{slip:?}: {alarms:?}");
}

#[test]
fn a_secret_for_two_batches_alarms() {
    alarms(Slip::SecretTwice, Value::Random, "less those of another batch: low");
}

#[test]
fn a_hint_seed_that_serves_twice_alarms() {
    alarms(Slip::PackingsShareSecrets, Value::Random, "less those of another packing");
    alarms(Slip::MasksShareSecrets, Value::Random, "less those of another X");
}

/// The check of every session finds errors that are drawn anew.
#[test]
fn hints_that_are_sent_again_under_fresh_errors_show() {
    Chosen { slip: Slip::HintsAgain, ..Chosen::new(Value::Random, Value::Random, false) }.run();
}

/// A restored snapshot repeats all that a server draws for itself; what differs between the shares of Z is
/// what the other server contributed to u.
#[test]
fn a_fixed_u_alarms() {
    alarms(Slip::RoundingFixed, Value::All(0), "share of Z, less that under another u");
}
