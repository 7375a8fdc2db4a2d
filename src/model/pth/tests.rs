//! Both forms of files, damaged and hostile.

use super::*;
use crate::model::{ModelFile, load_npz};
use proptest::prelude::*;
use std::io::Cursor;

const NPZ: &[u8] = include_bytes!("../../../fixtures/models/tiny-9-5-24.npz");
const ZIP: &[u8] = include_bytes!("../../../fixtures/models/tiny-9-5-24.pth");
const LEGACY: &[u8] = include_bytes!("../../../fixtures/models/tiny-9-5-24-legacy.pth");
const JSON: &str = r#"{"kind":"mlp","activation":"tanh","input_patch":9,"output_patch":5,
    "hidden":[24],"stride":3,"sigma":25.0,"residual":true}"#;

fn load(bytes: &[u8]) -> Result<FloatModel, ModelError> {
    load_pth(Cursor::new(bytes.to_vec()), Some(JSON.as_bytes()))
}

fn refused(bytes: &[u8]) -> String {
    load(bytes).unwrap_err().to_string()
}

#[test]
fn both_forms_hold_the_same_model() {
    let expected = load_npz(Cursor::new(NPZ), None).unwrap();
    for bytes in [ZIP, LEGACY] {
        assert_eq!(load(bytes).unwrap().network, expected.network);
    }
}

/// As PyTorch wrote it: with this length of a name a reader that guesses where the archive begins takes its second entry
/// for the first.
#[test]
fn an_archive_begins_where_its_file_does() {
    let file = include_bytes!("../../../fixtures/models/best_model_checkpoint.pth");
    let mut file = ModelFile::open(Cursor::new(&file[..])).unwrap();
    let names: Vec<String> = file.tensors().unwrap().into_iter().map(|t| t.name).collect();
    assert_eq!(names, ["0.bias", "0.weight", "2.bias", "2.weight"]);
}

#[test]
fn bad_files_are_refused() {
    let other = JSON.replace("[24]", "[23]");
    let zip = || Cursor::new(ZIP.to_vec());
    assert!(matches!(load_pth(zip(), None), Err(ModelError::NoDescription)));
    let text = load_pth(zip(), Some(other.as_bytes())).unwrap_err().to_string();
    assert!(text.contains("`0.weight`: has shape [24, 81], expected [23, 81]"), "{text}");
}

/// A pickle that deflates a thousandfold would take gigabytes once it is parsed.
#[test]
fn compressed_archives_and_long_pickles_are_refused() {
    let made = |method, length| {
        let mut made = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        made.start_file("x/data.pkl", options).unwrap();
        std::io::Write::write_all(&mut made, &vec![b']'; length]).unwrap();
        made.finish().unwrap().into_inner()
    };
    let archive = |method, length| refused(&made(method, length));
    // What begins like an empty archive, with another behind it.
    let hidden = [b"PK\x05\x06", &[0; 18][..], &made(zip::CompressionMethod::Deflated, 1 << 20)];
    let text = refused(&hidden.concat());
    assert!(text.contains("no data.pkl"), "{text}");
    let text = archive(zip::CompressionMethod::Deflated, 1 << 20);
    assert!(text.contains("compressed"), "{text}");
    let text = archive(zip::CompressionMethod::Stored, 2 << 20);
    assert!(text.contains("its pickle has more than 1048576 bytes"), "{text}");
}

/// Strides of 0 make any shape of one number: 8 KB that would become gigabytes.
#[test]
fn strides_address_what_they_name() {
    let sides = |sides: &[u8]| [&[b'K', sides[0], b'K', sides[1]][..], &[0x86]].concat();
    let (dense, at) = (sides(&[81, 1]), |n: &Vec<u8>| {
        LEGACY.windows(n.len()).position(|window| window == n.as_slice()).unwrap()
    });
    let with = |strides: [u8; 2]| {
        let mut file = LEGACY.to_vec();
        let from = at(&dense);
        file[from..from + dense.len()].copy_from_slice(&sides(&strides));
        file
    };
    load(&with([81, 1])).unwrap();
    for (strides, words) in [
        ([0, 0], "names 1944 numbers, but its strides [0, 0] address 1"),
        ([1, 1], "names 1944 numbers, but its strides [1, 1] address 104"),
        ([82, 1], "needs 1967 numbers of storage `0`, which has 1944"),
    ] {
        let text = refused(&with(strides));
        assert!(text.contains("`0.weight`") && text.contains(words), "{text}");
    }
    // The same numbers column by column.
    let turned = load(&with([1, 24])).unwrap();
    let (_, first) = turned.network.linears().next().unwrap();
    let (_, dense) =
        load(LEGACY).unwrap().network.linears().next().map(|l| (l.0, l.1.clone())).unwrap();
    let flat: Vec<f32> = dense.weights.iter().copied().collect();
    assert_eq!(first.weights[[5, 7]], flat[5 + 24 * 7]);
}

#[test]
fn cut_files_and_other_programs_are_named() {
    for at in [LEGACY.len() - 1, LEGACY.len() - 200] {
        assert!(refused(&LEGACY[..at]).contains("it was cut"));
    }
    assert!(refused(&LEGACY[..300]).contains("ends in the middle"));
    assert!(refused(&ZIP[..ZIP.len() / 2]).contains("it was cut"));
    let mut made = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for name in ["x/data.pkl", "x/code/__torch__.py", "x/constants.pkl"] {
        made.start_file(name, stored).unwrap();
    }
    let text = refused(&made.finish().unwrap().into_inner());
    assert!(text.contains("TorchScript") && text.contains("torch.jit.load"), "{text}");
    let mut tar = vec![0; 1024];
    tar[257..262].copy_from_slice(b"ustar");
    assert!(refused(&tar).contains("before PyTorch 0.1.10"));
}

/// A text in a pickle.
fn text(text: &str) -> Vec<u8> {
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

/// A tensor of `shape` in a storage of `length` numbers, from `offset` on; sides as they are in a pickle.
fn tensor(shape: &[u8], length: &[u8], offset: &[u8]) -> Vec<u8> {
    let storage = [&text("storage"), &b"ctorch\nFloatStorage\n"[..], &text("0"), &text("cpu")];
    [
        b"ctorch._utils\n_rebuild_tensor_v2\n((",
        &storage.concat()[..],
        length,
        b"tQ",
        offset,
        shape,
        shape,
        b"tR",
    ]
    .concat()
}

/// Few bytes that name the same things again and again take no more memory than is said.
#[test]
fn what_a_pickle_repeats_is_counted() {
    let many = |what: &[u8], times: usize| [b"(", what, &b"2".repeat(times)].concat();
    let sides = |count: usize| [b"(", &b"K\x01".repeat(count)[..], b"t"].concat();
    let one = |offset: &[u8], length: &[u8]| tensor(&sides(1), length, offset);
    let list = many(b"NN\x86", 200_000);
    let made = |class: &str| {
        let class = [b"c", class.as_bytes(), b"\nq\x00"].concat();
        [&class[..], &list, b"l\x85q\x01", &b"h\x00h\x01R".repeat(9), b"."].concat()
    };
    let long = text(&"a".repeat(200));
    let joined = [&long[..], b"q\x00", &b"h\x00h\x00\x93".repeat(2), b"."].concat();
    let words = [&long[..], &long[..]].concat();
    let tables =
        ["_parameters", "_buffers", "_modules"].map(|table| [&text(table)[..], b"}"].concat());
    let state = [b"}(", &tables.concat()[..], &words.repeat(100), b"u"].concat();
    let module = [b"c__main__\nNet\n)\x81", &state[..], b"b"].concat();
    // What is found may be a few times as much as there are objects.
    let modules = [&b"N".repeat(60_000)[..], &many(&module, 2000), b"t."].concat();
    let huge = |number: u64| [b"\x8a\x08", &number.to_le_bytes()[..]].concat();
    for (pickle, words) in [
        (made("collections\nOrderedDict"), "its pickle repeats itself too often"),
        (made("builtins\nset"), "its pickle repeats itself too often"),
        (joined, "a class in its pickle has a name of more than 256 bytes"),
        (modules, "its pickle names too much"),
        (
            [&b"N".repeat(3000)[..], &many(&one(b"K\x00", b"K\x01"), 20_000), b"t."].concat(),
            "it has more than 16384 tensors",
        ),
        ([&tensor(&sides(65), b"K\x01", b"K\x00")[..], b"."].concat(), "a shape that is none"),
        (
            [&one(&huge(1 << 61), &huge(1 << 62))[..], b"."].concat(),
            "names a storage that no file has",
        ),
        (
            [b"}", &text(&"a".repeat(600))[..], b"Ns."].concat(),
            "a name in its pickle has more than 512 bytes",
        ),
    ] {
        let said = refused(&pickle);
        assert!(said.contains(words), "{words}: {said}");
    }
    // What is within the limits lacks a model alone; a storage lies there once.
    let tensors = [&many(&tensor(&sides(64), b"K\x01", b"K\x00"), 9)[..], b"t."].concat();
    let storage = [&1u64.to_le_bytes()[..], &[0; 4]].concat();
    let key = [&text("0")[..], b"a"].concat();
    let file = |n| [&tensors[..], b"]", &key.repeat(n), b".", &storage.repeat(n)].concat();
    assert!(refused(&file(1)).contains("array `w1`: is missing"));
    assert!(refused(&file(2)).contains("storage `0` is there twice"));
}

#[test]
fn bfloat16_is_the_upper_half() {
    assert_eq!(from_bf16(0x3f40), 0.75);
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_or_refused(bytes: Vec<u8>, at: usize, byte: u8, cut: usize) {
        prop_assert!(load(&bytes).is_err());
        for good in [ZIP, LEGACY] {
            let mut damaged = good.to_vec();
            damaged[at % good.len()] = byte;
            let _ = load(&damaged);
            prop_assert!(load(&good[..cut % good.len()]).is_err());
        }
    }
}
