//! `inspect`: what a file is, from its public header; of a model its arrays' names and shapes.

mod table;

use super::args::files::Inspect;
use super::failure::Failure;
use super::output::{print_json, print_line};
use crate::roles::inspect::{self, Facts, Shape, inspect, slots_by_size};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// What `inspect` tells of several files.
#[derive(Serialize, JsonSchema)]
pub(super) struct Several {
    /// The files, in their order.
    #[schemars(with = "Vec<Named>")]
    files: Vec<Facts>,
    /// With `--state`: slots left by size of the images, `HEIGHTxWIDTH`.
    slots_left: Option<BTreeMap<String, u64>>,
}

/// A file of several.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it says what facts of several files have")]
struct Named {
    /// The path of the file.
    file: String,
    #[schemars(flatten)]
    facts: Shape,
}

pub(super) fn run(args: &Inspect) -> Result<(), Failure> {
    let request = inspect::Inspect { keys: args.keys.as_deref(), state: args.state.as_deref() };
    let files: Vec<&Path> = args.file.iter().map(AsRef::as_ref).collect();
    let mut found = inspect(&files, &request)?;
    if let ([_], [facts]) = (&files[..], &found[..]) {
        return if args.json { print_json(facts) } else { show(facts) };
    }
    for (facts, file) in found.iter_mut().zip(&files) {
        let named = [("file".to_string(), json!(file))].into_iter();
        *facts = named.chain(std::mem::take(facts)).collect();
    }
    let left = args.state.as_ref().map(|_| slots_by_size(&found));
    if args.json {
        return print_json(&Several { files: found, slots_left: left });
    }
    match table::of_triples(&found) {
        Some(lines) => lines.iter().try_for_each(|line| print_line(line))?,
        None => {
            for facts in &found {
                show(facts)?;
                print_line("")?;
            }
        }
    }
    for (size, slots) in left.unwrap_or_default() {
        print_line(&format!("{:18} {slots}", format!("slots left {size}")))?;
    }
    Ok(())
}

fn show(facts: &Facts) -> Result<(), Failure> {
    for (name, value) in facts {
        if let (Value::Array(tensors), "tensors") = (value, name.as_str()) {
            print_line("tensors")?;
            for tensor in tensors {
                print_line(&format!("  {}", tensor_line(tensor)))?;
            }
            continue;
        }
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        print_line(&format!("{:18} {text}", name.replace('_', " ")))?;
    }
    Ok(())
}

/// One line for an array: name, type, shape.
fn tensor_line(tensor: &Value) -> String {
    let text = |field: &str| tensor[field].as_str().unwrap_or_default().to_string();
    let sides = tensor["shape"].as_array().map(Vec::as_slice).unwrap_or_default();
    let sides: Vec<String> = sides.iter().map(Value::to_string).collect();
    format!("{:32} {:6} {}", text("name"), text("dtype"), sides.join("x"))
}
