//! A whole image with the `lut` engine: U, the image, every opening of every batch.
#![no_main]
use libfuzzer_sys::fuzz_target;
use ppdenoise_base::ids::Party;
use ppdenoise::internals::material::{Origin, SlotView};
use ppdenoise::internals::protocol::{Image, LutEngine, MaskedWeights, Sources, denoise};
use ppdenoise_fuzz::peer::Peer;
use ppdenoise_fuzz::world::{LUT_32, SIZE, SLOT, Batches, Weights};
use ppdenoise_fuzz::{memory::bounded, seeds};

fuzz_target!(init: seeds(answers), |data: &[u8]| {
    let Some((&first, answers)) = data.split_first() else { return };
    let party = if first & 1 == 0 { Party::S0 } else { Party::S1 };
    bounded((64 << 20) + 16 * data.len(), || serve(party, answers));
});

fn serve(party: Party, answers: &[u8]) {
    let world = &*LUT_32;
    let mut channel = Peer::new(answers);
    let seeds = &world.seeds[party.index()];
    let public = world.model.public.clone();
    let masked = MaskedWeights::<u32>::new(party, public, &mut Weights, &seeds.weight_mask);
    let masked = masked.expect("these weights can be read");
    let Ok((model, _)) = masked.open(&mut channel, None) else { return };
    let share = vec![7u32; SIZE.pixels()];
    let slot = SlotView::new(party, &seeds.slots, SLOT, Origin::Dealt);
    let image =
        Image { share: &share, means: &[], plane: 0, size: SIZE, slot, layout: &world.layout };
    let mut batches = Batches { world, party, next: 0 };
    let sources = Sources { explicit: &mut batches, products: None };
    let mut engine = LutEngine::new(party, &world.model.public);
    let result = denoise(&model, &mut engine, &image, sources, &mut channel, &mut |_| ());
    if let Ok(sums) = result {
        assert_eq!(sums.len(), share.len());
    }
}

/// Frames of the length that is due, up to a session's end.
fn answers() -> Vec<Vec<u8>> {
    let honest = vec![0xff; 1 << 14];
    let zeros = vec![0x80; 64];
    vec![[&[0], &honest[..]].concat(), [&[1], &honest[..]].concat(), zeros]
}
