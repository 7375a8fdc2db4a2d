//! `schema`: what reports have, as JSON Schema; and the one list of their names and versions.

use super::args::manual::Schema as Args;
use super::failure::{Code, Failure};
use super::files::write_public;
use super::manual::make_folder;
use super::output::{Console, Report, print_bytes, print_line};
use super::{
    add_noise, client, cloud, daemon, denoise, gen_triplets, import, inspect, keygen, prepare,
    reconstruct, serve, serve_events, share_image,
};
use crate::image::metrics::Quality;
use crate::lab::{bench, demo, reproduce};
use crate::roles::inspect::{Facts, Shape};
use crate::roles::one_cloud::SessionReport;
use crate::roles::server::EraseReport;
use crate::roles::{Calibration, SharedModel, Verification, schema};
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

/// A report's name with its version, and what it has.
type Named = (&'static str, fn() -> Schema);

/// Gives each report its name, and lists them. `as` another type says what a type from a layer that knows nothing of
/// schemas becomes.
macro_rules! reports {
    ($($(#[$when:meta])* $schema:literal: $report:ty $(, as $shape:ty)?;)*) => {
        $($(#[$when])* impl Report for $report {
            const SCHEMA: &'static str = $schema;
        })*

        /// All reports, in the order of the commands.
        const ALL: &[Named] =
            &[$($(#[$when])* ($schema, fields::<reports!(@shape $report $(, $shape)?)>)),*];
    };
    (@shape $report:ty) => { $report };
    (@shape $report:ty, $shape:ty) => { $shape };
}

reports! {
    "ppdenoise.keygen.v1": keygen::Report;
    "ppdenoise.import.v1": import::Report;
    "ppdenoise.calibrate.v1": Calibration;
    "ppdenoise.share-model.v1": SharedModel;
    "ppdenoise.share-image.v2": share_image::Report<'_>;
    "ppdenoise.gen-triplets.v2": gen_triplets::Report;
    "ppdenoise.gen-triplets-party.v1": gen_triplets::make::Report<'_>;
    "ppdenoise.prepare.v1": prepare::Report<'_>;
    "ppdenoise.serve.v2": serve::Report<'_>;
    "ppdenoise.serve-event.v1": serve_events::Line<'_>;
    "ppdenoise.erase.v1": EraseReport;
    "ppdenoise.reconstruct.v2": reconstruct::Report<'_>;
    "ppdenoise.cloud.v1": SessionReport;
    "ppdenoise.add-client.v1": cloud::Added<'_>;
    "ppdenoise.client.v1": client::Report<'_>;
    "ppdenoise.status.v1": daemon::state::Status;
    "ppdenoise.denoise.v1": denoise::Report;
    "ppdenoise.add-noise.v1": add_noise::Report;
    "ppdenoise.metrics.v1": Quality, as schema::Quality;
    "ppdenoise.inspect.v1": Facts, as Shape;
    "ppdenoise.inspect-files.v1": inspect::Several;
    "ppdenoise.verify.v1": Verification;
    "ppdenoise.demo.v1": demo::Report;
    "ppdenoise.bench.v1": bench::Report;
    "ppdenoise.reproduce.v1": reproduce::Report;
    #[cfg(feature = "train")]
    "ppdenoise.train.v1": super::train::Report<'_>;
}

/// Lists the reports, prints the schema of one, or writes them into a folder.
pub(super) fn run(args: &Args, console: &Console) -> Result<(), Failure> {
    let chosen = match &args.report {
        Some(name) => std::slice::from_ref(find(name)?),
        None => ALL,
    };
    let Some(folder) = &args.out else {
        return match (chosen, &args.report) {
            ([one], Some(_)) => print_bytes(text(one)?.as_bytes()),
            _ => chosen.iter().try_for_each(|(name, _)| print_line(name)),
        };
    };
    make_folder(folder)?;
    for named in chosen {
        let path = folder.join(format!("{}.json", named.0));
        write_public(&path, text(named)?.as_bytes())?;
        console.note(path.display().to_string());
    }
    Ok(())
}

/// The report of this name, with its version or without.
fn find(name: &str) -> Result<&'static Named, Failure> {
    let found = ALL.iter().find(|(full, _)| *full == name || short(full) == name);
    found.ok_or_else(|| {
        let known: Vec<&str> = ALL.iter().map(|(full, _)| short(full)).collect();
        let text = format!("there is no report '{name}'");
        Failure::new(Code::Usage, text).help(format!("give one of {}", known.join(", ")))
    })
}

/// `serve` of `ppdenoise.serve.v2`.
fn short(full: &str) -> &str {
    full.split('.').nth(1).unwrap_or(full)
}

fn text((name, fields): &Named) -> Result<String, Failure> {
    let failed = |e| Failure::failed(format!("the schema cannot be written: {e}"));
    Ok(serde_json::to_string_pretty(&document(name, fields())).map_err(failed)? + "\n")
}

/// The schema of a report as it is printed: with the field that names it.
fn document(name: &str, mut schema: Schema) -> Schema {
    // The widths of Rust's numbers are no formats that others know, and what a settings file that leaves a value away
    // means is not what a report does.
    let of_rust = |schema: &mut Schema| {
        ["format", "default"].iter().for_each(|keyword| drop(schema.remove(*keyword)))
    };
    RecursiveTransform(of_rust).transform(&mut schema);
    let object = schema.ensure_object();
    object.insert("title".into(), json!(name));
    object.insert("type".into(), json!("object"));
    let properties = object.entry("properties").or_insert_with(|| json!({}));
    properties["schema"] = json!({
        "type": "string",
        "const": name,
        "description": "Name and version of this schema.",
    });
    let required = object.entry("required").or_insert_with(|| json!([]));
    if let Value::Array(required) = required {
        required.insert(0, json!("schema"));
    }
    schema
}

/// What a type becomes as JSON, in one piece.
fn fields<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let settings = settings.with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>()
}
