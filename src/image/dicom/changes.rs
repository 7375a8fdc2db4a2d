//! A data set with some of its elements changed: every other one stays byte by byte.

use super::super::ImageError;
use super::dataset::{Coding, ITEM, Tag, elements, is_long};
use std::collections::BTreeMap;

/// A new or changed element; nothing for one that goes.
pub(super) type Changes = BTreeMap<Tag, Option<Changed>>;

pub(super) struct Changed {
    kind: [u8; 2],
    value: Vec<u8>,
}

impl Changed {
    /// Of even length, filled as its kind says.
    pub(super) fn new(kind: &[u8; 2], value: impl Into<Vec<u8>>) -> Option<Changed> {
        let mut value = value.into();
        if value.len() % 2 == 1 {
            value.push(if matches!(kind, b"UI" | b"OB") { 0 } else { b' ' });
        }
        Some(Changed { kind: *kind, value })
    }

    pub(super) fn write(&self, tag: Tag, coding: Coding, out: &mut Vec<u8>) {
        out.extend(coding.tag_bytes(tag));
        let length = self.value.len() as u32;
        if coding.has_kinds() {
            out.extend(self.kind);
        }
        if coding.has_kinds() && !is_long(self.kind) {
            out.extend(coding.short_bytes(length as u16))
        } else {
            if coding.has_kinds() {
                out.extend([0; 2]);
            }
            out.extend(coding.word_bytes(length));
        }
        out.extend(&self.value);
    }
}

/// An item of a sequence: its elements, in the order of their tags, with the kinds of their values.
pub(super) fn item(coding: Coding, entries: &[(Tag, &[u8; 2], &[u8])]) -> Vec<u8> {
    let mut item = Vec::new();
    for (tag, kind, value) in entries {
        if let Some(element) = Changed::new(kind, *value) {
            element.write(*tag, coding, &mut item);
        }
    }
    let header = [coding.tag_bytes(ITEM), coding.word_bytes(item.len() as u32)].concat();
    [header, item].concat()
}

/// Appends a data set with its changes, in the order of the tags. Lengths of groups are left out:
/// nobody needs them, and they would be wrong.
pub(super) fn rewrite(
    data: &[u8],
    coding: Coding,
    mut changes: Changes,
    out: &mut Vec<u8>,
) -> Result<(), ImageError> {
    let write = |tag, changed: Option<Changed>, out: &mut Vec<u8>| {
        if let Some(changed) = changed {
            changed.write(tag, coding, out);
        }
    };
    for element in elements(data, coding) {
        let element = element?;
        while let Some(first) = changes.first_entry().filter(|first| *first.key() < element.tag) {
            let (tag, changed) = first.remove_entry();
            write(tag, changed, out);
        }
        match changes.remove(&element.tag) {
            Some(changed) => write(element.tag, changed, out),
            None if element.tag.1 == 0 => {}
            None => out.extend(element.whole),
        }
    }
    for (tag, changed) in changes {
        write(tag, changed, out);
    }
    Ok(())
}
