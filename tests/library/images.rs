//! Images through the roles as a Rust program plays them: colour with notes, tiles, shards, Poisson noise,
//! DICOM. Each test is an example.

use crate::graphs::{May, random_graph};
use ppdenoise::api::{
    Clamping, Deal, Dealer, Depth, FloatModel, Gateway, GatewayError, GatewayEvent, GreyImage,
    ImageFormat, Implausibility, MaterialDemand, Method, ModelOwner, NewKeys, NoiseSeed, Observer,
    Party, Picture, Poisson, PublicModelFile, QuantiseOptions, Ranges, Raster, Receiver,
    ReceiverError, ReceiverEvent, Reconstruct, ReconstructReport, Rect, RingBits, Server, Shard,
    ShareImages, ShareModel, ShareReport, SharedPlane, Silent, Size, add_gaussian, add_poisson,
    images::{Noise, read_picture},
    load_npz, make_keys, no_passphrase as none, read_public,
    server::{Serve, ServerFiles},
    wire,
};
use ppdenoise_image::dicom::decode;
use ppdenoise_image::write;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

const SIZE: Size = Size::new(41, 47);

/// Keys of all roles, a shared model, and folders for what passes between the roles.
pub(crate) struct Lab {
    folder: TempDir,
    public: PublicModelFile,
}

impl Lab {
    fn new(interval: f64) -> Lab {
        let npz = include_bytes!("../../fixtures/models/tiny-9-5-24.npz");
        let model = load_npz(std::io::Cursor::new(&npz[..]), None).unwrap();
        Lab::of(&model, &QuantiseOptions::guaranteed(RingBits::L32, Method::lut(2), interval))
    }

    pub(crate) fn of(model: &FloatModel, options: &QuantiseOptions) -> Lab {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        ["shares", "results", "out"].iter().for_each(|name| fs::create_dir(at(name)).unwrap());
        make_keys(&at("keys"), &NewKeys::default()).unwrap();
        let owner = ModelOwner::open(&at("keys"), &none).unwrap();
        let share = ShareModel::new(model, options, at("model"));
        owner.share(&share, &mut Silent).unwrap();
        let public = read_public(at("model.pub")).unwrap();
        Lab { folder, public }
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn gateway(&self) -> Gateway {
        Gateway::open(&self.at("keys"), &none).unwrap()
    }

    fn receiver(&self) -> Receiver {
        Receiver::open(&self.at("keys"), &none).unwrap()
    }

    /// A request to share into the folder of shares, where nothing names an image.
    pub(crate) fn request(&self, images: Vec<Picture>) -> ShareImages<'_> {
        let mut request = ShareImages::new(&self.public, self.at("shares"));
        request.images = images;
        request
    }

    /// Shares, and has both servers denoise what was shared into the folder of results.
    pub(crate) fn denoise(&self, request: &ShareImages<'_>) -> ShareReport {
        let shared = self.gateway().share(request, &mut Silent).unwrap();
        let size = |image: &SharedPlane| Size::new(image.height, image.width);
        let mut sizes: Vec<Size> = shared.images.iter().map(size).collect();
        sizes.sort_unstable();
        let sets: Vec<_> = sizes.chunk_by(|a, b| a == b).map(|set| self.deal(set)).collect();
        let (one, other) = wire::pair();
        std::thread::scope(|scope| {
            for (party, mut channel) in [(Party::S0, one), (Party::S1, other)] {
                let (shared, sets) = (&shared, &sets);
                scope.spawn(move || {
                    let half = |stem: &str| self.at(&format!("{stem}.s{}", party.index()));
                    let state = half("state");
                    let server =
                        Server::open(party, &self.at("keys"), &none, Some(&state)).unwrap();
                    let sets: Vec<_> = sets.iter().map(|set| half(set)).collect();
                    let files = ServerFiles::new(half("model"), sets);
                    let images = shared.images.iter().map(|image| {
                        let file = |folder: &str| half(&format!("{folder}/{}", image.id));
                        (file("shares"), file("results"))
                    });
                    let serve = Serve::named(files, images);
                    server.serve(&serve, &mut channel, &mut Silent).unwrap();
                });
            }
        });
        shared
    }

    /// Deals triples for images that are all of one size; where they are.
    fn deal(&self, images: &[Size]) -> String {
        let out = format!("triples-{}", images[0]);
        let dealer = Dealer::open(&self.at("keys"), &none).unwrap();
        let deal =
            Deal::new(self.at("model.pub"), MaterialDemand::slots(images[0], images.len() as u64));
        dealer.deal(&deal, self.at(&out), &mut Silent).unwrap();
        out
    }

    /// A request to put all results together.
    pub(crate) fn results(&self) -> Reconstruct {
        Reconstruct::new(vec![self.at("results")], self.at("out"))
    }

    pub(crate) fn reconstruct(&self, request: &Reconstruct) -> ReconstructReport {
        self.receiver().reconstruct(request, &mut Silent).unwrap()
    }

    fn picture(&self, name: &str, image: &Raster) -> PathBuf {
        let format = ImageFormat::from_extension(name.rsplit('.').next().unwrap()).unwrap();
        let mut bytes = Vec::new();
        write(format, image, &mut bytes).unwrap();
        fs::write(self.at(name), bytes).unwrap();
        self.at(name)
    }
}

/// A part of the photograph.
fn clean(top: usize) -> GreyImage {
    let bytes = include_bytes!("../../fixtures/images/nat_camera.png");
    let camera = ImageFormat::Png.decode(bytes).unwrap().into_grey().unwrap();
    camera.crop(Rect { top, left: 200, height: SIZE.height, width: SIZE.width }).unwrap()
}

fn noisy(top: usize, plane: u64) -> GreyImage {
    add_gaussian(&clean(top), 25.0, NoiseSeed { seed: 1, plane }).unwrap()
}

/// The mean square of the difference.
fn error(a: &GreyImage, b: &GreyImage) -> f64 {
    let square = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
    a.pixels().iter().zip(b.pixels()).map(square).sum::<f64>() / a.pixels().len() as f64
}

pub(crate) fn memory(name: &str, image: Raster) -> Picture {
    Picture::Memory { name: name.into(), format: ImageFormat::Png, image }
}

/// What was told, in words.
#[derive(Default)]
struct Told(Vec<String>);

impl Observer<GatewayEvent> for Told {
    fn event(&mut self, event: GatewayEvent) {
        self.0.push(match event {
            GatewayEvent::Failed { file, error } => format!("{}: {error}", file.display()),
            event => format!("{event:?}"),
        });
    }
}

impl Observer<ReceiverEvent> for Told {
    fn event(&mut self, event: ReceiverEvent) {
        self.0.push(match event {
            ReceiverEvent::Failed { file, error } => format!("{}: {error}", file.display()),
            event => format!("{event:?}"),
        });
    }
}

#[test]
fn colour_travels_in_three_shares_and_a_note() {
    let lab = Lab::new(4.0);
    let planes = [0, 1, 2].map(|plane| noisy(40 * plane as usize, plane));
    let image = Raster::rgb(planes, Depth::Sixteen).unwrap();
    let mut request = lab.request(vec![memory("rose.png", image.clone())]);
    let refused = lab.gateway().share(&request, &mut Silent).unwrap_err();
    let GatewayError::About { error: refused, .. } = refused else { panic!("{refused}") };
    assert!(matches!(*refused, GatewayError::Colour));
    assert_eq!(fs::read_dir(lab.at("shares")).unwrap().count(), 0);

    request.colour = true;
    let shared = lab.denoise(&request);
    let channels: Vec<_> = shared.images.iter().map(|image| image.channel).collect();
    assert_eq!((channels, shared.notes), (vec![Some(0), Some(1), Some(2)], true));
    let made = lab.reconstruct(&lab.results());
    assert_eq!((made.images.len(), made.images[0].shares.len()), (1, 3));
    assert_eq!(made.images[0].file, lab.at("out/rose.png"));
    let (rose, format) = read_picture(&lab.at("out/rose.png"), None).unwrap();
    assert_eq!((rose.depth(), format), (Depth::Sixteen, ImageFormat::Png));
    for (plane, (denoised, met)) in rose.planes().iter().zip(image.planes()).enumerate() {
        let clean = clean(40 * plane);
        assert!(error(denoised, &clean) < error(met, &clean) / 1.5, "plane {plane}");
    }

    // A channel alone is no image of the folder, and says of what it is missed.
    let one = shared.images[1].id;
    let halves = [0, 1].map(|party| lab.at(&format!("results/{one}.s{party}")));
    let grey = lab.receiver().image([&halves[0], &halves[1]]).unwrap().into_grey().unwrap();
    assert!(error(&grey, &rose.planes()[1]) < 0.1);
    let alone = Reconstruct::new(halves, lab.at("out"));
    let refused = lab.receiver().reconstruct(&alone, &mut Silent).unwrap_err();
    let ReceiverError::About { error: refused, .. } = refused else { panic!("{refused}") };
    assert!(matches!(*refused, ReceiverError::Part { .. }));
}

#[test]
fn tiles_are_joined_to_the_whole() {
    let lab = Lab::new(4.0);
    let image: Raster = noisy(0, 0).into();
    let file = lab.picture("scan.npy", &image);
    let mut request = lab.request(vec![Picture::File(file)]);
    request.tile = Some(16);
    let shared = lab.denoise(&request);
    assert_eq!(shared.images.len(), 9);
    let parts: usize =
        shared.images.iter().filter_map(|i| i.tile).map(|t| t.height * t.width).sum();
    assert_eq!(parts, SIZE.pixels());
    let mut request = lab.results();
    request.out = lab.at("joined.npy").into();
    request.reference = Some(lab.picture("clean.png", &clean(0).into()));
    let made = lab.reconstruct(&request);
    assert_eq!(
        (made.images[0].tiles, made.images[0].height, made.images[0].width),
        (Some(9), SIZE.height, SIZE.width)
    );
    let met = ppdenoise::api::quality(&clean(0).into(), &image).unwrap();
    let mean = made.mean.unwrap();
    let gained = mean.quality.psnr_db > met.psnr_db + 2.0;
    assert!(mean.images == 1 && gained, "{mean:?}, {met:?}");

    // The plaintext of the same model, whole.
    let npz = include_bytes!("../../fixtures/models/tiny-9-5-24.npz");
    let model = load_npz(std::io::Cursor::new(&npz[..]), None).unwrap();
    let levels = ppdenoise::api::LevelMap::new(model.units, 1.0);
    let pixels = image.planes()[0].pixels();
    let units: Vec<f32> = pixels.iter().map(|&v| levels.to_units(v.into()) as f32).collect();
    let tanh = |values: &mut [f32]| values.iter_mut().for_each(|v| *v = v.tanh());
    let whole = model.denoise(&units, SIZE, &tanh, &mut |_| ()).unwrap();
    let whole: Vec<f32> = whole.iter().map(|&u| levels.to_grey(u.into()) as f32).collect();
    let whole = GreyImage::new(SIZE.height, SIZE.width, whole).unwrap();
    let (joined, _) = read_picture(&lab.at("joined.npy"), None).unwrap();
    assert!(error(&joined.into_grey().unwrap(), &whole) < 1.0);
}

/// A network that is told the noise level: one shared model serves images with noise of any.
#[test]
fn a_graph_is_told_the_noise_of_each_image() {
    let image = noisy(0, 0).rounded();
    let plain = |model: &FloatModel, sigma: f64| {
        let relu = |values: &mut [f32]| model.activation.apply(values);
        model.denoise_grey(&image, &model.levels(sigma), &relu, &mut |_| ()).unwrap().image
    };
    // One to which the level matters.
    let models = (0..).map(|seed| random_graph(seed, May { linear: false, plane: true }));
    let told =
        |m: &FloatModel| m.network.reads_plane() && error(&plain(m, 5.0), &plain(m, 50.0)) > 200.0;
    let model = models.into_iter().find(told).unwrap();
    let options = QuantiseOptions {
        ring: RingBits::L64,
        method: Method::Relu { alarm: false },
        interval: 1.5,
        ranges: Ranges::Calibrated { margin: 2.0 },
        one_cloud: false,
    };
    for sigma in [5.0, 50.0] {
        let lab = Lab::of(&model, &options);
        let mut request = lab.request(vec![memory("a.npy", image.clone().into())]);
        request.levels = Noise::Sigma(sigma).into();
        lab.denoise(&request);
        let mut request = lab.results();
        request.out = lab.at("a.npy").into();
        // Untrained: what it takes away is no noise.
        request.implausibility = Implausibility::Accepted;
        lab.reconstruct(&request);
        let (found, _) = read_picture(&lab.at("a.npy"), None).unwrap();
        let found = found.into_grey().unwrap();
        let [right, wrong] =
            [sigma, 55.0 - sigma].map(|sigma| error(&found, &plain(&model, sigma)));
        assert!(
            right < wrong / 16.0,
            "noise of {sigma}: {right} from its own, {wrong} from another's"
        );
    }
    let lab = Lab::of(&model, &options);
    let mut request = lab.request(vec![memory("a.png", image.clone().into())]);
    request.levels = Noise::Sigma(51.0).into();
    let refused = lab.gateway().share(&request, &mut Silent).unwrap_err().to_string();
    assert!(refused.contains("trained for at most 50"), "{refused}");
}

#[test]
fn a_batch_is_shared_in_parts() {
    let lab = Lab::new(4.0);
    fs::create_dir(lab.at("scans")).unwrap();
    for (i, name) in ["a.png", "b.png", "d.png"].iter().enumerate() {
        lab.picture(&format!("scans/{name}"), &noisy(30 * i, 0).rounded().into());
    }
    fs::write(lab.at("scans/c.png"), b"no image").unwrap();
    let mut request = lab.request(vec![lab.at("scans").as_path().into(), noisy(7, 0).into()]);
    let share = |request: &ShareImages<'_>| {
        let mut told = Told::default();
        let report = lab.gateway().share(request, &mut told).unwrap();
        let names = report.images.iter().map(|i| i.file.display().to_string());
        let names: Vec<_> = names.map(|n| n.rsplit('/').next().unwrap().to_string()).collect();
        (names, report, told.0)
    };
    request.shard = Shard { index: 0, count: 2 };
    let (names, report, told) = share(&request);
    // By name: a, b, c, d, and the one in memory, which has none.
    assert_eq!((names, report.total), (["a.png", ""].map(String::from).to_vec(), 3));
    assert_eq!(report.failed, [lab.at("scans/c.png")]);
    let bad = told.iter().filter(|text| text.contains("c.png': this is no image"));
    assert_eq!(bad.count(), 1, "{told:?}");
    request.shard = Shard { index: 1, count: 2 };
    let (names, report, told) = share(&request);
    assert_eq!((names, report.total), (["b.png", "d.png"].map(String::from).to_vec(), 2));
    assert!(report.failed.is_empty() && told.len() == 2, "{told:?}");
    // Two files a share, called by ids, and what the folder remembers.
    assert_eq!(fs::read_dir(lab.at("shares")).unwrap().count(), 9);

    let twice =
        lab.request(vec![memory("a.png", noisy(0, 0).into()), memory("a.png", noisy(0, 0).into())]);
    let refused = lab.gateway().share(&twice, &mut Silent).unwrap_err();
    assert!(refused.to_string().contains("would both become 'a.png'"), "{refused}");
}

#[test]
fn light_is_made_even_and_back() {
    let lab = Lab::new(4.0);
    let sensor = Poisson::new(6.0, 3.0).unwrap();
    let image = add_poisson(&clean(0), &sensor, 4).unwrap();
    let mut request = lab.request(vec![image.clone().into()]);
    request.levels = Noise::Poisson(sensor).into();
    request.clamping = Clamping::Any;
    let shared = lab.denoise(&request);
    assert_eq!(shared.images[0].sigma, sensor.sigma());
    let made = lab.reconstruct(&lab.results());
    // Without a name the id is the name.
    assert_eq!(made.images[0].file, lab.at(&format!("out/{}.png", shared.images[0].id)));
    let (denoised, _) = read_picture(&made.images[0].file, None).unwrap();
    assert!(error(&denoised.planes()[0], &clean(0)) < error(&image, &clean(0)) / 1.5);
}

#[test]
fn a_scan_is_derived_from_the_one_that_was_shared() {
    let lab = Lab::new(4.0);
    fs::create_dir(lab.at("scans")).unwrap();
    let ct = include_bytes!("../../fixtures/dicom/ct.dcm");
    fs::write(lab.at("scans/ct.dcm"), ct).unwrap();
    let mut request = lab.request(vec![lab.at("scans").as_path().into()]);
    request.levels = Noise::Sigma(10.0).into();
    request.clamping = Clamping::Any;
    lab.denoise(&request);
    let mut request = lab.results();
    request.like = Some(lab.at("out"));
    let refused = lab.receiver().reconstruct(&request, &mut Told::default()).unwrap();
    assert_eq!((refused.total, refused.failed.len(), refused.images.len()), (1, 1, 0));
    request.like = Some(lab.at("scans"));
    let made = lab.reconstruct(&request);
    assert_eq!(made.images[0].file, lab.at("out/ct.dcm"));
    let derived = fs::read(lab.at("out/ct.dcm")).unwrap();
    let holds = |text: &[u8]| derived.windows(text.len()).any(|part| part == text);
    assert!(holds(b"DERIVED") && holds(b"Thorax"));
    let [before, after] = [&ct[..], &derived].map(|bytes| decode(bytes, None).unwrap());
    assert_eq!((before.height(), before.width()), (after.height(), after.width()));
    let changed = error(&before.planes()[0], &after.planes()[0]);
    assert!(changed > 0.0 && changed < 100.0, "{changed}");
}
