//! From result shares to images: one job after the other.

use super::error::ReceiverError;
use super::event::ReceiverEvent;
use super::judged::{Provenance, settle_alarm};
use super::plan::{Job, Originals, Parts, PlaneResults, plan};
use super::references::{check_outputs, references};
use super::request::{Reconstructed, ResultOf};
use super::{Work, entry, joined, upright};
use crate::files::Place;
use crate::image::{GreyImage, Raster};
use crate::roles::observer::Observer;
use crate::size::Position;
use std::path::PathBuf;
use std::time::Instant;

impl Work<'_> {
    /// Makes every image.
    pub(super) fn all(
        &mut self,
        observer: &mut dyn Observer<ReceiverEvent>,
    ) -> Result<(), ReceiverError> {
        let (jobs, mut opened) = match &self.request.shares[..] {
            [a, b] if !a.is_dir() && !b.is_dir() => {
                let (job, planes, of) = self.pair([a, b], observer)?;
                (vec![job], Some((planes, of)))
            }
            _ => (plan(self, observer)?, None),
        };
        self.report.total = jobs.len() + self.report.failed.len();
        let targets = self.targets(&jobs)?;
        let references = references(self.request.reference.as_deref(), &targets)?;
        let request = self.request;
        let derived = jobs.iter().zip(&targets).map(|(job, out)| job.target(request, out));
        check_outputs(&request.shares, derived, &references)?;
        let plain = |(job, out): &(&Job, &Place)| {
            job.origin().is_some() && !job.target(request, out).is_dicom()
        };
        let images = jobs.iter().zip(&targets).filter(plain).count();
        if images > 0 {
            observer.event(ReceiverEvent::HeadersLeftOut { images });
        }
        for ((job, out), reference) in jobs.iter().zip(&targets).zip(&references) {
            joined::check(job, &job.target(request, out), reference.is_some())?;
        }
        for ((job, out), reference) in jobs.iter().zip(&targets).zip(&references) {
            let made = match (opened.take(), &job.parts) {
                (Some((planes, of)), _) => self.write(job, planes, out, reference, of),
                (None, Parts::Tiles(scan)) => self.join(job, scan, out, reference, observer),
                (None, Parts::Planes(planes)) => self
                    .open(planes, observer)
                    .and_then(|(planes, of)| self.write(job, planes, out, reference, of)),
            };
            match made {
                Ok(image) => {
                    if let Some(part) = job.part_of {
                        observer.event(ReceiverEvent::PartOnly { file: image.file.clone(), part });
                    }
                    observer.event(ReceiverEvent::Reconstructed(image.clone()));
                    self.report.images.push(image);
                }
                Err(error) if self.report.total == 1 => return Err(job.named(error)),
                Err(error) => self.failed(out.name(), job.named(error), observer),
            }
        }
        Ok(())
    }

    /// The only image, of two files.
    fn pair(
        &self,
        [a, b]: [&Place; 2],
        observer: &mut dyn Observer<ReceiverEvent>,
    ) -> Result<(Job, Vec<GreyImage>, Provenance), ReceiverError> {
        let result = self.receiver.open_pair([a, b])?;
        let note = self.receiver.note(&result, observer);
        let range_alarm = settle_alarm(self.request.alarmed, result.alarm, a.name(), observer)?;
        let plausibility =
            self.judge(&result, note.as_ref(), a.name(), Position::default(), observer)?;
        let shares = vec![ResultOf::from(&result)];
        let of = Provenance { shares, tiles: None, plausibility, range_alarm };
        let planes = entry(&result).planes(upright(&result, note.as_ref())?)?;
        let mut job = Job::single(note, &result, self.request.depth);
        job.bind(self.request, &mut Originals::default())?;
        match job.part_of {
            Some(part) if self.request.out.is_folder() => {
                Err(ReceiverError::Part { part }.about(a.name()))
            }
            _ => Ok((job, planes, of)),
        }
    }

    fn open(
        &self,
        planes: &[PlaneResults],
        observer: &mut dyn Observer<ReceiverEvent>,
    ) -> Result<(Vec<GreyImage>, Provenance), ReceiverError> {
        let mut of = Provenance::new(None);
        let planes =
            planes.iter().map(|plane| self.planes(plane, Position::default(), &mut of, observer));
        let planes = planes.collect::<Result<Vec<_>, _>>()?;
        Ok((planes.into_iter().flatten().collect(), of))
    }

    /// One output a job.
    fn targets(&self, jobs: &[Job]) -> Result<Vec<Place>, ReceiverError> {
        let out = &self.request.out;
        match jobs.len() {
            _ if out.is_folder() => Ok(jobs.iter().map(|job| out.join(&job.name)).collect()),
            0 | 1 => Ok(vec![out.clone(); jobs.len()]),
            images => Err(ReceiverError::OneFile { images }.about(out.name())),
        }
    }

    /// Writes an image of one plane or three, and judges it.
    fn write(
        &mut self,
        job: &Job,
        planes: Vec<GreyImage>,
        out: &Place,
        reference: &Option<PathBuf>,
        of: Provenance,
    ) -> Result<Reconstructed, ReceiverError> {
        let image = Raster::of_planes(planes, job.depth)?.with_range(job.range);
        self.finish(job, &image, out, reference, of)
    }

    /// Judges and writes an image that is in memory.
    pub(super) fn finish(
        &mut self,
        job: &Job,
        image: &Raster,
        out: &Place,
        reference: &Option<PathBuf>,
        of: Provenance,
    ) -> Result<Reconstructed, ReceiverError> {
        let quality = job.reference(reference).map(|r| r.judge(image)).transpose()?;
        let writing = Instant::now();
        job.target(self.request, out).write(image)?;
        self.report.write_seconds += writing.elapsed().as_secs_f64();
        Ok(of.report(job, out, image.size(), quality))
    }
}
