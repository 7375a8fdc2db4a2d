//! Images that were named one by one.

use super::{AgreedImage, Output, Round, ShareSource, Supply, Task};
use crate::artefact::ImageShareFile;
use crate::files::output::OutputFile;
use crate::ids::ImageId;
use crate::roles::observer::Observer;
use crate::roles::server::inputs::{Inputs, ServerKeys};
use crate::roles::server::{ServerEvent, ServiceError};
use std::path::PathBuf;

/// Images that were named one by one, each with its output.
pub(in crate::roles::server) struct Named(Vec<Task>);

impl Named {
    /// The images that `inputs` were opened with, and an output for each.
    pub(in crate::roles::server) fn new(inputs: &mut Inputs, outputs: Vec<OutputFile>) -> Self {
        let shares = std::mem::take(&mut inputs.named);
        let model = &inputs.public.model;
        let task = |((file, share), output): ((PathBuf, ImageShareFile), OutputFile)| Task {
            image: AgreedImage::of(share.fields(), model),
            source: ShareSource::Opened(file, Box::new(share)),
            output: Output::Opened(output),
            done: None,
        };
        Named(shares.into_iter().zip(outputs).map(task).collect())
    }
}

impl Supply for Named {
    fn next(
        &mut self,
        _: &Inputs,
        _: &ServerKeys<'_>,
        _: &mut dyn Observer<ServerEvent>,
    ) -> Result<Round, ServiceError> {
        Ok(Round::named(std::mem::take(&mut self.0)))
    }

    fn finished(&mut self, _: ImageId) {}

    fn failed(&mut self, _: ImageId) {}

    fn stopped(&self) -> bool {
        false
    }
}
