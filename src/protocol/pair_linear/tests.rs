//! Two servers make every linear op of a model; malformed messages are errors.

use super::*;
use crate::crypto::rlwe::Profile;
use crate::graphs::{May, random_graph};
use crate::material::pair::linear::{HintSeed, LinearPlan, MaskNonce};
use crate::material::{MaterialLayout, Origin, weight_mask};
use crate::model::{
    LinearSpec, Method, QuantiseOptions, Ranges, quantise, random_convolutional, random_model,
};
use crate::network::Op;
use crate::numbers::ring::RingBits;
use crate::wire::{Frame, Traffic, pair};

const SET: [u8; 16] = [8; 16];
const PARTIES: [Party; 2] = [Party::S0, Party::S1];

fn seed(byte: u8) -> Seed {
    Seed::from_bytes([byte; 32])
}

fn name() -> MaskName {
    let nonces = [1, 2].map(|v| MaskNonce([v; 32]));
    MaskName { id: [3; 16], model_id: [4; 16], nonces }
}

fn holder(public: &PublicModel, party: Party) -> Holder {
    let of = |byte: u8| seed(byte + party.index() as u8);
    let plan = LinearPlan::new(public, Profile::Q88).unwrap();
    Holder::new(party, name(), of(10), HintSeed::new(of(20)), plan)
}

fn models() -> Vec<PublicModel> {
    let options = QuantiseOptions::guaranteed(RingBits::L32, Method::lut(2), 2.5);
    let patches = quantise(&random_model(&[12, 7], 1.0, true), &options).unwrap();
    let convolutional = |stride| {
        let (ring, ranges) = (RingBits::L32, Ranges::Calibrated { margin: 1.25 });
        let method = Method::Relu { alarm: false };
        let options = QuantiseOptions { ring, method, interval: 1.0, ranges, one_cloud: false };
        quantise(&random_convolutional(&[4, 3], 1.5, stride), &options).unwrap().public
    };
    vec![patches.public, convolutional(1), convolutional(2), graph()]
}

/// A network that reads several maps and the plane, on two scales.
fn graph() -> PublicModel {
    let method = Method::Relu { alarm: false };
    let ranges = Ranges::Calibrated { margin: 1.5 };
    let options =
        QuantiseOptions { ring: RingBits::L32, method, interval: 1.0, ranges, one_cloud: false };
    let models = (0..).map(|seed| random_graph(seed, May { linear: true, plane: true }));
    let publics = models.filter_map(|model| Some(quantise(&model, &options).ok()?.public));
    let has_all = |public: &PublicModel| {
        let (maps, stages) = (public.network.maps(), public.network.stages());
        public.network.reads_plane()
            && maps.iter().any(|map| map.scale > 1)
            && stages.iter().any(|stage| stage.maps().count() > 1)
    };
    publics.into_iter().find(has_all).expect("there are many")
}

type Kept = Vec<(HintPiece, Vec<u8>)>;

/// A server's part: shares of two slots, the hints that it got, its traffic.
fn serve(
    public: &PublicModel,
    party: Party,
    size: Size,
    kept: Option<PeerHints>,
    channel: &mut dyn Channel,
) -> Result<(LinearShares, Kept, Traffic), ProtocolError> {
    let (holder, fresh) = (holder(public, party), [30 + party.index() as u8; 32]);
    let mut got = Vec::new();
    let set_up = LinearSetUp { holder: &holder, name: name(), kept, fresh };
    let mut linear = PairLinear::set_up(set_up, channel, &mut |message| {
        if let HintMessage::Received(piece, bytes) = message {
            got.push((piece.clone(), bytes.to_vec()));
        }
        Ok(())
    })?;
    let slots = seed(40 + party.index() as u8);
    let work = LinearWork { public, size, slots: 5..7, set_id: SET, seed: &slots };
    // The same for all: batches differ by what they are and hide.
    let mut fresh = || Ok(seed(50));
    let mut sent = 0;
    let shares = linear.make(&work, channel, &mut fresh, &mut |done| sent = done)?;
    assert_eq!(sent, linear.messages(&work)?);
    Ok((shares, got, channel.traffic()))
}

fn both<T: Send>(run: impl Fn(Party, &mut dyn Channel) -> T + Sync) -> [T; 2] {
    let (mut one, mut other) = pair();
    std::thread::scope(|scope| {
        let run = &run;
        let first = scope.spawn(move || run(Party::S0, &mut one));
        let second = run(Party::S1, &mut other);
        // A server that failed leaves the other one no channel to wait at.
        drop(other);
        [first.join().unwrap(), second]
    })
}

/// What the dealer would share: X times Y of every patch, batch by batch in the order of the files.
fn check(public: &PublicModel, size: Size, shares: &[LinearShares; 2]) {
    let seeds = PARTIES.map(|party| seed(40 + party.index() as u8));
    let layout = MaterialLayout::new(public, size, 50, Origin::Made).unwrap();
    let grids = public.network.grids(size).unwrap();
    let (mut wrong, mut all) = (0, 0);
    for (slot, batch) in [0, 1].into_iter().flat_map(|s| (0..layout.batches()).map(move |t| (s, t)))
    {
        let batch = layout.batch(batch);
        let grid = &grids[batch.stage];
        for op in grid.stage.ops.clone() {
            let Op::Linear(l) = &public.network.ops()[op] else { continue };
            let total = |parts: [Vec<u32>; 2]| -> Vec<u32> {
                parts[0].iter().zip(&parts[1]).map(|(a, b)| a.wrapping_add(*b)).collect()
            };
            let x =
                total(PARTIES.map(|p| weight_mask(&seed(10 + p.index() as u8), op, l.weights())));
            let views =
                PARTIES.map(|p| SlotView::new(p, &seeds[p.index()], 5 + slot as u64, Origin::Made));
            let mask = |op: usize, run: std::ops::Range<usize>| {
                total(views.each_ref().map(|view| view.input_mask(op, run.clone())))
            };
            let y = match public.network.inner_mask(op) {
                None => grid.gather_masked(batch.rows.clone(), |map, run| {
                    mask(public.network.maps()[map].op, run)
                }),
                Some(op) => mask(op, batch.rows.start * l.inputs..batch.rows.end * l.inputs),
            };
            let n = public.network.masked_inputs(op);
            let z = [0, 1].map(|i| shares[i].chunk(slot, op, batch.rows.clone()).to_vec());
            let expected = y.chunks_exact(n).flat_map(|y| {
                x.chunks_exact(l.inputs).map(move |x| {
                    x.iter().zip(y).fold(0u32, |s, (x, y)| s.wrapping_add(x.wrapping_mul(*y)))
                })
            });
            let expected: Vec<u32> = expected.collect();
            assert_eq!(z[0].len(), expected.len());
            for (found, expected) in total(z).iter().zip(&expected) {
                let off = found.wrapping_sub(*expected) as i32;
                // One more or less in either direction.
                assert!(off.abs() <= 2, "op {op}: off by {off}");
                wrong += usize::from(off != 0);
                all += 1;
            }
        }
    }
    assert!(wrong * 4096 <= all, "{wrong} of {all} off");
}

#[test]
fn two_servers_make_every_linear_op() {
    for public in &models() {
        let size = Size::new(19, 40);
        let made = both(|party, channel| serve(public, party, size, None, channel).unwrap());
        let [first, second] = made;
        let rows: usize = public.network.linears().map(|(_, l)| l.outputs).sum();
        let hints: usize = first.1.iter().map(|(_, bytes)| bytes.len()).sum();
        assert_eq!(hints, rows * 28_672);
        assert!(first.1.iter().zip(&second.1).all(|(a, b)| a.1 != b.1));
        check(public, size, &[first.0, second.0]);
        // Kept hints are not sent again, and serve images of another size.
        let plan = LinearPlan::new(public, Profile::Q88).unwrap();
        let read = |kept: &Kept| {
            let mut hints = PeerHints::new(plan.clone());
            kept.iter().for_each(|(piece, bytes)| hints.add(piece, bytes).unwrap());
            hints
        };
        let kept = [first.1, second.1];
        let size = Size::new(33, 21);
        let again = both(|party, channel| {
            let hints = read(&kept[party.index()]);
            serve(public, party, size, Some(hints), channel).unwrap()
        });
        assert!(again.iter().all(|(_, got, _)| got.is_empty()));
        let [first, second] = again;
        check(public, size, &[first.0, second.0]);
    }
}

/// Noise comes in both roles of S0, and in no share of S1: those are what they are without it.
#[test]
fn the_cloud_adds_noise_in_both_roles_and_the_user_none() {
    let two_servers = QuantiseOptions::guaranteed(RingBits::L32, Method::lut(2), 2.5);
    let options = QuantiseOptions { one_cloud: true, ..two_servers };
    let flooded = quantise(&random_model(&[12, 7], 1.0, true), &options).unwrap().public;
    let without = flooded.network.map(|_, l| LinearSpec { flooding: None, ..*l }, |_, a| a.clone());
    let without = PublicModel { network: without, ..flooded.clone() };
    let size = Size::new(19, 40);
    let [with, without] = [&flooded, &without].map(|public| {
        both(|party, channel| serve(public, party, size, None, channel).unwrap())
            .map(|(shares, ..)| shares)
    });
    for (op, shares) in with[1].ops.iter().enumerate() {
        assert_eq!(shares.z, without[1].ops[op].z, "the user's share of op {}", shares.op);
        let bits = flooded.flooding(shares.op).unwrap();
        let cloud = with[0].ops[op].z.iter().zip(without[0].ops[op].z.iter());
        let noise: Vec<f64> = cloud
            .map(|(a, b)| f64::from(a.wrapping_sub(*b) as i32) / f64::from(1u32 << bits))
            .collect();
        // Of both roles together: one alone stays below 2 and has half the variance.
        let square = noise.iter().map(|v| v.powi(2)).sum::<f64>() / noise.len() as f64;
        assert!((square / (2.0 / 3.0) - 1.0).abs() < 0.1, "op {}: {square}", shares.op);
        assert!(noise.iter().all(|v| v.abs() <= 4.0 + 2.0 / f64::from(1u32 << bits)));
    }
}

/// Changes the frames of one server.
struct Broken<'c>(&'c mut dyn Channel, Edit);

type Edit = fn(&mut Frame);

impl Channel for Broken<'_> {
    fn send(&mut self, tag: Tag, batch: u32, payload: Vec<u8>) -> Result<(), NetError> {
        let mut frame = Frame { tag, batch, payload };
        (self.1)(&mut frame);
        self.0.send(frame.tag, frame.batch, frame.payload)
    }
    fn recv(&mut self) -> Result<Frame, NetError> {
        self.0.recv()
    }
    fn traffic(&self) -> Traffic {
        self.0.traffic()
    }
}

#[test]
fn malformed_messages_are_errors() {
    let public = &models()[0];
    let cases: [(Edit, &str); 4] = [
        (
            |f| {
                if f.tag == Tag::PairSetUp {
                    f.payload.push(1)
                }
            },
            "sent a malformed set-up message",
        ),
        (
            |f| {
                if f.tag == Tag::Hint {
                    f.payload.truncate(9)
                }
            },
            "sent 9 bytes of hints of op 1",
        ),
        (
            |f| {
                if f.tag == Tag::Masks {
                    _ = f.payload.pop()
                }
            },
            "bytes of ciphertexts of op 1",
        ),
        (
            |f| {
                if f.tag == Tag::Masks {
                    f.batch += 1
                }
            },
            "sent message 1 of Masks where 0 was due",
        ),
    ];
    for (edit, text) in cases {
        let results = both(|party, channel| match party {
            Party::S0 => {
                serve(public, party, Size::new(19, 16), None, &mut Broken(channel, edit)).map(drop)
            }
            Party::S1 => serve(public, party, Size::new(19, 16), None, channel).map(drop),
        });
        let error = results[1].as_ref().err().map(ToString::to_string).unwrap_or_default();
        assert!(error.contains(text), "{error}");
    }
}
