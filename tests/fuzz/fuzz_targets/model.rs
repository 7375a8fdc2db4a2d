//! Trained models: .npz, safetensors, MATLAB and PyTorch files, with and without a description beside.
//!
//! Input: one byte for the format, two for the length of the description, the description, the file.
//! An ONNX file comes as it is, and what its graph is as a list of layers is asked for.
//! Formats 1 and 5 pack the rest into an archive here, as arrays or as a pickle, so that its checksums hold.
#![no_main]
use libfuzzer_sys::fuzz_target;
use ppdenoise::internals::model::{
    Description, FloatModel, ModelError, ModelFile, Packing, QuantiseOptions, describe, load_mat,
    load_npz, load_pth, load_safetensors, quantise, save_npz,
};
use ppdenoise_base::numbers::ring::RingBits;
use ppdenoise_fuzz::peer::Bytes;
use ppdenoise_fuzz::{fixture, memory::bounded, seeds, world};
use std::io::{Cursor, Write};
use zip::write::SimpleFileOptions;

/// Weights that a model may have cost this at most, whatever the file's size: what deflate makes of
/// the file, read, converted and ordered.
const INFLATION: usize = 1032;
const COPIES: usize = 24;
/// And 65,535 entries that an archive announces, and what a pickle names.
const SLACK: usize = 32 << 20;
/// What a byte of a pickle may take.
const PICKLE: usize = 100;

fuzz_target!(init: seeds(models), |data: &[u8]| {
    let mut bytes = Bytes(data);
    let (kind, length) = (bytes.byte(), usize::from(bytes.byte()) | usize::from(bytes.byte()) << 8);
    let (json, file) = bytes.0.split_at(length.min(bytes.0.len()));
    let beside = (!json.is_empty()).then_some(json);
    if let Ok(description) = Description::parse(json) {
        description.network().expect("a description that was checked");
    }
    let bound = SLACK + COPIES * INFLATION * data.len();
    let model = match kind % 6 {
        0 => bounded(bound, || load_npz(Cursor::new(file), beside)),
        1 => {
            let archive = archive(file);
            bounded(SLACK + COPIES * (archive.len() + data.len()), || {
                load_npz(Cursor::new(&archive), beside)
            })
        }
        2 => bounded(SLACK + COPIES * data.len(), || load_safetensors(file, beside)),
        3 => bounded(bound, || load_mat(file, beside)),
        4 => bounded(SLACK + PICKLE * data.len(), || pth(file, beside)),
        _ => {
            let archive = torch(file);
            bounded(SLACK + PICKLE * archive.len(), || pth(&archive, beside))
        }
    };
    if let Ok(model) = model {
        use_it(&model);
    }
    // As it comes, told by its first bytes.
    let _ = bounded(bound, || {
        let opened = ModelFile::open(Cursor::new(file.to_vec()));
        opened.and_then(|mut file| {
            // What a graph is: as many weights as the file's length allows, three times.
            let _ = file.layers_of_graph();
            file.tensors().map(|_| ())
        })
    });
});

/// What `share-model` does next.
fn use_it(model: &FloatModel) {
    if model.network.linears().map(|(_, l)| l.weights.len()).sum::<usize>() > 1 << 14 {
        return;
    }
    for ring in [RingBits::L32, RingBits::L64] {
        let options = QuantiseOptions::guaranteed(ring, world::lut(), 2.5);
        let made: Result<_, ModelError> = quantise(model, &options);
        if let Ok(quantised) = made {
            let json = quantised.public.to_json();
            assert!(ppdenoise::internals::model::PublicModel::from_json(&json).is_ok());
        }
    }
}

/// An archive of arrays: a byte for the name, two for the length, the bytes.
fn archive(data: &[u8]) -> Vec<u8> {
    let mut bytes = Bytes(data);
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    while !bytes.0.is_empty() {
        let name = NAMES[usize::from(bytes.byte()) % NAMES.len()];
        let length = usize::from(bytes.byte()) | usize::from(bytes.byte()) << 8;
        let (entry, rest) = bytes.0.split_at(length.min(bytes.0.len()));
        bytes.0 = rest;
        // A name that is there already is refused; the fuzzer may well try.
        if zip.start_file(name, options).is_ok() {
            zip.write_all(entry).expect("memory takes everything");
        }
    }
    zip.finish().expect("memory takes everything").into_inner()
}

const NAMES: [&str; 5] = ["w1.npy", "b1.npy", "w2.npy", "b2.npy", "description.npy"];

fn models() -> Vec<Vec<u8>> {
    let tiny = fixture("models/tiny-9-5-24.npz");
    let model = load_npz(Cursor::new(&tiny), None).expect("the fixture is a model");
    let json = describe(&model);
    let (zip, legacy) =
        (fixture("models/tiny-9-5-24.pth"), fixture("models/tiny-9-5-24-legacy.pth"));
    // 3x3 to 1x1 with two hidden features: small enough to mutate.
    let small = br#"{"kind":"mlp","activation":"tanh","input_patch":3,"output_patch":1,"hidden":[2],"stride":1,"sigma":25}"#;
    let with = |kind: u8, json: &[u8], file: &[u8]| {
        [&[kind, json.len() as u8, (json.len() >> 8) as u8], json, file].concat()
    };
    let mut plain = Cursor::new(Vec::new());
    save_npz(&model, Some(&json), Packing::Stored, &mut plain).expect("memory takes everything");
    let array = |kind: &str, shape: &str, bytes: usize| {
        let text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let head = [b"\x93NUMPY\x01\x00".as_slice(), &(text.len() as u16).to_le_bytes()].concat();
        [&head, text.as_bytes(), &vec![0x11; bytes]].concat()
    };
    let arrays = |kind: &str, width: usize| {
        let shapes = [("(2, 9)", 18), ("(2,)", 2), ("(1, 2)", 2), ("(1,)", 1)];
        let entries = shapes.iter().enumerate().map(|(i, (shape, n))| {
            let bytes = array(kind, shape, n * width);
            [&[i as u8, bytes.len() as u8, (bytes.len() >> 8) as u8], &bytes[..]].concat()
        });
        entries.collect::<Vec<_>>().concat()
    };
    // Kernels of one pixel, whose arrays are those of the small one but for two more sides of 1.
    let convolutions = br#"{"layers":[{"conv2d":{"outputs":2,"kernel":1}},"relu",{"conv2d":{"outputs":1,"kernel":1}},"residual"],"sigma":25,"normalisation":"v/255","extremes":[[1,2],[0.5]]}"#;
    vec![
        with(1, convolutions, &arrays("<f4", 4)),
        with(0, b"", &tiny),
        with(0, b"", &plain.into_inner()),
        with(0, small, &archive(&arrays("<f4", 4))),
        with(1, small, &arrays("<f4", 4)),
        with(1, small, &arrays("<f2", 2)),
        with(1, small, &arrays("<f8", 8)),
        with(2, small, &safetensors(&["w1", "b1", "w2", "b2"], "F32", 4)),
        with(2, small, &safetensors(&["0.weight", "0.bias", "2.weight", "2.bias"], "BF16", 2)),
        with(3, b"{\"sigma\":25,\"stride\":1}", &mat(false)),
        with(3, b"", &mat(true)),
        with(4, json.as_bytes(), &zip),
        with(4, json.as_bytes(), &legacy),
        with(5, json.as_bytes(), &pickle(&zip)),
        with(0, b"", &fixture("models/blur.onnx")),
        with(0, b"", &fixture("models/branches.onnx")),
    ]
}

/// Loads a PyTorch file.
fn pth(file: &[u8], beside: Option<&[u8]>) -> Result<FloatModel, ModelError> {
    load_pth(Cursor::new(file.to_vec()), beside)
}

/// The pickle as the archive that `torch.save` makes, with four storages of zeros.
fn torch(pickle: &[u8]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let storages = (0..4).map(|i| (format!("m/data/{i}"), [0; 8192].as_slice()));
    for (name, bytes) in [("m/data.pkl".to_string(), pickle)].into_iter().chain(storages) {
        archive.start_file(name, stored).expect("memory takes everything");
        archive.write_all(bytes).expect("memory takes everything");
    }
    archive.finish().expect("memory takes everything").into_inner()
}

/// The pickle in an archive of `torch.save`.
fn pickle(file: &[u8]) -> Vec<u8> {
    let mut archive = zip::ZipArchive::new(Cursor::new(file)).expect("the fixture is an archive");
    let mut bytes = Vec::new();
    let mut entry = archive.by_name("tiny/data.pkl").expect("the fixture has it");
    std::io::Read::read_to_end(&mut entry, &mut bytes).expect("the fixture is whole");
    bytes
}

fn safetensors(names: &[&str; 4], kind: &str, width: usize) -> Vec<u8> {
    let (mut header, mut at) = (String::new(), 0);
    for (name, (shape, n)) in
        names.iter().zip([("[2,9]", 18), ("[2]", 2), ("[1,2]", 2), ("[1]", 1)])
    {
        let end = at + n * width;
        header += &format!(
            "{}\"{name}\":{{\"dtype\":\"{kind}\",\"shape\":{shape},\"data_offsets\":[{at},{end}]}}",
            if at == 0 { "{" } else { "," }
        );
        at = end;
    }
    header.push('}');
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], header.as_bytes(), &vec![0x22; at]].concat()
}

/// Two layers, 9 -> 2 -> 1, as `w_1`, `w_2` or as the cells of `w`.
fn mat(cell: bool) -> Vec<u8> {
    let element = |kind: u32, data: &[u8]| {
        let mut bytes = [kind.to_le_bytes(), (data.len() as u32).to_le_bytes()].concat();
        bytes.extend_from_slice(data);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    };
    let array = |class: u32, sides: [u32; 2], name: &str, rest: &[u8]| {
        let flags = element(6, &[class.to_le_bytes(), [0; 4]].concat());
        let sides = element(5, &sides.map(u32::to_le_bytes).concat());
        element(14, &[&flags[..], &sides, &element(1, name.as_bytes()), rest].concat())
    };
    let matrix = |name: &str, rows: u32, columns: u32| {
        let numbers = element(7, &vec![0x21; 4 * (rows * columns) as usize]);
        array(7, [rows, columns], name, &numbers)
    };
    let mut file = vec![b' '; 124];
    file.extend([0, 1, b'I', b'M']);
    if cell {
        file.extend(array(1, [1, 2], "w", &[matrix("", 2, 10), matrix("", 1, 3)].concat()));
    } else {
        file.extend([matrix("w_1", 2, 10), matrix("w_2", 1, 3)].concat());
    }
    file
}
