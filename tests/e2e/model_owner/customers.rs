//! One dealer with several customers, and descriptions that anybody can make: whose a model is.

use crate::common::forge::{Described, Keys, Sealed, seeds};
use crate::common::refusal::{INPUT, PEER, SIZE, alone, neither};
use crate::common::{Job, KEYS, Lab, reports};
use ppdenoise::internals::files::container::envelope::{ChunkKey, open_file};
use ppdenoise::internals::material::weight_mask;
use ppdenoise_base::ids::{Fingerprint, Role};
use ppdenoise_base::numbers::ring::{add_assign, from_le_bytes};
use ppdenoise_crypto::prg::{Domain, Purpose, Seed};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// Linear ops of the tiny model: op, weights, biases.
const LINEARS: [(u32, usize, usize); 2] = [(1, 81 * 24, 24), (3, 24 * 25, 25)];

fn elements(bytes: &[u8]) -> Vec<u32> {
    from_le_bytes(bytes).unwrap()
}

fn seed(bytes: &[u8]) -> Seed {
    Seed::from_bytes(bytes[..32].try_into().unwrap())
}

/// All weights, as only the two servers together can know them.
fn weights(lab: &Lab, keys: &Keys) -> Vec<u32> {
    let chunks = LINEARS.map(|(op, weights, biases)| (ChunkKey::op(op), 4 * (weights + biases)));
    let s0 = Sealed::read(lab, "model.s0", keys, (Role::ModelOwner, 0), &chunks);
    let s1 = Sealed::read(lab, "model.s1", keys, (Role::ModelOwner, 1), &seeds(1));
    let s1 = seed(&s1.chunks[0].1);
    let of = |((op, weights, biases), (_, bytes)): (_, &(ChunkKey, Vec<u8>))| {
        let mut sum = elements(bytes);
        let mut stream = s1.stream(Domain::op(Purpose::ModelShare, op as usize));
        add_assign(&mut sum, &stream.take::<u32>(0, weights + biases));
        sum.truncate(weights);
        sum
    };
    LINEARS.into_iter().zip(&s0.chunks).flat_map(of).collect()
}

/// The weights that both halves of X of a set of triples and what a server opened give.
fn attacked(lab: &Lab, keys: &Keys, triples: &str, opened: &str) -> Vec<u32> {
    let halves = [0, 1].map(|party| {
        let chunk = (ChunkKey::op(u32::MAX), 64);
        let name = format!("{triples}.s{party}");
        let file = open_file(lab.path(&name)).unwrap();
        let (recipient, sender) =
            (keys.secret([Role::Server0, Role::Server1][party]), keys.public(Role::Dealer));
        let from = ppdenoise::internals::files::container::OpenFrom {
            recipient: &recipient,
            sender: &sender,
            role: Role::Dealer,
        };
        seed(&file.unseal(from).unwrap().chunk(chunk.0, chunk.1).unwrap())
    });
    let mut opened = open_file(lab.path(opened)).unwrap().in_clear().unwrap();
    let of = |(op, weights, _): (u32, usize, usize)| {
        let mut sum = elements(&opened.chunk(ChunkKey::op(op), 4 * weights).unwrap());
        for half in &halves {
            add_assign(&mut sum, &weight_mask::<u32>(half, op as usize, weights));
        }
        sum
    };
    LINEARS.into_iter().flat_map(of).collect()
}

/// Tenant B has server keys of its own, the same dealer as tenant A, A's `model.pub`, and what one of
/// A's servers keeps in its state folder.
#[test]
fn a_second_customer_of_a_dealer_gets_nothing_of_the_firsts_model() {
    let lab = Lab::ready(SIZE, 1);
    reports(lab.serve_both());
    let opened = lab.names("state0").into_iter().find(|name| name.starts_with("opened-")).unwrap();
    let opened = format!("state0/{opened}");
    assert_eq!(fs::metadata(lab.path(&opened)).unwrap().permissions().mode() & 0o777, 0o600);
    lab.run(&["keygen", "--out", "b"]).done();
    let copy = |name: &str| {
        fs::copy(lab.path(&format!("{KEYS}/{name}")), lab.path(&format!("b/{name}"))).unwrap();
    };
    copy("dealer.key");
    copy("dealer.pub");
    let deal = |public: &str, out: &str| {
        let args = ["gen-triplets", "--keys", "b", "--model", public, "--size", "12x13"];
        lab.run(&[&args[..], &["--out", out]].concat())
    };
    deal("model.pub", "btrip")
        .refused_once(INPUT, &["'model.pub' was made with the key", "key of model-owner"]);
    let (a, b) = (Keys::of(&lab, KEYS), Keys::of(&lab, "b"));
    let mut public = Described::read(&lab, "model.pub");
    let theirs = public.header.servers;
    (public.owner, public.header.servers) = b.named();
    for party in [0, 1] {
        public.header.servers[party] = theirs[party];
        public.write(&lab, "half.pub");
        let words = format!("'half.pub' was shared for a server{party} with the key");
        deal("half.pub", "btrip").refused_once(INPUT, &[&words, "compare fingerprints"]);
        public.header.servers[party] = b.named().1[party];
    }
    assert!(!lab.exists("btrip.s0") && !lab.exists("btrip.s1"));
    // The file is in clear: it can be made to name anybody.
    public.write(&lab, "forged.pub");
    deal("forged.pub", "btrip").done();
    let mask =
        |name: &str| lab.run(&["inspect", name, "--json"]).report()["weight_mask_id"].clone();
    assert_ne!(mask("btrip.s0"), mask("trip.s0"));
    let secret = weights(&lab, &a);
    assert_eq!(secret.len(), 2544);
    assert!(attacked(&lab, &a, "trip", &opened) == secret, "X and U together are the weights");
    let found = attacked(&lab, &b, "btrip", &opened);
    let same = found.iter().zip(&secret).filter(|(x, y)| x == y).count();
    assert!(same < 3, "{same} of {} weights became known", secret.len());
}

/// What a description says of itself is compared, and its digest, before a byte of it is parsed.
#[test]
fn servers_compare_a_description_before_they_parse_it() {
    let lab = Lab::ready(SIZE, 1);
    let other = Fingerprint::from_bytes([7; 16]);
    let forged = |edit: &dyn Fn(&mut Described)| {
        let mut public = Described::read(&lab, "model.pub");
        edit(&mut public);
        public.write(&lab, "forged.pub");
    };
    let job = |party: usize| Job::new(party).flags(&["--public", "forged.pub"]);
    forged(&|public| public.json = b"{".repeat(1 << 20));
    for party in [0, 1] {
        let ended = alone(&lab, job(party));
        ended.refused(INPUT, &["is for the model description"]);
        assert!(!ended.stderr.contains("column"), "it was parsed: {}", ended.stderr);
    }
    forged(&|public| public.owner = other);
    alone(&lab, job(0)).refused_once(INPUT, &["'forged.pub' was made with the key 07070707"]);
    forged(&|public| public.header.servers[1] = other);
    alone(&lab, job(1))
        .refused_once(INPUT, &["'forged.pub' was shared for a server1 with the key 07070707"]);
    // A server knows the other's key when they meet.
    let ended = neither(&lab, job(0), Job::new(1));
    ended[0].refused_once(PEER, &["disagree on the key of the other server: here 07070707"]);
    reports(lab.serve_both());
}
