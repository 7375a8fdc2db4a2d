//! A model owner, a cloud and its users in one process, with channels that live and channels that die.

use super::*;
use crate::artefact::{Parties, write_model};
use crate::files::container::no_passphrase;
use crate::files::keys::{KeyFolder, generate, read_public_key};
use crate::files::output::{Access, OutputFile, Overwrite};
use crate::ids::Role;
use crate::image::{GreyImage, add_gaussian};
use crate::model::{
    LevelMap, Method, NearestRounding, QuantiseOptions, QuantisedModel, TwinInput, decode_sums,
    encode_image, quantise, random_model, run_twin,
};
use crate::numbers::fixed::shrink_nearest;
use crate::numbers::ring::RingBits;
use crate::roles::Silent;
use crate::roles::server::MakePaths;
use crate::wire::{Channel, Frame, MemChannel, NetError, Tag, Traffic, pair};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tempfile::TempDir;

pub(super) const SIGMA: f64 = 25.0;

/// A model owner's keys, a cloud's, and those of users, each with a model of its own sharing.
pub(super) struct World {
    dir: TempDir,
    pub(super) model: QuantisedModel,
}

impl World {
    pub(super) fn new(users: &[&str]) -> World {
        let two_servers = QuantiseOptions::guaranteed(RingBits::L32, Method::lut(2), 2.5);
        let options = QuantiseOptions { one_cloud: true, ..two_servers };
        World::of(users, quantise(&random_model(&[6], 1.0, true), &options).unwrap())
    }

    pub(super) fn of(users: &[&str], model: QuantisedModel) -> World {
        let world = World { dir: tempfile::tempdir().unwrap(), model };
        world.keys("cloud", &[Role::Server0, Role::ModelOwner]);
        for user in users {
            world.add(user, Settings::default());
        }
        world
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn keys(&self, folder: &str, roles: &[Role]) {
        generate(&self.at(folder), roles, None, Overwrite::Never).unwrap();
    }

    pub(super) fn clients(&self) -> Clients {
        Clients::open(&self.at("clients")).unwrap()
    }

    /// A user with keys, a shared model and a folder at the cloud.
    pub(super) fn add(&self, user: &str, settings: Settings) {
        self.share_with(user);
        self.add_shared(user, settings).unwrap();
    }

    /// A user with keys and a shared model.
    pub(super) fn share_with(&self, user: &str) {
        self.keys(user, &[Role::Server1]);
        for name in ["server0.pub", "model-owner.pub"] {
            std::fs::copy(self.at("cloud").join(name), self.at(user).join(name)).unwrap();
        }
        let keys = KeyFolder::open(&self.at("cloud")).unwrap();
        let key = self.at(user).join("server1.pub");
        let parties = Parties {
            sender: keys.secret(Role::ModelOwner, &no_passphrase).unwrap(),
            servers: [
                keys.public(Role::Server0).unwrap(),
                read_public_key(&key, Role::Server1).unwrap(),
            ],
        };
        let out = |name: &str, access| {
            let path = self.at(user).join(name);
            OutputFile::create(&path, access, Overwrite::Never).unwrap()
        };
        let outs = [
            out("model.pub", Access::Public),
            out("model.s0", Access::Secret),
            out("model.s1", Access::Secret),
        ];
        write_model(&self.model, &parties, outs).unwrap();
    }

    /// The cloud adds a user whose model is shared.
    pub(super) fn add_shared(&self, user: &str, settings: Settings) -> Result<Client, CloudError> {
        let keys = KeyFolder::open(&self.at("cloud")).unwrap();
        let own = keys.secret(Role::Server0, &no_passphrase).unwrap();
        let owner = keys.public(Role::ModelOwner).unwrap();
        let (key, paths) = (self.at(user).join("server1.pub"), self.share(user, 0));
        self.clients().add(user, &key, &paths, &own, &owner, settings)
    }

    pub(super) fn share(&self, user: &str, party: usize) -> MakePaths {
        let at = |name: &str| self.at(user).join(name);
        MakePaths::new(at(&format!("model.s{party}")), at("model.pub"))
    }

    fn cloud(&self) -> Cloud {
        let keys = self.at("cloud");
        let crowd = Crowd { sessions: 8, at_work: 2, pace: Pace::default() };
        let stop = Arc::new(AtomicBool::new(false));
        Cloud::open(&keys, &no_passphrase, self.clients(), crowd, stop).unwrap()
    }

    pub(super) fn client(&self, user: &str) -> Client {
        let (clients, bad) = self.clients().list().unwrap();
        assert!(bad.is_empty(), "{bad:?}");
        clients.into_iter().find(|client| client.name == user).unwrap()
    }

    fn user(&self, user: &str) -> User {
        let state = self.at(user).join("state");
        User::open(&self.at(user), &no_passphrase, self.share(user, 1), Some(&state)).unwrap()
    }

    /// A user's session with a channel that may be cut; what came of it at both ends.
    pub(super) fn session<T: Send>(
        &self,
        (user, cut): (&str, [usize; 2]),
        work: impl FnOnce(&User, &mut dyn Channel) -> T + Send,
    ) -> (T, SessionReport) {
        let (cloud, client) = (self.cloud(), self.client(user));
        let (ours, theirs) = pair();
        std::thread::scope(|scope| {
            let here = scope.spawn(move || {
                work(&self.user(user), &mut Mortal { channel: Some(ours), left: cut[1] })
            });
            let mut channel = Mortal { channel: Some(theirs), left: cut[0] };
            let report = cloud.serve(&client, &mut channel);
            drop(channel);
            (here.join().unwrap(), report)
        })
    }

    /// Denoises at a user; the cloud's session must end well.
    pub(super) fn denoise(&self, user: &str, image: &GreyImage) -> GreyImage {
        let (result, report) = self.session((user, [usize::MAX; 2]), |user, channel| {
            user.denoise(&image.clone().into(), SIGMA, channel, &mut Silent)
        });
        assert_eq!(report.error, None);
        result.unwrap().into_grey().unwrap()
    }

    /// What the twin makes of it.
    pub(super) fn twin(&self, image: &GreyImage) -> Vec<f64> {
        let (public, size) = (&self.model.public, image.size());
        let levels = LevelMap::new(public.units, public.sigma / SIGMA);
        let encoded = encode_image(public, image, &levels).pixels;
        let input = TwinInput { image: &encoded, size, plane: 0, watched: false };
        let run = run_twin::<u32>(&self.model, &input, &mut NearestRounding, &mut |_| ());
        let dropped = public.droppable_bits();
        let sums: Vec<u32> =
            run.unwrap().sums.iter().map(|&sum| shrink_nearest(sum, dropped)).collect();
        let weights = public.network.outputs().weight_sums(size).unwrap();
        let units = decode_sums(&sums, &weights, public.output_frac(), dropped);
        units.into_iter().map(|units| levels.to_grey(units)).collect()
    }

    /// Every file below a folder.
    pub(super) fn files(&self, folder: &str) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.at(folder)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files
    }

    /// The (set, slot) marks of a ledger, which must all differ.
    pub(super) fn marks(&self, state: &str) -> HashSet<(String, String)> {
        let text = std::fs::read_to_string(self.at(state).join("ledger")).unwrap_or_default();
        let slots = text.lines().filter_map(|line| line.strip_prefix("slot "));
        let marks: Vec<_> = slots
            .map(|line| {
                let mut words = line.split_whitespace();
                (words.next().unwrap().to_string(), words.next().unwrap().to_string())
            })
            .collect();
        let distinct: HashSet<_> = marks.iter().cloned().collect();
        assert_eq!(distinct.len(), marks.len(), "a slot was marked twice: {text}");
        distinct
    }
}

/// A channel that dies after so many frames.
struct Mortal {
    channel: Option<MemChannel>,
    left: usize,
}

impl Mortal {
    fn live(&mut self) -> Result<&mut MemChannel, NetError> {
        if self.left == 0 {
            self.channel = None;
        }
        self.left = self.left.saturating_sub(1);
        self.channel.as_mut().ok_or_else(|| NetError::Closed(": cut".into()))
    }
}

impl Channel for Mortal {
    fn send(&mut self, tag: Tag, batch: u32, payload: Vec<u8>) -> Result<(), NetError> {
        self.live()?.send(tag, batch, payload)
    }
    fn recv(&mut self) -> Result<Frame, NetError> {
        self.live()?.recv()
    }
    fn traffic(&self) -> Traffic {
        self.channel.as_ref().map_or(Traffic::default(), Channel::traffic)
    }
}

pub(super) fn noisy(size: Size, seed: u64) -> GreyImage {
    let pixels = (0..size.pixels()).map(|i| 60.0 + 4.0 * (i % size.width) as f32).collect();
    let clean = GreyImage::new(size.height, size.width, pixels).unwrap();
    add_gaussian(&clean, SIGMA, seed).unwrap().rounded()
}

pub(super) fn near(found: &GreyImage, expected: &[f64]) {
    let mean = found.pixels().iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).abs());
    let mean = mean.sum::<f64>() / expected.len() as f64;
    assert!(mean < 0.5, "{mean} grey levels from the twin");
}
