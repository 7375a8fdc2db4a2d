//! Broken variants: each must alarm, at the threshold of the honest campaigns, in the field where the
//! secret shows.

use super::campaign::{Campaign, Flaw, Picture, Weights};
use super::stats::{Field, Verdicts};
use super::tap::Instead::{FirstBatch, FirstLayer, Zero};
use super::wire::Mask;
use super::{gc, judge, lut};
use crate::crypto::garble::hash::Hasher;
use crate::crypto::garble::{Block, BlockStream, Delta, MAX_BATCH, TweakRange};
use crate::crypto::ot::pads::multiply_send;
use crate::kernels::AesBackend;
use crate::model::Method;
use crate::numbers::packing;

/// The pairs of a broken campaign.
const PAIRS: usize = 16;

/// Runs a broken campaign; at both servers, or at those given, a test whose name contains `field` must
/// alarm.
fn alarms(method: Method, flaw: Flaw, servers: &[usize], field: &str) {
    let mut campaign = Campaign { flaw, ..Campaign::new(method, PAIRS, "broken") };
    match flaw {
        Flaw::SlotReused | Flaw::ShareSeedReused => {
            campaign.pictures = [Picture::Black, Picture::Striped];
        }
        Flaw::WeightMaskReused => campaign.weights = [Weights::Random, Weights::Zero],
        _ => {}
    }
    let mut verdicts = Verdicts::default();
    judge(&campaign.run(), "", &mut verdicts);
    let alarms = verdicts.alarms();
    for server in servers {
        let found = alarms
            .iter()
            .filter(|(name, _)| name.contains(&format!("S{server}: ")) && name.contains(field));
        let found: Vec<_> = found.collect();
        println!("{flaw:?}: S{server} {} of {} alarms in {field:?}", found.len(), alarms.len());
        assert!(!found.is_empty(), "{flaw:?} at S{server}: {alarms:?}");
    }
}

#[test]
fn masks_of_zero_alarm() {
    for (mask, field) in [
        (Mask::Weights, "U of op 1, opened"),
        (Mask::Input, "V of the image, opened"),
        (Mask::Input, "V of op 2, opened"),
        (Mask::Lookup, "x + rho of op 2, opened"),
        (Mask::Value, "c of op 2, opened"),
        (Mask::Slope, "e of op 2, opened"),
    ] {
        alarms(lut(), Flaw::Masked(mask, Zero), &[0, 1], field);
    }
    alarms(gc(), Flaw::Masked(Mask::Root, Zero), &[0, 1], "x - a of op 2, opened");
}

#[test]
fn masks_that_serve_two_batches_alarm() {
    for (mask, field) in [
        (Mask::Input, "V of op 2, difference of batches"),
        (Mask::Lookup, "x + rho of op 2, difference of batches"),
        (Mask::Value, "c of op 2, difference of batches"),
        (Mask::Slope, "e of op 2, difference of batches"),
    ] {
        alarms(lut(), Flaw::Masked(mask, FirstBatch), &[0, 1], field);
    }
    let flaw = Flaw::Masked(Mask::Root, FirstBatch);
    alarms(gc(), flaw, &[0, 1], "x - a of op 2, difference of batches");
}

#[test]
fn masks_that_serve_two_layers_alarm() {
    for (mask, field) in [
        (Mask::Input, "V of op 2, difference of layers"),
        (Mask::Lookup, "x + rho of op 2, difference of layers"),
        (Mask::Value, "c of op 2, difference of layers"),
        (Mask::Slope, "e of op 2, difference of layers"),
    ] {
        alarms(lut(), Flaw::Masked(mask, FirstLayer), &[0, 1], field);
    }
    let flaw = Flaw::Masked(Mask::Root, FirstLayer);
    alarms(gc(), flaw, &[0, 1], "x - a of op 2, difference of layers");
}

#[test]
fn material_and_seeds_that_serve_twice_alarm() {
    let image = "V of the image, difference of two sessions";
    for method in [lut(), gc()] {
        alarms(method, Flaw::SlotReused, &[0, 1], image);
    }
    let weights = "U of op 1, difference of two sessions";
    alarms(lut(), Flaw::WeightMaskReused, &[0, 1], weights);
    // S1's share is the same seed's output twice; S0's shows the difference of the images.
    alarms(lut(), Flaw::ShareSeedReused, &[0, 1], "image share, difference of two sessions");
    alarms(lut(), Flaw::OneHotReused, &[0], "one-hot vectors of op 2, xor of batches");
}

#[test]
fn servers_with_equal_seeds_alarm() {
    for opening in ["V of op 2", "V of the image", "x + rho of op 2", "c of op 2"] {
        let field = format!("{opening}, under equal masks");
        alarms(lut(), Flaw::EqualSlotSeeds, &[0, 1], &field);
    }
    alarms(gc(), Flaw::EqualSlotSeeds, &[0, 1], "x - a of op 2, under equal masks");
    alarms(lut(), Flaw::EqualWeightSeeds, &[0, 1], "U of op 1, under equal masks");
    alarms(gc(), Flaw::EqualSessionSeeds, &[0, 1], "nonce, received xor sent");
}

#[test]
fn garbled_sessions_that_repeat_alarm() {
    alarms(gc(), Flaw::SessionReused, &[0], "tables of op 2, xor of two sessions");
}

/// One transfer's pads for two products: under the next tweak, or in the other direction's domain, the
/// two messages have nothing in common; under the same tweak their difference is that of the numbers.
#[test]
fn pads_that_are_not_separated_alarm() {
    let session = || Hasher::session([9; 16], AesBackend::active());
    let (hasher, mut tweaks) = session();
    let delta = Delta::from_uniform([5; 16]);
    let q = BlockStream::new(Block(77), AesBackend::active()).take(MAX_BATCH);
    let send = |value: u64, tweaks: TweakRange| {
        let numbers = vec![value; q.len()];
        let (_, message) =
            multiply_send(&hasher, tweaks, &delta, &q, &numbers, 16).expect("lengths fit");
        packing::unpack::<u64>(&message, 16, q.len()).unwrap()
    };
    let first = send(3, tweaks.pads_from_s1.take(1).unwrap());
    let others = [
        ("the next tweak", tweaks.pads_from_s1.take(1).unwrap(), false),
        ("the other direction", tweaks.pads_from_s0.take(1).unwrap(), false),
        ("the same tweak", session().1.pads_from_s1.take(1).unwrap(), true),
    ];
    for (what, tweaks, broken) in others {
        let second = send(9, tweaks);
        let mut field = Field::new(16);
        let both = first.iter().zip(&second).map(|(a, b)| b.wrapping_sub(*a) & 0xffff);
        field.push(&both.collect::<Vec<u64>>());
        let mut verdicts = Verdicts::default();
        field.uniform(what, &mut verdicts);
        assert_eq!(!verdicts.alarms().is_empty(), broken, "{what}: {}", verdicts.least());
    }
}
