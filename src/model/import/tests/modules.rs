//! Networks that were saved whole.

use super::whole::ModuleFacts;
use super::*;
use crate::model::pth::{Module, Said};

/// What a network that was saved whole says of itself is used, or refused by its name.
#[test]
fn whole_networks_say_what_their_layers_are() {
    let leaky = include_bytes!("../../../../fixtures/models/whole-leakyrelu.pth");
    let said = Leaky::of(0.2).map(Activation::Leaky).unwrap();
    let unit = Known { range: Range::new(0.0, 1.0), ..Known::default() };
    assert_eq!(brought(leaky, unit).unwrap().model.activation, said);
    let other = Known { activation: Some(Activation::Relu), ..Known::default() };
    let text = brought(leaky, other).unwrap_err().to_string();
    assert!(
        text.contains("its activation is leaky_relu(0.2), as the file says, and not relu"),
        "{text}"
    );
    let reflect = include_bytes!("../../../../fixtures/models/whole-padding-reflect.pth");
    let text = brought(reflect, Known::default()).unwrap_err().to_string();
    assert!(text.contains("its Conv2d `model.0` has padding_mode=reflect"), "{text}");
    // Before PyTorch 1.6 a class came with its source, outside of the pickle.
    let legacy = include_bytes!("../../../../fixtures/models/legacy-whole-module.pth");
    let imported = brought(legacy, unit).unwrap();
    assert_eq!(imported.model.activation, Activation::Relu);
    assert_eq!(imported.tries.len(), 3);
}

/// A module of PyTorch's.
fn own(name: &str, class: &str, says: &[(&str, Said)]) -> Module {
    Module::made((name, &format!("torch.nn.modules.{class}")), says, Vec::new())
}

fn conv(name: &str) -> Module {
    own(name, "conv.Conv2d", &[("kernel_size", Said::Number(3.0))])
}

fn relu(name: &str) -> Module {
    own(name, "activation.ReLU", &[])
}

/// In a sequence the parts follow one another; what a class of another's does with them is not known.
#[test]
fn sequences_say_where_their_activations_are() {
    let told = |class: &str, parts: &[Module]| {
        ModuleFacts::by(&Module::made(("", class), &[], parts.to_vec())).map(|told| told.activation)
    };
    let (sequence, other) = ("torch.nn.modules.container.Sequential", "models.Net");
    let [a, b, c] = ["0", "1", "2"].map(conv);
    let usual = [a.clone(), relu("3"), b.clone(), relu("4"), c.clone()];
    let few = [a.clone(), relu("3"), b.clone(), c.clone()];
    let none = [a.clone(), b.clone()];
    for class in [sequence, other] {
        assert_eq!(told(class, &usual).unwrap(), Some(Activation::Relu));
    }
    assert_eq!(told(other, &few).unwrap(), Some(Activation::Relu));
    assert_eq!(told(other, &none).unwrap(), None);
    let text = told(sequence, &few).unwrap_err().to_string();
    assert!(text.contains("its Conv2d `2` follows a layer without an activation"), "{text}");
    let text = told(sequence, &none).unwrap_err().to_string();
    assert!(text.contains("its Sequential has no activation between its layers"), "{text}");
    // A class of another's may be named like one of PyTorch's.
    let named = Module::made(("0", "models.layers.Conv2d"), &[], Vec::new());
    let text = told(sequence, &[named, relu("3"), b]).unwrap_err().to_string();
    assert!(text.contains("its Conv2d `0` is a class that is not PyTorch's"), "{text}");
}

/// The modules of the layers of a plan, in order.
fn planned(shapes: &[(&str, &[usize])], told: Option<&ModuleFacts>) -> String {
    let text = Plan::of(&Memory::of(shapes).tensors(), None, told).unwrap().modules().join(" ");
    text.replace(".weight", "")
}

/// Where names say nothing of the order a sequence does, and a file whose names make no chain.
#[test]
fn layers_follow_as_the_network_or_the_file_has_them() {
    let named = ["head.weight", "squeeze.weight", "excite.weight", "tail.weight"];
    let inner: &[usize] = &[4, 4, 3, 3];
    let shapes: [&[usize]; 4] = [&[4, 1, 3, 3], inner, inner, &[1, 4, 3, 3]];
    let with = |order: [usize; 4]| order.map(|i| (named[i], shapes[i]));
    assert_eq!(planned(&with([0, 1, 2, 3]), None), "head squeeze excite tail");
    assert_eq!(planned(&with([3, 2, 1, 0]), None), "head excite squeeze tail");
    let sequence = ["head", "squeeze", "excite", "tail"].map(String::from).to_vec();
    let told = ModuleFacts { sequence, ..ModuleFacts::default() };
    assert_eq!(planned(&with([3, 2, 1, 0]), Some(&told)), "head squeeze excite tail");
    let conv = |name: &str| own(name, "conv.Conv2d", &[("kernel_size", Said::Number(3.0))]);
    let parts = vec![conv("b"), relu("r"), conv("a")];
    let network = Module::made(("", "torch.nn.modules.container.Sequential"), &[], parts);
    assert_eq!(ModuleFacts::by(&network).unwrap().sequence, ["b", "a"]);
    // By their numbers these would begin with what ends them.
    let in_file: [(&str, &[usize]); 4] = [
        ("inc.weight", &[6, 1, 3, 3]),
        ("body1.weight", &[5, 6, 3, 3]),
        ("body2.weight", &[4, 5, 3, 3]),
        ("outc.weight", &[1, 4, 3, 3]),
    ];
    assert_eq!(planned(&in_file, None), "inc body1 body2 outc");
    // Blocks whose layers have the same names are one network, if their shapes differ.
    let blocks: [(&str, &[usize]); 4] = [
        ("0.conv1.weight", &[8, 1, 3, 3]),
        ("0.conv2.weight", &[8, 8, 3, 3]),
        ("1.conv1.weight", &[8, 8, 3, 3]),
        ("1.conv2.weight", &[1, 8, 3, 3]),
    ];
    assert_eq!(planned(&blocks, None), "0.conv1 0.conv2 1.conv1 1.conv2");
}

/// Taps that a module says are far apart make no more weights than a file may have, whatever its arrays are.
#[test]
fn taps_that_are_apart_count() {
    let plan = |dilation: usize| {
        let memory = Memory::of(&[("0.weight", &[1, 1, 3, 3]), ("2.weight", &[1, 1, 3, 3])]);
        let dilations = [("0".to_string(), dilation)].into();
        let told = ModuleFacts { dilations, ..ModuleFacts::default() };
        Plan::of(&memory.tensors(), None, Some(&told))
    };
    assert!(plan(7).unwrap().check_cost(100).is_ok());
    let text = plan(400).unwrap().check_cost(100).unwrap_err().to_string();
    assert!(text.contains(&format!("{} weights", 801 * 801 + 9)), "{text}");
    for dilation in [10_000, usize::MAX] {
        let text = plan(dilation).unwrap_err().to_string();
        assert!(text.contains("more than the 268435456 weights"), "{text}");
    }
}
