//! `inspect`: what a file is, from its public header; of a model its arrays' names and shapes.

mod inputs;
mod table;

use super::args::files::Inspect;
use super::failure::{Code, Failure};
use super::files::{is_stream, read_public};
use super::models::{Recognised, recognise};
use super::output::{print_json, print_line};
use crate::files::container::envelope::{VERSION, open_file, open_stream};
use crate::files::container::header::{Body, Cipher, Header, Levels, PoissonNoise};
use crate::files::keys::{KeyEntry, KeyFolder};
use crate::files::ledger::Ledger;
use crate::ids::Fingerprint;
use crate::model::{ActivationSpec, LinearSpec, PublicModel};
use crate::network::{Gather, Op, Read, Source};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

pub(super) fn run(args: &Inspect) -> Result<(), Failure> {
    let names = args.keys.as_deref().map(KeyFolder::open).transpose()?;
    let state = args.state.as_deref();
    if let [file] = &args.file[..] {
        let facts = facts(file, state, names.as_ref())?;
        return match args.json {
            true => print_json("ppdenoise.inspect.v1", &facts),
            false => show(&facts),
        };
    }
    let all = args.file.iter().map(|file| {
        let mut all = Map::from_iter([("file".to_string(), json!(file))]);
        all.extend(facts(file, state, names.as_ref())?);
        Ok(all)
    });
    let all: Vec<Map<String, Value>> = all.collect::<Result<_, Failure>>()?;
    let left = state.map(|_| slots_by_size(&all));
    if args.json {
        return print_json(
            "ppdenoise.inspect-files.v1",
            &json!({ "files": all, "slots_left": left }),
        );
    }
    match table::of_triples(&all) {
        Some(lines) => lines.iter().try_for_each(|line| print_line(line))?,
        None => {
            for facts in &all {
                show(facts)?;
                print_line("")?;
            }
        }
    }
    for (size, slots) in left.unwrap_or_default() {
        print_line(&format!("{:18} {slots}", format!("slots left {size}")))?;
    }
    Ok(())
}

/// Slots left of all triples for images of each size.
fn slots_by_size(files: &[Map<String, Value>]) -> BTreeMap<String, u64> {
    let mut left = BTreeMap::new();
    for facts in files {
        let slots = facts.get("slots_left").and_then(Value::as_u64).unwrap_or_default();
        *left.entry(format!("{}x{}", facts["height"], facts["width"])).or_default() += slots;
    }
    left
}

fn facts(
    path: &Path,
    state: Option<&Path>,
    names: Option<&KeyFolder>,
) -> Result<Map<String, Value>, Failure> {
    let not_triples = || {
        let text = "--state tells the slots of triples only";
        Err(Failure::new(Code::Usage, text).about(path).help("leave --state away"))
    };
    match recognise(path)? {
        Recognised::Model | Recognised::Image(_) if state.is_some() => return not_triples(),
        Recognised::Model => return inputs::model(path),
        Recognised::Image(format) => return inputs::image(path, format),
        Recognised::Other => {}
    }
    if path.is_dir() {
        return if state.is_some() { not_triples() } else { folder(path) };
    }
    let header = match is_stream(path) {
        true => open_stream(path)?.header().clone(),
        false => open_file(path)?.header().clone(),
    };
    let mut facts = describe(&header, names);
    // A pipe cannot be read again.
    if let (Body::PublicModel(_), false) = (&header.body, is_stream(path)) {
        describe_model(path, &mut facts)?;
    }
    if let Some(dir) = state {
        let Body::Triples(triples) = &header.body else { return not_triples() };
        if !dir.is_dir() {
            return Err(Failure::new(Code::Input, "the state folder does not exist").about(dir));
        }
        let used = Ledger::open(dir)?.next_slot(triples.set_id)?.min(triples.slots);
        facts.insert("slots_used".into(), json!(used));
        facts.insert("slots_left".into(), json!(triples.slots - used));
    }
    Ok(facts)
}

fn show(facts: &Map<String, Value>) -> Result<(), Failure> {
    for (name, value) in facts {
        if let (Value::Array(tensors), "tensors") = (value, name.as_str()) {
            print_line("tensors")?;
            for tensor in tensors {
                print_line(&format!("  {}", inputs::tensor_line(tensor)))?;
            }
            continue;
        }
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        print_line(&format!("{:18} {text}", name.replace('_', " ")))?;
    }
    Ok(())
}

/// The keys of a folder: whose they are, and whether secret ones are locked; never a secret.
fn folder(path: &Path) -> Result<Map<String, Value>, Failure> {
    let keys = KeyFolder::open(path)?.list()?;
    if keys.is_empty() {
        let help = "make keys with `ppdenoise keygen`";
        let failure = Failure::new(Code::Input, "there are no keys in this folder");
        return Err(failure.about(path).help(help));
    }
    let mut facts = Map::new();
    facts.insert("kind".into(), json!("key folder"));
    for KeyEntry { role, fingerprint, secret } in keys {
        let half = match secret {
            None => "public",
            Some(Cipher::Locked(_)) => "secret, locked with a passphrase",
            Some(_) => "secret, not locked",
        };
        let name = format!("{}.{}", role.stem(), if secret.is_some() { "key" } else { "pub" });
        facts.insert(name, json!(format!("{fingerprint} {half}")));
    }
    Ok(facts)
}

/// The public fields of a header, in reading order.
fn describe(header: &Header, names: Option<&KeyFolder>) -> Map<String, Value> {
    let fields = match &header.body {
        Body::PublicModel(f) => json!({
            "model_id": f.model_id.to_string(),
            "for_server_keys": f.servers.map(|key| key.to_string()),
        }),
        Body::ModelShare(f) => json!({
            "server": f.party.index(),
            "model_id": f.model_id.to_string(),
            "public_digest": f.public_digest.to_string(),
            "ring_bits": f.ring_bits.bits(),
            "elements": f.elements,
        }),
        Body::ImageShare(f) => json!({
            "server": f.party.index(),
            "image_id": f.image_id.to_string(),
            "model_id": f.model_id.to_string(),
            "ring_bits": f.ring_bits.bits(),
            "height": f.height,
            "width": f.width,
            "patch_means": f.means,
            "note_bytes": f.note,
            "sigma": f.sigma,
            "scale_about": f.levels.scale_about,
            "noise": noise(&f.levels),
        }),
        Body::Triples(f) => json!({
            "server": f.party.index(),
            "set_id": f.set_id.to_string(),
            "weight_mask_id": f.weight_mask_id.to_string(),
            "model_id": f.model_id.to_string(),
            "ring_bits": f.ring_bits.bits(),
            "height": f.height,
            "width": f.width,
            "slots": f.slots,
            "batch_rows": f.batch_rows,
            "origin": f.origin.to_string(),
        }),
        Body::Prepared(f) => json!({
            "server": f.party.index(),
            "set_id": f.set_id.to_string(),
            "slot": f.slot,
            "weight_mask_id": f.weight_mask_id.to_string(),
            "ring_bits": f.ring_bits.bits(),
            "height": f.height,
            "width": f.width,
            "batch_rows": f.batch_rows,
        }),
        Body::ResultShare(f) => json!({
            "server": f.party.index(),
            "image_id": f.image_id.to_string(),
            "model_id": f.model_id.to_string(),
            "session_id": f.session_id.to_string(),
            "ring_bits": f.ring_bits.bits(),
            "height": f.height,
            "width": f.width,
            "noise": noise(&f.decode.levels),
            "dropped_bits": f.decode.dropped_bits,
            "note_bytes": f.note,
        }),
        Body::OpenedWeights(f) => json!({
            "weight_mask_id": f.weight_mask_id.to_string(),
            "model_id": f.model_id.to_string(),
            "ring_bits": f.ring_bits.bits(),
            "elements": f.elements,
        }),
        Body::WeightMask(f) => json!({
            "server": f.party.index(),
            "weight_mask_id": f.weight_mask_id.to_string(),
            "model_id": f.model_id.to_string(),
            "other_server_key": f.peer.to_string(),
        }),
        Body::Hints(f) => json!({
            "server": f.party.index(),
            "weight_mask_id": f.weight_mask_id.to_string(),
            "hints": f.hints,
        }),
        Body::PublicKey(f) => json!({ "role": f.role.stem() }),
        Body::SecretKey(f) => json!({ "role": f.role.stem() }),
    };
    let mut facts = Map::new();
    facts.insert("kind".into(), json!(header.body.kind().to_string()));
    facts.insert("format_version".into(), json!(VERSION));
    facts.insert("protection".into(), json!(protection(header, names)));
    facts.insert("made_by_key".into(), json!(header.sender.to_string()));
    if let Some(recipient) = header.recipient {
        facts.insert("for_key".into(), json!(recipient.to_string()));
    }
    facts.insert("payload_bytes".into(), json!(header.payload_len));
    if let Value::Object(fields) = fields {
        facts.extend(fields);
    }
    facts
}

/// How the payload is protected, with the roles whose public keys are in `names`. The header says
/// so; only who opens the file knows.
fn protection(header: &Header, names: Option<&KeyFolder>) -> String {
    let name = |key: Fingerprint| match names.and_then(|names| names.role_of(key)) {
        Some(role) => format!("{key} ({role})"),
        None => key.to_string(),
    };
    match (header.cipher, header.recipient) {
        (Cipher::Sealed { .. }, Some(recipient)) => {
            format!("sealed to {} by {}", name(recipient), name(header.sender))
        }
        (Cipher::Locked(s), _) => format!(
            "locked with a passphrase: Argon2id, {} KiB, {} passes, {} lanes",
            s.memory_kib, s.passes, s.lanes
        ),
        _ => "none".into(),
    }
}

fn noise(levels: &Levels) -> String {
    match levels.poisson {
        None => "gaussian".into(),
        Some(PoissonNoise { gain, read_noise }) => {
            format!("poisson, gain {gain}, read noise {read_noise}")
        }
    }
}

fn describe_model(path: &Path, facts: &mut Map<String, Value>) -> Result<(), Failure> {
    let public = read_public(path)?.model;
    facts.insert("ring_bits".into(), json!(public.ring.bits()));
    facts.insert("engine".into(), json!(public.engine));
    facts.insert("sigma".into(), json!(public.sigma));
    facts.insert("input_interval".into(), json!(public.input.interval));
    let op = |(number, op): (usize, &Op<LinearSpec, ActivationSpec>)| match op {
        Op::Gather(reads) => {
            reads.iter().map(|r| read(r, &public)).collect::<Vec<_>>().join(" and ")
        }
        Op::Linear(l) => {
            let inputs = public
                .input_fracs(number)
                .into_iter()
                .map(|frac| format!("{frac} + {}", l.out_frac - frac));
            let mut inputs: Vec<String> = inputs.collect();
            inputs.dedup();
            let bits = inputs.join(" and ");
            format!("linear {} to {}, {bits} fraction bits", l.inputs, l.outputs)
        }
        Op::Add(maps) => {
            let maps: Vec<String> = maps.iter().map(|map| map_name(*map)).collect();
            format!("plus {}", maps.join(" and "))
        }
        Op::Shuffle(factor) => format!("{factor}x{factor} pixels of each"),
        Op::Activation(ActivationSpec::Piecewise(p)) => format!(
            "{}, range {}, {} pieces, {} bits of input, {} fraction bits",
            p.name,
            f64::from(p.scales.range_bits).exp2(),
            p.pieces.len(),
            p.scales.input_bits,
            p.scales.out_frac
        ),
        Op::Activation(ActivationSpec::Lookup(t)) => format!(
            "{}, range {}, {} cells, {} low bits, {} fraction bits",
            t.function,
            f64::from(t.range_bits).exp2(),
            t.values.len(),
            t.lo,
            t.out_frac
        ),
        Op::Residual => "centre of the patch minus the output".into(),
        Op::Mean => "mean of the patch plus the output".into(),
        Op::Fold(f) => format!("weighted average of {0}x{0} patches", f.patch),
    };
    let ops: Vec<String> = public.network.ops().iter().enumerate().map(op).collect();
    facts.insert("ops".into(), json!(ops));
    Ok(())
}

/// What an op reads: in a chain the patches alone, otherwise of which map.
fn read(read: &Read, public: &PublicModel) -> String {
    let Gather { patch, stride, .. } = read.gather;
    let patches = format!("patches {patch}x{patch}, every {stride} pixels");
    match read.from {
        _ if public.network.is_chain() => patches,
        Source::Map(number) => format!("{patches} of {}", map_name(number)),
        Source::Plane => format!("{patches} of the noise level"),
    }
}

fn map_name(number: usize) -> String {
    if number == 0 { "the image".into() } else { format!("map {number}") }
}
