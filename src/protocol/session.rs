//! One image through both servers: the thread that owns the channel.

use super::batch::{Batch, Context, Progress};
use super::{Engine, ProtocolError, ServerModel, SourceError, wrong_length};
use crate::correlation::{MaterialLayout, SlotView};
use crate::net::{Channel, NetError, Tag};
use crate::ring::{self, Ring};
use std::collections::VecDeque;

/// Batches in flight: enough that one computes while another's opening travels.
const IN_FLIGHT: usize = 4;

/// Supplies S0's explicit material, tile after tile.
pub trait TileSource {
    /// (op, bytes) of the next tile, `chunks` telling what to expect; nothing for S1.
    ///
    /// # Errors
    /// Whatever reading it gives.
    fn next_tile(
        &mut self,
        tile: usize,
        chunks: &mut dyn Iterator<Item = (usize, usize)>,
    ) -> Result<Vec<(usize, Vec<u8>)>, SourceError>;
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
/// engine's openings and one of V; `IN_FLIGHT` batches overlap.
/// Security: semi-honest; the slot must not have been used for another image, ever.
///
/// # Errors
/// [`ProtocolError`]; the slot is spent all the same.
pub fn denoise<R: Ring, E: Engine<R>>(
    model: &ServerModel<R>,
    engine: &mut E,
    image: &Image<'_, R>,
    tiles: &mut dyn TileSource,
    channel: &mut dyn Channel,
    progress: &mut dyn FnMut(f64),
) -> Result<Vec<R>, ProtocolError> {
    let grid =
        model.public.network.grid(image.size).map_err(|e| ProtocolError::Source(Box::new(e)))?;
    let first_linear = model.public.network.linears().next().map_or(0, |(op, _)| op);
    let mask: Vec<R> = image.slot.input_mask(first_linear, 0..grid.pixels());
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
        channel,
    };
    driver.run(image.layout, tiles, progress)?;
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
    channel: &'a mut dyn Channel,
}

impl<R: Ring, E: Engine<R>> Driver<'_, R, E> {
    fn run(
        &mut self,
        layout: &MaterialLayout,
        tiles: &mut dyn TileSource,
        progress: &mut dyn FnMut(f64),
    ) -> Result<(), ProtocolError> {
        let total = layout.tiles();
        let mut started = 0;
        while self.finished < total {
            while started < total && self.waiting.len() < IN_FLIGHT {
                let explicit = tiles
                    .next_tile(started, &mut layout.chunks(started))
                    .map_err(ProtocolError::Source)?;
                let rows = layout.tile(started);
                let explicit = explicit.into_iter().collect();
                let first = Batch::start(&self.context, self.engine, rows, explicit)?;
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
