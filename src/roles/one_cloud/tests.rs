//! A cloud and its users: what they get, what they keep, and what is refused.

use super::world::{SIGMA, World, near, noisy};
use super::*;
use crate::files::container::no_passphrase;
use crate::files::keys::KeyFolder;
use crate::ids::{ImageId, Role, TripleSetId};
use crate::image::{Depth, GreyImage, Raster};
use crate::model::{
    FloatModel, LevelMap, Method, QuantiseOptions, QuantisedModel, Ranges, encode_image, quantise,
    random_convolutional,
};
use crate::network::Continued;
use crate::numbers::ring::RingBits;
use crate::roles::Silent;
use crate::roles::images::Entry;
use crate::wire::Tag;
use request::{Asked, Request};
use std::collections::HashSet;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use zeroize::Zeroizing;

#[test]
fn two_users_at_once_get_the_twins_results_and_the_cloud_keeps_nothing() {
    let world = World::new(&["anna", "ben"]);
    let image = noisy(Size::new(14, 15), 1);
    let results: Vec<GreyImage> = std::thread::scope(|scope| {
        let users = ["anna", "ben"].map(|user| scope.spawn(|| world.denoise(user, &image)));
        users.into_iter().map(|user| user.join().unwrap()).collect()
    });
    let expected = world.twin(&image);
    results.iter().for_each(|result| near(result, &expected));
    // One slot each, of a set of each user's own, and spent sets are gone.
    let marks = ["clients/anna/state", "clients/ben/state"].map(|state| world.marks(state));
    assert_eq!(marks.each_ref().map(HashSet::len), [1, 1]);
    assert!(marks[0].is_disjoint(&marks[1]));
    for user in ["anna", "ben"] {
        let state = format!("{user}/state");
        assert_eq!(world.marks(&state), world.marks(&format!("clients/{state}")));
    }
    // Nothing of the image: neither its pixels as they are, nor as they were encoded.
    let public = &world.model.public;
    let levels = LevelMap::new(public.units, public.sigma / SIGMA);
    let encoded = encode_image(public, &image, &levels).pixels;
    let grey: Vec<u8> = image.pixels().iter().map(|&v| v as u8).collect();
    let bytes: Vec<u8> = encoded.iter().flat_map(|&v| (v as u32).to_le_bytes()).collect();
    for file in world.files("clients") {
        let content = std::fs::read(&file).unwrap();
        let has = |wanted: &[u8]| content.windows(wanted.len()).any(|part| part == wanted);
        assert!(!has(&grey[..8]) && !has(&bytes[..8]), "{}", file.display());
        assert!(!file.to_string_lossy().contains("/material/"), "{}", file.display());
    }
}

#[test]
fn slots_made_ahead_serve_one_image_each() {
    let world = World::new(&["anna"]);
    let size = Size::new(14, 15);
    let images = [noisy(size, 1), noisy(size, 2), noisy(size, 3)];
    let ((before, after, first), report) =
        world.session(("anna", [usize::MAX; 2]), |user, channel| {
            let mut visit = user.visit(channel).unwrap();
            assert_eq!((visit.slots(size), visit.images_left()), (0, 100));
            visit.prepare(size, 3, &mut Silent).unwrap();
            let before = visit.slots(size);
            let model = &user.public().model;
            let levels = LevelMap::new(model.units, model.sigma / SIGMA);
            let own = |image: &GreyImage| OwnImage {
                name: "a".into(),
                size,
                pixels: Zeroizing::new(encode_image(model, image, &levels).pixels),
                noise: 0.0,
            };
            let two = images[..2].iter().map(own).collect();
            let (results, reports) = visit.denoise(two, &mut Silent).unwrap();
            assert_eq!((results.len(), reports[0].images.len()), (2, 2));
            let more = visit.denoise(images[1..].iter().map(own).collect(), &mut Silent);
            assert!(more.err().unwrap().to_string().contains("1 slot(s)"));
            let grey = results[0].units.iter().map(|&units| levels.to_grey(units) as f32).collect();
            (before, visit.slots(size), GreyImage::new(size.height, size.width, grey).unwrap())
        });
    assert_eq!((before, after, report.slots_made, report.images), (3, 1, 3, 2));
    assert_eq!(report.error, None);
    near(&first, &world.twin(&images[0]));
    near(&world.denoise("anna", &images[2]), &world.twin(&images[2]));
    assert_eq!(world.marks("anna/state").len(), 3);
}

#[test]
fn a_quota_ends_and_material_has_a_limit() {
    let world = World::new(&[]);
    world.add("anna", Settings { images_a_day: 1, ..Settings::default() });
    let image = noisy(Size::new(14, 15), 1);
    world.denoise("anna", &image);
    let (result, report) = world.session(("anna", [usize::MAX; 2]), |user, channel| {
        user.denoise(&image.clone().into(), SIGMA, channel, &mut Silent)
    });
    let text = "1 slot(s) asked for, and 0 of 1 a day are left";
    assert_eq!(report.error.unwrap(), text);
    assert!(result.unwrap_err().to_string().contains(text));
    assert_eq!(world.marks("clients/anna/state").len(), 1, "no slot was taken");
    world.add("ben", Settings { material_bytes: 100_000, ..Settings::default() });
    let (result, report) = world.session(("ben", [usize::MAX; 2]), |user, channel| {
        user.visit(channel)?.prepare(Size::new(14, 15), 1000, &mut Silent)
    });
    assert!(result.is_err() && report.error.unwrap().contains("and 100.00 KB are left"));
}

/// Whatever a user sends in place of a request ends its session with a sentence, and the next one is served.
#[test]
fn a_user_who_lies_ends_its_own_session() {
    let world = World::new(&["anna"]);
    let image =
        |height, width| Asked { id: ImageId::from_bytes([9; 16]), height, width, rung: None };
    let set = TripleSetId::from_bytes([7; 16]);
    let encoded = |request: &Request| crate::ids::codec::encode_small(request).unwrap();
    let denoise = |height, width| {
        encoded(&Request::Denoise { images: vec![image(height, width)], sets: vec![set] })
    };
    let make = |height, width, slots| encoded(&Request::Make { height, width, slots });
    for (tag, payload, text) in [
        (Tag::Request, vec![], "malformed"),
        (Tag::Request, vec![0xff; 1 << 20], "malformed"),
        // A list of 2^60 sets.
        (Tag::Request, [&[0, 253][..], &(1u64 << 60).to_le_bytes()].concat(), "malformed"),
        (Tag::Request, make(u32::MAX, u32::MAX, 1), "takes no images of 4294967295x4294967295"),
        (Tag::Request, make(1, 1, 1), "takes no images of 1x1"),
        (Tag::Request, make(2000, 2000, 1024), "GB, and"),
        (Tag::Request, denoise(14, 15), "no set of triples 07070707"),
        (Tag::Hello, vec![1], "Hello where Request was due"),
    ] {
        let ((), report) = world.session(("anna", [usize::MAX; 2]), |_, channel| {
            channel.send(tag, 0, payload.clone()).unwrap();
            let _ = channel.recv();
        });
        let found = report.error.unwrap();
        assert!(found.contains(text), "{found}");
    }
    let picture = noisy(Size::new(14, 15), 1);
    near(&world.denoise("anna", &picture), &world.twin(&picture));
}

/// A network with exact ReLUs.
fn convolutional(alarm: bool, one_cloud: bool) -> QuantisedModel {
    quantise(&random_convolutional(&[5, 4], 1.0, 3), &relu(alarm, one_cloud)).unwrap()
}

fn relu(alarm: bool, one_cloud: bool) -> QuantiseOptions {
    QuantiseOptions {
        ring: RingBits::L32,
        method: Method::Relu { alarm },
        interval: 4.0,
        ranges: Ranges::Calibrated { margin: 4.0 },
        one_cloud,
    }
}

/// A model that was shared for two servers has ranges without room for noise: neither the cloud nor the user takes it.
#[test]
fn a_model_that_was_shared_for_two_servers_is_refused() {
    let world = World::of(&[], convolutional(true, false));
    world.share_with("anna");
    let state = world.at("anna").join("state");
    let paths = world.share("anna", 1);
    let cloud = world.add_shared("anna", Settings::default()).unwrap_err().to_string();
    let user = User::open(&world.at("anna"), &no_passphrase, paths, Some(&state));
    for found in [cloud, user.unwrap_err().to_string()] {
        assert!(found.contains("was shared for two servers"), "{found}");
    }
}

/// Sides that do not suit blocks of 3x3 pixels, and a picture that is smaller than the first patch; with an alarm and
/// without.
#[test]
fn odd_pictures_are_continued_and_come_back_in_their_size() {
    [true, false].into_iter().for_each(odd_pictures_come_back);
}

fn odd_pictures_come_back(alarm: bool) {
    let world = World::of(&["anna"], convolutional(alarm, true));
    let sizes = [Size::new(16, 20), Size::new(9, 7), Size::new(8, 30)];
    for (seed, size) in sizes.into_iter().enumerate() {
        let picture = noisy(size, seed as u64);
        let found = world.denoise("anna", &picture);
        assert_eq!(found.size(), size);
        near(&found, &world.twin(&picture));
    }
}

/// The planes of a colour picture together, with a model for colours, and one by one, with one for grey pictures.
#[test]
fn pictures_in_colour_come_back_in_colour() {
    let (size, options) = (Size::new(7, 10), relu(true, true));
    let mosaics = random_convolutional(&[6, 5], 1.0, 2);
    let network = mosaics.network.with_continued(Continued::Mosaic);
    let together = quantise(&FloatModel { network, ..mosaics }, &options).unwrap();
    let planes = [4, 5, 6].map(|seed| noisy(size, seed));
    let picture = Raster::rgb(planes.clone(), Depth::Float).unwrap();
    for (model, slots) in [(together, 1), (convolutional(true, true), 3)] {
        let world = World::of(&["anna"], model);
        let entry = Entry::of(world.model.public.trained());
        let (found, report) = world.session(("anna", [usize::MAX; 2]), |user, channel| {
            user.denoise(&picture, SIGMA, channel, &mut Silent)
        });
        assert_eq!((report.error, report.images), (None, slots));
        let given = entry.images(&planes).unwrap();
        let expected = given.iter().flat_map(|image| {
            let twin = world.twin(image).into_iter().map(|level| level as f32).collect();
            entry.planes(GreyImage::new(image.height(), image.width(), twin).unwrap()).unwrap()
        });
        for (found, expected) in found.unwrap().planes().iter().zip(expected) {
            let levels = expected.pixels().iter().map(|&level| level.into());
            near(found, &levels.collect::<Vec<_>>());
        }
    }
}

/// Another user's folder, and a folder with a key that another one has.
#[test]
fn a_folder_of_users_is_told_what_is_wrong_with_it() {
    let world = World::new(&["anna", "ben"]);
    let keys = KeyFolder::open(&world.at("cloud")).unwrap();
    let own = keys.secret(Role::Server0, &no_passphrase).unwrap();
    let owner = keys.public(Role::ModelOwner).unwrap();
    let key = world.at("anna").join("server1.pub");
    let add = |name: &str, key: &Path, user: &str| {
        let paths = world.share(user, 0);
        world.clients().add(name, key, &paths, &own, &owner, Settings::default())
    };
    for (name, user) in [("carl", "ben"), ("anna", "anna"), ("../carl", "anna")] {
        assert!(add(name, &key, user).is_err(), "{name}");
    }
    assert!(add("carl", &world.at("cloud").join("server0.pub"), "anna").is_err());
    assert_eq!(world.clients().folders().unwrap().len(), 2, "nothing was left");
    let taken = add("carl", &key, "anna").unwrap_err();
    assert!(taken.to_string().contains("the key of the user anna too"), "{taken}");
    // Made by hand: neither of the two is any, whatever they are called.
    for name in ["aaron", "carl"] {
        let (from, to) = (world.at("clients/anna"), world.at("clients").join(name));
        std::fs::DirBuilder::new().mode(0o700).create(&to).unwrap();
        for file in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap_or(0);
        }
        let (clients, bad) = world.clients().list().unwrap();
        assert_eq!((clients.len(), bad.len(), clients[0].name.as_str()), (1, 2, "ben"));
        assert!(bad.iter().all(|b| matches!(b.1, CloudError::Denied(Denied::KeyTaken { .. }))));
        std::fs::remove_dir_all(to).unwrap();
    }
}

/// Cut after every frame at either end: a slot is never used twice, nothing half made is left, and the next
/// session succeeds.
#[test]
fn a_session_that_is_cut_anywhere_leaves_nothing_behind() {
    let world = World::new(&[]);
    // What is made and cut off counts.
    let settings = Settings { images_a_day: 1000, advantage_bits: 0, ..Settings::default() };
    world.add("anna", settings);
    let image = noisy(Size::new(14, 15), 1);
    let expected = world.twin(&image);
    // Hints are there and U is opened: what a usual session consists of.
    world.denoise("anna", &image);
    let ends = |cut: [usize; 2]| {
        let (result, report) = world.session(("anna", cut), |user, channel| {
            user.denoise(&image.clone().into(), SIGMA, channel, &mut Silent)
        });
        world.marks("anna/state");
        world.marks("clients/anna/state");
        let parts = [world.files("clients"), world.files("anna")].concat();
        assert!(!parts.iter().any(|file| file.to_string_lossy().contains("part")), "{parts:?}");
        let alive = result.is_ok();
        result.into_iter().for_each(|result| near(&result.into_grey().unwrap(), &expected));
        assert!(alive || report.error.is_some() || cut[0] == usize::MAX);
        alive
    };
    let mut cuts = 0;
    for end in 0..2 {
        let mut frames = 0;
        loop {
            let cut = std::array::from_fn(|i| if i == end { frames } else { usize::MAX });
            if ends(cut) {
                break;
            }
            cuts += 1;
            // The frames of a set in the making are many and alike.
            frames += if frames < 12 { 1 } else { 7 };
        }
    }
    assert!(cuts > 30, "{cuts} cuts");
    near(&world.denoise("anna", &image), &expected);
}
