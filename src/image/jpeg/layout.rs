//! The units of a frame: blocks of 8x8 samples, or samples of a lossless one (ITU-T T.81, A.1 and A.2).

use super::{Frame, Process};

/// A component of a frame.
pub(super) struct Component {
    pub(super) id: u8,
    /// Units in a group of units of all components.
    pub(super) in_group: usize,
    /// Units in a scan of this component alone.
    pub(super) alone: usize,
    /// The number of its table of steps.
    pub(super) steps: u8,
}

/// What the scans of a frame consist of.
pub(super) struct Layout {
    pub(super) components: Vec<Component>,
    /// Groups in a scan of several components.
    pub(super) groups: usize,
}

/// The most components of a picture.
const MAX_COMPONENTS: usize = 4;

impl Layout {
    /// Of the segment of a frame, of which the sizes were read.
    pub(super) fn of(frame: &Frame, segment: &[u8]) -> Result<Layout, &'static str> {
        const DAMAGED: &str = "its JPEG stream has a damaged frame";
        let side = if frame.process == Process::Lossless { 1 } else { 8 };
        let list = segment.get(6..).ok_or(DAMAGED)?.chunks_exact(3);
        if list.len() > MAX_COMPONENTS {
            return Err("its JPEG stream has more components than any picture has");
        }
        let factors = |both: u8| (usize::from(both >> 4), usize::from(both & 15));
        if list.clone().any(|c| !matches!(factors(c[1]), (1..=4, 1..=4))) {
            return Err(DAMAGED);
        }
        let most =
            |of: fn(u8) -> u8| list.clone().map(|c| usize::from(of(c[1]))).max().unwrap_or(1);
        let (widest, highest) = (most(|both| both >> 4), most(|both| both & 15));
        let units =
            |size: usize, factor: usize, most: usize| (size * factor).div_ceil(most).div_ceil(side);
        let component = |c: &[u8]| {
            let (h, v) = factors(c[1]);
            let alone = units(frame.width, h, widest) * units(frame.height, v, highest);
            Component { id: c[0], in_group: h * v, alone, steps: c[2] }
        };
        let groups = frame.width.div_ceil(side * widest) * frame.height.div_ceil(side * highest);
        let components: Vec<Component> = list.clone().map(component).collect();
        let twice = |i: usize| components[..i].iter().any(|c| c.id == components[i].id);
        if (0..components.len()).any(twice) {
            Err(DAMAGED)
        } else {
            Ok(Layout { components, groups })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_cover_the_frame() {
        let segment = [8, 0, 17, 0, 33, 3, 1, 0x21, 0, 2, 0x11, 1, 3, 0x11, 1];
        let (height, width, components) = (17, 33, 3);
        let frame = |process| Frame { process, bits: 8, height, width, components, turned: None };
        for (process, groups, alone) in
            [(Process::Baseline, 9, [15, 9, 9]), (Process::Lossless, 17 * 17, [561, 289, 289])]
        {
            let layout = Layout::of(&frame(process), &segment).unwrap();
            assert_eq!(layout.groups, groups);
            let found: Vec<usize> = layout.components.iter().map(|c| c.alone).collect();
            assert_eq!(found, alone, "{process:?}");
            assert_eq!(layout.components[0].in_group, 2);
        }
    }

    #[test]
    fn frames_without_sense_are_refused() {
        let frame = Frame {
            process: Process::Baseline,
            bits: 8,
            height: 8,
            width: 8,
            components: 2,
            turned: None,
        };
        for list in [[1, 0x11, 0, 1, 0x11, 0], [1, 0x11, 0, 2, 0x01, 0], [1, 0x51, 0, 2, 0x11, 0]] {
            let segment = [&[8, 0, 8, 0, 8, 2][..], &list].concat();
            assert!(Layout::of(&frame, &segment).is_err(), "{list:x?}");
        }
    }
}
