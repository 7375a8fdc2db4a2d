//! What the parties do: the gateway and the receiver with keys of their own, and all of them in one process.

use crate::{Failure, Shares};
use ppdenoise::api::images::Levels;
use ppdenoise::api::server::{Make, Serve, ServerError, ServerFiles};
use ppdenoise::api::{
    AskPassphrase, Choices, Deal, Dealer, FloatModel, Gateway, GreyImage, ImageFormat, Memory,
    ModelOwner, NewKeys, Origin, Party, Picture, Place, Raster, Receiver, Server,
    ShareImages, ShareModel, Silent, Wanted, make_keys, no_passphrase, read_public, wire,
};
use std::error::Error;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Why a party did not do its part, in its own words.
type PartyError = Box<dyn Error + Send + Sync>;

/// Shares an image; a pair for each channel.
pub(crate) fn share(
    image: Raster,
    levels: Levels,
    public: Place,
    keys: &Path,
    ask: &AskPassphrase<'_>,
) -> Result<Vec<Shares>, PartyError> {
    let files = Memory::new();
    let names = share_into(&files, image, levels, public, (keys, ask))?;
    let half = |name: &Path, party: Party| files.take(half(name, party)).unwrap_or_default();
    let pairs = names.iter().map(|name| (half(name, Party::S0), half(name, Party::S1)));
    Ok(pairs.collect())
}

/// Shares an image into a folder in memory; what the pairs are called there.
fn share_into(
    files: &Memory,
    image: Raster,
    levels: Levels,
    public: Place,
    (keys, ask): (&Path, &AskPassphrase<'_>),
) -> Result<Vec<PathBuf>, PartyError> {
    let gateway = Gateway::open(keys, ask)?;
    let public = read_public(public)?;
    let mut request = ShareImages::new(&public, files.at("image"));
    let name = "image".into();
    request.images = vec![Picture::Memory { name, format: ImageFormat::Npy, image }];
    request.levels = levels;
    request.colour = true;
    let shared = gateway.share(&request, &mut Silent)?;
    Ok(shared.images.into_iter().map(|plane| plane.prefix).collect())
}

/// Puts results together: one is a grey image, three are the channels of one in colour.
pub(crate) fn reconstruct(
    pairs: &[[Place; 2]],
    keys: &Path,
    ask: &AskPassphrase<'_>,
) -> Result<Raster, PartyError> {
    let receiver = Receiver::open(keys, ask)?;
    let planes = pairs.iter().map(|[a, b]| receiver.image([a, b]));
    let planes: Vec<GreyImage> = planes.collect::<Result<_, _>>()?;
    Ok(Raster::of_planes(planes, ppdenoise::api::Depth::Float)?)
}

fn half(stem: impl AsRef<Path>, party: Party) -> PathBuf {
    format!("{}.s{}", stem.as_ref().display(), party.index()).into()
}

/// All parties, for one image: their keys, what the servers must not forget, and material, which is large, in a
/// folder that is removed behind it; everything else in memory.
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

    /// Denoises an image from its shares.
    pub(crate) fn denoise(
        &self,
        model: &FloatModel,
        image: Raster,
        levels: Levels,
        origin: Origin,
    ) -> Result<Raster, Failure> {
        let (keys, depth) = (self.at("keys"), image.depth());
        let options = Choices::default().options(model)?;
        let request = ShareModel::new(model, &options, self.files.at("model"));
        ModelOwner::open(&keys, &no_passphrase)?.share(&request, &mut Silent)?;
        let public = self.files.at("model.pub");
        let gateway = (keys.as_path(), &no_passphrase as &AskPassphrase<'_>);
        let names = share_into(&self.files, image, levels, public.clone(), gateway)?;
        let wanted =
            |party| Wanted::for_shares(names.iter().map(|n| self.files.at(half(n, party))));
        match origin {
            Origin::Dealt => {
                let dealer = Dealer::open(&keys, &no_passphrase)?;
                let deal = Deal::new(public, wanted(Party::S0));
                dealer.deal(&deal, self.at("triples"), &mut Silent)?;
            }
            Origin::Made => self.both(|server, party, channel| {
                let model = self.files.at(half("model", party));
                let make = Make::new(model, wanted(party), self.at("triples"));
                server.make(&make, channel, &mut Silent).map(drop)
            })?,
        }
        self.both(|server, party, channel| {
            let model = self.files.at(half("model", party));
            let inputs = ServerFiles::new(model, [self.at(half("triples", party))]);
            let result =
                |name: &PathBuf| self.files.at(half(format!("{}-result", name.display()), party));
            let images = names.iter().map(|name| (self.files.at(half(name, party)), result(name)));
            server.serve(&Serve::named(inputs, images), channel, &mut Silent).map(drop)
        })?;
        let result = |name: &PathBuf| {
            [Party::S0, Party::S1]
                .map(|party| self.files.at(half(format!("{}-result", name.display()), party)))
        };
        let pairs: Vec<[Place; 2]> = names.iter().map(result).collect();
        Ok(reconstruct(&pairs, &keys, &no_passphrase)?.at_depth(depth))
    }

    /// Both servers at once, as threads that talk through memory. If one fails the other's error is mostly that the
    /// first is gone.
    fn both(
        &self,
        work: impl Fn(&Server, Party, &mut wire::MemChannel) -> Result<(), ServerError> + Sync,
    ) -> Result<(), ServerError> {
        let (one, other) = wire::pair();
        let ended = std::thread::scope(|scope| {
            let servers = [(Party::S0, one), (Party::S1, other)].map(|(party, mut channel)| {
                let work = &work;
                scope.spawn(move || {
                    let state = self.at(format!("state{}", party.index()));
                    let keys = self.at("keys");
                    let server = Server::open(party, &keys, &no_passphrase, Some(&state))?;
                    work(&server, party, &mut channel)
                })
            });
            servers.map(|server| {
                // A panic of a server is a bug that the whole process should show.
                server.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
        });
        let gone = |e: &ServerError| matches!(e, ServerError::Service(_));
        let mut errors: Vec<ServerError> = ended.into_iter().filter_map(Result::err).collect();
        errors.sort_by_key(gone);
        errors.into_iter().next().map_or(Ok(()), Err)
    }
}
