use super::*;
use crate::crypto::rlwe::Profile;
use crate::files::private::check_private_folder;
use crate::ids::ModelId;
use crate::material::pair::linear::OpPlan;
use crate::model::{Method, QuantiseOptions, quantise, random_model};
use crate::numbers::ring::RingBits;
use std::fs;

struct World {
    dir: tempfile::TempDir,
    owner: SecretKey,
    public: PublicFacts,
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let of = |v: u8| Fingerprint::from_bytes([v; 16]);
        let public = PublicFacts {
            file: "model.pub".into(),
            model_id: ModelId::from_bytes([1; 16]),
            digest: Digest::of(b"description"),
            model_owner: of(2),
            servers: [of(3), of(4)],
        };
        World { dir, owner: SecretKey::random().unwrap(), public }
    }

    fn store(&self) -> MaskStore<'_> {
        let peer = Fingerprint::from_bytes([4; 16]);
        let (state, owner, public) = (self.dir.path(), &self.owner, &self.public);
        MaskStore { state, owner, party: Party::S0, peer, public }
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn nonces(byte: u8) -> [MaskNonce; 2] {
    [byte, byte + 1].map(|v| MaskNonce([v; 32]))
}

fn plan() -> LinearPlan {
    let options = QuantiseOptions::guaranteed(RingBits::L32, Method::lut(2), 2.5);
    let model = quantise(&random_model(&[6], 1.0, true), &options).unwrap();
    LinearPlan::new(&model.public, Profile::Q88).unwrap()
}

/// The mask, with hints that are some bytes.
fn kept(store: &MaskStore<'_>, byte: u8) -> KeptMask {
    let mask = DrawnMask::draw(store).unwrap().named(store, nonces(byte));
    store.store(&mask).unwrap();
    let plan = plan();
    let mut hints = store.keep_hints(mask.id(), &plan).unwrap();
    for piece in plan.hint_pieces() {
        hints.add(&piece, &vec![byte; piece.rows.len() * Profile::Q88.hint_bytes()]).unwrap();
    }
    hints.commit(&[b"a", b"b"].map(|text| Digest::of(text))).unwrap();
    mask
}

fn same(a: &KeptMask, b: &KeptMask) -> bool {
    (a.weight_mask.expose(), a.hint.expose()) == (b.weight_mask.expose(), b.hint.expose())
        && a.name == b.name
}

#[test]
fn a_mask_and_its_hints_are_found_again() {
    let world = World::new();
    let store = world.store();
    assert!(store.find().unwrap().is_none());
    let mask = kept(&store, 1);
    assert!(same(&mask, &store.find().unwrap().unwrap()));
    let hints = store.hints(mask.id(), &plan()).unwrap();
    assert_eq!(hints.digests, [b"a", b"b"].map(|text| Digest::of(text)));
    // Secrets are sealed, and the files are their owner's alone.
    check_private_folder(world.dir.path()).unwrap();
    let bytes = fs::read(store.path(MASK, mask.id())).unwrap();
    for seed in [&mask.weight_mask, &mask.hint] {
        assert!(!bytes.windows(8).any(|window| window == &seed.expose()[..8]));
    }
}

/// R2: what is not whole is gone, and nothing of it comes back under another name.
#[test]
fn a_mask_that_is_not_whole_is_removed_with_its_hints() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [Damage; 4] = [
        |bytes| bytes.truncate(bytes.len() - 1),
        |bytes| bytes.clear(),
        |bytes| *bytes.last_mut().unwrap() ^= 1,
        |bytes| bytes[10] ^= 1,
    ];
    for damage in damages {
        let world = World::new();
        let store = world.store();
        let mask = kept(&store, 1);
        let path = store.path(MASK, mask.id());
        let mut bytes = fs::read(&path).unwrap();
        damage(&mut bytes);
        fs::write(&path, bytes).unwrap();
        assert!(store.find().unwrap().is_none());
        assert!(world.names().is_empty(), "{:?}", world.names());
    }
    // A whole mask under another's name is none.
    let world = World::new();
    let store = world.store();
    let mask = kept(&store, 1);
    let other = store.path(MASK, WeightMaskId::from_bytes([9; 16]));
    fs::rename(store.path(MASK, mask.id()), other).unwrap();
    assert!(store.find().unwrap().is_none() && world.names().is_empty());
}

#[test]
fn masks_of_others_stay_and_only_the_latest_of_ours() {
    let mut world = World::new();
    let other = kept(&world.store(), 1);
    world.public.model_id = ModelId::from_bytes([7; 16]);
    let store = world.store();
    assert!(store.find().unwrap().is_none());
    let stranger = MaskStore { peer: Fingerprint::from_bytes([8; 16]), ..world.store() };
    assert!(stranger.find().unwrap().is_none());
    let old = kept(&store, 3);
    // Older by a day, whatever the clock of the disk tells apart.
    let past = SystemTime::now() - std::time::Duration::from_secs(86_400);
    File::options()
        .write(true)
        .open(store.path(MASK, old.id()))
        .unwrap()
        .set_modified(past)
        .unwrap();
    let new = kept(&store, 5);
    assert!(same(&new, &store.find().unwrap().unwrap()));
    let mut expected: Vec<String> = [&other, &new]
        .into_iter()
        .flat_map(|mask| [MASK, HINT].map(|start| format!("{start}{}", mask.id())))
        .collect();
    expected.sort();
    assert_eq!(world.names(), expected);
    store.remove(new.id()).unwrap();
    assert!(store.find().unwrap().is_none());
    assert_eq!(world.names().len(), 2);
}

/// An id belongs to everything that its X belongs to.
#[test]
fn whatever_differs_the_id_differs() {
    let world = World::new();
    let id = |store: &MaskStore<'_>, nonces| store.name(nonces).id;
    let mut ids = vec![id(&world.store(), nonces(1)), id(&world.store(), nonces(2))];
    let [first, second] = nonces(1);
    ids.push(id(&world.store(), [second, first]));
    ids.push(id(&MaskStore { party: Party::S1, ..world.store() }, nonces(1)));
    let peer = Fingerprint::from_bytes([9; 16]);
    ids.push(id(&MaskStore { peer, ..world.store() }, nonces(1)));
    let mut facts = world.public.clone();
    facts.model_id = ModelId::from_bytes([9; 16]);
    ids.push(id(&MaskStore { public: &facts, ..world.store() }, nonces(1)));
    let mut facts = world.public.clone();
    facts.digest = Digest::of(b"other");
    ids.push(id(&MaskStore { public: &facts, ..world.store() }, nonces(1)));
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[test]
fn hints_of_another_packing_or_cut_off_are_none() {
    let world = World::new();
    let store = world.store();
    let mask = kept(&store, 1);
    let options = QuantiseOptions::guaranteed(RingBits::L32, Method::lut(2), 2.5);
    let model = quantise(&random_model(&[7], 1.0, true), &options).unwrap();
    let other = LinearPlan::new(&model.public, Profile::Q88).unwrap();
    let outputs =
        |plan: &LinearPlan| plan.ops().iter().map(|op: &OpPlan| op.outputs).sum::<usize>();
    assert_ne!(outputs(&other), outputs(&plan()));
    assert_ne!(other.digest(), plan().digest());
    assert!(store.hints(mask.id(), &other).is_none());
    let path = store.path(HINT, mask.id());
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert!(store.hints(mask.id(), &plan()).is_none());
    let mut flipped = bytes;
    *flipped.last_mut().unwrap() ^= 1;
    fs::write(&path, &flipped).unwrap();
    assert!(store.hints(mask.id(), &plan()).is_none());
}

#[test]
fn one_process_at_a_time_draws_masks() {
    let world = World::new();
    let store = world.store();
    let lock = store.lock().unwrap();
    assert!(matches!(store.lock(), Err(FormatError::InUse { .. })));
    drop(lock);
    store.lock().unwrap();
}

/// Two copies of a machine, whose operating systems give the same bytes, in the service of different models, descriptions,
/// peers and parties: no seed of one is a seed of another, nor what the operating system gave.
#[test]
fn the_same_bytes_make_other_masks_for_anything_else() {
    let fresh = || [8, 9].map(|v| Seed::from_bytes([v; 32]));
    let mut world = World::new();
    let mut seen = std::collections::HashSet::from(fresh().map(|seed| *seed.expose()));
    let mut draw = |store: &MaskStore<'_>| {
        let DrawnMask { weight_mask, hint } = DrawnMask::of(store, fresh());
        [weight_mask, hint].iter().filter(|seed| seen.insert(*seed.expose())).count()
    };
    assert_eq!(draw(&world.store()), 2);
    assert_eq!(draw(&world.store()), 0, "the test can fail");
    let peer = Fingerprint::from_bytes([7; 16]);
    assert_eq!(draw(&MaskStore { peer, ..world.store() }), 2, "another peer");
    assert_eq!(draw(&MaskStore { party: Party::S1, ..world.store() }), 2, "the other party");
    world.public.digest = Digest::of(b"another description");
    assert_eq!(draw(&world.store()), 2, "another description");
    world.public.model_id = ModelId::from_bytes([9; 16]);
    assert_eq!(draw(&world.store()), 2, "another model");
}
