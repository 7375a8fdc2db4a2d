//! The house stands: imports go down the table of layers, no circle joins files of different subjects, and
//! pages and heads say what is so.
//!
//! Read from the text of `src`, without a compiler: every path of `use` and of code that begins with
//! `crate`, `super`, `self` or a module of the file. A name that an entry re-exports counts for the file
//! that defines it. Code for tests (`#[cfg(test)]`) may look anywhere and is left out.

mod branches;
mod graph;
mod source;

use graph::{Graph, circles, circles_of_rooms};
use source::Crate;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The layers, lowest first; a module uses only those on lines above its own in this table.
/// `src/lib.rs` and `docs/contributing.md` say the same to readers.
const LAYERS: [&[&str]; 12] = [
    &["ids"],
    &["numbers", "network"],
    &["kernels", "image"],
    &["crypto"],
    &["model"],
    &["material", "train"],
    &["files", "wire"],
    &["protocol"],
    &["artefact"],
    &["roles"],
    &["lab"],
    &["cli"],
];
/// The first lines, which are pure.
const PURE: usize = 6;
/// Entries of `src`, files and folders.
const MOST_ENTRIES: usize = 18;

/// Files that a pure layer may not have and has: (file, what it reaches for, why).
const IMPURE: [(&str, &str, &str); 1] =
    [("ids/id.rs", "getrandom", "an id is drawn at random, where nothing but ids is needed")];
/// Imports that go up: (from, to, why). None.
const UPWARD: [(&str, &str, &str); 0] = [];
/// Imports that close a circle: (from, to, why). None.
const CIRCULAR: [(&str, &str, &str); 0] = [];
/// Rooms of a folder that use each other, though no circle of files goes through them: (folder, rooms). To be cut;
/// none may be added.
const ROOMS_IN_CIRCLES: [(&str, &[&str]); 4] = [
    ("cli", &["args", "levels"]),
    ("files", &["container", "error", "folder", "keys", "output", "place", "private"]),
    ("files/container", &["envelope", "header"]),
    ("image", &["codec", "dicom", "read", "scan", "write"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn graph() -> Graph {
    Graph::of(&Crate::read(&root().join("src")))
}

/// The line of a top module.
fn line(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

/// The imports that do not go down, as pairs of files.
fn upward(graph: &Graph) -> Vec<(String, String)> {
    let top = |module: &[String]| module.first().and_then(|name| line(name));
    let crossing = graph.edges().filter(|(from, to)| from.first() != to.first());
    let wrong = crossing.filter(|(from, to)| match (top(from), top(to)) {
        (Some(from), Some(to)) => from <= to,
        // The root may name all modules and is used by none.
        (from, to) => from.is_some() || to.is_none(),
    });
    wrong.map(|(from, to)| (graph.file(from), graph.file(to))).collect()
}

/// What is found and not listed, and what is listed and not found.
fn compare(found: &[(String, String)], listed: &[(&str, &str, &str)]) -> Vec<String> {
    let known = |a: &str, b: &str| listed.iter().any(|(from, to, _)| (a, b) == (*from, *to));
    let new = found.iter().filter(|(a, b)| !known(a, b)).map(|(a, b)| format!("{a} -> {b}"));
    let there = |a: &str, b: &str| found.iter().any(|(from, to)| (a, b) == (from, to));
    let stale = listed.iter().filter(|(a, b, _)| !there(a, b));
    new.chain(stale.map(|(a, b, _)| format!("listed, but gone: {a} -> {b}"))).collect()
}

#[test]
fn every_entry_of_src_has_a_line() {
    let entries = fs::read_dir(root().join("src")).unwrap();
    let names: BTreeSet<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.len() <= MOST_ENTRIES, "{} entries: {names:?}", names.len());
    let mut expected: BTreeSet<String> =
        LAYERS.iter().flat_map(|line| line.iter().map(|name| name.to_string())).collect();
    expected.extend(["lib.rs".to_string(), "main.rs".to_string()]);
    assert_eq!(names, expected);
}

#[test]
fn imports_go_down() {
    let graph = graph();
    assert!(graph.edges().count() > 800, "{} imports were read", graph.edges().count());
    let wrong = compare(&upward(&graph), &UPWARD);
    assert!(wrong.is_empty(), "imports that go up: {wrong:#?}");
}

#[test]
fn no_circle_joins_files_of_different_subjects() {
    let graph = graph();
    let without: Vec<(String, String)> =
        CIRCULAR.iter().map(|(from, to, _)| (from.to_string(), to.to_string())).collect();
    let left = circles(&graph, &without);
    assert!(left.is_empty(), "circles, with the imports that close them: {left:#?}");
    for (i, (from, to, _)) in CIRCULAR.iter().enumerate() {
        let mut others = without.clone();
        others.remove(i);
        assert!(!circles(&graph, &others).is_empty(), "listed, but no circle: {from} -> {to}");
    }
}

/// A circle among the rooms of a folder.
struct Circle {
    folder: String,
    rooms: BTreeSet<String>,
    imports: Vec<(String, String)>,
}

fn rooms_in_circles(graph: &Graph) -> Vec<Circle> {
    let folders: BTreeSet<&[String]> =
        graph.edges().filter_map(|(from, _)| Some(from.split_last()?.1)).collect();
    let within = folders.into_iter().filter(|folder| !folder.is_empty());
    let circles = within.flat_map(|folder| {
        circles_of_rooms(graph, folder).into_iter().map(|imports| {
            let rooms = imports.iter().map(|(from, _)| from.clone()).collect();
            Circle { folder: folder.join("/"), rooms, imports }
        })
    });
    circles.collect()
}

#[test]
fn no_circle_joins_rooms_of_a_folder() {
    let found = rooms_in_circles(&graph());
    for Circle { folder, rooms, imports } in &found {
        let listed = ROOMS_IN_CIRCLES
            .iter()
            .any(|(of, names)| of == folder && rooms.iter().eq(names.iter()));
        assert!(listed, "a circle of rooms in {folder}: {rooms:?} by {imports:#?}");
    }
    assert_eq!(found.len(), ROOMS_IN_CIRCLES.len(), "listed, but no circle");
}

#[test]
fn pure_layers_reach_for_nothing_outside() {
    let source = Crate::read(&root().join("src"));
    let outside = ["std::fs", "std::net", "std::time", "std::process", "std::env", "getrandom"];
    let mut found = Vec::new();
    for file in source.files().filter(|file| !file.for_tests) {
        let top = file.module.first().and_then(|name| line(name));
        if top.is_some_and(|line| line < PURE) {
            let code = file.without_tests();
            let reached = outside.iter().filter(|what| code.contains(*what));
            found.extend(reached.map(|what| (file.path.clone(), what.to_string())));
        }
    }
    let wrong = compare(&found, &IMPURE);
    assert!(wrong.is_empty(), "what pure layers reach for: {wrong:#?}");
}

#[test]
fn only_the_command_line_prints() {
    let source = Crate::read(&root().join("src"));
    for file in source
        .files()
        .filter(|file| !file.for_tests && file.module.first().is_some_and(|top| top != "cli"))
    {
        let code = file.without_tests();
        for print in ["print!(", "println!(", "eprint!(", "eprintln!(", "dbg!("] {
            assert!(!code.contains(print), "{} prints: {print}", file.path);
        }
    }
}

/// The names in backticks of a line.
fn quoted(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

#[test]
fn readers_are_told_the_same_table() {
    let library = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let said: Vec<Vec<&str>> = library
        .lines()
        .filter_map(|line| line.strip_prefix("//! ")?.split_once(". ["))
        .filter(|(number, _)| number.parse::<usize>().is_ok())
        .map(|(_, names)| quoted(names))
        .collect();
    assert_eq!(said, LAYERS, "the list in src/lib.rs");
    let page = fs::read_to_string(root().join("docs/contributing.md")).unwrap();
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split_once(" | "))
        .filter(|(number, _)| number.parse::<usize>().is_ok())
        .map(|(_, row)| quoted(row.split(" | ").next().unwrap()))
        .collect();
    assert_eq!(rows, LAYERS, "the table in docs/contributing.md");
}

#[test]
fn every_room_says_what_it_may_use_assumes_and_promises() {
    for name in LAYERS.iter().flat_map(|line| line.iter()) {
        let path = Path::new("src").join(name).join("mod.rs");
        let text = fs::read_to_string(root().join(&path)).unwrap();
        let head: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
        for word in ["May use: ", "Security: ", "Stability: "] {
            assert!(head.contains(word), "{}: its head has no '{word}'", path.display());
        }
    }
}

/// A crate of a few files, to see that what is wrong is found.
fn sketch(files: &[(&str, &str)]) -> Graph {
    Graph::of(&Crate::of(files.iter().map(|(path, text)| (path.to_string(), text.to_string()))))
}

#[test]
fn an_upward_import_is_found_however_it_is_written() {
    let model = ("model/mod.rs", "pub struct Model;");
    for upward_import in [
        "use crate::model::Model;",
        "use crate::{model, ids};",
        "use super::super::model::Model;",
        "fn f(m: &crate::model::Model) {}",
        "use crate::{ids, model::{self, Model as M}};",
    ] {
        let graph = sketch(&[model, ("ids/mod.rs", "mod id;"), ("ids/id.rs", upward_import)]);
        let expected = [("ids/id.rs".to_string(), "model/mod.rs".to_string())];
        assert_eq!(upward(&graph), expected, "{upward_import}");
    }
    for harmless in [
        "// use crate::model::Model;",
        "const TEXT: &str = \"crate::model::Model\";",
        "#[cfg(test)]\nmod tests {\n    use crate::model::Model;\n}",
    ] {
        let graph = sketch(&[model, ("ids/mod.rs", "mod id;"), ("ids/id.rs", harmless)]);
        assert!(upward(&graph).is_empty(), "{harmless}");
    }
}

#[test]
fn a_circle_is_found_through_a_re_export_and_an_entry_with_its_parts_is_none() {
    let a = ("wire/a.rs", "use super::b::B;\npub struct A;");
    let b = ("wire/b.rs", "use crate::wire::A;\npub struct B;");
    let graph = sketch(&[("wire/mod.rs", "mod a;\nmod b;\npub use a::A;"), a, b]);
    assert_eq!(circles(&graph, &[]).len(), 1);
    let cut = [("wire/b.rs".to_string(), "wire/a.rs".to_string())];
    assert!(circles(&graph, &cut).is_empty());
    let part = ("wire/a.rs", "use super::Shared;\npub struct A;");
    let entry = ("wire/mod.rs", "mod a;\nuse a::A;\npub struct Shared(A);");
    assert!(circles(&sketch(&[entry, part]), &[]).is_empty());
}

#[test]
fn a_circle_of_rooms_is_found_through_an_error_that_names_all() {
    let error =
        ("roles/error.rs", "use super::dealer::DealerError;\npub struct RoleError(DealerError);");
    let own = ("roles/dealer/error.rs", "pub struct DealerError;");
    let dealer =
        "mod error;\npub use error::DealerError;\nuse super::error::RoleError;\npub struct Dealer;";
    let roles = ("roles/mod.rs", "mod dealer;\nmod error;");
    let circular = sketch(&[roles, error, own, ("roles/dealer/mod.rs", dealer)]);
    assert!(circles(&circular, &[]).is_empty(), "no file is in a circle");
    let found = rooms_in_circles(&circular);
    let rooms: Vec<&str> = found[0].rooms.iter().map(String::as_str).collect();
    assert_eq!((found.len(), found[0].folder.as_str()), (1, "roles"));
    assert_eq!(rooms, ["dealer", "error"]);
    let dealer = "mod error;\npub use error::DealerError;\npub struct Dealer;";
    let straight = sketch(&[roles, error, own, ("roles/dealer/mod.rs", dealer)]);
    assert!(rooms_in_circles(&straight).is_empty());
}

#[test]
fn what_is_listed_and_gone_is_told() {
    let found = [("a.rs".to_string(), "b.rs".to_string())];
    assert!(compare(&found, &[("a.rs", "b.rs", "known")]).is_empty());
    assert_eq!(compare(&found, &[]), ["a.rs -> b.rs"]);
    assert_eq!(compare(&[], &[("a.rs", "b.rs", "known")]), ["listed, but gone: a.rs -> b.rs"]);
}
