//! A peer that sends anything: an error or a spoilt result, never a panic.

use super::world::{PARTIES, World};
use crate::crypto::prg::Seed;
use crate::ids::Party;
use crate::model::Method;
use crate::model::piecewise::Piecewise;
use crate::numbers::ring::{Ring, RingBits};
use crate::protocol::{Engine, GcEngine, GcSession, LutEngine, ProtocolError};
use crate::wire::{Channel, Frame, MemChannel, NetError, Tag, Traffic, pair};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// What happens to one frame.
#[derive(Clone, Debug)]
enum Edit {
    Flip(usize, u8),
    Length(usize),
    Bytes(Vec<u8>),
    Batch(u32),
    Tag(Tag),
    End,
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (any::<usize>(), 1u8..).prop_map(|(at, value)| Edit::Flip(at, value)),
        (0usize..5000).prop_map(Edit::Length),
        any::<Vec<u8>>().prop_map(Edit::Bytes),
        (1u32..).prop_map(Edit::Batch),
        prop::sample::select(vec![Tag::Hello, Tag::Marked, Tag::Opening, Tag::Done, Tag::Abort])
            .prop_map(Edit::Tag),
        Just(Edit::End),
    ]
}

/// Edits the frame number `at` that comes in.
struct Meddler<'a> {
    inner: &'a mut MemChannel,
    at: usize,
    edit: Edit,
}

impl Channel for Meddler<'_> {
    fn send(&mut self, tag: Tag, batch: u32, payload: Vec<u8>) -> Result<(), NetError> {
        self.inner.send(tag, batch, payload)
    }

    fn recv(&mut self) -> Result<Frame, NetError> {
        let mut frame = self.inner.recv()?;
        let due = self.at == 0;
        self.at = self.at.wrapping_sub(1);
        match &self.edit {
            _ if !due => {}
            Edit::Flip(..) if frame.payload.is_empty() => {}
            Edit::Flip(at, value) => {
                let at = at % frame.payload.len();
                frame.payload[at] ^= value;
            }
            Edit::Length(length) => frame.payload.resize(*length, 0xa5),
            Edit::Bytes(bytes) => frame.payload.clone_from(bytes),
            Edit::Batch(batch) => frame.batch ^= batch,
            Edit::Tag(tag) => frame.tag = *tag,
            Edit::End => return Err(NetError::Closed(String::new())),
        }
        Ok(frame)
    }

    fn traffic(&self) -> Traffic {
        self.inner.traffic()
    }
}

/// One server behind a meddler, an honest one at the other end.
fn meet<R: Ring, E: Engine<R>>(
    world: &World,
    victim: Party,
    (at, edit): (usize, Edit),
    engine: impl Fn(Party, &mut dyn Channel) -> Result<E, ProtocolError> + Sync,
) -> Result<Vec<R>, ProtocolError> {
    let (mut ours, mut theirs) = pair();
    std::thread::scope(|scope| {
        let (other, make) = (PARTIES[1 - victim.index()], &engine);
        scope.spawn(move || {
            let served = make(other, &mut theirs)
                .and_then(|mut engine| world.serve::<R, E>(other, &mut engine, &mut theirs));
            drop((served, theirs));
        });
        let result = {
            let mut channel = Meddler { inner: &mut ours, at, edit };
            engine(victim, &mut channel)
                .and_then(|mut engine| world.serve::<R, E>(victim, &mut engine, &mut channel))
        };
        // The other end waits no longer than this one lives.
        drop(ours);
        result
    })
}

fn meddle(cases: u32, last: usize, meet: impl Fn(Party, (usize, Edit)) -> Option<String>) {
    let strategy = (any::<bool>(), 0..last, edit());
    let mut runner = TestRunner::new(Config { cases, ..Config::default() });
    let result = runner.run(&strategy, |(first, at, edit)| {
        let victim = if first { Party::S0 } else { Party::S1 };
        let harmless = matches!(edit, Edit::Flip(..) | Edit::Batch(_));
        let error = meet(victim, (at, edit));
        // A changed share spoils the result; whatever cannot be right is refused.
        prop_assert!(harmless || error.is_some() || at > 0);
        prop_assert!(error.is_none_or(|text| text.len() < 300));
        Ok(())
    });
    result.unwrap();
}

#[test]
fn anything_instead_of_a_lookup_message_is_an_error() {
    let world = World::new(RingBits::L32, &[6, 5], 8, 20);
    meddle(64, 60, |victim, edit| {
        let engine =
            |party: Party, _: &mut dyn Channel| Ok(LutEngine::new(party, &world.model.public));
        meet::<u32, _>(&world, victim, edit, engine).err().map(|e| e.to_string())
    });
}

#[test]
fn anything_instead_of_a_garbled_message_is_an_error() {
    let method = Method::Gc { function: Piecewise::zheng(), refit: false, alarm: false };
    let world = World::with(RingBits::L32, method, &[6], 40, 20);
    meddle(24, 20, |victim, edit| {
        let engine = |party: Party, channel: &mut dyn Channel| {
            let seed = Seed::from_bytes([70 + party.index() as u8; 32]);
            let session = GcSession::set_up(party, &seed, channel)?;
            Ok(GcEngine::new(session, &world.model.public))
        };
        meet::<u32, _>(&world, victim, edit, engine).err().map(|e| e.to_string())
    });
}

/// The message is named, with what was due and what came.
#[test]
fn a_short_opening_of_v_is_named() {
    let world = World::new(RingBits::L32, &[6], 128, 20);
    let engine = |party: Party, _: &mut dyn Channel| Ok(LutEngine::new(party, &world.model.public));
    // Two pieces of U, the image, masked inputs, masked sums, then V.
    let edit = (5, Edit::Length(3));
    let text = meet::<u32, _>(&world, Party::S0, edit, engine).unwrap_err().to_string();
    let rows = world.model.public.network.grid(super::SIZE).unwrap().rows();
    let expected = format!("sent 3 bytes for V, the masked input of op 3, expected {}", 24 * rows);
    assert!(text.contains(&expected), "{text}");
}
