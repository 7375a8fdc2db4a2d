//! What a user of the cloud may have: `settings.toml` of its folder.

use crate::files::FormatError;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// The most bytes of a file of settings.
const MAX_LEN: u64 = 1 << 16;

/// What a user may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all(deserialize = "kebab-case"))]
pub struct Settings {
    /// Slots that may be made on a day, for images of any size.
    pub images_a_day: u64,
    /// Slots that may be made in all; null if there is no limit.
    pub images_in_all: Option<u64>,
    /// Results stop before they tell one who is after the cloud's secrets something with an
    /// advantage of 2^-this (docs/one-cloud.md); 0 for no limit.
    pub advantage_bits: u32,
    /// Bytes of material that the cloud keeps for the user at most.
    pub material_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            images_a_day: 100,
            images_in_all: None,
            advantage_bits: 20,
            material_bytes: 8 << 30,
        }
    }
}

impl Settings {
    pub(super) fn read(path: &Path) -> Result<Self, FormatError> {
        let failed = |e| FormatError::io(path, "read", e);
        let bad = |text: String| failed(io::Error::new(ErrorKind::InvalidData, text));
        let file = File::open(path).map_err(failed)?;
        let mut text = String::new();
        file.take(MAX_LEN + 1).read_to_string(&mut text).map_err(failed)?;
        if text.len() as u64 > MAX_LEN {
            return Err(bad(format!("longer than {MAX_LEN} bytes")));
        }
        toml::from_str(&text).map_err(|e| bad(e.message().into()))
    }

    pub(super) fn to_toml(self) -> String {
        let Settings { images_a_day, images_in_all, advantage_bits, material_bytes } = self;
        let in_all = images_in_all.map_or(String::new(), |n| format!("images-in-all = {n}\n"));
        format!(
            "images-a-day = {images_a_day}\n{in_all}advantage-bits = {advantage_bits}\nmaterial-bytes = \
             {material_bytes}\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_they_are_written() {
        for settings in [
            Settings::default(),
            Settings {
                images_a_day: 0,
                images_in_all: Some(9),
                advantage_bits: 0,
                material_bytes: 1,
            },
        ] {
            assert_eq!(toml::from_str::<Settings>(&settings.to_toml()).unwrap(), settings);
        }
        assert_eq!(toml::from_str::<Settings>("").unwrap(), Settings::default());
        assert!(toml::from_str::<Settings>("images = 3").is_err());
        assert!(toml::from_str::<Settings>("images-a-day = -3").is_err());
    }
}
