//! Chains under other programs' names, normalised, shuffled, damaged, and what is no chain.

mod colours;
mod families;
mod graphs;
mod merged;
mod modules;
mod ranges;
mod refusals;

use super::*;
use crate::model::activation::Leaky;
use crate::model::load::Arrays;
use crate::model::{load_npz, save_npz};
use std::io::Cursor;

/// Arrays in memory, in any order.
#[derive(Clone, Debug, Default)]
struct Memory(Vec<(Tensor, Vec<f32>)>);

impl Memory {
    fn put(&mut self, name: &str, shape: &[usize], values: Vec<f32>) {
        assert_eq!(values.len(), shape.iter().product::<usize>());
        let tensor = Tensor { name: name.into(), dtype: "F32".into(), shape: shape.to_vec() };
        self.0.push((tensor, values));
    }

    /// Arrays of these shapes, all zeros.
    fn of(shapes: &[(&str, &[usize])]) -> Memory {
        let mut memory = Memory::default();
        for (name, shape) in shapes {
            memory.put(name, shape, vec![0.0; shape.iter().product()]);
        }
        memory
    }

    fn tensors(&self) -> Vec<Tensor> {
        self.0.iter().map(|(tensor, _)| tensor.clone()).collect()
    }

    fn layers(&mut self) -> Result<Vec<Layer>, ImportError> {
        Ok(Plan::of(&self.tensors(), None, None)?.read(self)?)
    }

    /// As a file, whose tensors must lie one behind the other.
    fn file(&self) -> ModelFile {
        let data: Vec<Vec<u8>> =
            self.0.iter().map(|(_, v)| v.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
        let views = self.0.iter().zip(&data).map(|((tensor, _), data)| {
            let shape = tensor.shape.clone();
            let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape, data);
            (tensor.name.clone(), view.unwrap())
        });
        let bytes = safetensors::serialize(views, None).unwrap();
        ModelFile::open(Cursor::new(bytes)).unwrap()
    }
}

impl Arrays for Memory {
    fn names(&self) -> Vec<String> {
        self.0.iter().map(|(tensor, _)| tensor.name.clone()).collect()
    }
    fn tensor(&mut self, name: &str) -> Result<Tensor, ModelError> {
        Ok(self.0.iter().find(|(tensor, _)| tensor.name == name).unwrap().0.clone())
    }
    fn array(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let (tensor, values) = self.0.iter().find(|(tensor, _)| tensor.name == name).unwrap();
        assert_eq!(tensor.shape, shape);
        Ok(values.clone())
    }
}

fn chain(layers: &[Layer]) -> Net<'_> {
    Net { layers, form: &form::Form::Chain }
}

fn refused(memory: &Memory) -> String {
    Plan::of(&memory.tensors(), None, None).unwrap_err().to_string()
}

/// Numbers from -1 to 1 that look random.
fn numbers(seed: usize, count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + seed * 104_729) as f32 * 0.618).sin()).collect()
}

/// The weights of a model under other names.
fn renamed(model: &FloatModel, name: impl Fn(usize, &str) -> String) -> Memory {
    let mut bytes = Cursor::new(Vec::new());
    save_npz(model, None, crate::model::Packing::Stored, &mut bytes).unwrap();
    let mut file = ModelFile::open(bytes).unwrap();
    let mut memory = Memory::default();
    for tensor in file.tensors().unwrap() {
        let number: usize = tensor.name[1..].parse().unwrap();
        let end = if tensor.name.starts_with('w') { "weight" } else { "bias" };
        let values = file.with_arrays(|arrays| arrays.array(&tensor.name, &tensor.shape));
        memory.put(&name(number - 1, end), &tensor.shape, values.unwrap());
    }
    memory
}

/// A network on patches is found with its activation, units and residual.
#[test]
fn a_network_on_patches_is_found() {
    let npz = include_bytes!("../../../../fixtures/models/tiny-9-5-24.npz");
    let tiny = load_npz(Cursor::new(&npz[..]), None).unwrap();
    let memory = renamed(&tiny, |i, end| format!("net.{}.{end}", 2 * i));
    let imported = memory.file().import(Known::default(), 25.0, &mut |_| ()).unwrap();
    assert_eq!(imported.model.network, tiny.network);
    assert_eq!((imported.family, imported.model.units), (Family::Mlp, tiny.units));
    assert_eq!(imported.tries.len(), 36);
    assert_eq!(imported.tries[imported.chosen].what, "-2.5..2.5, x - net(x), tanh");
    assert_eq!(
        imported.notes,
        [
            "a network on patches: 24x81, 25x24",
            "taken as Burger's networks on patches are: tanh, levels of -2.5 to 2.5"
        ]
    );
    let text = memory
        .file()
        .import(Known { family: Some(Family::Dncnn), ..Known::default() }, 25.0, &mut |_| ())
        .unwrap_err()
        .to_string();
    assert!(text.contains("family mlp, not of dncnn"), "{text}");
}

fn brought(bytes: &'static [u8], known: Known) -> Result<Imported, ImportError> {
    ModelFile::open(Cursor::new(bytes)).unwrap().import(known, 25.0, &mut |_| ())
}

/// Of two networks in a file the averaged one is taken, and it is said.
#[test]
fn averaged_weights_are_taken() {
    let two = include_bytes!("../../../../fixtures/models/model-and-ema.pt");
    let unit = Range::new(0.0, 1.0);
    let known = Known { activation: Some(Activation::Relu), range: unit, ..Known::default() };
    let imported = brought(two, known).unwrap();
    assert!(
        imported.notes.contains(&"taken are the averaged weights, `ema`".to_string()),
        "{:?}",
        imported.notes
    );
}
