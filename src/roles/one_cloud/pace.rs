//! How long a request may take as a whole: as long as what its public size puts on a slow line, and a while more. A user
//! who sends little by little would hold a place at work for as long as it likes otherwise.

use crate::model::PublicModel;
use crate::network::{NetworkError, Op};
use crate::size::Size;
use crate::wire::{Channel, Frame, NetError, Tag, Traffic};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// Bytes of a value that a linear op gives, both directions together, more than any engine needs: where material is
/// made (docs/benchmarks.md: 159 to 451, and what the masks take), and where an image is denoised.
const MADE: u64 = 600;
const DENOISED: u64 = 40;
/// Bytes of the hints of an input of a linear op, both directions.
const HINTS: u64 = 2 * 28_672;
/// Bytes of the masks of an input of a linear op in one slot, both directions: small images fill no ciphertext.
const MASKS: u64 = 300_000;
/// Bytes of an element of the weights, both directions.
const WEIGHTS: u64 = 16;
/// Greetings, set-up, and what small images take at least.
const LEAST: u64 = 64_000_000;

/// How slow a user may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Mbit/s of the slowest line that a user may have.
    pub line_mbit: NonZeroU32,
    /// What a request may take beyond its bytes.
    pub grace: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        const LINE: NonZeroU32 = NonZeroU32::new(20).expect("it is not 0");
        Pace { line_mbit: LINE, grace: Duration::from_secs(120) }
    }
}

impl Pace {
    /// What making slots for images of a size may take.
    pub(super) fn to_make(
        self,
        model: &PublicModel,
        size: Size,
        slots: u64,
    ) -> Result<Duration, NetworkError> {
        let inputs = model.network.linears().map(|(op, _)| model.network.masked_inputs(op) as u64);
        let inputs = inputs.sum::<u64>();
        let once = LEAST.saturating_add(inputs.saturating_mul(HINTS));
        let each = values(model, size)?.saturating_mul(MADE);
        let each = each.saturating_add(inputs.saturating_mul(MASKS));
        Ok(self.time(once.saturating_add(each.saturating_mul(slots))))
    }

    /// What denoising images of a size may take.
    pub(super) fn to_denoise(
        self,
        model: &PublicModel,
        size: Size,
        images: u64,
    ) -> Result<Duration, NetworkError> {
        let once = LEAST.saturating_add((model.elements() as u64).saturating_mul(WEIGHTS));
        let each = values(model, size)?.saturating_mul(DENOISED);
        Ok(self.time(once.saturating_add(each.saturating_mul(images))))
    }

    fn time(self, bytes: u64) -> Duration {
        // Microseconds: a line of 1 Mbit/s carries an eighth of a byte in one.
        let micros = bytes.saturating_mul(8) / u64::from(self.line_mbit.get());
        self.grace.saturating_add(Duration::from_micros(micros))
    }
}

/// Values that the linear ops of an image give.
fn values(model: &PublicModel, size: Size) -> Result<u64, NetworkError> {
    let network = &model.network;
    let of_op = |rows: usize, op: usize| match &network.ops()[op] {
        Op::Linear(linear) => (rows * linear.outputs) as u64,
        _ => 0,
    };
    let grids = network.grids(size)?;
    let of_grid = |grid: &crate::network::StageGrid| {
        grid.stage.ops.clone().map(|op| of_op(grid.rows(), op)).sum::<u64>()
    };
    Ok(grids.iter().map(of_grid).sum())
}

/// A channel of which a request is done in time, or ends.
pub(super) struct Paced<'c> {
    channel: &'c mut dyn Channel,
    started: Instant,
    time: Duration,
}

impl<'c> Paced<'c> {
    pub(super) fn new(channel: &'c mut dyn Channel, time: Duration) -> Self {
        Paced { channel, started: Instant::now(), time }
    }
}

impl Channel for Paced<'_> {
    fn send(&mut self, tag: Tag, batch: u32, payload: Vec<u8>) -> Result<(), NetError> {
        self.channel.send(tag, batch, payload)
    }

    fn recv(&mut self) -> Result<Frame, NetError> {
        let frame = self.channel.recv()?;
        if self.started.elapsed() > self.time {
            Err(NetError::Slow { seconds: self.time.as_secs() })
        } else {
            Ok(frame)
        }
    }

    fn traffic(&self) -> Traffic {
        self.channel.traffic()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Choices, load_npz, quantise};
    use crate::wire::pair;

    fn public(name: &str) -> PublicModel {
        let npz = std::fs::File::open(format!("fixtures/models/{name}.npz")).unwrap();
        let beside = std::fs::read(format!("fixtures/models/{name}.json")).ok();
        let model = load_npz(npz, beside.as_deref()).unwrap();
        let options = Choices { one_cloud: true, ..Choices::default() }.options(&model).unwrap();
        quantise(&model, &options).unwrap().public
    }

    /// Larger requests have more time, slower lines too; and nothing overflows.
    #[test]
    fn time_follows_the_size() {
        let (model, pace) = (public("tiny-9-5-24"), Pace::default());
        let make =
            |side, slots| pace.to_make(&model, Size { height: side, width: side }, slots).unwrap();
        let denoise = |side, images| {
            pace.to_denoise(&model, Size { height: side, width: side }, images).unwrap()
        };
        assert!(make(512, 1) > make(256, 1) && make(512, 4) > make(512, 3));
        assert!(denoise(512, 1) > denoise(256, 1) && make(512, 1) > denoise(512, 1));
        assert!(denoise(24, 1) >= pace.grace);
        let fast = Pace { line_mbit: NonZeroU32::MAX, ..pace };
        let seconds = fast.to_make(&model, Size::new(24, 26), 1).unwrap() - pace.grace;
        assert!(seconds < Duration::from_millis(10), "{seconds:?}");
        assert!(
            make(24, u64::MAX) > make(24, 1024)
                && pace.to_make(&model, Size::new(1, 1), 1).is_err()
        );
    }

    #[test]
    fn a_request_that_takes_too_long_ends() {
        let (mut ours, mut theirs) = pair();
        for (time, in_time) in [(Duration::from_secs(3600), true), (Duration::ZERO, false)] {
            let mut paced = Paced::new(&mut ours, time);
            theirs.send(Tag::Done, 0, Vec::new()).unwrap();
            match paced.recv() {
                Ok(frame) => assert!(in_time && frame.tag == Tag::Done),
                Err(NetError::Slow { seconds: 0 }) => assert!(!in_time),
                Err(other) => panic!("{other}"),
            }
        }
    }
}
