//! One image through both servers: the thread that owns the channel.

use super::batch::{Batch, Context, Material, Progress};
use super::{Engine, ProtocolError, ServerModel, SourceError, wrong_length};
use crate::material::{Chunk, MaterialLayout, SlotView};
use crate::model::PublicModel;
use crate::network::{PatchGrid, StageGrid};
use crate::numbers::ring;
use crate::numbers::ring::Ring;
use crate::size::Size;
use crate::wire::{Channel, NetError, Tag};
use std::collections::VecDeque;
use zeroize::Zeroizing;

/// Batches in flight at least and at most: enough that one computes while the openings of others
/// travel, even over a slow round trip.
const IN_FLIGHT: std::ops::RangeInclusive<usize> = 3..=16;
/// Bytes that the openings and the material of the batches in flight may take, roughly.
const FLIGHT_BYTES: usize = 256 << 20;

/// Supplies what was made for the batches of a slot, batch after batch.
pub trait MaterialSource: Send {
    /// (op, bytes) of the next batch; nothing where a party has no explicit material.
    ///
    /// # Errors
    /// Whatever reading it gives.
    fn next_batch(&mut self) -> Result<Vec<(usize, Chunk)>, SourceError>;
}

/// What was made for an image's slot.
pub struct Sources<'a> {
    /// The explicit material.
    pub explicit: &'a mut dyn MaterialSource,
    /// U Y_i, if it was prepared.
    pub products: Option<&'a mut dyn MaterialSource>,
}

impl Sources<'_> {
    fn next(&mut self) -> Result<Material, ProtocolError> {
        let explicit = self.explicit.next_batch().map_err(ProtocolError::Source)?;
        let products = self.products.as_mut().map(|source| source.next_batch());
        let products = products.transpose().map_err(ProtocolError::Source)?;
        Ok(Material {
            explicit: explicit.into_iter().collect(),
            products: products.map(|batch| batch.into_iter().collect()),
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
    /// The noise level for a model that reads the plane, of [`PublicModel::plane`]: public.
    pub plane: R,
    /// Rows and columns.
    pub size: Size,
    /// This server's view of the slot; marked as used before [`denoise`] is called.
    pub slot: SlotView<'a>,
    /// Batches of the slot's material.
    pub layout: &'a MaterialLayout,
}

/// Denoises one shared image together with the other server; returns this server's share of the
/// weighted sums of output patches.
///
/// Scale: the model's output scale. Cost: one opening of the image, then for each activation the
/// engine's openings and one of V; several batches overlap. A convolutional network goes layer by
/// layer over the whole image: peak memory the maps that are read or added later, a value each (of a chain two
/// of its widest layer), and the batches.
/// Security: semi-honest; the slot must not have been used for another image, ever.
///
/// # Errors
/// `ProtocolError`; the slot is spent all the same.
pub fn denoise<R: Ring, E: Engine<R>>(
    model: &ServerModel<R>,
    engine: &mut E,
    image: &Image<'_, R>,
    sources: Sources<'_>,
    channel: &mut dyn Channel,
    progress: &mut (dyn FnMut(f64) + Send),
) -> Result<Vec<R>, ProtocolError> {
    let grids = model.public.network.grids(image.size).map_err(ProtocolError::from)?;
    let whole = model.public.network.grid(image.size).map_err(ProtocolError::from)?;
    let padding = model.public.network.padding(image.size);
    let padded = padding.is_needed().then(|| Zeroizing::new(padding.pad(image.share)));
    let share = padded.as_ref().map_or(image.share, |padded| padded.as_slice());
    let mut driver = Driver {
        model,
        engine,
        image,
        share,
        sources,
        in_flight: in_flight(&model.public, image.layout),
        channel,
        progress,
    };
    driver.engine.begin_image();
    let mut maps = vec![driver.open_image()?];
    for (number, grid) in grids.iter().enumerate() {
        let made = driver.stage(number, grid, &maps, &whole)?;
        maps.push(made);
        let done = model.public.network.maps().iter().zip(&mut maps);
        done.filter(|(map, _)| map.last <= number).for_each(|(_, values)| *values = Vec::new());
    }
    Ok(padding.crop(maps.pop().unwrap_or_default()))
}

/// What serves all stages of an image.
struct Driver<'a, 's, R: Ring, E: Engine<R>> {
    model: &'a ServerModel<R>,
    engine: &'a mut E,
    image: &'a Image<'a, R>,
    /// This server's share of the continued image.
    share: &'a [R],
    sources: Sources<'s>,
    in_flight: usize,
    channel: &'a mut dyn Channel,
    progress: &'a mut (dyn FnMut(f64) + Send),
}

impl<R: Ring, E: Engine<R>> Driver<'_, '_, R, E> {
    /// V = A - Y of the whole continued image; patches are cut out of it later.
    fn open_image(&mut self) -> Result<Vec<R>, ProtocolError> {
        let op = self.model.public.network.maps()[0].op;
        let mask = self.image.slot.input_mask::<R>(op, 0..self.share.len());
        let mut opened = self.share.to_vec();
        ring::sub_assign(&mut opened, &Zeroizing::new(mask));
        let theirs = self.channel.exchange(Tag::Image, &ring::to_le_bytes(&opened))?;
        let expected = opened.len() * R::BYTES;
        let theirs: Vec<R> = ring::from_le_bytes(&theirs)
            .ok_or_else(|| wrong_length("the masked image", theirs.len(), expected))?;
        ring::add_assign(&mut opened, &theirs);
        Ok(opened)
    }

    /// Takes all batches through stage `number`, given the maps so far. Returns the map that it makes, opened or,
    /// where nobody reads it, this server's share; of the last stage this server's share of the weighted sums.
    fn stage(
        &mut self,
        number: usize,
        grid: &StageGrid,
        maps: &[Vec<R>],
        whole: &PatchGrid,
    ) -> Result<Vec<R>, ProtocolError> {
        let network = &self.model.public.network;
        let made = network.maps().get(number + 1);
        let outputs = match made {
            Some(map) => grid.out.pixels() * map.channels,
            None => whole.pixels(),
        };
        let context = Context {
            model: self.model,
            grid,
            made,
            slot: &self.image.slot,
            maps,
            whole,
            share: self.share,
            means: self.image.means,
            plane: self.image.plane,
        };
        let waiting = VecDeque::new();
        let result = vec![R::ZERO; outputs];
        let mut run = StageRun { driver: self, context, waiting, finished: 0, result };
        run.batches(number)?;
        Ok(run.result)
    }
}

/// A stage under way.
struct StageRun<'r, 'a, 's, R: Ring, E: Engine<R>> {
    driver: &'r mut Driver<'a, 's, R, E>,
    context: Context<'r, R>,
    /// Batches in flight with their numbers, in the order of their next messages. Both servers keep
    /// the same order: whoever waits longest goes next.
    waiting: VecDeque<(u32, Batch<R, E::State>)>,
    finished: usize,
    result: Vec<R>,
}

impl<R: Ring, E: Engine<R>> StageRun<'_, '_, '_, R, E> {
    fn batches(&mut self, stage: usize) -> Result<(), ProtocolError> {
        let layout = self.driver.image.layout;
        let (batches, total) = (layout.stage_batches(stage), layout.batches());
        let (first, count) = (batches.start, batches.len());
        let mut started = 0;
        while self.finished < count {
            while started < count && self.has_room() {
                let number = first + started;
                let (rows, material) = (layout.batch(number).rows, self.driver.sources.next()?);
                let next = Batch::start(&self.context, self.driver.engine, rows, material)?;
                self.take(number as u32, next)?;
                started += 1;
            }
            if let Some((number, batch)) = self.waiting.pop_front() {
                self.receive(number, batch)?;
            }
            (self.driver.progress)((first + self.finished) as f64 / total as f64);
        }
        Ok(())
    }

    /// Whether another batch may start: batches follow one another at a distance, so that they do
    /// not all need memory, or all finish, at the same time. Both servers see the same.
    fn has_room(&self) -> bool {
        let (ops, in_flight) = (&self.context.grid.stage.ops, self.driver.in_flight);
        let far = ops.start + ops.len() / in_flight;
        self.waiting.len() < in_flight && self.waiting.iter().all(|(_, batch)| batch.op() > far)
    }

    fn receive(&mut self, number: u32, batch: Batch<R, E::State>) -> Result<(), ProtocolError> {
        let frame = self.driver.channel.expect(Tag::Opening)?;
        if frame.batch != number {
            let text = format!("sent an opening of batch {} where {number} was due", frame.batch);
            return Err(NetError::Protocol(text).into());
        }
        let next = batch.advance(&self.context, self.driver.engine, &frame.payload)?;
        self.take(number, next)
    }

    fn take(&mut self, number: u32, next: Progress<R, E::State>) -> Result<(), ProtocolError> {
        match next {
            Progress::Send(batch, message) => {
                self.waiting.push_back((number, batch));
                self.driver.channel.send(Tag::Opening, number, message)?;
                return Ok(());
            }
            Progress::Made(placement, values) => placement.put(&values, &mut self.result),
            Progress::Done(rows, patches) => {
                let window = &self.context.model.public.network.fold().window;
                self.context.whole.fold(rows, &patches, window, &mut self.result, |sum, w, v| {
                    *sum = sum.add(v.mul(R::from_u64(w.into())));
                });
            }
        }
        self.finished += 1;
        Ok(())
    }
}

/// Batches in flight, the same at both servers, from public sizes alone.
fn in_flight(public: &PublicModel, layout: &MaterialLayout) -> usize {
    let first = |stage: usize| layout.stage_batches(stage).start;
    let material = |batch: usize| layout.chunks(batch).map(|(_, bytes)| bytes).sum();
    let stages = 0..public.network.stages().len();
    let material: usize = stages.map(|stage| material(first(stage))).max().unwrap_or(0);
    let openings = MaterialLayout::largest_message(public) * layout.batch(0).rows.len();
    let bytes = material.max(16 * openings).max(1);
    (FLIGHT_BYTES / bytes).clamp(*IN_FLIGHT.start(), *IN_FLIGHT.end())
}
