//! Both commands together: what a server sees while material is made without a dealer, next to its file and to
//! what it sees when images are denoised with it.
//!
//! [`session`] runs both commands, [`view`] makes fields of frames and files, [`chosen`] takes the linear ops
//! apart for chosen X and Y, [`results`] looks at what goes out.

mod chosen;
mod linear;
mod results;
mod session;
mod view;

use super::campaign::{Campaign, Picture, Seen, Weights};
use super::stats::{Field, MAX_TESTS, Verdicts};
use super::{HONEST, compare, convolutional_lut, exact_relu, garbled_relu, gc, judge, lut};
use crate::crypto::garble::hash::Hasher;
use crate::crypto::garble::{Block, BlockStream, Delta, TweakRange};
use crate::crypto::ot::payload::PayloadSender;
use crate::kernels::AesBackend;
use crate::material::pair::BLOCK;
use crate::material::pair::relu::BrokenRule;
use crate::model::Method;
use crate::numbers::packing;
use session::{Making, Slip};

/// Pairs of sessions of making.
const PAIRS: usize = 4;
/// Slots of each, hence sessions of `serve`.
const SLOTS: usize = 4;

fn campaign(method: Method, label: &'static str) -> Campaign {
    Campaign { pictures: [Picture::Black; 2], ..Campaign::new(method, PAIRS, label) }
}

/// What it is called, the images of both sessions of a pair, and the models.
type Secrets = (&'static str, [Picture; 2], [Weights; 2]);

const SECRETS: [Secrets; 3] = {
    use {Picture::*, Weights::*};
    [
        ("making: black", [Black; 2], [Random; 2]),
        ("making: stripes and black, zero model", [Striped, Black], [Zero; 2]),
        ("making: white, stripes", [White, Striped], [Random, Negated]),
    ]
};

/// Choices of secrets, each against the uniform distribution and all against the first.
fn nothing_shows(method: &Method, convolutional: bool, choices: &[Secrets]) {
    let mut verdicts = Verdicts::default();
    let mut first: Option<Seen> = None;
    for &(label, pictures, weights) in choices {
        let campaign =
            Campaign { pictures, weights, convolutional, ..campaign(method.clone(), label) };
        let seen = Making::new(campaign, SLOTS).run();
        judge(&seen, label, &mut verdicts);
        match &first {
            None => first = Some(seen),
            Some(first) => compare(first, &seen, label, &mut verdicts),
        }
    }
    let fields = first.map_or(0, |seen| seen.fields.iter().map(|f| f.uniform.len()).sum());
    println!("{fields} fields, {} tests, least p {:.1e}", verdicts.count(), verdicts.least());
    assert!(verdicts.count() < MAX_TESTS / HONEST, "{} tests", verdicts.count());
    assert!(verdicts.alarms().is_empty(), "{:?}", verdicts.alarms());
}

#[test]
fn servers_that_make_material_see_nothing_lut() {
    nothing_shows(&lut(), false, &SECRETS);
}

#[test]
fn servers_that_make_material_see_nothing_gc() {
    nothing_shows(&gc(), false, &SECRETS);
}

#[test]
fn servers_that_make_material_see_nothing_convolutional() {
    nothing_shows(&convolutional_lut(), true, &SECRETS);
}

/// Twice as many fields as of tables, so fewer choices.
#[test]
fn servers_that_make_material_see_nothing_exact() {
    nothing_shows(&exact_relu(), true, &SECRETS[..2]);
}

#[test]
#[ignore = "minutes"]
fn servers_that_make_material_see_nothing_convolutional_gc() {
    nothing_shows(&garbled_relu(), true, &SECRETS);
}

/// At both servers a test whose name contains each of `fields` must alarm.
fn alarms(slip: Slip, fields: &[&str]) {
    let making = Making { slip, ..Making::new(campaign(lut(), "making, broken"), SLOTS) };
    let mut verdicts = Verdicts::default();
    judge(&making.run(), "", &mut verdicts);
    let alarms = verdicts.alarms();
    for (server, field) in [0, 1].into_iter().flat_map(|s| fields.iter().map(move |f| (s, f))) {
        let found = |(name, _): &&&(String, f64)| {
            name.contains(&format!("S{server}: ")) && name.contains(field)
        };
        assert!(alarms.iter().any(|a| found(&a)), "{slip:?}, {field} at S{server}: {alarms:?}");
    }
}

#[test]
fn making_on_the_same_randomness_twice_alarms() {
    let fields = [
        "hints, xor of two sessions",
        "ciphertexts, high, xor of two sessions",
        "corrections, xor of two sessions",
        "payload of K3, xor of two sessions",
        "V of the image, difference of two sessions",
    ];
    alarms(Slip::SessionReused, &fields);
}

#[test]
fn signs_that_are_published_bare_alarm() {
    alarms(Slip::BareSigns, &["published signs by the signs"]);
}

#[test]
fn masks_of_a_slot_that_are_sacrificed_alarm() {
    alarms(Slip::SlotSacrificed, &["opened c, less what was sacrificed"]);
}

/// Every rule of exact ReLUs, broken by the other server in either role, shows; fields without a rule stay silent.
#[test]
fn broken_rules_of_exact_relus_alarm() {
    let label = "making, rules of exact ReLUs";
    let campaign = Campaign { convolutional: true, ..campaign(exact_relu(), label) };
    let making = Making { slip: Slip::ReluRules, ..Making::new(campaign, SLOTS) };
    let mut verdicts = Verdicts::default();
    judge(&making.run(), "", &mut verdicts);
    let alarms = verdicts.alarms();
    let masked = "c, ends of z and masked bit 0";
    let without = "c, ends of z and masked bit 0, without its own";
    let (own, of) = ("its own bits by bit", "the other's bits by bit");
    // u_1 is bit 17 of 25, f bit 20, the top bit of the share of rho_l bit 24.
    let expected: [(BrokenRule, &[&str]); 6] = [
        (BrokenRule::MaskRepeatsRho, &[&format!("{of} 17"), without]),
        (
            BrokenRule::TopIsCarry,
            &[&format!("{of} 24"), "top of z, and of z_l less its share of rho_l"],
        ),
        (BrokenRule::ChoiceTwice, &[&format!("{of} 20"), without]),
        (BrokenRule::MaskFromRho, &[&format!("{own} 20"), masked]),
        (BrokenRule::OneLane, &["FM in 15 bits, without what both hide"]),
        (BrokenRule::BareWrap, &["published wrap, without what it hides"]),
    ];
    for (rule, fields) in expected {
        let [both, other] = [&["chooser", "other"][..], &["other"]];
        let roles = if rule == BrokenRule::BareWrap { other } else { both };
        for (server, role) in [0, 1].into_iter().flat_map(|s| roles.iter().map(move |r| (s, r))) {
            let start = format!(", S{server}: {rule:?}, as the {role}, ");
            let of_rule =
                alarms.iter().filter_map(|(name, p)| Some((name.strip_prefix(&start)?, p)));
            let of_rule: Vec<_> = of_rule.collect();
            println!("{start}{of_rule:?}");
            for field in fields {
                let found = of_rule.iter().any(|(name, _)| name.starts_with(field));
                assert!(found, "{field} of {start}{of_rule:?}");
            }
        }
    }
    let of_a_rule =
        |name: &str| BrokenRule::ALL.iter().any(|r| name.contains(&format!("{r:?}, as")));
    assert!(alarms.iter().all(|(name, _)| of_a_rule(name)), "{alarms:?}");
}

/// Two payloads of one transfer, under a tweak for both, for each, or one that serves twice: their sum tells
/// that of the vectors if, and only if, the pads are the same.
#[test]
fn words_and_levels_under_one_tweak_alarm() {
    let session = || Hasher::session([9; 16], AesBackend::active());
    let (hasher, mut tweaks) = session();
    let delta = Delta::from_uniform([5; 16]);
    let q = BlockStream::new(Block(77), AesBackend::active()).take(BLOCK);
    let vectors: Vec<u64> = q.iter().map(|q| (q.0 >> 64) as u64 & 3).collect();
    let send = |tweaks: Vec<TweakRange>| -> Vec<u64> {
        let mut words = vec![0; BLOCK];
        for tweaks in tweaks {
            let mut message = Vec::new();
            let mut out = PayloadSender::new(&hasher, tweaks, &delta, &q, &mut message).unwrap();
            out.xor(&vectors, 64).unwrap();
            let sent: Vec<u64> = packing::unpack(&message, 64, BLOCK).unwrap();
            words.iter_mut().zip(sent).for_each(|(word, sent)| *word ^= sent);
        }
        words
    };
    let mut take = || tweaks.pads_from_s1.take(1).unwrap();
    let two = [take(), take()];
    let [a, b] = [session(), session()].map(|mut again| again.1.pads_from_s1.take(1).unwrap());
    for (what, words, broken) in [
        ("a tweak for each", send(two.into()), false),
        ("one tweak for both", send(vec![a, b]), true),
    ] {
        let mut field = Field::new(64);
        field.push(&words);
        let mut verdicts = Verdicts::default();
        field.uniform(what, &mut verdicts);
        assert_eq!(!verdicts.alarms().is_empty(), broken, "{what}: {}", verdicts.least());
    }
    // Both words of one tweak are under pads of their own.
    let mut message = Vec::new();
    let mut out = PayloadSender::new(&hasher, take(), &delta, &q, &mut message).unwrap();
    for _ in 0..2 {
        out.xor(&vectors, 64).unwrap();
    }
    let words: Vec<u64> = packing::unpack(&message, 64, 2 * BLOCK).unwrap();
    let mut field = Field::new(64);
    let (first, second) = words.split_at(BLOCK);
    field.push(&first.iter().zip(second).map(|(a, b)| a ^ b).collect::<Vec<u64>>());
    let mut verdicts = Verdicts::default();
    field.uniform("two words of a tweak", &mut verdicts);
    assert!(verdicts.alarms().is_empty(), "{}", verdicts.least());
}
