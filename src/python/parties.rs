//! What the parties do: the gateway and the receiver with keys of their own, and all of them in one process.

use crate::array::{Array, Picture as Brought, Told, given};
use crate::fault::{Refused, sentence};
use crate::work::Watch;
use crate::{Failure, Shares};
use ppdenoise::api::images::Levels;
use ppdenoise::api::server::{Make, Serve, ServerError, ServerFiles};
use ppdenoise::api::{
    AskPassphrase, Choices, Deal, Dealer, FloatModel, Gateway, GreyImage, ImageFormat,
    Implausibility, MaterialDemand, Memory, ModelOwner, NewKeys, Origin, Party, Picture, Place,
    Raster, Receiver, Server, ShareImages, ShareModel, Stop, make_keys, no_passphrase, read_public,
    wire,
};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The gateway's or the receiver's keys, and what opens them.
type Keys<'a> = (&'a Path, &'a AskPassphrase<'a>);

/// Shares the one image of an array; a pair for each channel, or one for all with a network of colours.
pub(crate) fn share(
    array: &Array,
    noise: Option<Told>,
    public: Place,
    keys: Keys<'_>,
    watch: &mut Watch<'_>,
) -> Result<Vec<Shares>, Failure> {
    let files = Memory::new();
    // Told in full before anything is shared.
    let trained = read_public(&public)?.model.trained();
    watch.unsaid(noise.is_some(), trained);
    let (depth, range) = array.depth()?;
    let pictures = array.to_share(noise, trained.sigma)?;
    let Some(Brought { planes, levels, .. }) = pictures.into_iter().next() else {
        return Err(Refused("there is no image".into()).into());
    };
    let image = Raster::of_planes(planes, depth)?.with_range(range);
    let names = share_into(&files, "image", image, levels, public, keys, watch)?;
    let half = |name: &Path, party: Party| files.take(half(name, party)).unwrap_or_default();
    let pairs = names.iter().map(|name| (half(name, Party::S0), half(name, Party::S1)));
    Ok(pairs.collect())
}

/// Shares an image into a folder in memory; what the pairs are called there.
fn share_into(
    files: &Memory,
    prefix: &str,
    image: Raster,
    levels: Levels,
    public: Place,
    (keys, ask): Keys<'_>,
    watch: &mut Watch<'_>,
) -> Result<Vec<PathBuf>, Failure> {
    let gateway = Gateway::open(keys, ask)?;
    let public = read_public(public)?;
    let mut request = ShareImages::new(&public, files.at(prefix));
    let name = "image".into();
    request.images = vec![Picture::Memory { name, format: ImageFormat::Npy, image }];
    request.levels = levels;
    request.colour = true;
    let shared = gateway.share(&request, watch)?;
    Ok(shared.images.into_iter().map(|plane| plane.prefix).collect())
}

/// Puts results together: one is a grey image or one in colour, three are the channels of one in colour.
pub(crate) fn reconstruct(
    pairs: &[[Place; 2]],
    (keys, ask): Keys<'_>,
    implausibility: Implausibility,
    watch: &mut Watch<'_>,
) -> Result<Raster, Failure> {
    let receiver = Receiver::open(keys, ask)?;
    let mut planes = Vec::new();
    for [a, b] in pairs {
        let (image, judged) = receiver.image_and_judgement([a, b])?;
        watch.settle(&a.name().display().to_string(), judged, implausibility)?;
        planes.extend(image.into_planes());
    }
    Ok(Raster::of_planes(planes, ppdenoise::api::Depth::Float)?)
}

fn half(stem: impl AsRef<Path>, party: Party) -> PathBuf {
    format!("{}.s{}", stem.as_ref().display(), party.index()).into()
}

/// All parties, for images of one size: their keys, what the servers must not forget, and material, which is large, in
/// a folder that is removed behind it; everything else in memory.
pub(crate) struct Parties {
    folder: TempDir,
    files: Memory,
}

impl Parties {
    /// With fresh keys, in a folder of its own in `work`.
    pub(crate) fn new(work: Option<&Path>) -> Result<Parties, Failure> {
        let mut name = tempfile::Builder::new();
        name.prefix("ppdenoise-");
        let folder = match work {
            Some(work) => name.tempdir_in(work),
            None => name.tempdir(),
        };
        let parties = Parties { folder: folder?, files: Memory::new() };
        make_keys(&parties.at("keys"), &NewKeys::default())?;
        Ok(parties)
    }

    fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Denoises each channel of images from its shares, or all together with a network of colours.
    pub(crate) fn denoise(
        &self,
        model: &FloatModel,
        pictures: Vec<Brought>,
        origin: Origin,
        implausibility: Implausibility,
        watch: &mut Watch<'_>,
    ) -> Result<Vec<GreyImage>, Failure> {
        let (keys, stop) = (self.at("keys"), watch.stop);
        let options = Choices::default().options(model)?;
        let request = ShareModel::new(model, &options, self.files.at("model"));
        ModelOwner::open(&keys, &no_passphrase)?.share(&request, &mut stop.clone())?;
        let public = self.files.at("model.pub");
        let gateway = (keys.as_path(), &no_passphrase as &AskPassphrase<'_>);
        let (mut names, mut called) = (Vec::new(), Vec::new());
        for (number, Brought { name, planes, levels, .. }) in pictures.into_iter().enumerate() {
            for (part, image) in given(planes, model.trained())?.into_iter().enumerate() {
                let prefix = format!("image-{number}-{part}");
                let shared =
                    share_into(&self.files, &prefix, image, levels, public.clone(), gateway, watch);
                // Which of several.
                let about = |e: Failure| sentence(&*e).replace("'image'", &format!("'{name}'"));
                let shared = shared.map_err(|e| Refused(about(e)))?;
                names.extend(shared);
                called.push(name.clone());
            }
        }
        let wanted =
            |party| MaterialDemand::for_shares(names.iter().map(|n| self.files.at(half(n, party))));
        match origin {
            Origin::Dealt => {
                let dealer = Dealer::open(&keys, &no_passphrase)?;
                let deal = Deal::new(public, wanted(Party::S0));
                dealer.deal(&deal, self.at("triples"), &mut stop.clone())?;
            }
            Origin::Made => self.both(stop, |server, party, channel, stop| {
                let model = self.files.at(half("model", party));
                let make = Make::new(model, wanted(party), self.at("triples"));
                server.make(&make, channel, stop).map(drop)
            })?,
        }
        self.both(stop, |server, party, channel, stop| {
            let model = self.files.at(half("model", party));
            let inputs = ServerFiles::new(model, [self.at(half("triples", party))]);
            let result =
                |name: &PathBuf| self.files.at(half(format!("{}-result", name.display()), party));
            let images = names.iter().map(|name| (self.files.at(half(name, party)), result(name)));
            server.serve(&Serve::named(inputs, images), channel, stop).map(drop)
        })?;
        let receiver = Receiver::open(&keys, &no_passphrase)?;
        let mut denoised = Vec::new();
        for (stem, name) in names.iter().zip(&called) {
            let half = |party| self.files.at(half(format!("{}-result", stem.display()), party));
            let result = receiver.image_and_judgement([Party::S0, Party::S1].map(half))?;
            watch.settle(name, result.1, implausibility)?;
            denoised.extend(result.0.into_planes());
        }
        Ok(denoised)
    }

    /// Both servers at once, as threads that talk through memory. If one fails the other's error is mostly that the
    /// first is gone.
    fn both(
        &self,
        stop: &Stop,
        work: impl Fn(&Server, Party, &mut wire::MemChannel, &mut Stop) -> Result<(), ServerError>
        + Sync,
    ) -> Result<(), ServerError> {
        let (one, other) = wire::pair();
        let ended = std::thread::scope(|scope| {
            let servers = [(Party::S0, one), (Party::S1, other)].map(|(party, mut channel)| {
                let work = &work;
                scope.spawn(move || {
                    let state = self.at(format!("state{}", party.index()));
                    let keys = self.at("keys");
                    let server = Server::open(party, &keys, &no_passphrase, Some(&state))?;
                    work(&server, party, &mut channel, &mut stop.clone())
                })
            });
            servers.map(|server| {
                // An interrupt, or a panic, which is a bug that the whole process should show.
                server.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
        });
        let gone = |e: &ServerError| matches!(e, ServerError::Service(_));
        let mut errors: Vec<ServerError> = ended.into_iter().filter_map(Result::err).collect();
        errors.sort_by_key(gone);
        errors.into_iter().next().map_or(Ok(()), Err)
    }
}
