//! Random graphs: what the servers compute is what the twin computes, however they come by their material.

use super::secure_equals_twin;
use super::world::World;
use crate::graphs::{May, random_graph};
use crate::model::piecewise::Piecewise;
use crate::model::{
    FloatModel, Method, ModelError, QuantiseOptions, QuantisedModel, Ranges, quantise, suited,
};
use crate::numbers::ring::{Ring, RingBits};
use crate::size::Size;
use proptest::prelude::*;

/// The network number `seed`, with `method` or tables, unless it leaves the ring no bits.
fn quantised(seed: u64, ring: RingBits, method: Option<Method>) -> Option<QuantisedModel> {
    let model = random_graph(seed, May { linear: true, plane: true });
    let method = method.unwrap_or_else(|| Method::lut(1 + seed as u32 % 3));
    integers(seed, suited(model, &method), ring, method)
}

/// The network number `seed` with another activation that is computed exactly.
fn exactly(seed: u64, ring: RingBits, method: Method, activation: &str) -> Option<QuantisedModel> {
    let activation = activation.parse().unwrap();
    let model = random_graph(seed, May { linear: true, plane: true });
    integers(seed, FloatModel { activation, ..model }, ring, method)
}

fn integers(
    seed: u64,
    model: FloatModel,
    ring: RingBits,
    method: Method,
) -> Option<QuantisedModel> {
    let ranges = Ranges::Calibrated { margin: 1.5 };
    match quantise(
        &model,
        &QuantiseOptions { ring, method, interval: 1.0, ranges, one_cloud: false },
    ) {
        Ok(model) => Some(model),
        Err(
            ModelError::NoBitsLeft { .. }
            | ModelError::OutputTooLarge { .. }
            | ModelError::MultipleAdded { .. },
        ) => None,
        Err(other) => panic!("seed {seed}: {other}"),
    }
}

#[derive(Clone, Copy, Debug)]
struct Run {
    seed: u64,
    size: Size,
    batch_rows: usize,
    made: bool,
    prepared: [bool; 2],
}

fn runs() -> impl Strategy<Value = Run> {
    let sizes = (2usize..14, 2usize..14).prop_map(|(height, width)| Size { height, width });
    let run =
        |(seed, size, batch_rows, made, prepared)| Run { seed, size, batch_rows, made, prepared };
    (any::<u64>(), sizes, 1usize..60, any::<bool>(), any::<[bool; 2]>()).prop_map(run)
}

impl Run {
    fn world(&self, model: QuantisedModel) -> World {
        let mut world = World::sized(model, self.size, self.batch_rows, 20);
        world.prepared = self.prepared;
        if self.made { world.made() } else { world }
    }

    fn lookups(&self, ring: RingBits) -> Option<()> {
        let world = self.world(quantised(self.seed, ring, None)?);
        match ring {
            RingBits::L32 => secure_equals_twin::<u32, _>(&world, world.engines()),
            RingBits::L64 => secure_equals_twin::<u64, _>(&world, world.engines()),
        }
        Some(())
    }

    fn exact(&self, ring: RingBits, activation: &str) -> Option<()> {
        let method = Method::Relu { alarm: self.made };
        let run = Run { made: false, ..*self };
        let world = run.world(exactly(self.seed, ring, method, activation)?);
        match ring {
            RingBits::L32 => exact::<u32>(world, self.made),
            RingBits::L64 => exact::<u64>(world, self.made),
        }
        Some(())
    }

    fn garbled(&self, ring: RingBits) -> Option<()> {
        let method = Method::Gc { function: Piecewise::relu(), refit: false, alarm: false };
        let world = self.world(quantised(self.seed, ring, Some(method))?);
        match ring {
            RingBits::L32 => secure_equals_twin::<u32, _>(&world, world.gc_engines()),
            RingBits::L64 => secure_equals_twin::<u64, _>(&world, world.gc_engines()),
        }
        Some(())
    }
}

fn exact<R: Ring>(world: World, made: bool) {
    let world = if made { world.with_made_relus::<R>() } else { world };
    secure_equals_twin::<R, _>(&world, world.relu_engines::<R>());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn graphs_equal_the_twin_exactly(run in runs(), wide: bool) {
        run.lookups(if wide { RingBits::L64 } else { RingBits::L32 });
    }

    #[test]
    fn exact_graphs_equal_the_twin_exactly(run in runs(), wide: bool) {
        run.exact(if wide { RingBits::L64 } else { RingBits::L32 }, "relu");
    }

    #[test]
    fn leaky_graphs_equal_the_twin_exactly(run in runs(), wide: bool, steep: bool) {
        let activation = if steep { "abs" } else { "leaky_relu=0.2" };
        run.exact(if wide { RingBits::L64 } else { RingBits::L32 }, activation);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(12) })]

    #[test]
    fn garbled_graphs_equal_the_twin_exactly(run in runs(), wide: bool) {
        run.garbled(if wide { RingBits::L64 } else { RingBits::L32 });
    }
}

/// The tests above are of something: most networks fit either ring, and they have what graphs have.
#[test]
fn most_random_graphs_fit_and_have_everything() {
    let models = |ring| (0..100).filter_map(move |seed| quantised(seed, ring, None));
    assert!(models(RingBits::L32).count() > 50 && models(RingBits::L64).count() > 80);
    let has = |what: fn(&QuantisedModel) -> bool| models(RingBits::L32).filter(what).count();
    assert!(has(|m| !m.public.network.is_chain()) > 40);
    assert!(has(|m| m.public.network.reads_plane()) > 10);
    assert!(has(|m| m.public.network.maps().iter().any(|map| map.scale > 1)) > 10);
    assert!(has(|m| m.public.network.maps().iter().any(|map| !map.opened)) > 0);
    assert!(has(|m| m.public.network.stages().iter().any(|stage| stage.shuffle > 1)) > 5);
    assert!(has(|m| m.public.network.gather().stride == 2) > 5);
    let bare = |m: &QuantisedModel| {
        m.public.network.maps().len() > 1 + m.public.network.activations().count()
    };
    assert!(models(RingBits::L64).filter(bare).count() > 0);
}
