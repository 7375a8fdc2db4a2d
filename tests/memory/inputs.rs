//! Lying lengths: every parser of outside bytes is told of more than there is, and takes no more
//! memory than its bound.

#[path = "../common/hostile.rs"]
mod hostile;

use crate::counting::peak;
use ppdenoise::internals::artefact::{Note, PublicModelFile};
use ppdenoise::internals::files::container::envelope::{
    ChunkKey, Content, Envelope, EnvelopeWriter, MAGIC, VERSION,
};
use ppdenoise::internals::files::container::header;
use ppdenoise::internals::files::container::header::{Body, Header, PublicKeyOf};
use ppdenoise::internals::files::ledger::Ledger;
use ppdenoise::internals::model::{
    Description, ModelFile, PublicModel, load_mat, load_npz, load_pth, load_safetensors,
};
use ppdenoise::internals::protocol::{Identity, Stock};
use ppdenoise::internals::roles::server::ImageList;
use ppdenoise::internals::wire::{Frame, MAX_PAYLOAD};
use ppdenoise_base::ids::codec::decode_small;
use ppdenoise_base::ids::{Fingerprint, ModelId, Role};
use ppdenoise_base::network::{Gather, PatchGrid};
use ppdenoise_base::numbers::packing;
use ppdenoise_base::size::Size;
use ppdenoise_image::{ImageFormat, RowReader};
use std::io::{Cursor, Write};
use std::path::Path;

/// What any refusal may cost: buffers of a fixed size, the error's text.
const SLACK: usize = 256 << 10;
/// What a reader of an envelope or a frame takes before the bytes come.
const AT_ONCE: usize = 1 << 20;
const KIB: usize = 1 << 10;
/// What 65,535 announced entries of an archive may take.
const DIRECTORY: usize = 16 << 20;
/// What the decoder of whole PNGs may take beside the pixels: a profile of 16 MiB while it grows.
const PROFILE: usize = 32 << 20;
/// What a byte of a pickle may take.
const PICKLE: usize = 100;

/// Asserts a refusal within `bound` bytes.
#[track_caller]
fn refused<T, E: std::fmt::Display>(bound: usize, job: impl FnOnce() -> Result<T, E>) {
    let (used, result) = peak(job);
    let text = result.err().expect("it must be refused").to_string();
    assert!(used <= bound, "{used} bytes in use at a time, at most {bound} are allowed: {text}");
    assert!(text.len() < 1000, "{text}");
}

#[test]
fn the_allocator_counts() {
    let (used, kept) = peak(|| vec![0u8; 3 << 20]);
    assert!(((3 << 20)..(3 << 20) + SLACK).contains(&used));
    let (used, _) = peak(|| drop(kept));
    assert_eq!(used, 0);
}

#[test]
fn headers_of_files() {
    for length in [64 * KIB as u32, 64 * KIB as u32 + 1, u32::MAX] {
        let begin = [&MAGIC[..], &VERSION.to_le_bytes()].concat();
        let bytes = [&begin[..], &length.to_le_bytes(), &[0; 40]].concat();
        refused(SLACK, || Envelope::read(&bytes[..], "lying"));
    }
    // A length within: the window of a result share, text and ids of a greeting.
    for length in [[251, 255, 255, 0, 0], [252, 255, 255, 255, 255], [253, 255, 255, 255, 255]] {
        for at in 0..200 {
            let bytes = [&vec![0; at][..], &length, &[255; 4]].concat();
            refused(SLACK, || Header::from_bytes(&bytes));
            refused(SLACK, || decode_small::<Identity>(&bytes));
            refused(SLACK, || decode_small::<Stock>(&bytes));
        }
    }
}

/// A note's own length, lengths of its name and headers; the list of a server's images.
#[test]
fn notes_and_lists_of_images() {
    for length in [[251, 255, 255, 0, 0], [252, 255, 255, 255, 255], [253, 255, 255, 255, 255]] {
        for at in 0..60 {
            let fields = [&vec![0; at][..], &length, &[255; 4]].concat();
            for claimed in [fields.len() as u32, 1 << 16, u32::MAX] {
                let bytes = [&claimed.to_le_bytes()[..], &fields].concat();
                refused(SLACK, || Note::from_padded(&bytes).ok_or("no note"));
            }
        }
    }
    // One entry too many: refused before any is kept.
    let bytes = vec![0; 1 + 32 * ((1 << 18) + 1)];
    refused(SLACK, || ImageList::from_bytes(&bytes).ok_or("no list"));
}

/// A pipe's header alone says how long it is.
#[test]
fn chunks_of_files() {
    let body = Body::PublicKey(PublicKeyOf { role: Role::Gateway });
    let content = Content { payload_len: 1 << 50, chunks: 1, body };
    let mut file = Vec::new();
    let sender = Fingerprint::from_bytes([1; 16]);
    let _ = EnvelopeWriter::in_clear(&mut file, sender, content).unwrap();
    file.extend([7; 5000]);
    refused(AT_ONCE + SLACK, || {
        Envelope::read(&file[..], "lying")?.in_clear()?.chunk(ChunkKey::ONLY, 1 << 50)
    });
}

/// Sizes that only a header claims.
#[test]
fn grids_of_images() {
    for size in [Size::new(1, 1 << 28), Size::new(1 << 28, 1), Size::new(1 << 14, 1 << 14)] {
        let (used, grid) = peak(|| PatchGrid::new(size, 1, &Gather::convolution(1)));
        assert!(used == 0 && grid.is_ok_and(|g| g.rows() == 1 << 28));
    }
    refused(SLACK, || PatchGrid::new(Size::new(1 << 15, 1 << 14), 1, &Gather::convolution(1)));
}

#[test]
fn frames() {
    for (length, bound) in
        [(MAX_PAYLOAD as u32, AT_ONCE + SLACK), (MAX_PAYLOAD as u32 + 1, SLACK), (u32::MAX, SLACK)]
    {
        let bytes = [&length.to_le_bytes()[..], &[6, 0, 0, 0, 0], &[1; 100]].concat();
        refused(bound, || Frame::read(&mut &bytes[..]));
    }
}

#[test]
fn packed_numbers() {
    for (count, width) in [(usize::MAX, 64), (usize::MAX / 8, 13), (1 << 40, 1)] {
        let (used, unpacked) = peak(|| packing::unpack::<u64>(&[0; 16], width, count));
        assert!(unpacked.is_none() && used == 0);
    }
}

#[test]
fn public_descriptions() {
    let fields = r#""schema":4,"ring_bits":32,"engine":"lut","sigma":25,"units":{"mid_grey":1,"grey_per_unit":1},
        "input":{"interval":1,"frac_bits":1}"#;
    // Millions of the shortest elements, wherever there is a list or could be one.
    for element in ["0", "{}", "[]", "\"residual\"", r#"{"fold":{"patch":1,"window":[]}}"#] {
        let list = format!(
            "[{element}{}]",
            format!(",{element}").repeat((10 << 20) / (element.len() + 1))
        );
        for place in [
            format!(r#""ops":{list}"#),
            format!(r#""ops":[{{"fold":{{"patch":3,"window":{list}}}}}]"#),
            format!(r#""ops":[{{"activation":{{"lookup":{{"values":{list}}}}}}}]"#),
            format!(r#""ops":[{{"activation":{{"piecewise":{{"knots":{list}}}}}}}]"#),
            format!(r#""ops":[{{"activation":{{"piecewise":{{"pieces":{list}}}}}}}]"#),
            format!(r#""ops":[{{"linear":{{"extra":{list}}}}}]"#),
            format!(r#""ops":[{{"residual":{list}}}]"#),
            format!(r#""ops":[{{"gather":{list}}}]"#),
            format!(r#""ops":[{{"add":{list}}}]"#),
            format!(r#""extra":{list}"#),
        ] {
            for json in [format!("{{{fields},{place}}}"), format!("{{{place},{fields}}}")] {
                refused(SLACK, || PublicModel::from_json(json.as_bytes()));
            }
        }
    }
    // A name is kept as it is, and quoted where it is unknown, but not shown whole.
    let name = "x".repeat(4 << 20);
    for place in [
        format!(r#""{name}":1"#),
        format!(r#""ops":["{name}"]"#),
        format!(r#""ops":[{{"activation":{{"lookup":{{"function":"{name}"}}}}}}]"#),
    ] {
        let json = format!("{{{place},{fields}}}");
        refused(4 * json.len() + SLACK, || PublicModel::from_json(json.as_bytes()));
    }
    let long = vec![b'['; (16 << 20) + 1];
    refused(SLACK, || PublicModel::from_json(&long));
    let deep = vec![b'['; 1 << 20];
    refused(SLACK, || PublicModel::from_json(&deep));
}

/// What `inspect`, the gateway and the dealer take of a `.pub` that anybody made: they know no digest.
#[test]
fn forged_public_descriptions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("forged.pub");
    let [sender, s0, s1] = [1, 2, 3].map(|v| Fingerprint::from_bytes([v; 16]));
    let header = header::PublicModel { model_id: ModelId::from_bytes([4; 16]), servers: [s0, s1] };
    for place in ["extra", "ops"] {
        let mut json = format!("{{\"{place}\":[{{}}{}]}}", ",{}".repeat(5_000_000)).into_bytes();
        let payload_len = json.len() as u64;
        let content = Content { payload_len, chunks: 1, body: header.into() };
        let file = std::fs::File::create(&path).unwrap();
        let mut file = EnvelopeWriter::in_clear(file, sender, content).unwrap();
        file.chunk(ChunkKey::ONLY, &mut json).unwrap();
        file.finish().unwrap();
        refused(json.len() + SLACK, || PublicModelFile::read(&path));
    }
}

/// 3x3 to 1x1 with two features between.
const SMALL: &str = r#"{"kind":"mlp","activation":"tanh","input_patch":3,"output_patch":1,
    "hidden":[2],"stride":1,"sigma":25}"#;
/// As many weights as a model may have, and more.
const LARGE: &str = r#"{"kind":"mlp","activation":"tanh","input_patch":127,"output_patch":127,
    "hidden":[8000],"stride":1,"sigma":25}"#;

#[test]
fn descriptions_of_models() {
    for hidden in ["18446744073709551615", "65537", "65536,65536,65536"] {
        let json = SMALL.replace("[2]", &format!("[{hidden}]"));
        let checked = peak(|| Description::parse(json.as_bytes()));
        assert!(checked.0 <= SLACK);
        if let Ok(d) = checked.1 {
            let json = Some(json.as_bytes());
            assert_eq!(d.layers.len(), 8);
            refused(SLACK, || load_npz(Cursor::new(archive(&[])), json));
        }
    }
}

fn npy(shape: &str, data: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = (text.len() as u16).to_le_bytes();
    [&b"\x93NUMPY\x01\x00"[..], &length, text.as_bytes(), data].concat()
}

fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn numpy_archives() {
    // What inflates to 16 MiB where 18 numbers are due.
    let bomb = archive(&[("w1.npy", &npy("(2, 9)", &vec![0; 16 << 20]))]);
    assert!(bomb.len() < 64 * KIB);
    refused(2 * SLACK, || load_npz(Cursor::new(&bomb), Some(SMALL.as_bytes())));
    // The description promises 129 million weights, the file brings 4 bytes.
    let empty = archive(&[("w1.npy", &npy("(8000, 16129)", &[0; 4]))]);
    refused(SLACK, || load_npz(Cursor::new(&empty), Some(LARGE.as_bytes())));
    for shape in ["(18446744073709551615, 18446744073709551615)", "(1, 99999999999)"] {
        let lying = archive(&[("w1.npy", &npy(shape, &[0; 72]))]);
        refused(SLACK, || load_npz(Cursor::new(&lying), Some(SMALL.as_bytes())));
    }
    // The number of entries and the offset of the directory, at the end of an archive.
    for at in 1..=16 {
        let mut lying = empty.clone();
        let at = lying.len() - 2 - at;
        lying[at] = 0xff;
        let _ = peak(|| load_npz(Cursor::new(&lying), Some(SMALL.as_bytes())));
        refused(2 * SLACK, || load_npz(Cursor::new(&lying), Some(SMALL.as_bytes())));
    }
}

/// What an import is told of arrays, and what the file brings.
#[test]
fn imports_of_models() {
    let import = |bytes: &[u8]| {
        let file = ModelFile::open(Cursor::new(bytes.to_vec()));
        file.map_err(|e| e.to_string())?
            .import(ppdenoise::internals::model::Known::default(), 25.0, &mut |_| ())
            .map_err(|e| e.to_string())
    };
    let pairs = [
        ("(8000, 16129)", "(16129, 8000)"),
        ("(1099511627776, 0)", "(1, 1099511627776)"),
        ("(4294967296, 1, 3, 3)", "(1, 4294967296, 3, 3)"),
        ("(18446744073709551615, 1, 15, 15)", "(1, 18446744073709551615, 1, 1)"),
    ];
    for (first, second) in pairs {
        let lying = archive(&[("w1.npy", &npy(first, &[0; 4])), ("w2.npy", &npy(second, &[0; 4]))]);
        refused(2 * SLACK, || import(&lying));
    }
    let long = "x".repeat(60_000);
    let lying = archive(&[(&format!("{long}.npy"), &npy("(2, 9)", &[0; 72]))]);
    refused(4 * SLACK, || import(&lying));
    let header = r#"{"w1":{"dtype":"F32","shape":[8000,16129],"data_offsets":[0,516128000]}}"#;
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 64]].concat();
    refused(SLACK, || import(&bytes));
}

#[test]
fn safetensors_files() {
    for length in [u64::MAX, 1 << 40, 99_999_999] {
        let bytes = [&length.to_le_bytes()[..], b"{}"].concat();
        refused(SLACK, || load_safetensors(&bytes, Some(SMALL.as_bytes())));
    }
    let header = r#"{"w1":{"dtype":"F32","shape":[8000,16129],"data_offsets":[0,516128000]}}"#;
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 64]].concat();
    refused(SLACK, || load_safetensors(&bytes, Some(LARGE.as_bytes())));
}

/// An archive may announce 65,535 entries, for which crate `zip` takes memory before it looks for them.
#[test]
fn directories_of_archives() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hostile/zip-entries.pth");
    let bytes = std::fs::read(&path).unwrap();
    let file = std::fs::File::open(&path).unwrap();
    refused(DIRECTORY, || load_pth(file.try_clone().unwrap(), Some(SMALL.as_bytes())));
    refused(DIRECTORY, || load_npz(Cursor::new(&bytes), Some(SMALL.as_bytes())));
}

/// A pickle's objects take many times its bytes: the bound is on the file's length.
#[test]
fn pytorch_files() {
    let length = 255 << 10;
    let objects: [&[u8]; 7] = [b"]", b"}", b"(", b"K\x01", b")", b"]q\x00", b"(}t"];
    for object in objects {
        let body = object.repeat(length / object.len());
        for ends in [&b"."[..], b"e.", b"l.", b"t."] {
            let pickle = [&b"\x80\x02]("[..], &body, ends].concat();
            let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
            let stored = zip::write::SimpleFileOptions::default()
                .compression_method(zip::CompressionMethod::Stored);
            archive.start_file("x/data.pkl", stored).unwrap();
            archive.write_all(&pickle).unwrap();
            for bytes in [archive.finish().unwrap().into_inner(), pickle] {
                let most = PICKLE * bytes.len() + SLACK;
                let file = Cursor::new(bytes);
                refused(most, || load_pth(file.clone(), Some(SMALL.as_bytes())));
            }
        }
    }
}

/// A list that a pickle makes many things of is not copied for each of them.
#[test]
fn pytorch_files_that_repeat() {
    let list = [b"(NN\x86", &b"2".repeat(100_000)[..], b"l\x85q\x01"].concat();
    for class in [&b"ccollections\nOrderedDict\nq\x00"[..], b"cbuiltins\nset\nq\x00"] {
        let pickle = [class, &list, &b"h\x00h\x01R".repeat(20_000), b"."].concat();
        let most = PICKLE * pickle.len() + SLACK;
        refused(most, || load_pth(Cursor::new(pickle), Some(SMALL.as_bytes())));
    }
}

/// What a graph names costs what its bytes may cost, and weights that many nodes share are counted for each.
#[test]
fn onnx_files() {
    let field = |tag: u8, data: &[u8]| {
        let mut bytes = vec![tag << 3 | 2];
        let mut length = data.len();
        while length >= 0x80 {
            bytes.push(length as u8 | 0x80);
            length >>= 7;
        }
        [&bytes[..], &[length as u8], data].concat()
    };
    // A version, an image, a picture, and operators of version 17.
    let side = |value: u8| field(1, &[8, value]);
    let shape = field(2, &[side(1), side(1), side(8), side(8)].concat());
    let kind = field(2, &field(1, &[&[8, 1][..], &shape].concat()));
    let ends = [field(11, &[field(1, b"x"), kind].concat()), field(12, &field(1, b"y"))].concat();
    let file = |graph: &[u8]| {
        [&[8, 8][..], &field(7, &[graph, &ends].concat()), &field(8, &[16, 17])].concat()
    };
    let import = |bytes: &[u8]| {
        let file = ModelFile::open(Cursor::new(bytes.to_vec())).map_err(|e| e.to_string())?;
        file.layers_of_graph().map_err(|e| e.to_string())
    };
    let attributes: Vec<u8> = (0..16).flat_map(|i| field(5, &field(1, &[b'a' + i]))).collect();
    let node =
        |i: usize| field(1, &[&field(2, i.to_string().as_bytes())[..], &attributes].concat());
    let mut nodes: Vec<Vec<u8>> = (0..8192).map(node).collect();
    nodes[8191] = field(1, &[field(2, b"y"), field(4, b"Relu")].concat());
    // Weights of 64 KiB, which a thousand nodes read.
    let weights =
        [&[8, 64, 8, 64, 8, 2, 8, 2, 16, 1][..], &field(8, b"w"), &field(9, &vec![0; 1 << 16])]
            .concat();
    let conv = |i: usize| {
        let (from, to) = (format!("{i}"), format!("{}", i + 1));
        let names = [field(1, from.as_bytes()), field(1, b"w"), field(2, to.as_bytes())].concat();
        field(1, &[&names[..], &field(4, b"Conv")].concat())
    };
    let last = field(1, &[field(1, b"1000"), field(2, b"y"), field(4, b"Identity")].concat());
    let chain = [(0..1000).flat_map(conv).collect(), last, field(5, &weights)].concat();
    for graph in [
        field(1, b"").repeat(5 << 20),
        field(5, b"").repeat(5 << 20),
        field(1, &field(1, b"").repeat(1 << 20)),
        field(5, &[8, 0x7f].repeat(1 << 20)),
        field(1, &field(5, &[0x40, 1].repeat(1 << 20))),
        field(1, &[field(2, b"y"), field(5, &field(7, &vec![0; 1 << 20]))].concat()),
        nodes.concat(),
        chain,
    ] {
        let bytes = file(&graph);
        let most = if graph.len() > 1 << 20 { 8 * bytes.len() } else { PICKLE * bytes.len() };
        refused(most + 4 * SLACK, || import(&bytes));
    }
}

#[test]
fn matlab_files() {
    let element = |kind: u32, length: u32, data: &[u8]| {
        [&kind.to_le_bytes()[..], &length.to_le_bytes(), data].concat()
    };
    let matrix = |rows: u32, columns: u32, announced: u32| {
        let parts = [
            element(6, 8, &[6, 0, 0, 0, 0, 0, 0, 0]),
            element(5, 8, &[rows.to_le_bytes(), columns.to_le_bytes()].concat()),
            element(1, 3, b"w_1\0\0\0\0\0"),
            element(9, announced, &[0; 64]),
        ];
        let body = parts.concat();
        let mut file = vec![b' '; 124];
        file.extend([0, 1, b'I', b'M']);
        file.extend(element(14, body.len() as u32, &body));
        file
    };
    for (rows, columns) in [(8000, 16130), (u32::MAX >> 1, u32::MAX >> 1), (65536, 4096)] {
        let announced = rows.wrapping_mul(columns).wrapping_mul(8);
        refused(SLACK, || load_mat(&matrix(rows, columns, announced), None));
    }
}

#[test]
fn images() {
    let png = |width: u32, height: u32| {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        bytes.extend([width.to_be_bytes(), height.to_be_bytes()].concat());
        bytes.extend([8, 0, 0, 0, 0, 1, 2, 3, 4]);
        // No data, then the end.
        bytes.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e\0\0\0\0IEND\xae\x42\x60\x82");
        bytes
    };
    for (width, height) in [(1 << 14, 1 << 14), (u32::MAX, u32::MAX), (u32::MAX, 1)] {
        both_refused(ImageFormat::Png, &png(width, height));
    }
    // Found by the fuzz target `image`: a directory that announces four million widths.
    let root = env!("CARGO_MANIFEST_DIR");
    let tiff = std::fs::read(format!("{root}/fixtures/hostile/tiff-values.tiff")).unwrap();
    both_refused(ImageFormat::Tiff, &tiff);
    for shape in ["(16384, 16384)", "(4294967296, 4294967296)", "(1, 18446744073709551616)"] {
        both_refused(ImageFormat::Npy, &npy(shape, &[0; 64]));
    }
    // What only a scan may have, and what not even that.
    for header in ["P5 200000 200000 255\n", "P6 4294967295 1 65535\n", "P5 1 4294967295 255\n"] {
        both_refused(ImageFormat::Pnm, header.as_bytes());
    }
}

/// Limits of a library hold from the first byte that it sees, not once the image's size is known to it.
#[test]
fn what_is_inflated_beside_the_pixels() {
    let bomb = hostile::png_with_profile(64 << 20);
    assert!(bomb.len() < 128 * KIB);
    let (used, _) = peak(|| ImageFormat::Png.decode(&bomb));
    assert!(used <= PROFILE + SLACK, "{used} bytes in use");
    // By rows it is not even looked at.
    let (used, rows) = peak(|| RowReader::open(ImageFormat::Png, Cursor::new(&bomb), None));
    assert!(rows.is_ok() && used <= 4 * SLACK, "{used} bytes in use");
    // A million places of strips, a byte each, become 32 bytes each.
    let many = 1 << 20;
    let entries = |count| {
        let place = 8 + 2 + 9 * 12 + 4;
        let one = [(256, 3, 1, 8), (257, 3, 1, 8), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)];
        let strips =
            [(273, 1, count, place), (277, 3, 1, 1), (278, 3, 1, 8), (279, 1, count, place)];
        [&one[..], &strips].concat()
    };
    both_refused(ImageFormat::Tiff, &hostile::tiff(&entries(many as u32), &vec![1; many]));
}

/// Each scan of a JPEG goes through the whole picture, for 12 bytes: too many are counted before any
/// is decoded, wherever the stream is. So are sizes that only its frame claims.
#[test]
fn scans_of_jpeg_streams() {
    let size = (2000, 2000);
    let stream = hostile::progressive_jpeg(size, 20_000);
    assert!(stream.len() < 320 * KIB);
    let scan = hostile::scan_with(b"50", size, &stream);
    let large = hostile::progressive_jpeg((16_000, 16_000), 0);
    let large = hostile::scan_with(b"70", (16_000, 16_000), &large);
    for (format, file) in
        [(ImageFormat::Jpeg, stream), (ImageFormat::Dicom, scan), (ImageFormat::Dicom, large)]
    {
        refused(SLACK, || format.decode(&file));
        // This one reads the file itself.
        let read = 3 * file.len() + SLACK;
        refused(read, || RowReader::open(format, Cursor::new(&file), None).map(drop));
    }
    let small = hostile::progressive_jpeg((16, 16), 300);
    both_refused(ImageFormat::Tiff, &hostile::tiff_of_jpeg(&small));
    // Without the scan of the waves it is not whole, and they are said once.
    for scans in [0, 2, 9] {
        let file = hostile::progressive_jpeg((16, 16), scans);
        refused(SLACK, || ImageFormat::Jpeg.decode(&file));
    }
    let good = ImageFormat::Jpeg.decode(&hostile::progressive_jpeg((16, 16), 1)).unwrap();
    assert!(good.into_grey().unwrap().pixels().iter().all(|&level| level == 128.0));
}

/// As a whole and by rows.
#[track_caller]
fn both_refused(format: ImageFormat, bytes: &[u8]) {
    refused(SLACK, || format.decode(bytes));
    refused(SLACK, || RowReader::open(format, Cursor::new(bytes), None).map(drop));
}

/// The size in a DICOM file, native and compressed, and the length of an element.
#[test]
fn scans() {
    let fixture = |name: &str| {
        std::fs::read(format!("{}/fixtures/dicom/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    };
    let set = |bytes: &mut Vec<u8>, element: &[u8], value: &[u8]| {
        let at = bytes.windows(element.len()).position(|w| w == element).unwrap() + element.len();
        bytes[at..at + value.len()].copy_from_slice(value);
    };
    for name in
        ["ct.dcm", "ct-rle.dcm", "ct-jpeg.dcm", "ct-jls.dcm", "ct-j2k.dcm", "ct-extended.dcm"]
    {
        for (rows, columns) in [(0x3fff, 0x3fff), (0xffff, 0xffff), (0xffff, 1)] {
            let mut bytes = fixture(name);
            set(&mut bytes, b"\x28\0\x10\0US\x02\0", &u16::to_le_bytes(rows));
            set(&mut bytes, b"\x28\0\x11\0US\x02\0", &u16::to_le_bytes(columns));
            refused(SLACK, || ImageFormat::Dicom.decode(&bytes));
        }
        let mut bytes = fixture(name);
        set(&mut bytes, b"\x29\0\x02\x10OB\0\0", &u32::to_le_bytes(u32::MAX - 1));
        refused(SLACK, || ImageFormat::Dicom.decode(&bytes));
    }
    // JPEG 2000 that announces a tile for every sample: 40 x 48 of them, each with blocks of its own.
    let mut bytes = fixture("ct-j2k.dcm");
    let size = b"\xff\x51\0\x29\0\0\0\0\0\x30\0\0\0\x28\0\0\0\0\0\0\0\0";
    set(&mut bytes, size, &[0, 0, 0, 1, 0, 0, 0, 1]);
    refused(SLACK, || ImageFormat::Dicom.decode(&bytes));
}

#[test]
fn ledgers() {
    let folder = tempfile::tempdir().unwrap();
    let line = vec![b'a'; 8 << 20];
    let path = folder.path().join("ledger");
    std::fs::write(&path, [b"ppdenoise ledger 4\n", &line[..]].concat()).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    refused(SLACK, || Ledger::open(folder.path()));
}
