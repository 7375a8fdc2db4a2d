//! The public description of a shared model, and everything that sizes are computed from it.
#![no_main]
use libfuzzer_sys::fuzz_target;
use ppdenoise_base::size::Size;
use ppdenoise::internals::material::{MaterialLayout, Origin};
use ppdenoise::internals::model::PublicModel;
use ppdenoise_fuzz::{memory::bounded, seeds, world};

fuzz_target!(init: seeds(|| world::public_models().iter().map(PublicModel::to_json).collect()),
    |data: &[u8]| {
    // Numbers of two characters become 8 bytes, in lists that grow.
    let parsed = bounded((1 << 20) + 16 * data.len(), || PublicModel::from_json(data));
    let Ok(model) = parsed else { return };
    assert!(PublicModel::from_json(&model.to_json()).is_ok_and(|again| again.network == model.network));
    let (elements, largest) = (model.elements(), MaterialLayout::largest_message(&model));
    assert!(elements > 0 && largest > 0);
    assert!(MaterialLayout::max_batch_rows(&model) * largest <= 16 << 20);
    for (height, width) in [(1, 1), (130, 131), (1 << 14, 1 << 14), (1 << 20, 1 << 8)] {
        let size = Size { height, width };
        let rows = MaterialLayout::default_batch_rows(&model);
        let Ok(layout) = MaterialLayout::new(&model, size, rows, Origin::Made) else { continue };
        let batches = layout.batches();
        assert_eq!(layout.batch(batches - 1).rows.end, layout.rows());
        assert!(layout.bytes_per_slot() > 0 && layout.chunks_per_slot() >= batches as u64);
    }
    model.input.encode(1e9);
    for (_, spec, _) in model.network.activations() {
        assert!(spec.max_abs() >= 0);
        for z in [i64::from(i32::MIN), -1, 0, i64::from(i32::MAX)] {
            spec.nearest(z, model.ring.bits());
        }
    }
});
