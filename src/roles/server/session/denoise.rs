//! One image: its share with the material of its slot, to a result.

use super::claim::SlotOf;
use super::{Around, Session};
use crate::artefact::PreparedFile;
use crate::numbers::ring::Ring;
use crate::protocol::{Engine, Image, MaterialSource, ProtocolError, Sources, denoise};
use crate::roles::server::ServiceError;
use crate::roles::server::report::{ImageReport, Watch};
use crate::roles::server::supply::{Delivery, OwnResult, Ready};
use zeroize::Zeroizing;

/// An image that is done.
pub(super) struct Done {
    pub(super) report: ImageReport,
    /// Its result, if that stays here.
    pub(super) own: Option<OwnResult>,
}

impl<R: Ring, E: Engine<R>> Session<'_, '_, R, E> {
    pub(super) fn denoise(
        &mut self,
        Ready { file, image: subject, pixels, means, sink }: Ready<R>,
        SlotOf { set, slot }: SlotOf,
        watch: Watch,
        around: &mut Around<'_>,
    ) -> Result<Done, ServiceError> {
        let size = subject.size;
        let set = &self.inputs.sets[set];
        let triples = *set.triples.fields();
        let (public, layout) = (&self.inputs.public, &set.layout);
        let products = layout.clone().products(&public.model);
        let prepared = PreparedFile::new(self.job.state, &triples, slot, public, products);
        let mut products = prepared.open(self.job.keys.own);
        // Once opened it can be read without its name; nobody shall find it again.
        PreparedFile::remove_below(self.job.state, triples.set_id, slot + 1)?;
        let mut explicit = set.triples.material(slot, layout);
        let sources = Sources {
            explicit: &mut explicit,
            products: products.as_mut().map(|p| p as &mut dyn MaterialSource),
        };
        let view = set.triples.view(slot);
        let plane = R::from_i64(subject.plane);
        let image = Image { share: &pixels, means: &means, plane, size, slot: view, layout };
        let observer = &mut *around.observer;
        let mut tell = |done| observer.progress(done);
        let channel = &mut *around.channel;
        let sums = denoise(&self.model, &mut self.engine, &image, sources, channel, &mut tell)?;
        let sums = Zeroizing::new(sums);
        let prepared = products.is_some();
        let mut delivery = Delivery {
            party: self.inputs.party,
            keys: self.job.keys,
            public,
            size,
            session: self.agreement.session,
            sums: &sums,
            alarm: self.engine.alarm(),
            blind: self.blind.as_mut(),
        };
        let own = sink.deliver(&mut delivery, channel)?;
        let network = &self.model.public.network;
        let patches = layout.rows();
        let slots_left = self.inputs.slots_left_for(subject.size, self.job.ledger)?;
        let report = ImageReport {
            image_id: subject.id.to_string(),
            file,
            height: subject.size.height,
            width: subject.size.width,
            set: triples.set_id.to_string(),
            slot,
            slots_left,
            prepared,
            patches,
            activations: network.activation_count(size).map_err(ProtocolError::from)?,
            online: watch.stop(channel),
        };
        Ok(Done { report, own })
    }
}
