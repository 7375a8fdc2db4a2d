//! What can be said, and what is refused.

use super::*;
use crate::network::{LinearShape, MAX_WIDTH};
use proptest::prelude::*;

/// The shapes of the arrays of weights.
fn shapes(d: &Description) -> Vec<Vec<usize>> {
    d.network().unwrap().linears().map(|(_, weights)| weights.shape()).collect()
}

const GOOD: &str = r#"{"kind":"mlp","activation":"tanh","input_patch":7,"output_patch":3,
    "hidden":[16],"stride":2,"sigma":25.0,"residual":true,"mean_shift":false,
    "normalisation":"(v/255 - 0.5) / 0.2","measured":{"note":"ignored"}}"#;

const LIST: &str = r#"{"layers":[{"conv2d":{"outputs":4,"kernel":3}},"relu",
    {"conv2d":{"outputs":1,"kernel":5}},"residual"],"sigma":25,"normalisation":"v / 255",
    "extremes":[[1.5,1,0,0.25],[2]]}"#;

#[test]
fn a_description_gives_shapes() {
    let d = Description::parse(GOOD.as_bytes()).unwrap();
    assert_eq!(shapes(&d), [[16, 49], [9, 16]]);
    assert_eq!(d.layers[0], Layer::Patches { size: 7, output: 3, stride: 2 });
    assert_eq!((d.activation(), d.units), (Activation::Tanh, Normalisation::BURGER));
    let d = Description::parse(LIST.as_bytes()).unwrap();
    assert_eq!(shapes(&d), [[4, 1, 3, 3], [1, 4, 5, 5]]);
    assert_eq!((d.activation(), d.units), (Activation::Relu, Normalisation::UNIT));
}

/// The list of layers says the same as the flat form.
#[test]
fn an_mlp_as_a_list() {
    let list = r#"{"layers":[{"patches":{"size":7,"output":3,"stride":2}},
        {"dense":{"outputs":16}},"tanh",{"dense":{"outputs":9}},"residual"],"sigma":25}"#;
    let (list, flat) = (Description::parse(list.as_bytes()), Description::parse(GOOD.as_bytes()));
    assert_eq!(list.unwrap().layers, flat.unwrap().layers);
}

#[test]
fn convolutions_with_a_stride() {
    let parse = |from: &str, to: &str| {
        let strided = r#"{"layers":[{"patches":{"size":6,"output":2,"stride":2}},
            {"dense":{"outputs":5}},"relu",{"conv2d":{"outputs":3,"kernel":3}},"relu",
            {"conv2d":{"outputs":4,"kernel":3}},"residual"],"sigma":25}"#;
        Description::parse(strided.replace(from, to).as_bytes())
    };
    let d = parse("sigma", "sigma").unwrap();
    assert_eq!(shapes(&d), [vec![5, 36], vec![3, 5, 3, 3], vec![4, 3, 3, 3]]);
    for (from, to, text) in [
        ("\"outputs\":4", "\"outputs\":1", "must have 4 outputs"),
        (
            "{\"dense\":{\"outputs\":5}}",
            "{\"conv2d\":{\"outputs\":5,\"kernel\":3}}",
            "entry 2: a linear op must follow a gather",
        ),
        ("\"sigma\":25", "\"sigma\":25,\"mean_shift\":true", "mean_shift"),
    ] {
        let error = parse(from, to).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
}

#[test]
fn unusable_descriptions_name_the_field() {
    for (from, to, field) in [
        ("\"mlp\"", "\"cnn\"", "kind"),
        ("\"tanh\"", "\"relu\"", "activation"),
        ("/ 0.2", "/ 0.3", "normalisation"),
        ("\"mean_shift\":false", "\"mean_shift\":\"yes\"", "boolean"),
        ("\"stride\":2", "\"stride\":4", "stride"),
        ("\"output_patch\":3", "\"output_patch\":4", "patches 7 -> 4"),
        ("[16]", "[]", "hidden"),
        ("[16]", "[0]", "hidden"),
        ("25.0", "-1", "sigma"),
        ("\"hidden\":[16],", "", "hidden"),
    ] {
        let err = Description::parse(GOOD.replace(from, to).as_bytes()).unwrap_err();
        assert!(err.to_string().contains(field), "{err}");
    }
    for (from, to, field) in [
        ("\"kernel\":5", "\"kernel\":4", "kernel of 4"),
        ("\"outputs\":1", "\"outputs\":2", "must have 1 outputs"),
        ("\"relu\",", "", "`layers`"),
        ("\"relu\",", "\"relu\",\"relu\",", "`layers`"),
        ("\"residual\"", "\"tanh\"", "`layers`"),
        (
            "{\"conv2d\":{\"outputs\":4,\"kernel\":3}}",
            "{\"dense\":{\"outputs\":4}}",
            "entry 1: a dense layer must follow",
        ),
        (
            "\"relu\"",
            "{\"leaky_relu\":{\"slope\":1.5}}",
            "a `slope` of 1.5, must be a slope from -1",
        ),
        ("[2]", "[]", "extremes"),
        ("[2]", "[-2]", "extremes"),
        ("\"sigma\":25", "\"sigma\":25,\"mean_shift\":true", "mean_shift"),
        ("\"relu\"", "\"gelu\"", "gelu"),
        ("\"sigma\":25", "\"sigma\":25,\"continued\":\"wrap\"", "`wrap`"),
        ("\"kernel\":3", "\"kernel\":3,\"weights\":\"\"", "name of an array"),
    ] {
        let err = Description::parse(LIST.replace(from, to).as_bytes()).unwrap_err();
        assert!(err.to_string().contains(field), "{err}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_or_refused(bytes: Vec<u8>, at: usize, byte: u8, number: u64) {
        let _ = Description::parse(&bytes);
        let flipped = |text: &str| {
            let mut flipped = text.as_bytes().to_vec();
            flipped[at % text.len()] = byte;
            String::from_utf8_lossy(&flipped).into_owned()
        };
        for text in [
            flipped(GOOD),
            flipped(LIST),
            GOOD.replace(":7", &format!(":{number}")),
            GOOD.replace(":3", &format!(":{number}")),
            GOOD.replace("[16]", &format!("[{number},{number}]")),
            LIST.replace(":4", &format!(":{number}")),
            LIST.replace(":5", &format!(":{number}")),
        ] {
            if let Ok(d) = Description::parse(text.as_bytes()) {
                prop_assert!(d.network().unwrap().linears().all(|(_, l)| l.outputs() <= MAX_WIDTH));
            }
        }
    }
}

/// FFDNet, a U-Net and blocks of DRUNet's, in a few words.
const GRAPHS: [&str; 3] = [
    r#"{"layers":[{"blocks":{"size":2}},{"conv2d":{"outputs":6,"kernel":3,"from":["image","noise"]}},"relu",
        {"conv2d":{"outputs":4,"kernel":3}}],"sigma":75,"normalisation":"v/255"}"#,
    r#"{"layers":[{"conv2d":{"outputs":3,"kernel":3,"name":"fine"}},"relu",
        {"conv2d":{"outputs":5,"kernel":2,"stride":2,"name":"coarse"}},"relu",
        {"conv_transpose2d":{"outputs":3,"kernel":4,"stride":2,"name":"up"}},"relu",
        {"conv2d":{"outputs":1,"kernel":3,"from":["up","fine"]}},"residual"],"sigma":25}"#,
    r#"{"layers":[{"conv2d":{"outputs":4,"kernel":3,"from":["image","noise"],"name":"head"}},
        {"conv2d":{"outputs":4,"kernel":3}},"relu",{"conv2d":{"outputs":4,"kernel":3,"name":"body"}},
        {"add":{"from":["head"]}},{"conv2d":{"outputs":1,"kernel":3}}],"sigma":50,"normalisation":"v/255"}"#,
];

#[test]
fn graphs_are_described() {
    let [ffdnet, unet, drunet] = GRAPHS.map(|json| Description::parse(json.as_bytes()).unwrap());
    assert_eq!(shapes(&ffdnet), [[6, 5, 3, 3], [4, 6, 3, 3]]);
    let network = ffdnet.network().unwrap();
    assert!(network.reads_plane() && network.gather().stride == 2 && network.gather().patch == 6);
    assert_eq!(network.stages()[0].inputs(), 36 + 9);
    assert_eq!(shapes(&unet), [[3, 1, 3, 3], [5, 3, 2, 2], [5, 3, 4, 4], [1, 6, 3, 3]]);
    let scales: Vec<_> = unet.network().unwrap().maps().iter().map(|map| map.scale).collect();
    assert_eq!(scales, [1, 1, 2, 1]);
    let network = drunet.network().unwrap();
    assert_eq!(network.maps().iter().map(|map| map.last).collect::<Vec<_>>(), [0, 2, 2, 3]);
    assert!(drunet.network().unwrap().reads_plane() && !unet.network().unwrap().reads_plane());
}

#[test]
fn graphs_that_do_not_fit_name_the_entry() {
    for (graph, from, to, text) in [
        (0, "[\"image\",\"noise\"]", "[\"noise\",\"image\"]", "entry 2: `noise` must be the last"),
        (0, "\"size\":2", "\"size\":9", "must have 81 outputs"),
        (
            1,
            "[\"up\",\"fine\"]",
            "[\"up\",\"coarse\"]",
            "entry 7: it reads maps of different sizes",
        ),
        (1, "[\"up\",\"fine\"]", "[\"up\",\"base\"]", "entry 7: nothing before it is named `base`"),
        (1, "\"up\"}", "\"fine\"}", "two layers are named `fine`"),
        (1, "\"kernel\":4", "\"kernel\":1", "conv_transpose2d must have"),
        (1, "[\"up\",\"fine\"]", "[\"up\",{\"map\":7}]", "a name, or an object of"),
        (2, "[\"head\"]", "[\"noise\"]", "`noise` cannot be added"),
        (2, "[\"head\"]", "[\"image\"]", "adds map 0 of 1 channels"),
        (2, "\"body\"", "\"head\"", "two layers are named `head`"),
        (2, "\"body\"", "\"image\"", "names of no layer"),
    ] {
        let error = Description::parse(GRAPHS[graph].replacen(from, to, 1).as_bytes()).unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
    }
}
