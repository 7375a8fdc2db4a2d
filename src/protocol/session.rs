//! One image through both servers: the thread that owns the channel.

use super::batch::{Batch, Context, Material, Progress};
use super::{Engine, ProtocolError, ServerModel, SourceError, wrong_length};
use crate::correlation::{Chunk, MaterialLayout, SlotView};
use crate::model::PublicModel;
use crate::net::{Channel, NetError, Tag};
use crate::ring::{self, Ring};
use std::collections::VecDeque;
use zeroize::Zeroizing;

/// Batches in flight at least and at most: enough that one computes while the openings of others
/// travel, even over a slow round trip.
const IN_FLIGHT: std::ops::RangeInclusive<usize> = 3..=16;
/// Bytes that the openings and the material of the batches in flight may take, roughly.
const FLIGHT_BYTES: usize = 256 << 20;

/// Supplies what was made for the tiles of a slot, tile after tile.
pub trait TileSource: Send {
    /// (op, bytes) of the next tile; nothing where a party has no explicit material.
    ///
    /// # Errors
    /// Whatever reading it gives.
    fn next_tile(&mut self) -> Result<Vec<(usize, Chunk)>, SourceError>;
}

/// What was made for an image's slot.
pub struct Sources<'a> {
    /// S0's explicit material.
    pub explicit: &'a mut dyn TileSource,
    /// U Y_i, if it was prepared.
    pub products: Option<&'a mut dyn TileSource>,
}

impl Sources<'_> {
    fn next(&mut self) -> Result<Material, ProtocolError> {
        let explicit = self.explicit.next_tile().map_err(ProtocolError::Source)?;
        let products = self.products.as_mut().map(|source| source.next_tile());
        let products = products.transpose().map_err(ProtocolError::Source)?;
        Ok(Material {
            explicit: explicit.into_iter().collect(),
            products: products.map(|tile| tile.into_iter().collect()),
        })
    }
}

/// An image's share and the slot it may use.
pub struct Image<'a, R> {
    /// This server's share of the encoded pixels, row-major.
    pub share: &'a [R],
    /// This server's shares of the mean of each patch at the output scale; empty unless the model
    /// adds them.
    pub means: &'a [R],
    /// Rows and columns.
    pub size: (usize, usize),
    /// This server's view of the slot; marked as used before [`denoise`] is called.
    pub slot: SlotView<'a>,
    /// Tiles of the slot's material.
    pub layout: &'a MaterialLayout,
}

/// Denoises one shared image together with the other server; returns this server's share of the
/// weighted sums of output patches.
///
/// Scale: the model's output scale. Cost: one opening of the image, then for each activation the
/// engine's openings and one of V; several batches overlap.
/// Security: semi-honest; the slot must not have been used for another image, ever.
///
/// # Errors
/// [`ProtocolError`]; the slot is spent all the same.
pub fn denoise<R: Ring, E: Engine<R>>(
    model: &ServerModel<R>,
    engine: &mut E,
    image: &Image<'_, R>,
    sources: Sources<'_>,
    channel: &mut dyn Channel,
    progress: &mut (dyn FnMut(f64) + Send),
) -> Result<Vec<R>, ProtocolError> {
    let grid =
        model.public.network.grid(image.size).map_err(|e| ProtocolError::Source(Box::new(e)))?;
    let first_linear = model.public.network.linears().next().map_or(0, |(op, _)| op);
    let mask = Zeroizing::new(image.slot.input_mask::<R>(first_linear, 0..grid.pixels()));
    let opened = open_image(image.share, &mask, channel)?;
    let context = Context {
        model,
        grid: &grid,
        slot: &image.slot,
        opened: &opened,
        share: image.share,
        means: image.means,
        mask: &mask,
    };
    let mut driver = Driver {
        context,
        engine,
        sums: vec![R::ZERO; grid.pixels()],
        waiting: VecDeque::new(),
        finished: 0,
        in_flight: in_flight(&model.public, image.layout),
        channel,
    };
    driver.run(image.layout, sources, progress)?;
    Ok(driver.sums)
}

/// V = A - Y of the whole image; patches are cut out of it later.
fn open_image<R: Ring>(
    share: &[R],
    mask: &[R],
    channel: &mut dyn Channel,
) -> Result<Vec<R>, ProtocolError> {
    let mut opened = share.to_vec();
    ring::sub_assign(&mut opened, mask);
    let theirs = channel.exchange(Tag::Image, &ring::to_le_bytes(&opened))?;
    let theirs: Vec<R> = ring::from_le_bytes(&theirs)
        .ok_or_else(|| wrong_length("the masked image", theirs.len(), opened.len() * R::BYTES))?;
    ring::add_assign(&mut opened, &theirs);
    Ok(opened)
}

struct Driver<'a, R: Ring, E: Engine<R>> {
    context: Context<'a, R>,
    engine: &'a mut E,
    sums: Vec<R>,
    /// Batches in flight with their numbers, in the order of their next messages. Both servers keep
    /// the same order: whoever waits longest goes next.
    waiting: VecDeque<(u32, Batch<R, E::State>)>,
    finished: usize,
    in_flight: usize,
    channel: &'a mut dyn Channel,
}

impl<R: Ring, E: Engine<R>> Driver<'_, R, E> {
    fn run(
        &mut self,
        layout: &MaterialLayout,
        mut sources: Sources<'_>,
        progress: &mut (dyn FnMut(f64) + Send),
    ) -> Result<(), ProtocolError> {
        let total = layout.tiles();
        let mut started = 0;
        while self.finished < total {
            while started < total && self.has_room() {
                let (rows, material) = (layout.tile(started), sources.next()?);
                let first = Batch::start(&self.context, self.engine, rows, material)?;
                self.take(started as u32, first)?;
                started += 1;
            }
            if let Some((number, batch)) = self.waiting.pop_front() {
                self.receive(number, batch)?;
            }
            progress(self.finished as f64 / total as f64);
        }
        Ok(())
    }

    /// Whether another batch may start: batches follow one another at a distance, so that they do
    /// not all need memory, or all finish, at the same time. Both servers see the same.
    fn has_room(&self) -> bool {
        let distance = self.context.model.public.network.ops().len() / self.in_flight;
        self.waiting.len() < self.in_flight
            && self.waiting.iter().all(|(_, batch)| batch.op() > distance)
    }

    fn receive(&mut self, number: u32, batch: Batch<R, E::State>) -> Result<(), ProtocolError> {
        let frame = self.channel.expect(Tag::Opening)?;
        if frame.batch != number {
            let text = format!("sent an opening of batch {} where {number} was due", frame.batch);
            return Err(NetError::Protocol(text).into());
        }
        let next = batch.advance(&self.context, self.engine, &frame.payload)?;
        self.take(number, next)
    }

    fn take(&mut self, number: u32, next: Progress<R, E::State>) -> Result<(), ProtocolError> {
        match next {
            Progress::Send(batch, message) => {
                self.waiting.push_back((number, batch));
                self.channel.send(Tag::Opening, number, message)?;
            }
            Progress::Done(rows, patches) => {
                let window = &self.context.model.public.network.fold().window;
                self.context.grid.fold(rows, &patches, window, &mut self.sums, |sum, w, v| {
                    *sum = sum.add(v.mul(R::from_u64(w.into())));
                });
                self.finished += 1;
            }
        }
        Ok(())
    }
}

/// Batches in flight, the same at both servers, from public sizes alone.
fn in_flight(public: &PublicModel, layout: &MaterialLayout) -> usize {
    let material: usize = layout.chunks(0).map(|(_, bytes)| bytes).sum();
    let openings = MaterialLayout::largest_message(public) * layout.tile(0).len();
    let bytes = material.max(16 * openings).max(1);
    (FLIGHT_BYTES / bytes).clamp(*IN_FLIGHT.start(), *IN_FLIGHT.end())
}
