//! A user who follows the wire format and lies: every kind of message of a session that makes a slot and denoises an image,
//! changed in every way. The cloud ends that session, or goes on to its end, and serves the next user.

use super::crowd::{silent, user};
use super::{SIZE, near, twin};
use crate::common::noisy_crop;
use crate::common::one_cloud::OneCloud;
use ppdenoise::internals::roles::Silent;
use ppdenoise::internals::wire::{Channel, Frame, MAX_PAYLOAD, NetError, Tag, TcpChannel, Traffic};
use ppdenoise_image::GreyImage;

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Lie {
    Shorter,
    Longer,
    Empty,
    OtherTag,
    OtherBatch,
    Twice,
    Changed,
    /// The connection ends in its place.
    Gone,
}

const LIES: [Lie; 8] = [
    Lie::Shorter,
    Lie::Longer,
    Lie::Empty,
    Lie::OtherTag,
    Lie::OtherBatch,
    Lie::Twice,
    Lie::Changed,
    Lie::Gone,
];

/// A frame of a session: the tag, and which of those with it.
type At = (Tag, usize);

/// A channel that lies once: in place of a frame.
struct Liar {
    channel: Option<TcpChannel>,
    lie: Option<(At, Lie)>,
    sent: Vec<Tag>,
    lied: bool,
}

impl Liar {
    fn honest(channel: TcpChannel) -> Self {
        Liar { channel: Some(channel), lie: None, sent: Vec::new(), lied: false }
    }

    fn open(&mut self) -> Result<&mut TcpChannel, NetError> {
        self.channel.as_mut().ok_or_else(|| NetError::Closed(String::new()))
    }
}

impl Channel for Liar {
    fn send(&mut self, tag: Tag, batch: u32, payload: Vec<u8>) -> Result<(), NetError> {
        let at = (tag, self.sent.iter().filter(|sent| **sent == tag).count());
        self.sent.push(tag);
        let Some((_, lie)) = self.lie.filter(|lie| lie.0 == at) else {
            return self.open()?.send(tag, batch, payload);
        };
        self.lied = true;
        let mut frame = Frame { tag, batch, payload };
        match lie {
            Lie::Shorter => _ = frame.payload.pop(),
            Lie::Longer if frame.payload.len() == MAX_PAYLOAD => _ = frame.payload.pop(),
            Lie::Longer => frame.payload.push(0x5a),
            Lie::Empty => frame.payload.clear(),
            Lie::OtherTag => frame.tag = if tag == Tag::Hint { Tag::Masks } else { Tag::Hint },
            Lie::OtherBatch => frame.batch ^= 1 << 20,
            Lie::Changed => {
                let middle = frame.payload.len() / 2;
                frame.payload.iter_mut().skip(middle).take(3).for_each(|byte| *byte ^= 0xa5);
            }
            Lie::Twice => {
                let Frame { tag, batch, payload } = frame.clone();
                self.open()?.send(tag, batch, payload)?;
            }
            Lie::Gone => self.channel = None,
        }
        self.open()?.send(frame.tag, frame.batch, frame.payload)
    }

    fn recv(&mut self) -> Result<Frame, NetError> {
        self.open()?.recv()
    }

    fn traffic(&self) -> Traffic {
        self.channel.as_ref().map_or_else(Traffic::default, Channel::traffic)
    }
}

/// The first frame of every tag.
fn one_of_each(sent: &[Tag]) -> Vec<At> {
    let first = |i: &usize| !sent[..*i].contains(&sent[*i]);
    (0..sent.len()).filter(first).map(|i| (sent[i], 0)).collect()
}

/// Lies in the first frame of each tag that an honest session sends; how many sessions there were.
fn lies() -> usize {
    let free = ["--images-a-day", "1000000", "--advantage-bits", "0"];
    let one = OneCloud::new(&[("anna", &free), ("ben", &[])]);
    one.lab.picture("noisy.png", &noisy_crop(SIZE));
    twin(&one, "twin.png");
    let (mut cloud, address) = one.start_with(&["--timeout", "4"]);
    let anna = user(&one, "anna");
    let image: GreyImage = one.lab.image("noisy.png");
    let mut session = |lie| {
        let mut liar = Liar { lie, ..Liar::honest(silent(&anna, &address)) };
        let result = anna.denoise(&image.clone().into(), 25.0, &mut liar, &mut Silent);
        let (sent, lied) = (std::mem::take(&mut liar.sent), liar.lied);
        drop(liar);
        let line = cloud.line_with("anna: ");
        (result.is_ok() || lied, sent, lied.then_some(line))
    };
    // Hints are sent once.
    assert!(session(None).0, "an honest session");
    let (_, usual, _) = session(None);
    let (mut sessions, mut ended) = (0, 0);
    for at in one_of_each(&usual) {
        for lie in LIES {
            // A slot that a lie has left makes the next session shorter; how many frames measure the line, the line says.
            let line = (0..3).find_map(|_| session(Some((at, lie))).2);
            let (tag, _) = at;
            let Some(line) = line else {
                assert_eq!(tag, Tag::Line, "no session has {at:?}");
                continue;
            };
            let early = line.contains("ended early");
            // What the cloud can notice ends the session; what it cannot, a value that is another, harms the user alone.
            let seen = match lie {
                Lie::OtherTag => true,
                // Between two requests anybody may go.
                Lie::Gone => tag != Tag::Request,
                Lie::Shorter | Lie::Longer | Lie::Empty => ![Tag::Done, Tag::Line].contains(&tag),
                Lie::Changed | Lie::Twice | Lie::OtherBatch => false,
            };
            assert!(early || !seen, "{lie:?} of {at:?}: {line}");
            sessions += 1;
            ended += usize::from(early);
        }
    }
    assert!(ended * 2 > sessions, "{ended} of {sessions} were noticed");
    // Whoever is honest is served, the liar too, and no slot served twice.
    assert!(session(None).0, "an honest session after the lies");
    one.client("ben", &address, &["noisy.png", "--out", "ben.png"]).report();
    near(&one, "ben.png", "twin.png");
    one.marks("clients/anna/state/ledger");
    one.marks("anna-silent/ledger");
    sessions
}

#[test]
fn a_user_who_lies_in_a_message_of_each_kind_ends_its_own_session() {
    let sessions = lies();
    assert!(sessions >= 80, "{sessions}");
}
