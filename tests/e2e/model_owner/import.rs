//! Models of others: imported in one command, refused in words, listed, and tried before they are shared.

use crate::common::{CAMERA, KEYS, Lab, TINY, noisy_crop};
use ppdenoise::internals::model::{FloatModel, load_npz};
use ppdenoise_base::size::Size;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

const INPUT: i32 = 3;
const USAGE: i32 = 2;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/models").join(name)
}

fn load(bytes: Vec<u8>) -> FloatModel {
    load_npz(Cursor::new(bytes), None).unwrap()
}

/// An array: its name, its shape, its numbers.
type Array = (String, Vec<usize>, Vec<f32>);

/// The weights of a convolutional model under the names that KAIR gives them.
fn as_kair(model: &FloatModel) -> Vec<Array> {
    let mut arrays = Vec::new();
    for (i, (_, layer)) in model.network.linears().enumerate() {
        let (outputs, inputs) = layer.weights.dim();
        let channels = inputs / 9;
        // Channels of a pixel lie together in the model, kernels one behind the other in the file.
        let tap = |i: usize| (i / inputs, i % inputs / 9, i % 9);
        let weight = |(o, c, t): (usize, usize, usize)| layer.weights[[o, t * channels + c]];
        let weights = (0..outputs * inputs).map(|i| weight(tap(i))).collect();
        let name = format!("model.{}", 2 * i);
        arrays.push((format!("{name}.weight"), vec![outputs, channels, 3, 3], weights));
        arrays.push((format!("{name}.bias"), vec![outputs], layer.bias.to_vec()));
    }
    arrays
}

/// What `torch.save` makes of a `state_dict`.
fn torch(arrays: &[Array]) -> Vec<u8> {
    let text =
        |text: &str| [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
    let number = |n: usize| [b"J", &(n as u32).to_le_bytes()[..]].concat();
    let tuple = |sides: &[usize]| {
        [b"(".to_vec(), sides.iter().flat_map(|s| number(*s)).collect(), b"t".to_vec()].concat()
    };
    let ordered: &[u8] = b"ccollections\nOrderedDict\n)R";
    let mut pickle = [b"\x80\x02", ordered, b"("].concat();
    for (key, (name, shape, values)) in arrays.iter().enumerate() {
        let mut strides: Vec<usize> = shape
            .iter()
            .rev()
            .scan(1, |step, side| Some(std::mem::replace(step, *step * side)))
            .collect();
        strides.reverse();
        pickle.extend(text(name));
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        pickle.extend(text("storage"));
        pickle.extend(b"ctorch\nFloatStorage\n");
        pickle.extend([text(&key.to_string()), text("cpu"), number(values.len())].concat());
        pickle.extend(b"tQK\x00");
        pickle.extend([tuple(shape), tuple(&strides)].concat());
        pickle.extend([b"\x89", ordered, b"tR"].concat());
    }
    pickle.extend(b"u.");
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let mut put = |name: String, bytes: &[u8]| {
        archive.start_file(name, stored).unwrap();
        archive.write_all(bytes).unwrap();
    };
    put("dncnn_25/data.pkl".into(), &pickle);
    for (key, (_, _, values)) in arrays.iter().enumerate() {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        put(format!("dncnn_25/data/{key}"), &bytes);
    }
    put("dncnn_25/version".into(), b"3\n");
    archive.finish().unwrap().into_inner()
}

/// KAIR's file in one command: the network that is shipped, and how it is meant.
#[test]
fn kairs_dncnn_is_imported_in_one_command() {
    let lab = Lab::new();
    let shipped = load(std::fs::read(fixture("dncnn-s25.npz")).unwrap());
    let arrays = as_kair(&shipped);
    lab.write("dncnn_25.pth", &torch(&arrays));
    let import = ["import", "dncnn_25.pth", "--out", "mine.npz"];
    let ended = lab.run(&[&import[..], &["--json"]].concat());
    let report = ended.report();
    assert_eq!(report["chosen"], "0..1, x - net(x), relu");
    assert_eq!((&report["format"], &report["family"]), (&"PyTorch".into(), &"dncnn".into()));
    assert_eq!(report["weights"], 554_112);
    let tries = report["tries"].as_array().unwrap();
    assert_eq!(tries.len(), 48);
    let (noisy, best) =
        (report["noisy_psnr_db"].as_f64().unwrap(), tries[0]["psnr_db"].as_f64().unwrap());
    assert!(best > noisy + 7.0, "{report}");
    // A slope of 0.01 is nearly none: what is published under these names has none.
    let near = |t: &&serde_json::Value| t["psnr_db"].as_f64().unwrap() > best - 1.0;
    let near: Vec<_> = tries.iter().filter(near).map(|t| t["what"].as_str().unwrap()).collect();
    assert_eq!(near, ["0..1, x - net(x), relu", "0..1, x - net(x), leaky_relu(0.01)"]);
    assert!(report["notes"].to_string().contains("KAIR's DnCNN"), "{report}");
    assert!(
        ended.stderr.contains("<- taken")
            && ended.stderr.contains("mine.npz (0..1, x - net(x), relu); `ppdenoise calibrate`"),
        "{}",
        ended.stderr
    );
    let mine = load(lab.read("mine.npz"));
    assert_eq!(mine.network, shipped.network);
    assert_eq!((mine.units, mine.sigma), (shipped.units, shipped.sigma));

    lab.run(&import).refused_once(USAGE, &["mine.npz", "exists already"]);
    // The file's name says nothing.
    std::fs::rename(lab.path("dncnn_25.pth"), lab.path("model.npz")).unwrap();
    let listed = lab.run(&["inspect", "model.npz"]);
    let lines = &listed.done().stdout;
    assert!(
        lines.contains("PyTorch") && lines.contains("problem") && lines.contains("import"),
        "{lines}"
    );
    let last = lines.lines().last().unwrap();
    let words: Vec<&str> = last.split_whitespace().collect();
    assert_eq!(words, ["model.32.weight", "F32", "1x64x3x3"], "{lines}");
    // A description that is there already would be read in place of the one inside.
    lab.write("other.json", b"{}");
    lab.run(&["import", "model.npz", "--out", "other.npz"]).refused_once(USAGE, &["other.json"]);
    lab.run(&["import", "model.npz", "--out", "other.pth"]).refused_once(USAGE, &[".npz"]);
    lab.no_leftovers();
}

#[test]
fn what_cannot_be_imported_leaves_nothing() {
    let lab = Lab::new();
    let refused = |name: &str, words: &[&str]| {
        let ended = lab.run(&["import", name, "--out", "out.npz"]);
        ended.refused(INPUT, words);
        assert!(!lab.exists("out.npz"));
    };
    let conv = |name: &str, outputs: usize, inputs: usize| {
        let count = outputs * inputs * 9;
        let values = (0..count).map(|i| (i as f32 * 0.7).sin() * 0.1).collect();
        (name.to_string(), vec![outputs, inputs, 3, 3], values)
    };
    let colour = [conv("model.0.weight", 8, 15), conv("model.2.weight", 12, 8)];
    lab.write("ffdnet.pth", &torch(&colour));
    refused("ffdnet.pth", &["'ffdnet.pth'", "`model.0.weight` [8x15x3x3]", "FFDNet for colour"]);
    lab.write("random.pth", &torch(&[conv("0.weight", 4, 1), conv("2.weight", 1, 4)]));
    refused("random.pth", &["does not denoise", "24 ways were tried", "x + net(x)", "--sigma"]);
    let mut nan = [conv("0.weight", 4, 1), conv("2.weight", 1, 4)];
    nan[1].2[3] = f32::NAN;
    lab.write("nan.pth", &torch(&nan));
    refused("nan.pth", &["`2.weight` at [0, 0, 1, 0]: NaN"]);
    let good = torch(&as_kair(&load(std::fs::read(fixture("dncnn-s25.npz")).unwrap())));
    lab.write("cut.pth", &good[..good.len() / 2]);
    refused("cut.pth", &["'cut.pth': this is the beginning of an archive", "it was cut"]);
    lab.write("pointer.pth", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n");
    refused("pointer.pth", &["a pointer of Git LFS", "git lfs pull"]);
    lab.write("keras.h5", b"\x89HDF\r\n\x1a\n\0\0\0\0");
    refused("keras.h5", &["Keras", "keras.models.load_model('FILE')"]);
    let huge = r#"{"0.weight":{"dtype":"F32","shape":[4294967296,1,3,3],"data_offsets":[0,154618822656]}}"#;
    lab.write("huge", &[&(huge.len() as u64).to_le_bytes()[..], huge.as_bytes()].concat());
    refused("huge", &["not a readable safetensors file"]);
    lab.no_leftovers();
}

/// What a file does not say and no trial tells is asked for, by flags that decide it; nothing is written until then.
#[test]
fn what_a_file_does_not_say_is_asked_for() {
    let lab = Lab::new();
    let file = fixture("range-minus1-1.pth").display().to_string();
    let import = ["import", &file, "--out", "mine.npz"];
    let asked = ["denoise alike", "-1..1, x - net(x), relu: ", "--activation, --range"];
    lab.run(&import).refused_once(INPUT, &asked);
    assert!(!lab.exists("mine.npz"));
    let flags = ["--activation", "relu", "--range", "-1..1", "--predicts", "noise", "--json"];
    let report = lab.run(&[&import[..], &flags].concat()).report();
    assert_eq!(report["chosen"], "-1..1, x - net(x), relu");
    assert_eq!(report["tries"].as_array().unwrap().len(), 1);
    assert!(lab.exists("mine.npz"));
    let odd = [&import[..], &["--range", "-1..3", "--force"]].concat();
    lab.run(&odd).refused_once(INPUT, &["levels of -1..3", "begin at 0"]);
    let file = fixture("deepinv-x-plus-net.pth").display().to_string();
    let report = lab.run(&["import", &file, "--out", "deepinv.npz", "--json"]).report();
    assert_eq!(report["chosen"], "0..1, x + net(x), relu");
    lab.no_leftovers();
}

/// A graph says what it is; what is in its way is named by its node, and its constants can be named by a description.
#[test]
fn graphs_of_onnx_are_imported() {
    let lab = Lab::new();
    let blur = fixture("blur.onnx").display().to_string();
    let listed = lab.run(&["inspect", &blur, "--json"]).report();
    assert_eq!((&listed["format"], &listed["tensors"][5]["name"]), (&"ONNX".into(), &"w".into()));
    let report = lab.run(&["import", &blur, "--out", "mine.npz", "--json"]).report();
    assert_eq!(report["chosen"], "0..1, x - net(x), relu");
    assert_eq!((&report["format"], &report["family"]), (&"ONNX".into(), &"graph".into()));
    lab.picture("noisy.png", &noisy_crop(Size::new(24, 25)));
    lab.run(&["denoise", "noisy.png", "--model", "mine.npz", "--out", "mine.npy"]).done();

    // The same by a description that names the constants, normalisation left away: its factors are 1/2 and 2.
    lab.write("own.onnx", &std::fs::read(fixture("blur.onnx")).unwrap());
    let denoise = ["denoise", "noisy.png", "--model", "own.onnx", "--out", "own.npy"];
    lab.run(&denoise).refused_once(INPUT, &["own.onnx", "NAME.json", "`ppdenoise import`"]);
    let json = r#"{"layers":[{"conv2d":{"outputs":2,"kernel":5,"weights":"W"}},"relu",
        {"conv2d":{"outputs":1,"kernel":1,"weights":"v"}},"residual"],"sigma":25,"normalisation":"v/255"}"#;
    lab.write("own.json", json.as_bytes());
    lab.run(&denoise)
        .refused_once(INPUT, &["array `W`: is not in the file", "`ppdenoise inspect`"]);
    lab.write("own.json", json.replace('W', "w").as_bytes());
    lab.run(&[&denoise[..], &["--even-if-implausible"]].concat()).done();
    assert_ne!(lab.read("own.npy"), lab.read("mine.npy"));

    // Another operator in the place of the activation.
    let mut bytes = std::fs::read(fixture("blur.onnx")).unwrap();
    let at = bytes.windows(4).position(|word| word == b"Relu").unwrap();
    bytes[at..at + 4].copy_from_slice(b"Gelu");
    lab.write("gelu.onnx", &bytes);
    let words = ["'gelu.onnx'", "its node `/relu` (Gelu) is none of what is read: Conv,"];
    lab.run(&["import", "gelu.onnx", "--out", "x.npz"]).refused(INPUT, &words);
    lab.no_leftovers();
}

/// What is no model is told by what it is, wherever a model is expected.
#[test]
fn what_is_no_model_is_named() {
    let lab = Lab::new();
    lab.share_model(&[]);
    lab.picture("c.png", &noisy_crop(Size::new(12, 13)));
    lab.write("model.json", br#"{"layers": []}"#);
    lab.write("notes.txt", b"weights are on the other disk\n");
    lab.write("empty.npz", b"");
    lab.write("noise.bin", &[1, 2, 3, 0xfe]);
    for (file, words) in [
        ("c.png", "this is a PNG image, no model"),
        ("model.pub", "this is a public model description, no model"),
        ("model.s0", "this is a model share, no model"),
        ("model.json", "this is JSON, no model"),
        ("notes.txt", "this is text, no model"),
        ("empty.npz", "this is an empty file, no model"),
        ("noise.bin", "this is no model: it begins like none of .npz"),
        (KEYS, "this is a folder, no model"),
    ] {
        let denoise = ["denoise", "c.png", "--model", file, "--out", "x.png"];
        lab.run(&denoise).refused_once(INPUT, &[file, words]);
        let share = ["share-model", file, "--keys", KEYS, "--out", "x"];
        lab.run(&share).refused_once(INPUT, &[file, words]);
        lab.run(&["import", file, "--out", "x.npz"]).refused_once(INPUT, &[file, words]);
    }
    lab.no_leftovers();
}

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");

#[test]
fn inspect_answers_for_images_and_models() {
    let lab = Lab::new();
    let report = |file: &str| lab.run(&["inspect", file, "--json"]).report();
    let camera = report(CAMERA);
    assert_eq!((&camera["kind"], &camera["format"]), (&"image".into(), &"PNG".into()));
    assert_eq!((&camera["height"], &camera["width"]), (&512.into(), &512.into()));
    assert_eq!((&camera["depth"], &camera["channels"]), (&"8 bits".into(), &1.into()));
    assert_eq!((&camera["bits"], &camera["bits_used"]), (&8.into(), &8.into()));
    lab.picture("noisy.png", &noisy_crop(Size::new(96, 96)));
    let noisy = report("noisy.png");
    let sigma = noisy["estimated_sigma"][0].as_f64().unwrap();
    assert!((20.0..30.0).contains(&sigma), "{sigma}");
    assert_eq!(noisy["served_by"], serde_json::json!(["default", "fine", "dncnn-s25", "mlp-s25"]));
    let scan = report(&format!("{FIXTURES}/dicom/ct.dcm"));
    assert_eq!((&scan["bits"], &scan["rescale"]), (&12.into(), &serde_json::json!([1.0, -1024.0])));
    assert_eq!(scan["window"], serde_json::json!([40.0, 400.0]));
    let sliver = report(&format!("{FIXTURES}/dicom/sliver-16-bits.dcm"));
    assert_eq!(sliver["values"], serde_json::json!([-599.0, 1218.0]));
    assert!(sliver["problem"].as_str().unwrap().contains("of what 16 bits can hold"));
    assert!(sliver["next"].as_str().unwrap().contains("--window CENTER,WIDTH"));
    assert!(sliver.get("estimated_sigma").is_none());
    let tiny = report(TINY);
    assert_eq!(tiny["tensors"][0]["name"], "b1");
    assert_eq!(tiny["tensors"][2]["shape"], serde_json::json!([24, 81]));
    assert_eq!((&tiny["sigma"], &tiny["format"]), (&25.0.into(), &".npz".into()));
    lab.run(&["inspect", CAMERA, "--state", "s"]).refused(USAGE, &["triples only"]);
}

/// A description under which the weights do not denoise is not shared, and `denoise` says so.
#[test]
fn a_wrong_description_is_not_shared() {
    let lab = Lab::new();
    lab.picture("noisy.png", &noisy_crop(Size::new(24, 24)));
    lab.write("own.npz", &std::fs::read(TINY).unwrap());
    let json = r#"{"kind":"mlp","activation":"tanh","input_patch":9,"output_patch":5,"hidden":[24],
        "stride":3,"sigma":25.0,"residual":RESIDUAL,"normalisation":"(v/255-0.5)/0.2"}"#;
    let share = ["share-model", "own.npz", "--keys", KEYS, "--out", "model"];
    let denoise = ["denoise", "noisy.png", "--model", "own.npz", "--out", "x.png", "--force"];
    let denoise = [&denoise[..], &["--even-if-implausible"]].concat();
    lab.write("own.json", json.replace("RESIDUAL", "false").as_bytes());
    let words =
        ["own.npz", "clearly better", "describe it so: (v/255-0.5)/0.2, residual", "--unchecked"];
    lab.run(&share).refused_once(INPUT, &words);
    assert!(!lab.exists("model.pub"));
    let said = lab.run(&denoise);
    assert!(said.done().stderr.contains("its description is in doubt"), "{}", said.stderr);
    lab.run(&[&share[..], &["--unchecked"]].concat()).done();
    lab.write("own.json", json.replace("RESIDUAL", "true").as_bytes());
    lab.run(&[&share[..], &["--force"]].concat()).done();
    let said = lab.run(&denoise);
    assert!(!said.done().stderr.contains("in doubt"), "{}", said.stderr);
}
