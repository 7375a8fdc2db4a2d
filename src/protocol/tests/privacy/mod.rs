//! What a server sees says nothing of image or model: statistics over many sessions.
//!
//! [`campaign`] runs both servers on chosen secrets with fresh seeds, [`tap`] notes every frame,
//! [`wire`] cuts frames into fields, [`fields`] joins them with what the server knows itself, and
//! [`stats`] tests: each field uniform, alike for all secrets, and independent of the secret behind
//! it. Broken material, seeds and masks must alarm at the same threshold. [`making`] does the same where the
//! servers make the material first.
//!
//! Statistics cannot see what a computation could: that AES, ChaCha20, BLAKE3 and ristretto are what
//! they are believed to be is assumed.

mod active;
mod broken;
mod campaign;
mod fields;
mod making;
mod relu;
mod small;
mod stats;
mod tap;
mod wire;

use crate::model::Method;
use crate::model::piecewise::Piecewise;
use crate::numbers::ring::RingBits;
use campaign::{Campaign, Picture, Seen, Weights};
use stats::{MAX_TESTS, Verdicts};

/// Campaigns on honest servers in this suite, the slow ones included.
const HONEST: usize = 24;
/// Pairs of sessions of a convolutional network, for enough values of its few weights.
const CONVOLUTIONAL_PAIRS: usize = 40;
/// Values of each of two classes that are compared, at least.
const FEW: u64 = 4096;

fn lut() -> Method {
    Method::lut(2)
}

/// Tables of tanh behind convolutions, whose ranges are small: no less than 64 cells.
fn convolutional_lut() -> Method {
    Method::lut(5)
}

fn gc() -> Method {
    Method::Gc { function: Piecewise::refit(), refit: true, alarm: false }
}

fn exact_relu() -> Method {
    Method::Relu { alarm: true }
}

fn garbled_relu() -> Method {
    Method::Gc { function: Piecewise::relu(), refit: false, alarm: true }
}

/// All tests on one campaign.
fn judge(seen: &Seen, what: &str, verdicts: &mut Verdicts) {
    for (server, fields) in seen.fields.iter().enumerate() {
        for (name, field) in &fields.uniform {
            field.uniform(&format!("{what}, S{server}: {name}"), verdicts);
        }
        for (name, [zero, one]) in &fields.by_secret {
            if zero.count().min(one.count()) >= FEW {
                zero.same_as(one, &format!("{what}, S{server}: {name}"), verdicts);
            }
        }
    }
}

/// Whether two campaigns look alike.
fn compare(a: &Seen, b: &Seen, what: &str, verdicts: &mut Verdicts) {
    for server in [0, 1] {
        let (a, b) = (&a.fields[server].uniform, &b.fields[server].uniform);
        assert!(a.keys().eq(b.keys()), "{what}: the fields are the same");
        for ((name, a), b) in a.iter().zip(b.values()) {
            a.same_as(b, &format!("{what}, S{server}: {name}"), verdicts);
        }
    }
    let first = &a.shapes[0];
    assert!(
        a.shapes.iter().chain(&b.shapes).all(|shape| shape == first),
        "{what}: sizes, order and tags of frames depend on public sizes alone"
    );
}

/// Four choices of secrets, each against the uniform distribution and all against the first.
fn nothing_shows(method: Method, ring: RingBits, pairs: usize) {
    nothing_shows_of(&|label| Campaign { ring, ..Campaign::new(method.clone(), pairs, label) });
}

fn nothing_shows_of(campaign: &dyn Fn(&'static str) -> Campaign) {
    use {Picture::*, Weights::*};
    let choices = [
        ("black", [Black; 2], [Random; 2]),
        ("white", [White; 2], [Random; 2]),
        ("stripes and black", [Striped, Black], [Random, Negated]),
        ("black, zero model", [Black; 2], [Zero; 2]),
    ];
    let mut verdicts = Verdicts::default();
    let mut first: Option<Seen> = None;
    for (label, pictures, weights) in choices {
        let campaign = Campaign { pictures, weights, ..campaign(label) };
        let seen = campaign.run();
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
fn a_server_sees_nothing_of_image_or_model_lut() {
    nothing_shows(lut(), RingBits::L64, 24);
    nothing_shows(lut(), RingBits::L32, 64);
}

/// Maps between convolutions are masked once, and their neighbourhoods overlap.
#[test]
fn a_server_sees_nothing_of_image_or_model_convolutional() {
    for method in [convolutional_lut(), garbled_relu()] {
        nothing_shows_of(&|label| Campaign {
            convolutional: true,
            ..Campaign::new(method.clone(), CONVOLUTIONAL_PAIRS, label)
        });
    }
}

/// The same tests catch a slot that serves two images.
#[test]
fn a_reused_slot_shows_between_convolutions() {
    let broken = Campaign {
        convolutional: true,
        pictures: [Picture::Black, Picture::White],
        flaw: campaign::Flaw::SlotReused,
        ..Campaign::new(convolutional_lut(), CONVOLUTIONAL_PAIRS, "convolutions, a slot twice")
    };
    let mut verdicts = Verdicts::default();
    judge(&broken.run(), "a slot twice", &mut verdicts);
    let alarms = verdicts.alarms();
    // Of the image and of the first map.
    for field in ["V of the image", "V of op 2"] {
        assert!(alarms.iter().any(|a| format!("{a:?}").contains(field)), "{field}: {alarms:?}");
    }
}

#[test]
fn a_server_sees_nothing_of_image_or_model_gc() {
    nothing_shows(gc(), RingBits::L32, 24);
}

#[test]
#[ignore = "minutes"]
fn a_server_sees_nothing_of_image_or_model_lut_long() {
    for ring in [RingBits::L64, RingBits::L32] {
        nothing_shows(lut(), ring, 640);
    }
}

#[test]
#[ignore = "minutes"]
fn a_server_sees_nothing_of_image_or_model_gc_long() {
    for ring in [RingBits::L64, RingBits::L32] {
        nothing_shows(gc(), ring, 160);
    }
}
