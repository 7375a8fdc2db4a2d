//! docs/troubleshooting.md quotes the messages of the program: each quoted text is put together from
//! string literals of the sources.

use std::fs;
use std::path::Path;

const PAGE: &str = include_str!("../../docs/troubleshooting.md");
/// The most literals that one piece of a quoted text, between two `...`, may be made of.
const PARTS: usize = 4;

/// The string literals of a source file, cut where values are put in.
fn literals(source: &str, found: &mut Vec<String>) {
    let chars: Vec<char> = source.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut i = 0;
    while i < chars.len() {
        match (at(i), at(i + 1)) {
            ('/', '/') => {
                while i < chars.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            // A character, not a lifetime.
            ('\'', '\\') => i += 3,
            ('\'', _) if at(i + 2) == '\'' => i += 2,
            ('r', '#') if at(i + 2) == '"' => {
                let rest: String = chars[i + 3..].iter().collect();
                let text = rest.split("\"#").next().unwrap().to_string();
                i += 3 + text.chars().count() + 1;
                found.push(text);
            }
            ('"', _) => {
                let mut text = String::new();
                i += 1;
                while i < chars.len() && at(i) != '"' {
                    match (at(i), at(i + 1)) {
                        ('\\', '\n') => {
                            i += 1;
                            while at(i + 1).is_whitespace() {
                                i += 1;
                            }
                        }
                        ('\\', escaped) => {
                            text.push(escaped);
                            i += 1;
                        }
                        (c, _) => text.push(c),
                    }
                    i += 1;
                }
                cut(&text, found);
            }
            _ => {}
        }
        i += 1;
    }
}

/// What stands between the placeholders of a format string.
fn cut(text: &str, found: &mut Vec<String>) {
    let (mut piece, mut depth) = (String::new(), 0);
    for c in text.chars() {
        match c {
            '{' => {
                depth += 1;
                found.push(std::mem::take(&mut piece));
            }
            '}' if depth > 0 => depth -= 1,
            c if depth == 0 => piece.push(c),
            _ => {}
        }
    }
    found.push(piece);
}

fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            literals(&fs::read_to_string(path).unwrap(), found);
        }
    }
}

/// The quoted texts of the headings, and of the table or line they stand in.
fn quoted() -> Vec<String> {
    let mut texts = Vec::new();
    for heading in PAGE.lines().filter_map(|line| line.strip_prefix("### ")) {
        let before = texts.len();
        // Text with ` in it is between two of them.
        let (mut rest, mut mark) = (heading, "`");
        while let Some(start) = rest.find('`') {
            rest = &rest[start..];
            if rest.starts_with("``") {
                mark = "``";
            }
            rest = &rest[mark.len()..];
            let end = rest.find(mark).expect("a quoted text ends");
            texts.push(rest[..end].trim().to_string());
            rest = &rest[end + mark.len()..];
            mark = "`";
        }
        assert!(texts.len() > before, "no quoted text in: {heading}");
    }
    texts
}

/// Whether a text is put together from few literals.
fn is_made_of(text: &str, literals: &[String], parts: usize) -> bool {
    let text = text.trim_matches(|c: char| c.is_whitespace() || [':', ';', ',', '\''].contains(&c));
    if text.chars().filter(|c| c.is_alphabetic()).count() < 3 {
        return true;
    }
    if parts == 0 {
        return false;
    }
    if literals.iter().any(|literal| literal.contains(text)) {
        return true;
    }
    // The longest beginning that stands in a literal, and the rest.
    let ends = text.char_indices().map(|(i, _)| i).filter(|i| *i > 0).rev();
    let is_known = |end: &usize| literals.iter().any(|literal| literal.contains(&text[..*end]));
    let longest = ends.into_iter().find(is_known);
    longest.is_some_and(|end| is_made_of(&text[end..], literals, parts - 1))
}

#[test]
fn every_quoted_message_is_one_of_the_programs() {
    let mut all = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    all.retain(|literal| literal.chars().filter(|c| c.is_alphabetic()).count() >= 2);
    assert!(all.len() > 1000, "{} literals", all.len());
    let texts = quoted();
    assert!(texts.len() > 90, "{} texts", texts.len());
    let unknown: Vec<&String> = texts
        .iter()
        .filter(|text| !text.split("...").all(|piece| is_made_of(piece, &all, PARTS)))
        .collect();
    assert!(unknown.is_empty(), "no message says: {unknown:#?}");
}

#[test]
fn other_texts_are_no_messages() {
    let mut all = Vec::new();
    literals("fail(\"it is {found}, expected \\\n   {expected:?} of '{file}'\")", &mut all);
    assert_eq!(all, ["it is ", ", expected ", " of '", "'"]);
    assert!(is_made_of("it is", &all, 1) && is_made_of(", expected", &all, 1));
    assert!(!is_made_of("it was", &all, PARTS) && !is_made_of("expected nothing", &all, PARTS));
}
