//! The same networks through this program's own one-cloud service: the user is server 1, and material is made by the
//! two, without a dealer ([`crate::roles::one_cloud`]).
//!
//! Both in this process, over a channel in memory, with all threads for either: seconds are wall-clock.

use crate::files::container::no_passphrase;
use crate::files::keys::{KeyFolder, generate};
use crate::files::output::Overwrite;
use crate::ids::Role;
use crate::image::GreyImage;
use crate::lab::error::{LabError, io_error};
use crate::lab::pipeline::temporary_work;
use crate::model::{Choices, Encoded, FloatModel, LevelMap, encode_image};
use crate::roles::one_cloud::{Clients, Cloud, CloudError, Crowd, OwnImage, Pace, Settings, User};
use crate::roles::server::MakePaths;
use crate::roles::{ModelOwner, ShareModel, Silent};
use crate::wire::{Channel, pair};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;
use zeroize::Zeroizing;

/// What an image took.
#[derive(Clone, Copy, Debug)]
pub(in crate::lab::reproduce) struct OneCloudRun {
    pub(in crate::lab::reproduce) patches: usize,
    /// Once a model: greeting, masks, hints, base transfers.
    pub(in crate::lab::reproduce) once: Phase,
    /// Material of this image.
    pub(in crate::lab::reproduce) material: Phase,
    /// The image itself.
    pub(in crate::lab::reproduce) online: Phase,
}

/// Time and traffic.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::lab::reproduce) struct Phase {
    pub(in crate::lab::reproduce) seconds: f64,
    /// Both directions together.
    pub(in crate::lab::reproduce) bytes: u64,
}

/// Denoises an image of the model's own noise level, with material that is made before; files go into a folder among
/// the system's temporary ones, which is removed.
pub(in crate::lab::reproduce) fn run(
    model: &FloatModel,
    image: &GreyImage,
) -> Result<OneCloudRun, LabError> {
    let work = temporary_work(None)?;
    let at = |name: &str| work.path().join(name);
    let keys = |folder: &str, roles: &[Role]| generate(&at(folder), roles, None, Overwrite::Never);
    keys("cloud", &[Role::Server0, Role::ModelOwner])?;
    keys("user", &[Role::Server1])?;
    for name in ["server0.pub", "model-owner.pub"] {
        let (from, to) = (at("cloud").join(name), at("user").join(name));
        std::fs::copy(&from, to).map_err(io_error(&from, "cannot be copied"))?;
    }
    let sigma_from = Some(model.sigma);
    let choices = Choices { sigma_from, one_cloud: true, ..Choices::default() };
    let options = choices.options(model)?;
    let user_key = at("user").join("server1.pub");
    let owner = ModelOwner::open_for(&user_key, &at("cloud"), &no_passphrase)?;
    owner.share(&ShareModel::new(model, &options, at("model")), &mut Silent)?;
    let share = |suffix: &str| MakePaths::new(at(suffix), at("model.pub"));
    let (cloud, clients) = cloud(&at("cloud"), &at("clients"))?;
    let folder = KeyFolder::open(&at("cloud"))?;
    let own = folder.secret(Role::Server0, &no_passphrase)?;
    let model_owner = folder.public(Role::ModelOwner)?;
    let settings = Settings { material_bytes: 64 << 30, ..Settings::default() };
    let client =
        clients.add("user", &user_key, &share("model.s0"), &own, &model_owner, settings)?;
    let user = User::open(&at("user"), &no_passphrase, share("model.s1"), Some(&at("state")))?;
    let (mut ours, mut theirs) = pair();
    std::thread::scope(|scope| {
        let cloud = scope.spawn(move || cloud.serve(&client, &mut theirs));
        let run = visit(&user, model, image, &mut ours);
        drop(ours);
        // Its report says no more than the user's error.
        cloud.join().expect("the cloud does not panic");
        run
    })
}

fn cloud(keys: &Path, clients: &Path) -> Result<(Cloud, Clients), CloudError> {
    let crowd = Crowd { sessions: 1, at_work: 1, pace: Pace::default() };
    let stop = Arc::new(AtomicBool::new(false));
    let cloud = Cloud::open(keys, &no_passphrase, Clients::open(clients)?, crowd, stop)?;
    Ok((cloud, Clients::open(clients)?))
}

/// The user's part.
fn visit(
    user: &User,
    model: &FloatModel,
    image: &GreyImage,
    channel: &mut dyn Channel,
) -> Result<OneCloudRun, LabError> {
    let size = image.size();
    let public = &user.public().model;
    let levels = LevelMap::new(model.units, 1.0);
    let Encoded { pixels, .. } = encode_image(public, image, &levels);
    let patches = public.network.grid(size).map_or(0, |grid| grid.rows());
    let mut visit = user.visit(channel)?;
    let both = |traffic: crate::wire::Traffic| traffic.bytes_sent + traffic.bytes_received;
    let report = visit.prepare(size, 1, &mut Silent)?;
    let mut run = OneCloudRun {
        patches,
        once: Phase::default(),
        material: Phase::default(),
        online: Phase::default(),
    };
    run.once.seconds += report.setup.seconds;
    run.once.bytes += both(report.setup.traffic);
    for set in &report.sets {
        run.material.seconds += set.made.seconds;
        run.material.bytes += both(set.made.traffic);
    }
    let (pixels, noise) = (Zeroizing::new(pixels), levels.noise);
    let own = OwnImage { name: "image".into(), size, pixels, noise };
    let started = Instant::now();
    let (_, reports) = visit.denoise(vec![own], &mut Silent)?;
    run.online.seconds = started.elapsed().as_secs_f64();
    for report in &reports {
        let images = report.images.iter().map(|image| both(image.online.traffic));
        run.online.bytes += both(report.setup.traffic) + images.sum::<u64>();
    }
    Ok(run)
}

#[cfg(test)]
mod tests {
    use super::super::subject::tiny;
    use super::*;

    #[test]
    fn an_image_of_the_tiny_model_is_measured() {
        let subject = tiny().unwrap();
        let found = run(&subject.float, &subject.image).unwrap();
        assert_eq!(found.patches, 9);
        for phase in [found.once, found.material, found.online] {
            assert!(phase.seconds > 0.0 && phase.bytes > 1000, "{found:?}");
        }
    }
}
