//! A user who keeps to the wire's format and lies in one frame: it harms its own session, and nobody else.

use super::world::{SIGMA, World, near, noisy};
use super::*;
use crate::ids::codec::encode_small;
use crate::ids::{ImageId, TripleSetId};
use crate::roles::Silent;
use crate::wire::{Channel, Frame, NetError, Tag, Traffic};
use request::{Asked, Request};

/// What becomes of a frame.
#[derive(Clone, Copy, Debug)]
enum Lie {
    /// One bit in its middle is another one.
    Bit,
    /// It lacks its last byte.
    Short,
    /// It is as long, and all ones.
    Ones,
    Empty,
    /// It says that it is something else.
    Tag,
    /// It comes twice.
    Twice,
    /// It never comes, and the user is gone.
    Gone,
}

const LIES: [Lie; 7] =
    [Lie::Bit, Lie::Short, Lie::Ones, Lie::Empty, Lie::Tag, Lie::Twice, Lie::Gone];

/// The channel of a user who lies in the frame of this number that it sends.
struct Liar<'c> {
    channel: &'c mut dyn Channel,
    lie: Lie,
    left: usize,
    /// Whether it came to that.
    lied: bool,
}

impl Channel for Liar<'_> {
    fn send(&mut self, tag: Tag, batch: u32, mut payload: Vec<u8>) -> Result<(), NetError> {
        if self.left > 0 || self.lied {
            self.left = self.left.saturating_sub(1);
            return self.channel.send(tag, batch, payload);
        }
        self.lied = true;
        let middle = payload.len() / 2;
        let mut sent = tag;
        match self.lie {
            Lie::Bit => payload.iter_mut().skip(middle).take(1).for_each(|byte| *byte ^= 4),
            Lie::Short => payload.truncate(payload.len().saturating_sub(1)),
            Lie::Ones => payload.fill(0xff),
            Lie::Empty => payload.clear(),
            Lie::Tag => sent = if tag == Tag::Opening { Tag::Masks } else { Tag::Opening },
            Lie::Twice => self.channel.send(tag, batch, payload.clone())?,
            Lie::Gone => return Err(NetError::Closed(": gone".into())),
        }
        self.channel.send(sent, batch, payload)
    }

    fn recv(&mut self) -> Result<Frame, NetError> {
        self.channel.recv()
    }

    fn traffic(&self) -> Traffic {
        self.channel.traffic()
    }
}

/// Slots in all that the cloud counts for a user.
fn counted(world: &World, user: &str) -> u64 {
    let counts = crate::files::ledger::Ledger::open(&world.at("clients/counts"));
    counts.unwrap().count(world.client(user).counted()).unwrap().in_all
}

/// In whatever frame and way a user lies, the cloud's session ends by itself, no slot of it is marked twice, nothing
/// half made is left, what it asked for is charged, and another user gets the twin's result.
#[test]
fn a_user_who_lies_in_any_frame_harms_only_itself() {
    let world = World::new(&["honest"]);
    let image = noisy(Size::new(14, 15), 1);
    let mut lies = 0;
    for (kind, lie) in LIES.into_iter().enumerate() {
        for frame in [0, 1, 2, 3, 4, 6, 9, 13, 18, 24, 31, 40] {
            let user = format!("liar-{kind}-{frame}");
            world.add(&user, Settings::default());
            let (lied, report) = world.session((&user, [usize::MAX; 2]), |own, channel| {
                let mut liar = Liar { channel, lie, left: frame, lied: false };
                let _ = own.denoise(&image.clone().into(), SIGMA, &mut liar, &mut Silent);
                liar.lied
            });
            lies += usize::from(lied);
            let marks = world.marks(&format!("clients/{user}/state")).len() as u64;
            let slots = counted(&world, &user);
            assert!(
                marks <= slots && report.images <= slots && slots <= 2,
                "{lie:?} {frame}: {slots}"
            );
            let files = world.files(&format!("clients/{user}"));
            let part = files.iter().find(|file| file.to_string_lossy().contains("part"));
            assert!(part.is_none(), "{lie:?} {frame}: {part:?}");
        }
        near(&world.denoise("honest", &image), &world.twin(&image));
    }
    assert!(lies > 60, "{lies} lies");
}

/// Requests that are well formed and ask for what is not there, or for too much: nothing is made or marked, and only
/// what was granted is charged.
#[test]
fn a_user_who_asks_for_what_is_not_its_own_gets_nothing() {
    let world = World::new(&["anna", "ben"]);
    // A set of ben's, which anna names.
    let size = Size::new(14, 15);
    let (set, _) = world.session(("ben", [usize::MAX; 2]), |user, channel| {
        user.visit(channel).unwrap().prepare(size, 2, &mut Silent).unwrap().sets[0].set_id.clone()
    });
    let set: TripleSetId = set.parse().unwrap();
    let asked = |rung| Asked { id: ImageId::from_bytes([9; 16]), height: 14, width: 15, rung };
    let denoise = |rung, sets| Request::Denoise { images: vec![asked(rung)], sets };
    let make = |slots| Request::Make { height: 14, width: 15, slots };
    for (request, text) in [
        (denoise(None, vec![set]), "there is no set of triples"),
        (denoise(Some(3), vec![set]), "there is no set of triples"),
        (denoise(Some(200), vec![set]), "a noise level that this model is not told"),
        (make(101), "101 slot(s) asked for, and 100 of 100 a day are left"),
        (make(1024), "1024 slot(s) asked for"),
    ] {
        let ((), report) = world.session(("anna", [usize::MAX; 2]), |_, channel| {
            channel.send(Tag::Request, 0, encode_small(&request).unwrap()).unwrap();
            assert!(matches!(channel.recv(), Err(NetError::Refused { .. })));
        });
        let found = report.error.unwrap();
        assert!(found.contains(text), "{found}");
    }
    // She names it as one of hers, and removes nothing of his.
    let ((), report) = world.session(("anna", [usize::MAX; 2]), |_, channel| {
        let status = Request::Status { sets: vec![set] };
        channel.send(Tag::Request, 0, encode_small(&status).unwrap()).unwrap();
        channel.expect(Tag::Granted).unwrap();
    });
    assert_eq!((report.error, counted(&world, "anna"), counted(&world, "ben")), (None, 0, 2));
    near(&world.denoise("ben", &noisy(size, 1)), &world.twin(&noisy(size, 1)));
    assert_eq!(counted(&world, "ben"), 2, "of the slots that are there");
    assert!(world.marks("clients/anna/state").is_empty());
}
