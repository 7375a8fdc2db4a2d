//! A session in which two servers make sets: linear ops of a group of slots, then, batch by batch in the order of the
//! file, everything else.

use super::{MakeInputs, SessionName};
use crate::artefact::{KeptMask, MadeJob, MadeName, MadeWriter, random_seed};
use crate::crypto::ot::extension::FieldBits;
use crate::crypto::prg::{Domain, Purpose, Seed};
use crate::crypto::rlwe;
use crate::files::FormatError;
use crate::files::keys::SecretKey;
use crate::files::output::OutputFile;
use crate::ids::TripleSetId;
use crate::material::{Origin, PartySeeds, SlotView};
use crate::model::{ActivationSpec, ExactRelu};
use crate::network::Op;
use crate::numbers::relu::ReluShape;
use crate::numbers::ring;
use crate::protocol::{LinearShares, LinearWork, PairLinear, PairSession, ProtocolError};
use crate::roles::observer::Observer;
use crate::roles::server::ServerEvent;
use crate::roles::server::ServiceError;
use crate::wire::Channel;
use std::ops::Range;
use zeroize::Zeroizing;

/// How much longer a message of ciphertexts takes than an activation, for the progress that is told.
const MESSAGE_WORK: u64 = 40_000;

/// What the transfers of a session begin with.
#[derive(Clone, Copy)]
pub(super) struct Transfers<'a> {
    pub(super) name: &'a SessionName,
    pub(super) field: FieldBits,
}

/// One server's side.
pub(super) struct Session<'a> {
    inputs: &'a MakeInputs,
    own: &'a SecretKey,
    mask: &'a KeptMask,
    linear: PairLinear<'a>,
    pair: PairSession,
}

impl<'a> Session<'a> {
    /// Sets the transfers up, and makes, opens and checks a few elements of every op.
    pub(super) fn begin(
        inputs: &'a MakeInputs,
        own: &'a SecretKey,
        mask: &'a KeptMask,
        transfers: Transfers<'_>,
        linear: PairLinear<'a>,
        channel: &mut dyn Channel,
    ) -> Result<Self, ServiceError> {
        let seed = fresh(Purpose::MadeSession, transfers.name.bytes())?;
        let mut pair = PairSession::set_up(inputs.party, transfers.field, &seed, channel)?;
        for (op, spec, _) in inputs.public.model.network.activations() {
            match spec {
                ActivationSpec::Lookup(table) => {
                    pair.sacrifice_lookups::<u32>(channel, op, table.hi, table.lo)?;
                }
                ActivationSpec::Piecewise(_) => pair.sacrifice_squares::<u32>(channel, op)?,
                ActivationSpec::Exact(relu) => {
                    pair.sacrifice_relus::<u32>(channel, op, &shape_of(relu))?;
                }
            }
        }
        Ok(Session { inputs, own, mask, linear, pair })
    }

    /// Makes a set and writes its file, which is durable afterwards and has no name.
    pub(super) fn set(
        &mut self,
        job: &MadeJob,
        set_id: TripleSetId,
        out: OutputFile,
        channel: &mut dyn Channel,
        observer: &mut dyn Observer<ServerEvent>,
    ) -> Result<OutputFile, ServiceError> {
        let public = &self.inputs.public;
        // Of the operating system and of the set, to which the other server contributes: never the slots of
        // another set again.
        let slots = fresh(Purpose::MadeSlots, set_id.as_bytes())?;
        let seeds = PartySeeds { weight_mask: self.mask.weight_mask(), slots };
        let (party, weight_mask_id) = (self.inputs.party, self.mask.id());
        let name = MadeName { party, set_id, weight_mask_id };
        let mut file = job.create(out, self.own, public, &name, &seeds)?;
        let mut progress = Progress::new(job, self.inputs, observer)?;
        let group = (rlwe::N / job.layout().rows().max(1)).max(1) as u64;
        let mut first = 0;
        while first < job.slots {
            let end = job.slots.min(first + group);
            let work = LinearWork {
                public: &public.model,
                size: job.size,
                slots: first..end,
                set_id: *set_id.as_bytes(),
                seed: &seeds.slots,
            };
            progress.messages = self.linear.messages(&work)?;
            let shares =
                self.linear.make(&work, channel, &mut || Ok(random_seed()?), &mut |sent| {
                    progress.linear(first, sent)
                })?;
            for slot in first..end {
                let view = SlotView::new(party, &seeds.slots, slot, Origin::Made);
                let made = MadeSlot { job, view, shares: &shares, index: (slot - first) as usize };
                self.slot(&made, &mut file, channel, &mut |batch| progress.batch(slot, batch))?;
            }
            first = end;
        }
        Ok(file.finish()?)
    }

    fn slot(
        &mut self,
        made: &MadeSlot<'_>,
        file: &mut MadeWriter,
        channel: &mut dyn Channel,
        progress: &mut dyn FnMut(usize),
    ) -> Result<(), ServiceError> {
        let network = &self.inputs.public.model.network;
        let layout = made.job.layout();
        for batch in 0..layout.batches() {
            let rows = layout.batch(batch).rows;
            for (op, _) in layout.chunks(batch) {
                let mut chunk = match &network.ops()[op] {
                    Op::Activation(spec) => self.activation(made, op, spec, &rows, channel)?,
                    _ => {
                        let z = made.shares.chunk(made.index, op, rows.clone());
                        Zeroizing::new(ring::to_le_bytes(z))
                    }
                };
                file.chunk(made.view.slot(), op, batch, &mut chunk)?;
            }
            progress(batch + 1);
        }
        Ok(())
    }

    fn activation(
        &mut self,
        made: &MadeSlot<'_>,
        op: usize,
        spec: &ActivationSpec,
        rows: &Range<usize>,
        channel: &mut dyn Channel,
    ) -> Result<Zeroizing<Vec<u8>>, ProtocolError> {
        let mut widths = self.inputs.public.model.network.activations();
        let width = widths.find(|(at, ..)| *at == op).map_or(0, |(_, _, width)| width);
        let at = rows.start * width..rows.end * width;
        match spec {
            ActivationSpec::Lookup(table) => {
                self.pair.lookups::<u32>(channel, &made.view, op, at, table.hi, table.lo)
            }
            ActivationSpec::Piecewise(_) => self.pair.squares::<u32>(channel, &made.view, op, at),
            ActivationSpec::Exact(relu) => {
                self.pair.relus::<u32>(channel, at.len(), &shape_of(relu))
            }
        }
    }
}

/// A slot of a group whose linear ops are made.
struct MadeSlot<'a> {
    job: &'a MadeJob,
    view: SlotView<'a>,
    shares: &'a LinearShares,
    /// Its number in the group.
    index: usize,
}

/// The share of a set that is done.
struct Progress<'a> {
    observer: &'a mut dyn Observer<ServerEvent>,
    slots: u64,
    batches: u64,
    /// Activations of a slot.
    activations: u64,
    /// Messages of the group in work, about as many for every slot.
    messages: u64,
    group: u64,
}

impl<'a> Progress<'a> {
    fn new(
        job: &MadeJob,
        inputs: &MakeInputs,
        observer: &'a mut dyn Observer<ServerEvent>,
    ) -> Result<Self, ProtocolError> {
        let (rows, network) = (job.layout().rows(), &inputs.public.model.network);
        let activations = network.activation_count(job.size).map_err(ProtocolError::from)?;
        Ok(Progress {
            observer,
            slots: job.slots,
            batches: job.layout().batches() as u64,
            activations: activations as u64,
            messages: 0,
            group: (rlwe::N / rows.max(1)).max(1) as u64,
        })
    }

    /// What a slot takes, in activations: its linear ops and the rest.
    fn work(&self) -> (f64, f64) {
        let linear = self.messages * MESSAGE_WORK / self.group.min(self.slots);
        (linear as f64, self.activations.max(1) as f64)
    }

    /// `sent` messages of the group that begins with slot `first`.
    fn linear(&mut self, first: u64, sent: u64) {
        let (linear, rest) = self.work();
        let group = self.group.min(self.slots) as f64;
        let now = linear * group * sent as f64 / self.messages.max(1) as f64;
        self.tell(first as f64 * (linear + rest) + now);
    }

    /// So many batches of a slot, all linear ops of whose group are made.
    fn batch(&mut self, slot: u64, batches: usize) {
        let (linear, rest) = self.work();
        let groups = (slot / self.group + 1) * self.group;
        let done = groups.min(self.slots) as f64 * linear;
        self.tell(done + rest * (slot as f64 + batches as f64 / self.batches.max(1) as f64));
    }

    fn tell(&mut self, done: f64) {
        let (linear, rest) = self.work();
        self.observer.progress((done / (self.slots as f64 * (linear + rest))).min(1.0));
    }
}

/// The shape of a model's exact ReLUs, in the ring of all material that servers make.
fn shape_of(relu: &ExactRelu) -> ReluShape {
    relu.shape::<u32>().expect("checked when the description was read")
}

/// A seed of the operating system's bytes and of what it is for.
fn fresh(purpose: Purpose, context: &[u8]) -> Result<Seed, FormatError> {
    Ok(random_seed()?.derive(Domain::of(purpose), context))
}
