//! A whole secure denoising without a file but the keys and what a server must not forget: everything that passes
//! between the roles is in memory, and only the surface is used.

use ppdenoise::api::images::Noise;
use ppdenoise::api::server::{
    Erase, Extent, Make, Peer, Prepare, Serve, ServerError, ServerEvent, ServerFiles, ServiceError,
};
use ppdenoise::api::wire::StreamChannel;
use ppdenoise::api::*;
use std::io::Cursor;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

const SIZE: Size = Size::new(26, 31);

/// What the tables' rounding and the choice between two nearest cells make of a grey level: the mean over an image
/// and the most (`tests/e2e/pipeline.rs` says why).
const BOUND: (f64, f64) = (0.6, 3.0);

/// Grey levels that rise to the right, in colour to other sides, with noise.
fn noisy(plane: usize) -> GreyImage {
    let level = |i: usize| match plane {
        0 => 40.0 + 5.0 * (i % SIZE.width) as f32,
        1 => 40.0 + 5.0 * (i / SIZE.width) as f32,
        _ => 128.0,
    };
    let clean =
        GreyImage::new(SIZE.height, SIZE.width, (0..SIZE.pixels()).map(level).collect()).unwrap();
    add_gaussian(&clean, 25.0, NoiseSeed { seed: 1, plane: plane as u64 }).unwrap().rounded()
}

/// Keys and state folders on the disk, all else in memory.
struct World {
    folder: TempDir,
    files: Memory,
    twin: QuantisedModel,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let npz = std::fs::read("fixtures/models/tiny-9-5-24.npz").unwrap();
        let model = load_npz(Cursor::new(npz), None).unwrap();
        let options = QuantiseOptions::guaranteed(RingBits::L32, Method::lut(2), 2.5);
        let twin = quantise(&model, &options).unwrap();
        let world = World { folder, files: Memory::new(), twin };
        make_keys(&world.keys(), &NewKeys::default()).unwrap();
        let owner = ModelOwner::open(&world.keys(), &no_passphrase).unwrap();
        let share = ShareModel::new(&model, &options, world.files.at("model"));
        owner.share(&share, &mut Silent).unwrap();
        world
    }

    fn keys(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    fn half(&self, stem: &str, party: Party) -> Place {
        self.files.at(format!("{stem}.s{}", party.index()))
    }

    fn share(&self, images: Vec<Picture>, out: Place) -> Result<ShareReport, GatewayError> {
        let public = read_public(self.files.at("model.pub")).unwrap();
        let mut request = ShareImages::new(&public, out);
        request.images = images;
        request.colour = true;
        request.levels = Noise::Sigma(25.0).into();
        Gateway::open(&self.keys(), &no_passphrase).unwrap().share(&request, &mut Silent)
    }

    fn deal(&self, slots: u64) {
        let dealer = Dealer::open(&self.keys(), &no_passphrase).unwrap();
        let deal = Deal::new(self.files.at("model.pub"), MaterialDemand::slots(SIZE, slots));
        dealer.deal(&deal, self.files.at("triples"), &mut Silent).unwrap();
    }

    fn server(&self, party: Party) -> Server {
        let state = self.folder.path().join(format!("state{}", party.index()));
        Server::open(party, &self.keys(), &no_passphrase, Some(&state)).unwrap()
    }

    fn inputs(&self, party: Party) -> ServerFiles {
        ServerFiles::new(self.half("model", party), [self.half("triples", party)])
    }

    /// Both servers, as threads that talk through the two directions of a stream.
    fn both<T: Send>(&self, work: impl Fn(Party, &mut StreamChannel) -> T + Sync) -> [T; 2] {
        let (one, other) = UnixStream::pair().unwrap();
        std::thread::scope(|scope| {
            let servers = [(Party::S0, one), (Party::S1, other)].map(|(party, stream)| {
                let work = &work;
                scope.spawn(move || {
                    let writer = stream.try_clone().unwrap();
                    let silence = Duration::from_secs(60);
                    work(party, &mut StreamChannel::new(stream, writer, silence))
                })
            });
            servers.map(|server| server.join().unwrap())
        })
    }

    /// Denoises what was shared under these names.
    fn serve(&self, shares: &[PathBuf]) -> [Result<server::ServeReport, ServerError>; 2] {
        self.both(|party, channel| {
            let results = shares.iter().map(|name| {
                let stem = name.display();
                (self.half(&stem.to_string(), party), self.half(&format!("results/{stem}"), party))
            });
            let serve = Serve::named(self.inputs(party), results);
            self.server(party).serve(&serve, channel, &mut Silent)
        })
    }

    fn receiver(&self) -> Receiver {
        Receiver::open(&self.keys(), &no_passphrase).unwrap()
    }

    /// How the integer twin denoises a plane.
    fn twin(&self, image: &GreyImage) -> GreyImage {
        let arithmetic = Arithmetic::Integer {
            model: &self.twin,
            clamping: Clamping::Few,
            rounding: Rounding::Nearest,
        };
        let levels = Noise::Sigma(25.0).into();
        let (name, image) = (Path::new("a"), &Raster::from(image.clone()));
        let implausibility = Implausibility::Refused;
        let denoised = denoise(
            &Denoise {
                average: Average::None,
                name,
                image,
                arithmetic,
                levels,
                noise_map: None,
                implausibility,
                strict: false,
            },
            &mut Silent,
        )
        .unwrap();
        denoised.image.into_grey().unwrap()
    }
}

#[track_caller]
fn within(a: &GreyImage, b: &GreyImage, (mean, most): (f64, f64)) {
    let off = a.pixels().iter().zip(b.pixels()).map(|(a, b)| f64::from((a - b).abs()));
    let (sum, largest) = off.fold((0.0, 0.0), |(sum, most), off| (sum + off, f64::max(most, off)));
    let found = sum / a.pixels().len() as f64;
    assert!(found <= mean && largest <= most, "mean {found}, most {largest}");
}

#[test]
fn an_image_is_denoised_in_memory_as_the_twin_does() {
    let world = World::new();
    world.share(vec![noisy(0).into()], world.files.at("image")).unwrap();
    world.deal(1);
    let reports = world.serve(&["image".into()]).map(Result::unwrap);
    assert_eq!(reports[0].images[0].image_id, reports[1].images[0].image_id);
    let results = ["results/image.s1", "results/image.s0"].map(|name| world.files.at(name));
    let denoised = world.receiver().image(results).unwrap().into_grey().unwrap();
    within(&denoised, &world.twin(&noisy(0)), BOUND);
    let public = world.files.at("model.pub");
    let shares = [Party::S0, Party::S1].map(|party| world.half("image", party));
    let original = &Raster::from(noisy(0));
    let request = Verify { shares: [&shares[0], &shares[1]], model: &public, original };
    assert!(verify(&world.keys(), &no_passphrase, &request).unwrap().equal);
    // Nothing but keys and state is on the disk.
    let mut names: Vec<_> = std::fs::read_dir(world.folder.path()).unwrap().collect();
    names.sort_by_key(|entry| entry.as_ref().unwrap().file_name());
    let names = names.into_iter().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["keys", "state0", "state1"]);
}

#[test]
fn a_folder_in_memory_takes_colour_and_gives_it_back() {
    let world = World::new();
    let planes = [0, 1, 2].map(noisy);
    let image = Raster::rgb(planes.clone(), Depth::Float).unwrap();
    let picture = Picture::Memory { name: "rose.tiff".into(), format: ImageFormat::Tiff, image };
    let shared = world.share(vec![picture], world.files.at("")).unwrap();
    assert_eq!(shared.images.len(), 3);
    world.deal(3);
    let shares: Vec<PathBuf> = shared.images.iter().map(|plane| plane.prefix.clone()).collect();
    world.serve(&shares).into_iter().for_each(|report| drop(report.unwrap()));
    let mut request = Reconstruct::new([world.files.at("results/")], world.files.at("out/"));
    let made = world.receiver().reconstruct(&request, &mut Silent).unwrap();
    assert_eq!(made.images[0].file, Path::new("out/rose.tiff"));
    let tiff = world.files.get("out/rose.tiff").unwrap();
    let denoised = ImageFormat::Tiff.decode(&tiff).unwrap();
    for (plane, noisy) in denoised.planes().iter().zip(&planes) {
        within(plane, &world.twin(noisy), BOUND);
    }
    let refused = world.receiver().reconstruct(&request, &mut Silent).unwrap_err();
    assert!(matches!(refused, ReceiverError::Format(FormatError::Exists { .. })), "{refused}");
    request.overwrite = Overwrite::Allow;
    world.receiver().reconstruct(&request, &mut Silent).unwrap();
}

#[test]
fn material_is_made_prepared_and_used_once() {
    let world = World::new();
    world.share(vec![noisy(0).into()], world.files.at("image")).unwrap();
    world.both(|party, channel| {
        let wanted = MaterialDemand::for_shares([world.half("image", party)]);
        let make = Make::new(world.half("model", party), wanted, world.files.at("triples"));
        world.server(party).make(&make, channel, &mut Silent).unwrap().unwrap()
    });
    world.both(|party, channel| {
        let prepare = Prepare::new(world.inputs(party));
        world.server(party).prepare(&prepare, channel, &mut Silent).unwrap()
    });
    let copies = [Party::S0, Party::S1].map(|party| world.half("triples", party));
    let copies = copies.map(|place| world.files.get(place.name()).unwrap());
    let reports = world.serve(&["image".into()]).map(Result::unwrap);
    assert!(reports.iter().all(|report| report.images[0].prepared));
    let results = ["results/image.s0", "results/image.s1"].map(|name| world.files.at(name));
    let denoised = world.receiver().image(results).unwrap().into_grey().unwrap();
    within(&denoised, &world.twin(&noisy(0)), BOUND);
    // The ledger is on the disk: a copy of used material does not serve.
    for (party, copy) in [Party::S0, Party::S1].into_iter().zip(copies) {
        world.files.put(world.half("triples", party).name(), copy.to_vec());
        world.files.take(format!("results/image.s{}", party.index())).unwrap();
    }
    for refused in world.serve(&["image".into()]) {
        let refused = refused.unwrap_err();
        let spent = matches!(refused, ServerError::Service(ServiceError::NoSlotLeft { .. }));
        assert!(spent, "{refused}");
    }
    assert!(world.files.get("results/image.s0").is_none(), "a failure leaves nothing");
}

/// Keeps what is told of material whose used slots stay.
#[derive(Default)]
struct Unguards(Vec<Unguarded>);

impl Observer<ServerEvent> for Unguards {
    fn event(&mut self, event: ServerEvent) {
        if let ServerEvent::Unguarded { why, .. } = event {
            self.0.push(why);
        }
    }
}

#[test]
fn what_memory_cannot_do_is_told() {
    let world = World::new();
    world.share(vec![noisy(0).into()], world.files.at("image")).unwrap();
    world.deal(1);
    let missing =
        Serve::named(world.inputs(Party::S0), [(world.files.at("b"), world.files.at("c"))]);
    let missing = world.server(Party::S0).serve(&missing, Peer::Nobody, &mut Silent).unwrap_err();
    assert_eq!(missing.to_string(), "'b' does not exist");
    let own = [(world.half("image", Party::S0), world.half("image", Party::S0))];
    let own = Serve::named(world.inputs(Party::S0), own);
    let own = world.server(Party::S0).serve(&own, Peer::Nobody, &mut Silent).unwrap_err();
    assert!(
        matches!(own, ServerError::Service(ServiceError::Format(FormatError::SameFile { .. }))),
        "{own}"
    );
    let again = world.share(vec![noisy(0).into()], world.files.at("image")).unwrap_err();
    assert!(matches!(again, GatewayError::Format(FormatError::Exists { .. })), "{again}");
    // Others may have copies of what is in memory, so used slots are not said to be gone.
    let told = world.both(|party, channel| {
        let mut told = Unguards::default();
        let images = [(world.half("image", party), world.half("result", party))];
        let mut serve = Serve::named(world.inputs(party), images);
        serve.erase_spent = true;
        let erased = world.server(party).serve(&serve, Peer::Nobody, &mut told).unwrap_err();
        let kept = matches!(erased, ServerError::NothingKept { .. });
        assert!(kept, "{erased}");
        serve.erase_spent = false;
        world.server(party).serve(&serve, channel, &mut told).unwrap();
        told.0
    });
    assert_eq!(told, [vec![Unguarded::Memory], vec![]], "only S0's half has explicit material");
    let erase = Erase { triples: "triples.s0".into(), extent: Extent::Spent };
    world.server(Party::S0).erase(&erase).unwrap_err();
}
