//! Several sets of triples as a table: a line each.

use serde_json::{Map, Value};

/// What is told of a set, and under which heading.
const COLUMNS: [(&str, &str); 7] = [
    ("file", "file"),
    ("server", "server"),
    ("height", "size"),
    ("slots", "slots"),
    ("slots_left", "left"),
    ("origin", "origin"),
    ("set_id", "set"),
];

/// The lines, if all files are triples; what is not known of any has no column.
pub(super) fn of_triples(files: &[Map<String, Value>]) -> Option<Vec<String>> {
    let triples =
        |facts: &Map<String, Value>| facts.contains_key("set_id") && facts.contains_key("slots");
    if !files.iter().all(triples) {
        return None;
    }
    let known = |key: &str| files.iter().any(|facts| facts.contains_key(key));
    let columns: Vec<_> = COLUMNS.into_iter().filter(|(key, _)| known(key)).collect();
    let mut rows = vec![columns.iter().map(|(_, heading)| (*heading).to_string()).collect()];
    let cell = |facts: &Map<String, Value>, key: &str| match (key, facts.get(key)) {
        ("height", Some(height)) => format!("{height}x{}", facts["width"]),
        (_, Some(Value::String(text))) => text.clone(),
        (_, Some(value)) => value.to_string(),
        (_, None) => "-".into(),
    };
    rows.extend(
        files.iter().map(|facts| -> Vec<String> {
            columns.iter().map(|(key, _)| cell(facts, key)).collect()
        }),
    );
    let widths: Vec<usize> = (0..columns.len())
        .map(|i| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0))
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
    };
    Some(rows.iter().map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn facts(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(facts) => facts,
            _ => Map::new(),
        }
    }

    #[test]
    fn sets_are_lines_of_a_table() {
        let set = |file: &str, side: u32, slots: u32| {
            facts(json!({ "file": file, "kind": "triples", "set_id": "ab", "server": 0,
                "height": side, "width": 2 * side, "slots": slots, "origin": "dealt" }))
        };
        let mut one = set("a.s0", 9, 12);
        one.insert("slots_left".into(), json!(3));
        let lines = of_triples(&[one, set("long-name.s0", 100, 1)]).unwrap();
        assert_eq!(
            lines,
            [
                "file          server  size     slots  left  origin  set",
                "a.s0          0       9x18     12     3     dealt   ab",
                "long-name.s0  0       100x200  1      -     dealt   ab",
            ]
        );
        assert!(of_triples(&[facts(json!({ "kind": "model" }))]).is_none());
    }
}
