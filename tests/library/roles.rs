//! What a Rust program can do that takes part: watch a folder, make material without a dealer, prepare,
//! erase, verify, calibrate. The example of `lib.rs` has the rest.

use ppdenoise::api::{
    Calibrate, CalibrateError, Deal, Dealer, Depth, FloatModel, FormatError, Gateway, GreyImage,
    ImageError, MaterialDemand, Method, ModelOwner, NewKeys, Observer, Overwrite, Party, Place,
    QuantiseOptions, Raster, Receiver, RingBits, Server, Shard, ShareImages, ShareModel, Silent,
    Size, Threads, Verify, VerifyError, add_gaussian, calibrate,
    images::Noise,
    load_npz, make_keys, no_passphrase, read_public,
    server::{
        Erase, Extent, Folders, Images, Make, Peer, Prepare, Serve, ServerError, ServerEvent,
        ServerFiles, Until, Watching,
    },
    verify,
    wire::{MemChannel, pair},
};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;

const SIZE: Size = Size::new(18, 21);

/// A wedge of grey levels, with the noise that the model was trained on.
fn noisy(seed: u64) -> GreyImage {
    let levels = (0..SIZE.pixels()).map(|i| 40.0 + 6.0 * (i % SIZE.width) as f32);
    let clean = GreyImage::new(SIZE.height, SIZE.width, levels.collect()).unwrap();
    add_gaussian(&clean, 25.0, seed).unwrap().rounded()
}

fn model() -> FloatModel {
    let npz = std::fs::read("fixtures/models/tiny-9-5-24.npz").unwrap();
    load_npz(std::io::Cursor::new(npz), None).unwrap()
}

/// One folder for all roles, with keys and a shared model.
struct House(TempDir);

impl House {
    fn new() -> House {
        let house = House(tempfile::tempdir().unwrap());
        make_keys(&house.at("keys"), &NewKeys::default()).unwrap();
        let (model, out) = (model(), house.at("model"));
        let options = QuantiseOptions::guaranteed(RingBits::L32, Method::lut(2), 2.5);
        let owner = ModelOwner::open(&house.at("keys"), &no_passphrase).unwrap();
        let shared = owner.share(&ShareModel::new(&model, &options, out), &mut Silent).unwrap();
        assert_eq!((shared.ring_bits, shared.input_interval), (32, 2.5));
        house
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn half(&self, stem: &str, party: Party) -> PathBuf {
        self.at(&format!("{stem}.s{}", party.index()))
    }

    /// Shares an image as PREFIX.s0 and PREFIX.s1.
    fn share(&self, image: &GreyImage, prefix: &str) {
        let gateway = Gateway::open(&self.at("keys"), &no_passphrase).unwrap();
        let public = read_public(self.at("model.pub")).unwrap();
        let out = self.at(prefix);
        let mut request = ShareImages::new(&public, &out);
        request.images.push(image.clone().into());
        request.levels = Noise::Sigma(25.0).into();
        gateway.share(&request, &mut Silent).unwrap();
    }

    fn deal(&self, slots: u64) {
        let deal = Deal::new(self.at("model.pub"), MaterialDemand::slots(SIZE, slots));
        let dealer = Dealer::open(&self.at("keys"), &no_passphrase).unwrap();
        let sets = dealer.deal(&deal, self.at("triples"), &mut Silent).unwrap();
        assert_eq!((sets.len(), sets[0].slots), (1, slots));
    }

    fn server(&self, party: Party) -> Server {
        let state = self.half("state", party);
        Server::open(party, &self.at("keys"), &no_passphrase, Some(&state)).unwrap()
    }

    fn files(&self, party: Party) -> ServerFiles {
        ServerFiles::new(self.half("model", party), vec![self.half("triples", party)])
    }

    /// How far the two results' image is from the first noisy one's wedge, against the noise.
    fn gain(&self, results: [&Path; 2], noisy: &GreyImage) -> f32 {
        let receiver = Receiver::open(&self.at("keys"), &no_passphrase).unwrap();
        let denoised = receiver.image(results).unwrap().into_grey().unwrap();
        let error = |image: &GreyImage| -> f32 {
            let wedge = (0..image.pixels().len()).map(|i| 40.0 + 6.0 * (i % SIZE.width) as f32);
            image.pixels().iter().zip(wedge).map(|(a, b)| (a - b).powi(2)).sum()
        };
        error(noisy) / error(&denoised)
    }
}

/// Both servers at once, as threads over a channel in memory.
fn both<T: Send>(work: impl Fn(Party, &mut MemChannel) -> T + Sync) -> [T; 2] {
    let (one, other) = pair();
    std::thread::scope(|scope| {
        let servers = [(Party::S0, one), (Party::S1, other)].map(|(party, mut channel)| {
            let work = &work;
            scope.spawn(move || work(party, &mut channel))
        });
        servers.map(|server| server.join().unwrap())
    })
}

/// Shares another image when the first one is done, and stops both servers when that one is.
struct Visitor<'a> {
    house: &'a House,
    stop: &'a AtomicBool,
    seen: usize,
}

impl Observer<ServerEvent> for Visitor<'_> {
    fn event(&mut self, event: ServerEvent) {
        if let ServerEvent::Denoised(_) = event {
            self.seen += 1;
            match self.seen {
                1 => self.house.share(&noisy(2), "in/second"),
                _ => self.stop.store(true, Ordering::Relaxed),
            }
        }
    }
    fn progress(&mut self, _: f64) {}
}

#[test]
fn a_folder_is_watched_until_a_flag_is_set() {
    let house = House::new();
    ["in", "out"].iter().for_each(|name| std::fs::create_dir(house.at(name)).unwrap());
    house.deal(2);
    house.share(&noisy(1), "in/first");
    let stop = Arc::new(AtomicBool::new(false));
    let reports = both(|party, channel| {
        let folders = Folders {
            images: vec![house.at("in")],
            out: house.at("out"),
            force: false,
            shard: Shard::WHOLE,
            until: Until::Stopped(Watching::new(stop.clone())),
        };
        let serve = Serve {
            erase_spent: true,
            threads: Threads::Own(NonZeroUsize::MIN),
            ..Serve::new(house.files(party), Images::Folders(folders))
        };
        let server = house.server(party);
        match party {
            Party::S0 => {
                let mut visitor = Visitor { house: &house, stop: &stop, seen: 0 };
                server.serve(&serve, channel, &mut visitor)
            }
            Party::S1 => server.serve(&serve, channel, &mut Silent),
        }
    });
    for report in reports {
        let report = report.unwrap();
        assert_eq!((report.images.len(), report.not_begun, report.slots_left), (2, 0, 0));
        // Both slots are spent, so what made them is gone.
        assert!(report.erased[0].file_removed);
        for (image, seed) in report.images.iter().zip([1, 2]) {
            let result = |half: &str| house.at(&format!("out/{}.{half}", image.image_id));
            let (s0, s1) = (result("s0"), result("s1"));
            assert!(house.gain([&s0, &s1], &noisy(seed)) > 2.0);
        }
    }
}

#[test]
fn servers_make_prepare_serve_and_erase_without_a_dealer() {
    let house = House::new();
    house.share(&noisy(1), "image");
    let made = both(|party, channel| {
        let wanted = MaterialDemand::for_shares([house.half("image", party)]);
        let make = Make::new(house.half("model", party), wanted, house.at("triples"));
        house.server(party).make(&make, channel, &mut Silent).unwrap().unwrap()
    });
    assert_eq!(made[0].sets[0].set_id, made[1].sets[0].set_id);
    let prepare = Prepare::new(house.files(Party::S0));
    let alone = house.server(Party::S0).prepare(&prepare, Peer::Nobody, &mut Silent);
    let closed = alone.unwrap_err();
    assert!(matches!(closed, ServerError::WeightsClosed), "{closed}");
    let prepared = both(|party, channel| {
        let prepare = Prepare::new(house.files(party));
        house.server(party).prepare(&prepare, channel, &mut Silent).unwrap()
    });
    assert!(prepared.iter().all(|report| report.slots.len() == 1 && report.setup.is_some()));
    let served = both(|party, channel| {
        let images = [(house.half("image", party), house.half("result", party))];
        let serve = Serve::named(house.files(party), images);
        house.server(party).serve(&serve, channel, &mut Silent).unwrap()
    });
    assert!(served.iter().all(|report| report.images[0].prepared && report.weights_known));
    let results = [Party::S0, Party::S1].map(|party| house.half("result", party));
    assert!(house.gain([&results[0], &results[1]], &noisy(1)) > 2.0);
    for party in [Party::S0, Party::S1] {
        let triples = house.half("triples", party);
        let erase = Erase { triples: triples.clone(), extent: Extent::All };
        assert!(house.server(party).erase(&erase).unwrap().file_removed);
        assert!(!triples.exists());
    }
}

#[test]
fn requests_are_refused_with_facts() {
    let house = House::new();
    let server = house.server(Party::S0);
    let twice = [("a", "out"), ("b", "./out")].map(|(image, out)| (house.at(image), house.at(out)));
    let serve = Serve::named(house.files(Party::S0), twice);
    let error = server.serve(&serve, Peer::Nobody, &mut Silent).unwrap_err();
    assert!(matches!(error, ServerError::OneOutput { .. }), "{error}");
    let erase = Erase { triples: house.at("model.pub"), extent: Extent::Spent };
    let error = server.erase(&erase).unwrap_err();
    assert!(matches!(error, ServerError::NoState { .. }), "{error}");
    assert!(!house.half("state", Party::S0).exists());
    let again = make_keys(&house.at("keys"), &NewKeys::default()).unwrap_err();
    assert!(matches!(again, FormatError::Exists { .. }), "{again}");
    make_keys(&house.at("keys"), &NewKeys { overwrite: Overwrite::Allow, ..NewKeys::default() })
        .unwrap();
}

#[test]
fn shares_are_those_of_their_image_and_of_no_other() {
    let house = House::new();
    house.share(&noisy(1), "image");
    let shares = [Party::S1, Party::S0].map(|party| Place::from(house.half("image", party)));
    let (keys, model) = (house.at("keys"), house.at("model.pub").into());
    let judge = |image: GreyImage| {
        let original = &Raster::grey(image, Depth::Eight);
        let request = Verify { shares: [&shares[0], &shares[1]], model: &model, original };
        verify(&keys, &no_passphrase, &request)
    };
    let same = judge(noisy(1)).unwrap();
    assert!(same.equal && same.channel.is_none() && same.largest_difference == 0.0, "{same:?}");
    let other = judge(noisy(2)).unwrap();
    assert!(!other.equal && other.pixels_differing > other.pixels / 2, "{other:?}");
    let smaller = GreyImage::new(9, 9, vec![0.0; 81]).unwrap();
    let error = judge(smaller).unwrap_err();
    let size = matches!(
        error,
        VerifyError::OtherSize { height, width } if (Size { height, width }) == SIZE
    );
    assert!(size, "{error}");
}

#[test]
fn calibration_sees_what_a_layer_reaches() {
    let files = ["1", "2", "missing"].map(PathBuf::from);
    let read = |file: &Path| -> Result<Raster, CalibrateError> {
        let seed = file
            .to_str()
            .unwrap()
            .parse()
            .map_err(|_| ImageError::Empty { height: 0, width: 0 })?;
        Ok(noisy(seed).into())
    };
    let mut model = model();
    assert!(model.extremes.is_none());
    let request = Calibrate {
        images: &files[..1],
        held_out: &files[1..2],
        sigmas: &[10.0, 25.0],
        seed: 7,
        prune: false,
        activations: None,
        strict: false,
    };
    let found = calibrate(&mut model, &request, read, &mut Silent).unwrap();
    assert_eq!((found.images, found.held_out_images, &found.sigmas[..]), (1, 1, &[10.0, 25.0][..]));
    let extremes = model.extremes.clone().unwrap();
    assert_eq!(found.layers.len(), extremes.len());
    for (layer, values) in found.layers.iter().zip(&extremes) {
        assert_eq!(layer.largest, values.iter().copied().fold(0.0, f64::max));
        assert!(layer.largest > 0.0 && layer.held_out.is_some());
    }
    assert!(found.needed_margin.unwrap() > 0.5);
    // With fewer noise levels nothing grows.
    let less = Calibrate { sigmas: &[10.0], ..request };
    let less = calibrate(&mut model, &less, read, &mut Silent).unwrap();
    assert!(less.layers.iter().zip(&found.layers).all(|(a, b)| a.largest <= b.largest));
    let broken = Calibrate { images: &files[2..], ..request };
    calibrate(&mut model, &broken, read, &mut Silent).unwrap_err();
    assert!(model.extremes.is_some(), "a failure leaves what was there");
}
