//! What the ways that need cryptography take for an image, run by this command: two servers with a dealer and without,
//! one cloud and the user; and the paper's circuits, computed from single operations.

use crate::image::GreyImage;
use crate::lab::bench::{self, Effort, Model, ModelOrigin, Operation, Run, Section, one_thread};
use crate::lab::error::LabError;
use crate::lab::observer::Observer;
use crate::lab::pipeline::{Link, half_of_this_machine};
use crate::lab::reproduce::Request;
use crate::lab::reproduce::icassp::one_cloud;
use crate::material::Origin;
use crate::model::{EngineKind, FloatModel};
use crate::numbers::ring::RingBits;
use crate::size::Size;

/// Time and traffic, all parties and directions together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Phase {
    pub(super) seconds: f64,
    pub(super) bytes: f64,
}

/// What an image takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// Before there is an image: material, and what is done once a model where that is part of the run.
    pub(super) before: Phase,
    /// With it.
    pub(super) online: Phase,
}

/// The costs of an image of one size.
pub(super) struct Costs {
    pub(super) dealt: Cost,
    pub(super) made: Cost,
    pub(super) one_cloud: Cost,
    /// The paper's circuits, computed.
    pub(super) literal: Cost,
}

/// Measures them on an image.
pub(super) fn costs(
    request: &Request,
    image: &GreyImage,
    observer: &mut dyn Observer,
) -> Result<Costs, LabError> {
    let dealt = two_servers(request, image, Origin::Dealt, observer)?;
    let made = two_servers(request, image, Origin::Made, observer)?;
    observer.phase("one cloud and the user");
    let model = &request.model.model;
    let run = one_cloud::run(model, image)?;
    let both = |phase: one_cloud::Phase| (phase.seconds, phase.bytes as f64);
    let (once, material, online) = (both(run.once), both(run.material), both(run.online));
    observer.phase("the operations of the paper's circuits");
    let effort = if request.quick { Effort::QUICK } else { Effort::FULL };
    let operations = one_thread(|| bench::operations(effort))?;
    observer.pause();
    Ok(Costs {
        dealt,
        made,
        one_cloud: Cost {
            before: Phase { seconds: once.0 + material.0, bytes: once.1 + material.1 },
            online: Phase { seconds: online.0, bytes: online.1 },
        },
        literal: literal(&operations, model, image.size())?,
    })
}

/// An image of this size through the processes of all roles.
fn two_servers(
    request: &Request,
    image: &GreyImage,
    material: Origin,
    observer: &mut dyn Observer,
) -> Result<Cost, LabError> {
    let model = &request.model;
    let origin = ModelOrigin::File(model.file.clone());
    let request = bench::Request {
        sections: vec![Section::Image],
        models: vec![Model { name: "two servers".into(), origin, float: model.model.clone() }],
        engines: vec![EngineKind::Lut],
        sizes: vec![image.size()],
        patches: None,
        ring: RingBits::L32,
        cell: Some(request.cell),
        stride: request.stride,
        material,
        threads: half_of_this_machine(),
        prepare: false,
        strict: false,
        link: Link::default(),
        work: None,
    };
    let report = bench::run(&request, observer, |_| Ok::<(), LabError>(()))?;
    Ok(of_run(&report.runs[0]))
}

/// Shares, what the servers send each other, and the shares of the result; before it the material.
fn of_run(run: &Run) -> Cost {
    let step = |name: &str| run.steps.iter().find(|step| step.step == name);
    let files = |name| step(name).map_or(0.0, |step| step.bytes.iter().sum::<u64>() as f64);
    let material = match &run.made {
        Some(made) => made.bytes_both_directions as f64,
        None => files("gen-triplets"),
    };
    let online = run.online_bytes_both_directions as f64;
    Cost {
        before: Phase {
            seconds: step("gen-triplets").map_or(0.0, |step| step.seconds),
            bytes: material,
        },
        online: Phase {
            seconds: run.online_seconds,
            bytes: files("share-image") + online + files("reconstruct"),
        },
    }
}

/// The paper's operations times how many a network takes: a product with a triple of its own, tanh* by the circuit of
/// Fig. 4, the rescaling of Fig. 6. The slower server's work; what a dealer prepares is outside.
fn literal(operations: &[Operation], model: &FloatModel, size: Size) -> Result<Cost, LabError> {
    let network = &model.network;
    let patches = network.grid(size)?.rows() as f64;
    let products: usize = network.linears().map(|(_, l)| l.weights.len()).sum();
    let sums: usize = network.linears().map(|(_, l)| l.bias.len()).sum();
    let tanhs: usize = network.activations().map(|(_, _, width)| width).sum();
    let counted = [
        ("multiplication, one triple each", products),
        ("tanh, Fig. 4 literal", tanhs),
        ("rescale, Fig. 6, l = 64", sums),
    ];
    let mut online = Phase::default();
    for (name, count) in counted {
        let operation = operations.iter().find(|operation| operation.name.starts_with(name));
        let operation = operation
            .ok_or_else(|| LabError::NoResult { row: "a single operation", image: name.into() })?;
        let slower = operation.us.iter().flatten().fold(0.0f64, |a, b| a.max(*b));
        online.seconds += patches * count as f64 * slower / 1e6;
        online.bytes += patches * count as f64 * operation.bytes;
    }
    Ok(Cost { before: Phase::default(), online })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::bench::operations;
    use crate::model::random_model;

    /// 5x5 to 3x3 with 4 hidden units: 9 patches of 136 products, 4 tanh* and 13 sums.
    #[test]
    fn the_papers_operations_are_counted() {
        let model = random_model(&[4], 1.0, false);
        let operations = operations(Effort::QUICK);
        let cost = literal(&operations, &model, Size::new(7, 7)).unwrap();
        let bytes =
            |name: &str| operations.iter().find(|o| o.name.starts_with(name)).unwrap().bytes;
        let expected = 100.0 * bytes("multiplication, one")
            + 36.0 * bytes("multiplication, one")
            + 4.0 * bytes("tanh, Fig. 4")
            + 13.0 * bytes("rescale, Fig. 6, l = 64");
        let patches = model.network.grid(Size::new(7, 7)).unwrap().rows() as f64;
        assert!((cost.online.bytes / (patches * expected) - 1.0).abs() < 1e-9);
        assert!(cost.online.seconds > 0.0);
    }
}
