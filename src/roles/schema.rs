//! What reports take from layers below, for the schemas of reports: those layers know nothing of schemas.

use crate::ids::Role;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

/// PSNR and SSIM of a picture beside the clean one.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it says what `image::metrics::Quality` becomes")]
pub(crate) struct Quality {
    /// PSNR in dB; null for identical images.
    psnr_db: Option<f64>,
    /// Mean structural similarity (SSIM), at most 1.
    ssim: f64,
}

/// A part of a picture.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it says what `image::Rect` becomes")]
pub(crate) struct Rect {
    /// The first row.
    top: usize,
    /// The first column.
    left: usize,
    /// Number of rows.
    height: usize,
    /// Number of columns.
    width: usize,
}

/// Fingerprint of the key of this role.
#[derive(JsonSchema)]
#[schemars(transparent)]
#[expect(dead_code, reason = "it says what a fingerprint among others is")]
pub(crate) struct KeyOfRole(String);

/// The name of a role, as a key of an object.
pub(crate) struct RoleName;

/// The name of a role's key file, as a key of an object.
pub(crate) struct KeyFile;

impl JsonSchema for RoleName {
    fn schema_name() -> Cow<'static, str> {
        "RoleName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": format!("^{}$", any_role()) })
    }
}

impl JsonSchema for KeyFile {
    fn schema_name() -> Cow<'static, str> {
        "KeyFile".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let file = |end: &str| json_schema!({ "type": "string", "pattern": format!("^{}\\.{end}$", any_role()) });
        json_schema!({ "anyOf": [file("key"), file("pub")] })
    }
}

fn any_role() -> String {
    format!("({})", Role::ALL.map(Role::stem).join("|"))
}
