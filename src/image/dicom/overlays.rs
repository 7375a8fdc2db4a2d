//! Overlays that lie in the words of pixels, in bits that are not the values' (PS3.5 section 8.1.2, retired and met).

use super::dataset::{Coding, Element, Tag};
use std::collections::BTreeMap;

/// Every second group from here on is an overlay's; the bits that an overlay lies in, which of them it is, and its own
/// data if it lies apart.
const FIRST: u16 = 0x6000;
const LAST: u16 = 0x601e;
const ALLOCATED: u16 = 0x0100;
const POSITION: u16 = 0x0102;
const DATA: u16 = 0x3000;

/// The overlays of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Overlays {
    groups: BTreeMap<u16, Overlay>,
}

#[derive(Clone, Debug, Default)]
struct Overlay {
    tags: Vec<Tag>,
    allocated: u16,
    position: Option<u16>,
    apart: bool,
}

impl Overlay {
    /// The bit that it is of every word.
    fn bit(&self) -> Option<u32> {
        self.position.filter(|_| !self.apart && self.allocated > 1).map(u32::from)
    }
}

impl Overlays {
    /// Takes in an element.
    pub(super) fn note(&mut self, element: Element<'_>, coding: Coding) {
        let Tag(group, number) = element.tag;
        if !(FIRST..=LAST).contains(&group) || group % 2 == 1 {
            return;
        }
        let overlay = self.groups.entry(group).or_default();
        overlay.tags.push(element.tag);
        let short = || match *element.value {
            [a, b, ..] => Some(coding.short([a, b])),
            _ => None,
        };
        match number {
            ALLOCATED => overlay.allocated = short().unwrap_or(0),
            POSITION => overlay.position = short(),
            DATA => overlay.apart = true,
            _ => {}
        }
    }

    /// The bits of a word of `allocated` bits that are overlays.
    pub(super) fn bits(&self, allocated: usize) -> u32 {
        let bits = self.groups.values().filter_map(Overlay::bit);
        bits.filter(|&bit| (bit as usize) < allocated.min(32)).fold(0, |all, bit| all | 1 << bit)
    }

    /// The elements of overlays that lie in words and in none of these bits.
    pub(super) fn lost(&self, kept: u32) -> impl Iterator<Item = Tag> {
        let lost = move |overlay: &&Overlay| {
            overlay.bit().is_some_and(|bit| kept.checked_shr(bit).unwrap_or(0) & 1 == 0)
        };
        self.groups.values().filter(lost).flat_map(|overlay| overlay.tags.iter().copied())
    }
}
