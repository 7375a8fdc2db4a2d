//! Two servers make files in memory: the dealer's relations hold over both, and state is kept, used again or
//! replaced.

use super::*;
use crate::artefact::{Parties, TripleFile, write_model};
use crate::crypto::rlwe::Profile;
use crate::files::container::envelope::{OpenFrom, open_stream};
use crate::files::keys::PublicKey;
use crate::files::output::{Access, Overwrite};
use crate::ids::{Role, WeightMaskId};
use crate::kernels::one_hot_words;
use crate::material::pair::lookup::{LookupShares, Shape};
use crate::material::pair::relu::OpenedRelus;
use crate::material::pair::{OpenedLookups, squares_fit};
use crate::material::{MaterialLayout, Origin, ReluMaterial, SlotView, weight_mask};
use crate::model::piecewise::Piecewise;
use crate::model::{
    ActivationSpec, Method, PublicModel, QuantiseOptions, QuantisedModel, Ranges, quantise,
    random_convolutional, random_model, suited,
};
use crate::network::Op;
use crate::numbers::relu::ReluShape;
use crate::numbers::ring;
use crate::numbers::ring::RingBits;
use crate::protocol::{MaterialSource, ProtocolError};
use crate::roles::observer::Observer;
use crate::roles::server::ServerEvent;
use crate::wire::{Frame, MemChannel, NetError, Traffic, pair};
use std::path::PathBuf;
use tempfile::TempDir;

const PARTIES: [Party; 2] = [Party::S0, Party::S1];

struct Quiet(f64);

impl Observer<ServerEvent> for Quiet {
    fn event(&mut self, event: ServerEvent) {
        if let ServerEvent::Phase(_) = event {
            self.0 = 0.0;
        }
    }
    fn progress(&mut self, done: f64) {
        assert!((self.0..=1.0).contains(&done), "{done} after {}", self.0);
        self.0 = done;
    }
}

struct Lab {
    dir: TempDir,
    servers: [SecretKey; 2],
    owner: PublicKey,
}

impl Lab {
    fn new(model: &QuantisedModel) -> Lab {
        let dir = tempfile::tempdir().unwrap();
        let servers = [0, 1].map(|_| SecretKey::random().unwrap());
        let sender = SecretKey::random().unwrap();
        let owner = sender.public();
        let parties = Parties { sender, servers: servers.each_ref().map(SecretKey::public) };
        let out = |name: &str, access| {
            OutputFile::create(dir.path().join(name), access, Overwrite::Never).unwrap()
        };
        let outs = [
            out("m.pub", Access::Public),
            out("m.s0", Access::Secret),
            out("m.s1", Access::Secret),
        ];
        write_model(model, &parties, outs).unwrap();
        let lab = Lab { dir, servers, owner };
        PARTIES.iter().for_each(|party| std::fs::create_dir(lab.state(*party)).unwrap());
        lab
    }

    fn state(&self, party: Party) -> PathBuf {
        self.dir.path().join(format!("state{}", party.index()))
    }

    fn names(&self, party: Party, start: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.state(party)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(start)).collect()
    }

    fn file(&self, party: Party, stem: &str) -> PathBuf {
        self.dir.path().join(format!("{stem}.s{}", party.index()))
    }

    fn inputs(&self, party: Party) -> MakeInputs {
        let paths = MakePaths::new(self.file(party, "m"), self.dir.path().join("m.pub"));
        let own = &self.servers[party.index()];
        let peer = self.servers[party.other().index()].public();
        MakeInputs::open(party, own, [&peer, &self.owner], &paths).unwrap()
    }

    fn make(
        &self,
        party: Party,
        (stem, size, slots): (&str, Size, u64),
        channel: &mut dyn Channel,
    ) -> Result<MakeReport, ServiceError> {
        let inputs = self.inputs(party);
        let job = MakeJob {
            own: &self.servers[party.index()],
            state: &self.state(party),
            profile: Profile::Q88,
            line: None,
        };
        let out = |stem: &str| {
            OutputFile::create(self.file(party, stem), Access::Secret, Overwrite::Never).unwrap()
        };
        let wanted = |stem: &str, size, slots| WantedFile {
            job: MadeJob::new(inputs.public(), size, slots, Some(50)).unwrap(),
            out: out(stem),
        };
        // A second set under the same mask, whose slots have the same numbers.
        let second = format!("{stem}-second");
        let sets =
            vec![wanted(stem, size, slots), wanted(&second, Size::new(size.width, size.height), 1)];
        make(&inputs, &job, sets, channel, &mut Quiet(0.0))
    }

    /// Both servers make `slots` slots; `change` edits what S1 sends.
    fn both(&self, what: (&str, Size, u64), change: Edit) -> [Result<MakeReport, ServiceError>; 2] {
        let (one, other) = pair();
        std::thread::scope(|scope| {
            let first = scope.spawn(move || self.make(Party::S0, what, &mut { one }));
            let second = self.make(Party::S1, what, &mut Edited(other, change));
            [first.join().unwrap(), second]
        })
    }

    fn made(&self, what: (&str, Size, u64)) -> [MakeReport; 2] {
        self.both(what, |_| ()).map(|made| made.unwrap())
    }

    fn open(&self, party: Party, stem: &str) -> TripleFile {
        let own = &self.servers[party.index()];
        let keys = OpenFrom { recipient: own, sender: &own.public(), role: Role::server(party) };
        TripleFile::unseal(open_stream(self.file(party, stem)).unwrap(), keys).unwrap()
    }
}

type Edit = fn(&mut Frame);

/// A server whose frames are changed on their way.
struct Edited(MemChannel, Edit);

impl Channel for Edited {
    fn send(&mut self, tag: Tag, batch: u32, payload: Vec<u8>) -> Result<(), NetError> {
        let mut frame = Frame { tag, batch, payload };
        (self.1)(&mut frame);
        self.0.send(frame.tag, frame.batch, frame.payload)
    }
    fn recv(&mut self) -> Result<Frame, NetError> {
        self.0.recv()
    }
    fn traffic(&self) -> Traffic {
        self.0.traffic()
    }
}

fn total(parts: [Vec<u32>; 2]) -> Vec<u32> {
    parts[0].iter().zip(&parts[1]).map(|(a, b)| a.wrapping_add(*b)).collect()
}

fn numbers(bytes: &[u8]) -> Vec<u32> {
    ring::from_le_bytes(bytes).unwrap()
}

/// Every relation that a dealer's material has, over all batches of all slots of both files.
fn check(lab: &Lab, public: &PublicModel, stem: &str) {
    let files = PARTIES.map(|party| lab.open(party, stem));
    let fields = *files[0].fields();
    assert_eq!(fields.set_id, files[1].fields().set_id);
    assert_eq!(fields.origin, Origin::Made);
    let size = fields.size();
    let layout =
        MaterialLayout::new(public, size, fields.batch_rows as usize, Origin::Made).unwrap();
    let network = &public.network;
    let grids = network.grids(size).unwrap();
    let widths: Vec<_> = public.network.activations().map(|(op, _, width)| (op, width)).collect();
    let (mut off, mut all) = (0, 0);
    for slot in 0..fields.slots {
        let mut sources = files.each_ref().map(|file| {
            file.check_material(&layout).unwrap();
            file.material(slot, &layout)
        });
        let views = files.each_ref().map(|file| file.view(slot));
        for number in 0..layout.batches() {
            let batch = layout.batch(number);
            let grid = &grids[batch.stage];
            let chunks = sources.each_mut().map(|source| source.next_batch().unwrap());
            for ((op, first), (_, second)) in chunks[0].iter().zip(&chunks[1]) {
                let width = widths.iter().find(|(at, _)| at == op).map_or(0, |(_, width)| *width);
                let at = batch.rows.start * width..batch.rows.end * width;
                match &public.network.ops()[*op] {
                    Op::Activation(ActivationSpec::Lookup(table)) => {
                        let shape = Shape { hi: table.hi, lo: table.lo, ring_bits: 32 };
                        lookups_fit(shape, &views, (*op, at), [first, second]);
                    }
                    Op::Activation(ActivationSpec::Piecewise(_)) => {
                        let [a, b] =
                            views.each_ref().map(|v| v.square_root::<u32>(*op, at.clone()));
                        let squares = [numbers(first), numbers(second)];
                        assert!(squares_fit([&a, &b], [&squares[0], &squares[1]]), "op {op}");
                    }
                    Op::Activation(ActivationSpec::Exact(relu)) => {
                        let shape = relu.shape::<u32>().unwrap();
                        relus_fit(shape, (*op, at.len()), [first, second]);
                    }
                    Op::Linear(l) => {
                        let x =
                            total(files.each_ref().map(|file| {
                                weight_mask(&file.seeds().weight_mask, *op, l.weights())
                            }));
                        let mask = |op: usize, run: std::ops::Range<usize>| {
                            total(views.each_ref().map(|v| v.input_mask(op, run.clone())))
                        };
                        let rows = batch.rows.clone();
                        let y = match network.inner_mask(*op) {
                            None => grid
                                .gather_masked(rows, |map, run| mask(network.maps()[map].op, run)),
                            Some(op) => mask(op, rows.start * l.inputs..rows.end * l.inputs),
                        };
                        let z = total([numbers(first), numbers(second)]);
                        let n = network.masked_inputs(*op);
                        let expected = y.chunks_exact(n).flat_map(|y| {
                            x.chunks_exact(l.inputs).map(move |x| {
                                let products = x.iter().zip(y).map(|(x, y)| x.wrapping_mul(*y));
                                products.fold(0u32, u32::wrapping_add)
                            })
                        });
                        for (found, expected) in z.iter().zip(expected) {
                            let difference = found.wrapping_sub(expected) as i32;
                            assert!(difference.abs() <= 2, "op {op}: off by {difference}");
                            (off, all) = (off + usize::from(difference != 0), all + 1);
                        }
                    }
                    other => panic!("material for {other:?}"),
                }
            }
        }
    }
    // Fewer than one in 2^17 is off by one; the randomness is fresh, so one or two may be.
    assert!(all > 0 && off <= 3, "{off} of {all} off");
}

fn lookups_fit(
    shape: Shape,
    views: &[SlotView<'_>; 2],
    (op, at): (usize, std::ops::Range<usize>),
    chunks: [&[u8]; 2],
) {
    let count = at.len();
    let shares = chunks.map(|chunk| {
        let (one_hot, keys) = chunk.split_at(count * one_hot_words(shape.hi) * 8);
        let keys = numbers(keys);
        let part = |i: usize| Zeroizing::new(keys[i * count..(i + 1) * count].to_vec());
        let one_hot = Zeroizing::new(ring::from_le_bytes(one_hot).unwrap());
        LookupShares { one_hot, k2: part(0), k3: part(1), rho: part(2) }
    });
    let masks = views.each_ref().map(|view| {
        let mut both = [0; 2].map(|_| vec![0u32; count]);
        let [value, slope] = &mut both;
        view.lookup_masks(op, at.clone(), shape.hi + shape.lo).sum_masks(0, [value, slope]);
        both
    });
    let masks = masks.each_ref().map(|[value, slope]| [&value[..], &slope[..]]);
    let opened = OpenedLookups { shares: [&shares[0], &shares[1]], masks };
    assert_eq!(opened.fault(shape), None, "op {op}");
}

fn relus_fit(shape: ReluShape, (op, count): (usize, usize), chunks: [&[u8]; 2]) {
    let material = chunks
        .map(|chunk| ReluMaterial::made::<u32>(shape, chunk.to_vec().into()).expect("whole ReLUs"));
    let [first, second] = &material;
    assert_eq!((first.count(), second.count()), (count, count), "op {op}");
    assert_eq!(OpenedRelus([first, second]).fault::<u32>(), None, "op {op}");
}

fn patches(method: Method) -> QuantisedModel {
    let options = QuantiseOptions::guaranteed(RingBits::L32, method, 2.5);
    quantise(&random_model(&[5, 4], 1.0, true), &options).unwrap()
}

fn convolutional(method: Method, stride: usize) -> QuantisedModel {
    let (ring, ranges) = (RingBits::L32, Ranges::Calibrated { margin: 1.25 });
    let model = suited(random_convolutional(&[4, 3], 1.5, stride), &method);
    let options = QuantiseOptions { ring, method, interval: 1.0, ranges, one_cloud: false };
    quantise(&model, &options).unwrap()
}

#[test]
fn files_of_every_kind_of_network_hold_the_dealers_relations() {
    let lut = || Method::lut(1);
    let gc = |function| Method::Gc { function, refit: false, alarm: false };
    let models = [
        patches(Method::lut(2)),
        patches(gc(Piecewise::refit())),
        convolutional(lut(), 1),
        convolutional(lut(), 2),
        convolutional(gc(Piecewise::relu()), 1),
        convolutional(Method::Relu { alarm: true }, 2),
    ];
    for model in models {
        let lab = Lab::new(&model);
        // Small images: many slots go together, and the last group is a short one.
        let slots = if model.public.network.is_convolutional() { 2 } else { 12 };
        let [first, second] = lab.made(("t", Size::new(17, 38), slots));
        assert!(!first.mask_known && first.hint_bytes_sent > 0);
        assert_eq!(first.hint_bytes_sent, second.hint_bytes_received);
        for stem in ["t", "t-second"] {
            check(&lab, &model.public, stem);
        }
    }
}

/// Seeds, masks and sets of two runs have nothing in common but X.
#[test]
fn a_second_run_keeps_the_mask_and_draws_all_else() {
    let model = patches(Method::lut(2));
    let lab = Lab::new(&model);
    let [first, _] = lab.made(("one", Size::new(17, 18), 1));
    let [second, other] = lab.made(("two", Size::new(17, 18), 1));
    assert!(second.mask_known && other.mask_known);
    assert_eq!((second.hint_bytes_sent, second.hint_bytes_received), (0, 0));
    assert_eq!(first.weight_mask_id, second.weight_mask_id);
    let ids =
        [&first, &second].map(|r| r.sets.iter().map(|s| s.set_id.clone()).collect::<Vec<_>>());
    assert!(ids[0].iter().all(|id| !ids[1].contains(id)) && ids[0][0] != ids[0][1]);
    for party in PARTIES {
        let files = ["one", "one-second", "two", "two-second"].map(|stem| lab.open(party, stem));
        let [a, b, c, d] = files.each_ref().map(|file| *file.seeds().slots.expose());
        assert!(a != b && a != c && a != d && b != c && b != d && c != d);
        assert!(
            files.iter().all(|f| {
                f.seeds().weight_mask.expose() == files[0].seeds().weight_mask.expose()
            })
        );
    }
    check(&lab, &model.public, "two");
}

/// What either server loses costs hints or a new mask, never a wrong result; nothing stays behind.
#[test]
fn lost_state_is_made_anew() {
    let model = patches(Method::lut(2));
    let lab = Lab::new(&model);
    let what = |stem| (stem, Size::new(17, 18), 1);
    let [first, _] = lab.made(what("a"));
    let id = first.weight_mask_id;
    // One server lost the other's hints: they are sent again, the same bytes.
    let hints = lab.state(Party::S1).join(format!("hint-{id}"));
    let before = std::fs::metadata(&hints).unwrap().len();
    std::fs::remove_file(&hints).unwrap();
    let [sent, got] = lab.made(what("b"));
    assert!(sent.mask_known && sent.weight_mask_id == id);
    assert_eq!((sent.hint_bytes_received, got.hint_bytes_sent), (0, 0));
    assert_eq!(sent.hint_bytes_sent, got.hint_bytes_received);
    assert!(sent.hint_bytes_sent > 0 && std::fs::metadata(&hints).unwrap().len() == before);
    check(&lab, &model.public, "b");
    // One server lost its share of X: both take new ones, and the old ones go.
    std::fs::remove_file(lab.state(Party::S0).join(format!("mask-{id}"))).unwrap();
    let [new, _] = lab.made(what("c"));
    assert!(!new.mask_known && new.weight_mask_id != id);
    for party in PARTIES {
        assert_eq!(lab.names(party, "mask-"), [format!("mask-{}", new.weight_mask_id)]);
        assert_eq!(lab.names(party, "hint-"), [format!("hint-{}", new.weight_mask_id)]);
        let seeds = ["a", "c"].map(|stem| *lab.open(party, stem).seeds().weight_mask.expose());
        assert_ne!(seeds[0], seeds[1], "a new id has a new X");
    }
    check(&lab, &model.public, "c");
}

fn mismatch(result: &Result<MakeReport, ServiceError>) -> &'static str {
    match result {
        Err(ServiceError::Protocol(ProtocolError::Mismatch { what, .. })) => what,
        other => panic!("{:?}", other.as_ref().map(|_| ())),
    }
}

/// Hints that changed on their way are noticed before any material is made, and not kept.
#[test]
fn other_hints_at_the_other_side_are_named() {
    let lab = Lab::new(&patches(Method::lut(2)));
    let results = lab.both(("t", Size::new(17, 18), 1), |frame| {
        if frame.tag == Tag::Hint {
            frame.payload[100] ^= 1;
        }
    });
    assert!(results.iter().all(|result| mismatch(result) == "the hints of server 1"));
    for party in PARTIES {
        assert!(lab.names(party, "hint-").is_empty() && lab.names(party, "mask-").len() == 1);
        assert!(!lab.file(party, "t").exists());
    }
    // The mask was whole, so it serves again, with hints of the same bytes.
    let [again, _] = lab.made(("t", Size::new(17, 18), 1));
    assert!(again.mask_known && again.hint_bytes_sent > 0);
}

/// A transfer that goes wrong is found by the elements that are checked, and no file is left.
#[test]
fn what_does_not_fit_together_is_found() {
    for method in
        [Method::lut(2), Method::Gc { function: Piecewise::refit(), refit: false, alarm: false }]
    {
        let lab = Lab::new(&patches(method));
        let results = lab.both(("t", Size::new(17, 18), 1), |frame| {
            // Every payload of the batch: one alone would be met only if it is the one chosen.
            if frame.tag == Tag::OtPayloads {
                frame.payload.iter_mut().for_each(|byte| *byte ^= 1);
            }
        });
        let found = |result: &Result<MakeReport, ServiceError>| {
            matches!(result, Err(ServiceError::Protocol(ProtocolError::Sacrifice { .. })))
        };
        assert!(results.iter().any(found));
        assert!(results.iter().all(Result::is_err));
        assert!(PARTIES.iter().all(|party| !lab.file(*party, "t").exists()));
    }
}

/// The mask of an interrupted run was never used with other nonces: the next run draws a new one unless both
/// have it.
#[test]
fn a_server_that_ends_while_masks_are_drawn_leaves_no_half() {
    let lab = Lab::new(&patches(Method::lut(2)));
    let results = lab.both(("t", Size::new(17, 18), 1), |frame| {
        // S1 contributes another nonce than S0 gets: both think that theirs is whole.
        if frame.tag == Tag::PairSetUp && frame.payload.len() == 32 {
            frame.payload[0] ^= 1;
        }
    });
    assert!(results.iter().all(Result::is_err));
    let before = PARTIES.map(|party| lab.names(party, "mask-"));
    assert_ne!(before[0], before[1]);
    let [made, _] = lab.made(("t", Size::new(17, 18), 1));
    assert!(!made.mask_known);
    let id: WeightMaskId = made.weight_mask_id.parse().unwrap();
    for (party, before) in PARTIES.into_iter().zip(before) {
        assert_eq!(lab.names(party, "mask-"), [format!("mask-{id}")]);
        assert_ne!(lab.names(party, "mask-"), before);
    }
}
