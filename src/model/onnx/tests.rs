//! Files that are put together field by field, damaged and lying ones.

use super::*;
use crate::model::ModelFile;
use proptest::prelude::*;
use prost::Message;
use std::io::Cursor;

const FILE: &[u8] = include_bytes!("../../../fixtures/models/blur.onnx");

fn tensor(name: &str, dims: &[i64], data_type: i32) -> proto::Tensor {
    let name = name.to_string();
    proto::Tensor { name, dims: dims.to_vec(), data_type, ..proto::Tensor::default() }
}

fn set(version: i64) -> Bytes {
    proto::OperatorSet { domain: String::new(), version }.encode_to_vec().into()
}

fn info(name: &str) -> Bytes {
    let info = proto::ValueInfo { name: name.into(), kind: Bytes::new() };
    info.encode_to_vec().into()
}

/// A file of these constants and nodes.
fn file(constants: &[proto::Tensor], nodes: &[proto::Node]) -> Vec<u8> {
    let graph = proto::Graph {
        node: nodes.iter().map(|node| node.encode_to_vec().into()).collect(),
        initializer: constants.iter().map(|t| t.encode_to_vec().into()).collect(),
        input: vec![info("x")],
        output: vec![info("y")],
    };
    model(&graph, vec![set(17)], Vec::new())
}

fn model(graph: &proto::Graph, opset_import: Vec<Bytes>, functions: Vec<Bytes>) -> Vec<u8> {
    let graph = Some(graph.encode_to_vec().into());
    proto::Model { ir_version: 8, graph, opset_import, functions }.encode_to_vec()
}

fn refused(bytes: &[u8]) -> String {
    Graph::open(bytes.to_vec()).err().expect("it is refused").to_string()
}

fn floats(data: &[u8]) -> Bytes {
    data.to_vec().into()
}

#[test]
fn numbers_are_read_from_wherever_they_are() {
    let values = [1.0f32, -2.5];
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let wide: Vec<u8> = values.iter().flat_map(|v| f64::from(*v).to_le_bytes()).collect();
    // 1 and -2.5 as half floats, in two bytes each and in 7 bits a byte.
    let halves = [0x3c00u16, 0xc100].iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>();
    let packed = [0x80, 0xf8, 0, 0x80, 0x82, 3];
    let with = |t: proto::Tensor| Graph::open(file(&[t], &[])).unwrap();
    for mut graph in [
        with(proto::Tensor { raw_data: floats(&raw), ..tensor("w", &[2], 1) }),
        with(proto::Tensor { float_data: floats(&raw), ..tensor("w", &[2], 1) }),
        with(proto::Tensor { raw_data: floats(&wide), ..tensor("w", &[2], 11) }),
        with(proto::Tensor { double_data: floats(&wide), ..tensor("w", &[2], 11) }),
        with(proto::Tensor { raw_data: floats(&halves), ..tensor("w", &[2], 10) }),
        with(proto::Tensor { int32_data: floats(&packed), ..tensor("w", &[2], 10) }),
    ] {
        assert_eq!(graph.array("w", &[2]).unwrap(), values);
        assert!(graph.array("w", &[1, 2]).unwrap_err().to_string().contains("has shape [2]"));
        assert!(graph.constants["w"].numbers().is_err());
    }
    let axes = proto::Tensor { int64_data: floats(&[2, 3]), ..tensor("w", &[2], 7) };
    let mut graph = with(axes);
    assert_eq!(graph.constants["w"].numbers().unwrap(), [2, 3]);
    assert!(graph.array("w", &[2]).unwrap_err().to_string().contains("of type I64"));
    // A type that no weight has is listed.
    let mut graph = with(proto::Tensor { raw_data: floats(&raw), ..tensor("w", &[8], 2) });
    assert_eq!(graph.tensor("w").unwrap().dtype, "type 2");
}

#[test]
fn what_a_file_lies_about_is_refused() {
    let one = |t: proto::Tensor| file(&[t], &[]);
    let raw = floats(&[0; 8]);
    let place = proto::Entry { key: "location".into(), value: "w.data".into() };
    let node = |name: &str| proto::Node { output: vec![name.into()], ..proto::Node::default() };
    let good = || proto::Tensor { raw_data: raw.clone(), ..tensor("w", &[2], 1) };
    let graph = proto::Graph::default();
    for (bytes, words) in [
        (one(proto::Tensor { dims: vec![3], ..good() }), "8 bytes of numbers for the shape [3]"),
        (one(proto::Tensor { dims: vec![1 << 62, 8], ..good() }), "8 bytes of numbers"),
        (one(proto::Tensor { dims: vec![-2], ..good() }), "a shape that is none"),
        (one(proto::Tensor { float_data: raw.clone(), ..good() }), "or has them twice"),
        (one(proto::Tensor { int64_data: raw.clone(), ..tensor("w", &[2], 1) }), "another type"),
        (
            one(proto::Tensor {
                data_location: 1,
                external_data: vec![place.encode_to_vec().into()],
                ..tensor("w", &[2], 1)
            }),
            "its constant `w` lies in another file (`w.data`)",
        ),
        (file(&[good(), good()], &[]), "the constant `w` twice"),
        (file(&[good()], &[node("w")]), "two things in it give `w`"),
        (file(&[], &[node("x")]), "two things in it give `x`"),
        (
            file(&[], &[proto::Node { domain: "com.microsoft".into(), ..node("y") }]),
            "`com.microsoft`, which is not ONNX's own",
        ),
        (file(&[], &[node(&"n".repeat(513))]), "more than 512 bytes"),
        (model(&graph, vec![set(6)], vec![]), "of version 6, 7 to 28 are known"),
        (model(&graph, vec![set(17), set(18)], vec![]), "two versions"),
        (model(&graph, vec![], vec![]), "of which version"),
        (model(&graph, vec![set(17)], vec![Bytes::new()]), "functions of its own"),
        (vec![8, 8, 0x42, 2, 0x10, 17], "no graph"),
        // A field of 2^40 bytes; a packed list in two parts.
        (vec![8, 8, 0x3a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 1], "damaged"),
        (file(&[], &[])[..10].to_vec(), "damaged"),
    ] {
        let text = refused(&bytes);
        assert!(text.contains(words), "{words}: {text}");
        assert_eq!(text.lines().count(), 1);
    }
    let twice = [good().encode_to_vec(), good().encode_to_vec()].concat();
    let graph = proto::Graph { initializer: vec![twice.into()], ..proto::Graph::default() };
    let text = refused(&model(&graph, vec![set(17)], vec![]));
    assert!(text.contains("has its field 2 twice"), "{text}");
}

proptest! {
    #[test]
    fn any_bytes_are_imported_or_refused(bytes: Vec<u8>, at: usize, byte: u8, cut: usize) {
        let try_all = |bytes: &[u8]| {
            if let Ok(mut file) = ModelFile::open(Cursor::new(bytes.to_vec())) {
                let _ = file.tensors();
                let _ = file.layers_of_graph();
            }
        };
        try_all(&[&[8, 8, 0x3a], &bytes[..]].concat());
        let mut damaged = FILE.to_vec();
        damaged[at % FILE.len()] = byte;
        try_all(&damaged);
        try_all(&FILE[..cut % FILE.len()]);
    }
}
