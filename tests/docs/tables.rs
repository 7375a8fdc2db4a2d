//! Schemas as tables for readers.

use super::schemas::{alternatives, fields, short};
use serde_json::Value;

/// Fields of a report from which on another one refers to it, instead of telling the same again.
const WORTH_A_LINK: usize = 5;

/// A field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) path: String,
    /// Whether it may be missing from its object.
    pub(crate) missing: bool,
    /// What it may be, in words.
    pub(crate) kind: String,
    pub(crate) text: String,
}

/// All fields of a report but `schema`.
pub(crate) fn rows(schema: &Value) -> Vec<Row> {
    let mut rows = Vec::new();
    add(schema, "", &mut rows);
    rows.retain(|row| row.path != "schema");
    rows
}

/// Adds the fields of an object.
fn add(schema: &Value, path: &str, rows: &mut Vec<Row>) {
    let objects: Vec<Value> = alternatives(schema);
    let objects: Vec<&Value> = objects.iter().filter(|one| !fields(one).is_empty()).collect();
    let mut names: Vec<String> = Vec::new();
    for (name, ..) in objects.iter().flat_map(|object| fields(object)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    for name in names {
        let of = |object: &Value| {
            let found = fields(object).into_iter().find(|(field, ..)| *field == name);
            found.map(|(_, field, always)| (tag(object).unwrap_or_default(), field.clone(), always))
        };
        let found: Vec<(String, Value, bool)> =
            objects.iter().filter_map(|object| of(object)).collect();
        let missing = found.len() < objects.len() || found.iter().any(|(.., always)| !always);
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let is_tag =
            found.len() > 1 && found.iter().all(|(_, field, _)| field.get("const").is_some());
        let text = if is_tag { "One of those of the table above.".into() } else { told(&found) };
        let (_, field, _) = &found[0];
        assert!(!text.is_empty(), "`{path}` has no comment");
        rows.push(Row { path: path.clone(), missing, kind: kind(field), text });
        match field["items"] {
            Value::Null => add(field, &path, rows),
            ref items => add(items, &format!("{path}[]"), rows),
        }
    }
}

/// The value of the field that tells an alternative from the others.
fn tag(object: &Value) -> Option<String> {
    let mut tags = fields(object)
        .into_iter()
        .filter_map(|(_, field, _)| field["const"].as_str().map(String::from));
    tags.find(|tag| !tag.starts_with("ppdenoise."))
}

/// What alternatives say of a field: once if they say the same.
fn told(found: &[(String, Value, bool)]) -> String {
    let mut texts: Vec<(String, Vec<&str>)> = Vec::new();
    for (tag, field, _) in found {
        let text = text(field);
        match texts.iter_mut().find(|(known, _)| *known == text) {
            Some((_, tags)) => tags.push(tag),
            None => texts.push((text, vec![tag])),
        }
    }
    match &texts[..] {
        [(text, _)] => text.clone(),
        texts => {
            let each = texts.iter().map(|(text, tags)| format!("Of {}: {text}", tags.join(", ")));
            each.collect::<Vec<_>>().join(" ")
        }
    }
}

/// The comment on a field, and what its values mean if it is one of a few.
fn text(field: &Value) -> String {
    let comment = field["description"].as_str().unwrap_or_default().replace('\n', " ");
    let values = field["oneOf"].as_array().into_iter().flatten();
    let values = values.filter_map(|value| {
        let meaning = value["description"].as_str()?.replace('\n', " ");
        Some(format!("`{}`: {meaning}", value["const"].as_str()?))
    });
    std::iter::once(comment).chain(values).collect::<Vec<_>>().join(" ").trim().to_string()
}

/// What a field may be, in words.
fn kind(field: &Value) -> String {
    joined(alternatives(field).iter().flat_map(|one| one_kind(one, false)).collect())
}

/// Words without those that are there before.
fn joined(words: Vec<String>) -> String {
    let first = |(at, word): &(usize, &String)| !words[..*at].contains(word);
    let distinct: Vec<&str> =
        words.iter().enumerate().filter(first).map(|(_, word)| word.as_str()).collect();
    distinct.join(" or ")
}

fn one_kind(field: &Value, many: bool) -> Vec<String> {
    let kinds = match &field["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        Value::String(kind) => vec![kind.as_str()],
        _ => vec!["string"],
    };
    let word = |kind: &str| match kind {
        "boolean" => "true or false".to_string(),
        "array" => {
            let of = alternatives(&field["items"])
                .iter()
                .flat_map(|one| one_kind(one, true))
                .collect::<Vec<_>>();
            let count = match (field["minItems"].as_u64(), field["maxItems"].as_u64()) {
                (Some(least), Some(most)) if least == most => format!("{least} "),
                _ => String::new(),
            };
            format!("list of {count}{}", joined(of))
        }
        other => {
            let word = match other {
                "string" => "text",
                "integer" => "number",
                other => other,
            };
            if many { format!("{word}s") } else { word.into() }
        }
    };
    kinds.into_iter().map(word).collect()
}

/// The section of a report; `all` are the reports that it may refer to.
pub(crate) fn section(name: &str, schema: &Value, all: &[(String, Value)]) -> String {
    let comment = schema["description"].as_str().unwrap_or_default().replace('\n', " ");
    let mut text = format!("## {}\n\n`{name}`: {comment}\n", short(name));
    text += &kinds_table(schema);
    text += "\n| field | type | |\n|---|---|---|\n";
    for Row { path, missing, kind, text: comment } in referring(name, rows(schema), all) {
        let mark = if missing { " †" } else { "" };
        text += &format!("| `{path}`{mark} | {kind} | {} |\n", comment.replace('|', "\\|"));
    }
    text
}

/// Of a report that is one of several kinds: the kinds and their fields.
fn kinds_table(schema: &Value) -> String {
    let Some(kinds) = schema["oneOf"].as_array() else { return String::new() };
    let mut text = String::new();
    for kind in kinds {
        let tags = fields(kind);
        let is_tag = |(_, field, _): &&(String, &Value, bool)| field.get("const").is_some();
        let (name, value, _) = tags.iter().find(is_tag).expect("a field that tells the kind");
        if text.is_empty() {
            text = format!("\n| {name} | | its fields |\n|---|---|---|\n");
        }
        let own = tags.iter().filter(|field| !is_tag(field));
        let own: Vec<String> = own
            .map(|(field, _, always)| format!("{field}{}", if *always { "" } else { " †" }))
            .collect();
        let comment = kind["description"].as_str().unwrap_or_default().replace('\n', " ");
        let value = value["const"].as_str().expect("a text");
        assert!(!comment.is_empty(), "{value} has no comment");
        text += &format!("| {value} | {comment} | {} |\n", own.join(", "));
    }
    text
}

/// The rows, less those that another report has as well: where one is contained whole, it is referred to.
fn referring(name: &str, mut mine: Vec<Row>, all: &[(String, Value)]) -> Vec<Row> {
    for (other, schema) in all.iter().filter(|(other, _)| other != name) {
        let theirs = rows(schema);
        let objects: Vec<Row> =
            mine.iter().filter(|row| row.kind.contains("object")).cloned().collect();
        for object in objects.iter().filter(|_| theirs.len() >= WORTH_A_LINK) {
            let within = if object.kind.starts_with("list") { "[]." } else { "." };
            let start = format!("{}{within}", object.path);
            let same = |row: &Row, their: &Row| {
                row.path.strip_prefix(&start) == Some(&their.path)
                    && (row.missing, &row.kind) == (their.missing, &their.kind)
            };
            if !theirs.iter().all(|their| mine.iter().any(|row| same(row, their))) {
                continue;
            }
            mine.retain(|row| !theirs.iter().any(|their| same(row, their)));
            let row = mine.iter_mut().find(|row| row.path == object.path).expect("the object");
            row.text += &format!(" With the fields of [{0}](#{0}).", short(other));
        }
    }
    mine
}
