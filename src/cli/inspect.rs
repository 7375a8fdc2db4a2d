//! `inspect`: what a file is, from its public header.

use super::args::Inspect;
use super::failure::{Code, Failure};
use super::files::{is_model, is_stream, read_model, read_public};
use super::output::{print_json, print_line};
use crate::format::Fingerprint;
use crate::format::envelope::{VERSION, open_file, open_stream};
use crate::format::header::{Body, Cipher, Header, Levels, PoissonNoise};
use crate::format::keys::{KeyEntry, KeyFolder};
use crate::format::ledger::Ledger;
use crate::model::{ActivationSpec, LinearSpec};
use crate::network::{LinearShape, Op};
use serde_json::{Map, Value, json};

pub(super) fn run(args: &Inspect) -> Result<(), Failure> {
    if is_model(&args.file) {
        return model(args);
    }
    let names = args.keys.as_deref().map(KeyFolder::open).transpose()?;
    if args.file.is_dir() {
        return folder(args);
    }
    let header = match is_stream(&args.file) {
        true => open_stream(&args.file)?.header().clone(),
        false => open_file(&args.file)?.header().clone(),
    };
    let mut facts = describe(&header, names.as_ref());
    // A pipe cannot be read again.
    if let (Body::PublicModel(_), false) = (&header.body, is_stream(&args.file)) {
        describe_model(args, &mut facts)?;
    }
    if let Some(dir) = &args.state {
        let Body::Triples(triples) = &header.body else {
            let text = "--state tells the slots of triples only";
            return Err(Failure::new(Code::Usage, text).about(&args.file));
        };
        if !dir.is_dir() {
            return Err(Failure::new(Code::Input, "the state folder does not exist").about(dir));
        }
        let used = Ledger::open(dir)?.next_slot(triples.set_id)?.min(triples.slots);
        facts.insert("slots_used".into(), json!(used));
        facts.insert("slots_left".into(), json!(triples.slots - used));
    }
    show(args, &facts)
}

fn show(args: &Inspect, facts: &Map<String, Value>) -> Result<(), Failure> {
    if args.json {
        return print_json("ppdenoise.inspect.v1", facts);
    }
    for (name, value) in facts {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        print_line(&format!("{:18} {text}", name.replace('_', " ")))?;
    }
    Ok(())
}

/// The shapes of an unshared model; of its weights only how many there are.
fn model(args: &Inspect) -> Result<(), Failure> {
    if args.state.is_some() {
        let text = "--state tells the slots of triples only";
        return Err(Failure::new(Code::Usage, text).about(&args.file));
    }
    let model = read_model(&args.file, None)?;
    let (gather, fold) = (model.network.gather(), model.network.fold());
    let layers = model.network.linears().map(|(_, l)| format!("{} to {}", l.inputs(), l.outputs()));
    let facts = json!({
        "kind": "model",
        "family": if model.network.is_convolutional() { "convolutional" } else { "patches" },
        "activation": model.nonlinearity.name(),
        "calibrated": model.extremes.is_some(),
        "layers": layers.collect::<Vec<_>>(),
        "weights": model.network.linears().map(|(_, l)| l.inputs() * l.outputs()).sum::<usize>(),
        "sigma": model.sigma,
        "input_patch": gather.patch,
        "output_patch": fold.patch,
        "stride": gather.stride,
        "residual": model.network.is_residual(),
        "mean_shift": model.mean_shift,
        "own_piecewise": model.piecewise.map(|p| p.name),
    });
    match facts {
        Value::Object(facts) => show(args, &facts),
        _ => Ok(()),
    }
}

/// The keys of a folder: whose they are, and whether secret ones are locked; never a secret.
fn folder(args: &Inspect) -> Result<(), Failure> {
    if args.state.is_some() {
        let text = "--state tells the slots of triples only";
        return Err(Failure::new(Code::Usage, text).about(&args.file));
    }
    let keys = KeyFolder::open(&args.file)?.list()?;
    if keys.is_empty() {
        let help = "make keys with `ppdenoise keygen`";
        let failure = Failure::new(Code::Input, "there are no keys in this folder");
        return Err(failure.about(&args.file).help(help));
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
    show(args, &facts)
}

/// The public fields of a header, in reading order.
fn describe(header: &Header, names: Option<&KeyFolder>) -> Map<String, Value> {
    let fields = match &header.body {
        Body::PublicModel(f) => json!({ "model_id": f.model_id.to_string() }),
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
            "tile_rows": f.tile_rows,
        }),
        Body::Prepared(f) => json!({
            "server": f.party.index(),
            "set_id": f.set_id.to_string(),
            "slot": f.slot,
            "weight_mask_id": f.weight_mask_id.to_string(),
            "ring_bits": f.ring_bits.bits(),
            "height": f.height,
            "width": f.width,
            "tile_rows": f.tile_rows,
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
        }),
        Body::OpenedWeights(f) => json!({
            "weight_mask_id": f.weight_mask_id.to_string(),
            "model_id": f.model_id.to_string(),
            "ring_bits": f.ring_bits.bits(),
            "elements": f.elements,
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

fn describe_model(args: &Inspect, facts: &mut Map<String, Value>) -> Result<(), Failure> {
    let public = read_public(&args.file)?.model;
    facts.insert("ring_bits".into(), json!(public.ring.bits()));
    facts.insert("engine".into(), json!(public.engine));
    facts.insert("sigma".into(), json!(public.sigma));
    facts.insert("input_interval".into(), json!(public.input.interval));
    let op = |op: &Op<LinearSpec, ActivationSpec>| match op {
        Op::Gather(g) => format!("patches {0}x{0}, every {1} pixels", g.patch, g.stride),
        Op::Linear(l) => format!(
            "linear {} to {}, {} + {} fraction bits",
            l.inputs, l.outputs, l.in_frac, l.weight_frac
        ),
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
    let ops: Vec<String> = public.network.ops().iter().map(op).collect();
    facts.insert("ops".into(), json!(ops));
    Ok(())
}
