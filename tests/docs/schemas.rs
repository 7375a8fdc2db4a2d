//! The schemas that the program tells: what they list, and documents held against them.
//!
//! Stricter than JSON Schema: a field that no schema knows is an error, since the schemas leave room for fields of later
//! versions; and a keyword that is not checked here is one.

use crate::common::Lab;
use ppdenoise_base::ids::Role;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Keywords of the schemas: those that are checked, and those that only tell.
const KEYWORDS: [&str; 17] = [
    "$schema",
    "additionalProperties",
    "anyOf",
    "const",
    "description",
    "enum",
    "items",
    "maxItems",
    "maximum",
    "minItems",
    "minimum",
    "oneOf",
    "patternProperties",
    "properties",
    "required",
    "title",
    "type",
];

/// The schema of each report, in the order in which the program lists them.
pub(crate) fn of_program(lab: &Lab) -> Vec<(String, Value)> {
    lab.run(&["schema", "--out", "schemas"]).done();
    let listed = lab.run(&["schema"]).done().stdout.clone();
    let schema = |name: &str| {
        let text = lab.read(&format!("schemas/{name}.json"));
        (name.to_string(), serde_json::from_slice(&text).expect("a schema"))
    };
    listed.lines().map(schema).collect()
}

/// `serve` of `ppdenoise.serve.v2`.
pub(crate) fn short(name: &str) -> &str {
    name.split('.').nth(1).expect("a name with a version")
}

/// What an object may be: itself with each of its alternatives.
pub(crate) fn alternatives(schema: &Value) -> Vec<Value> {
    let fields = schema.as_object().expect("a schema");
    for keyword in fields.keys() {
        assert!(KEYWORDS.contains(&keyword.as_str()), "{keyword} of a schema is not checked");
    }
    let Some((keyword, Value::Array(list))) =
        fields.iter().find(|(keyword, _)| ["anyOf", "oneOf"].contains(&keyword.as_str()))
    else {
        return vec![schema.clone()];
    };
    let mut common = fields.clone();
    common.remove(keyword);
    list.iter().flat_map(|other| alternatives(&joined(&common, other))).collect()
}

/// Both schemas at once; of two values of a keyword that cannot be joined the first stays.
fn joined(common: &Map<String, Value>, other: &Value) -> Value {
    let mut all = common.clone();
    for (keyword, value) in other.as_object().expect("a schema") {
        match (all.get_mut(keyword), value) {
            (Some(Value::Object(old)), Value::Object(new)) => old.extend(new.clone()),
            (Some(Value::Array(old)), Value::Array(new)) => old.extend(new.clone()),
            (Some(_), _) => {}
            (None, _) => drop(all.insert(keyword.clone(), value.clone())),
        }
    }
    all.into()
}

/// The fields of an object, those that are always there first, and whether each is.
pub(crate) fn fields(schema: &Value) -> Vec<(String, &Value, bool)> {
    let none = Map::new();
    let of = |keyword: &str| schema[keyword].as_object().unwrap_or(&none).clone();
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema["properties"].as_object();
    let always = required.iter().map(|name| (name.to_string(), &schema["properties"][name], true));
    let rest =
        properties.into_iter().flatten().filter(|(name, _)| !required.contains(&name.as_str()));
    let rest = rest.map(|(name, field)| (name.clone(), field, false));
    let patterns = of("patternProperties");
    let named = patterns.keys().map(|p| (readable(p), &schema["patternProperties"][p], false));
    always.chain(rest).chain(named.collect::<Vec<_>>()).collect()
}

/// A pattern of names as the page shows it: `ROLE.key`.
fn readable(pattern: &str) -> String {
    let text = pattern.replace(&any_role(), "ROLE");
    text.trim_start_matches('^').trim_end_matches('$').replace('\\', "")
}

fn any_role() -> String {
    format!("({})", Role::ALL.map(Role::stem).join("|"))
}

/// Whether a name is one of a readable pattern.
fn is_named(name: &str, readable: &str) -> bool {
    Role::ALL.iter().any(|role| readable.replace("ROLE", role.stem()) == name)
}

/// Checks a document, and notes the paths of the fields that it has.
///
/// # Errors
/// What does not fit, and where.
pub(crate) fn check(
    schema: &Value,
    found: &Value,
    path: &str,
    seen: &mut BTreeSet<String>,
) -> Result<(), String> {
    let mut wrong = Vec::new();
    let mut fit = Vec::new();
    for alternative in alternatives(schema) {
        let mut paths = BTreeSet::new();
        match check_one(&alternative, found, path, &mut paths) {
            Ok(()) => fit.push(paths),
            Err(error) => wrong.push(error),
        }
    }
    match &fit[..] {
        [paths] => {
            seen.extend(paths.iter().cloned());
            Ok(())
        }
        [] => {
            // Of the alternatives that are of another kind nothing is told.
            let near: Vec<String> =
                wrong.iter().filter(|e| !e.starts_with("another")).cloned().collect();
            Err(if near.is_empty() {
                format!("`{path}` is none of the alternatives: {found}")
            } else {
                near.join("; ")
            })
        }
        _ => Err(format!("`{path}` is more than one of the alternatives: {found}")),
    }
}

fn check_one(
    schema: &Value,
    found: &Value,
    path: &str,
    seen: &mut BTreeSet<String>,
) -> Result<(), String> {
    let only = schema
        .get("const")
        .map(std::slice::from_ref)
        .or(schema["enum"].as_array().map(Vec::as_slice));
    if only.is_some_and(|values| !values.contains(found)) {
        return Err(format!("another value of `{path}`: {found}"));
    }
    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    };
    if !kinds.is_empty() && !kinds.iter().any(|kind| is_of(found, kind.as_str().expect("a type"))) {
        return Err(format!("`{path}` is {found}, expected {}", schema["type"]));
    }
    match found {
        Value::Number(number) => {
            let number = number.as_f64().expect("a number");
            let low = schema["minimum"].as_f64().is_some_and(|least| number < least);
            let high = schema["maximum"].as_f64().is_some_and(|most| number > most);
            if low || high {
                Err(format!("`{path}` is {number}, out of its range"))
            } else {
                Ok(())
            }
        }
        Value::Array(items) => {
            let (least, most) = (schema["minItems"].as_u64(), schema["maxItems"].as_u64());
            if least.is_some_and(|n| items.len() < n as usize)
                || most.is_some_and(|n| items.len() > n as usize)
            {
                return Err(format!("`{path}` has {} items", items.len()));
            }
            items
                .iter()
                .try_for_each(|item| check(&schema["items"], item, &format!("{path}[]"), seen))
        }
        Value::Object(object) => check_object(schema, object, path, seen),
        _ => Ok(()),
    }
}

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("a type {other}"),
    }
}

fn check_object(
    schema: &Value,
    object: &Map<String, Value>,
    path: &str,
    seen: &mut BTreeSet<String>,
) -> Result<(), String> {
    let known = fields(schema);
    let within = |name: &str| if path.is_empty() { name.into() } else { format!("{path}.{name}") };
    // What tells alternatives apart first.
    let tags = known.iter().filter(|(_, field, _)| field.get("const").is_some());
    for (name, field, _) in tags {
        check(field, object.get(name).unwrap_or(&json!(null)), &within(name), &mut BTreeSet::new())
            .map_err(|_| format!("another {name} than {}", field["const"]))?;
    }
    if let Some((name, ..)) =
        known.iter().find(|(name, _, always)| *always && !object.contains_key(name))
    {
        return Err(format!("no `{}`", within(name)));
    }
    for (name, value) in object {
        let exact = known.iter().find(|(field, ..)| field == name);
        let field = exact.or(known.iter().find(|(field, ..)| is_named(name, field)));
        let (shown, field) = match (field, &schema["additionalProperties"]) {
            (Some((shown, field, _)), _) => (shown.as_str(), *field),
            // Names that only the document knows.
            (None, any @ Value::Object(_)) => ("*", any),
            (None, _) => return Err(format!("`{}` is not in the schema", within(name))),
        };
        let path = within(shown);
        check(field, value, &path, seen)?;
        seen.insert(path);
    }
    Ok(())
}

/// What was seen in reports, against the schemas.
pub(crate) struct Seen {
    schemas: BTreeMap<String, Value>,
    seen: BTreeMap<String, BTreeSet<String>>,
}

impl Seen {
    pub(crate) fn new() -> Seen {
        let schemas = of_program(&Lab::new()).into_iter().collect();
        Seen { schemas, seen: BTreeMap::new() }
    }

    /// Checks one report: every field is in its schema, and none is missing that is always there.
    pub(crate) fn check(&mut self, report: &Value) {
        let name = report["schema"].as_str().expect("a schema").to_string();
        let schema = self.schemas.get(&name).unwrap_or_else(|| panic!("there is no schema {name}"));
        let seen = self.seen.entry(name.clone()).or_default();
        if let Err(error) = check(schema, report, "", seen) {
            panic!("{name}: {error} in {report}");
        }
    }

    /// Every field of these schemas, but those that start so, was seen.
    pub(crate) fn end(self, commands: &[&str], but: &[&str]) {
        for command in commands {
            let (name, schema) =
                self.schemas.iter().find(|(name, _)| short(name) == *command).expect("a schema");
            let none = BTreeSet::new();
            let seen = self.seen.get(name).unwrap_or(&none);
            let rest = super::tables::rows(schema).into_iter().map(|row| row.path);
            let rest: Vec<String> = rest
                .filter(|path| {
                    !seen.contains(path) && !but.iter().any(|start| path.starts_with(start))
                })
                .collect();
            assert!(rest.is_empty(), "{name} never has {rest:?}");
        }
    }
}

/// A document that does not fit is refused, in every way in which it may not.
#[test]
fn documents_are_held_against_schemas() {
    let schema = json!({
        "type": "object",
        "properties": {
            "a": { "type": "integer", "minimum": 0 },
            "b": { "type": ["string", "null"] },
            "c": { "type": "array", "items": { "type": "number" }, "minItems": 2, "maxItems": 2 },
            "d": { "enum": ["x", "y"] },
        },
        "required": ["a"],
        "oneOf": [
            { "properties": { "t": { "const": "p" }, "u": { "type": "boolean" } }, "required": ["t", "u"] },
            { "properties": { "t": { "const": "q" } }, "required": ["t"] },
        ],
    });
    let told = |document: Value| check(&schema, &document, "", &mut BTreeSet::new());
    assert_eq!(
        told(json!({ "a": 1, "b": null, "c": [1, 2.5], "d": "x", "t": "p", "u": true })),
        Ok(())
    );
    assert_eq!(told(json!({ "a": 1, "t": "q" })), Ok(()));
    for (document, wrong) in [
        (json!({ "t": "q" }), "no `a`"),
        (json!({ "a": 1, "t": "p" }), "no `u`"),
        (json!({ "a": 1, "t": "q", "u": true }), "`u` is not in the schema"),
        (json!({ "a": 1, "t": "q", "e": 1 }), "`e` is not in the schema"),
        (json!({ "a": -1, "t": "q" }), "`a` is -1"),
        (json!({ "a": 1.5, "t": "q" }), "`a` is 1.5"),
        (json!({ "a": 1, "t": "q", "b": 2 }), "`b` is 2"),
        (json!({ "a": 1, "t": "q", "c": [1] }), "`c` has 1 items"),
        (json!({ "a": 1, "t": "q", "c": [1, "2"] }), "`c[]` is"),
        (json!({ "a": 1, "t": "q", "d": "z" }), "`d`"),
        (json!({ "a": 1, "t": "r" }), "none of the alternatives"),
    ] {
        let found = told(document.clone()).expect_err("it does not fit");
        assert!(found.contains(wrong), "{document}: {found}");
    }
}
