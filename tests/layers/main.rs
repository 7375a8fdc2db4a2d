//! The house stands: imports go down the table of layers, no circle joins files of different subjects, and
//! pages and heads say what is so.
//!
//! Between packages Cargo sees to it: what a package uses is in its `Cargo.toml`. Within one this is read from the
//! text of `src`, without a compiler: every path of `use` and of code that begins with `crate`, `super`, `self` or
//! a module of the file. A name that an entry re-exports counts for the file that defines it. Code for tests
//! (`#[cfg(test)]`) may look anywhere and is left out.

mod branches;
mod graph;
mod source;

use graph::{Graph, circles, circles_of_rooms};
use source::{Crate, File};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The layers, lowest first: packages, and the program's modules; each uses only those on lines above its own in this
/// table. `src/lib.rs` and `docs/contributing.md` say the same to readers.
const LAYERS: [&[&str]; 11] = [
    &["base"],
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
const PURE: usize = 5;
/// The layers within `base`.
const BASE: [&[&str]; 3] = [&["ids"], &["size"], &["numbers", "network"]];
/// Entries of `src`, files and folders.
const MOST_ENTRIES: usize = 18;

/// Files that a pure layer may not have and has: (file, what it reaches for, why).
const IMPURE: [(&str, &str, &str); 1] =
    [("base/ids/id.rs", "getrandom", "an id is drawn at random, where nothing but ids is needed")];
/// The one package that may have unsafe code, and its files that have.
const UNSAFE: (&str, [&str; 6]) = (
    "kernels",
    [
        "kernels/aes/x86.rs",
        "kernels/amx/lines.rs",
        "kernels/amx/mod.rs",
        "kernels/avx2.rs",
        "kernels/avx512.rs",
        "kernels/ntt/avx512.rs",
    ],
);
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

/// The packages with their files, that of the program first.
fn packages() -> Vec<Crate> {
    let src = root().join("src");
    let names = LAYERS.iter().flat_map(|line| line.iter()).copied();
    let packages = names.filter(|name| src.join(name).join("Cargo.toml").exists());
    std::iter::once("").chain(packages).map(|package| Crate::read(&src, package)).collect()
}

/// The line of a package or module.
fn line(layers: &[&[&str]], name: &str) -> Option<usize> {
    layers.iter().position(|names| names.contains(&name))
}

/// The imports within a package that do not go down, as pairs of files.
fn upward(graph: &Graph, layers: &[&[&str]]) -> Vec<(String, String)> {
    let top = |module: &[String]| module.first().and_then(|name| line(layers, name));
    let crossing = graph.edges().filter(|(from, to)| from.first() != to.first());
    let wrong = crossing.filter(|(from, to)| match (top(from), top(to)) {
        (Some(from), Some(to)) => from <= to,
        // The root may name all modules and is used by none.
        (from, to) => from.is_some() || to.is_none(),
    });
    wrong.map(|(from, to)| (graph.file(from), graph.file(to))).collect()
}

/// The packages of `src` that a `Cargo.toml` names.
fn used_packages(manifest: &str) -> impl Iterator<Item = &str> {
    let names = manifest.lines().filter_map(|line| line.strip_prefix("ppdenoise-"));
    names.map(|line| line.split(['.', ' ']).next().unwrap())
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
    // The Python package is one more program that uses the library from outside.
    expected.extend(["internals.rs", "lib.rs", "main.rs", "python"].map(str::to_string));
    assert_eq!(names, expected);
}

#[test]
fn imports_go_down() {
    let layers = |package: &str| match package {
        "" => Some(&LAYERS[..]),
        "base" => Some(&BASE[..]),
        _ => None,
    };
    let mut count = 0;
    let mut found = Vec::new();
    for source in packages() {
        let graph = Graph::of(&source);
        count += graph.edges().count();
        found.extend(layers(&source.package).into_iter().flat_map(|l| upward(&graph, l)));
    }
    assert!(count > 800, "{count} imports were read");
    let wrong = compare(&found, &UPWARD);
    assert!(wrong.is_empty(), "imports that go up: {wrong:#?}");
}

#[test]
fn packages_use_those_on_lines_above() {
    for source in packages().iter().filter(|source| !source.package.is_empty()) {
        let manifest = root().join("src").join(&source.package).join("Cargo.toml");
        let own = line(&LAYERS, &source.package);
        for used in used_packages(&fs::read_to_string(manifest).unwrap()) {
            assert!(line(&LAYERS, used) < own, "{} uses {used}", source.package);
        }
    }
    let lines =
        "name = \"ppdenoise-b\"\nppdenoise-a.workspace = true\nppdenoise-c = { path = \"..\" }\n";
    assert!(used_packages(lines).eq(["a", "c"]));
}

#[test]
fn no_circle_joins_files_of_different_subjects() {
    let graphs: Vec<Graph> = packages().iter().map(Graph::of).collect();
    let all = |without: &[(String, String)]| -> Vec<Vec<String>> {
        graphs.iter().flat_map(|graph| circles(graph, without)).collect()
    };
    let without: Vec<(String, String)> =
        CIRCULAR.iter().map(|(from, to, _)| (from.to_string(), to.to_string())).collect();
    let left = all(&without);
    assert!(left.is_empty(), "circles, with the imports that close them: {left:#?}");
    for (i, (from, to, _)) in CIRCULAR.iter().enumerate() {
        let mut others = without.clone();
        others.remove(i);
        assert!(!all(&others).is_empty(), "listed, but no circle: {from} -> {to}");
    }
}

/// A circle among the rooms of a folder.
struct Circle {
    folder: String,
    rooms: BTreeSet<String>,
    imports: Vec<(String, String)>,
}

/// Those of a package's folders; the root of the program is none, since the table orders what is there.
fn rooms_in_circles(package: &str, graph: &Graph) -> Vec<Circle> {
    let folders: BTreeSet<&[String]> =
        graph.edges().filter_map(|(from, _)| Some(from.split_last()?.1)).collect();
    let within = folders.into_iter().filter(|folder| !(package.is_empty() && folder.is_empty()));
    let circles = within.flat_map(|folder| {
        circles_of_rooms(graph, folder).into_iter().map(|imports| {
            let rooms = imports.iter().map(|(from, _)| from.clone()).collect();
            let names = Some(package).into_iter().chain(folder.iter().map(String::as_str));
            let names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
            Circle { folder: names.join("/"), rooms, imports }
        })
    });
    circles.collect()
}

#[test]
fn no_circle_joins_rooms_of_a_folder() {
    let packages = packages();
    let circles = packages.iter().map(|p| rooms_in_circles(&p.package, &Graph::of(p)));
    let found: Vec<Circle> = circles.flatten().collect();
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
    let outside = ["std::fs", "std::net", "std::time", "std::process", "std::env", "getrandom"];
    let mut found = Vec::new();
    for source in packages() {
        let pure = |room: &str| line(&LAYERS, room).is_some_and(|line| line < PURE);
        let files = source.files().filter(|file| !file.for_tests && pure(source.room(file)));
        for file in files {
            let code = file.without_tests();
            let reached = outside.iter().filter(|what| code.contains(*what));
            found.extend(reached.map(|what| (source.path(file), what.to_string())));
        }
    }
    let wrong = compare(&found, &IMPURE);
    assert!(wrong.is_empty(), "what pure layers reach for: {wrong:#?}");
}

#[test]
fn unsafe_code_is_in_one_package() {
    let (package, files) = UNSAFE;
    let mut found = Vec::new();
    for source in packages() {
        let unsafe_files = source.files().filter(|file| file.has_word("unsafe"));
        found.extend(unsafe_files.map(|file| source.path(file)));
        // The program's root denies it: `forbid` is more than a macro of `ndarray` bears.
        if source.package != package && !source.package.is_empty() {
            let path = root().join("src").join(&source.package).join("lib.rs");
            let text = fs::read_to_string(&path).unwrap();
            let forbids = text.lines().any(|line| line == "#![forbid(unsafe_code)]");
            assert!(forbids, "{} does not forbid it", path.display());
        }
    }
    found.sort();
    assert_eq!(found, files);
    let [quoted, real] =
        ["\"unsafe\"; // unsafe\n#![forbid(unsafe_code)]", "fn f() { unsafe { g() } }"]
            .map(|text| File::new("a.rs".into(), text).has_word("unsafe"));
    assert!(!quoted && real);
}

#[test]
fn only_the_command_line_prints() {
    for source in packages() {
        for file in source.files().filter(|file| !file.for_tests && source.room(file) != "cli") {
            let code = file.without_tests();
            for print in ["print!(", "println!(", "eprint!(", "eprintln!(", "dbg!("] {
                assert!(!code.contains(print), "{} prints: {print}", source.path(file));
            }
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
        .filter_map(|line| line.strip_prefix("//! ")?.split_once(". "))
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
        let room = Path::new("src").join(name);
        let head = if root().join(&room).join("Cargo.toml").exists() { "lib.rs" } else { "mod.rs" };
        let path = room.join(head);
        let text = fs::read_to_string(root().join(&path)).unwrap();
        let head: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
        for word in ["May use: ", "Security: ", "Stability: "] {
            assert!(head.contains(word), "{}: its head has no '{word}'", path.display());
        }
    }
}

/// A crate of a few files, to see that what is wrong is found.
fn sketch(files: &[(&str, &str)]) -> Graph {
    Graph::of(&Crate::of("", files.iter().map(|(path, text)| (path.to_string(), text.to_string()))))
}

#[test]
fn an_upward_import_is_found_however_it_is_written() {
    let roles = ("roles/mod.rs", "pub struct Role;");
    for upward_import in [
        "use crate::roles::Role;",
        "use crate::{roles, model};",
        "use super::super::roles::Role;",
        "fn f(m: &crate::roles::Role) {}",
        "use crate::{model, roles::{self, Role as M}};",
    ] {
        let graph = sketch(&[roles, ("model/mod.rs", "mod id;"), ("model/id.rs", upward_import)]);
        let expected = [("model/id.rs".to_string(), "roles/mod.rs".to_string())];
        assert_eq!(upward(&graph, &LAYERS), expected, "{upward_import}");
    }
    // What the root brings in from another package, which Cargo places.
    let lower = ("lib.rs", "pub use ppdenoise_base::{ids, network};");
    for harmless in [
        "use crate::ids::Party;",
        "// use crate::roles::Role;",
        "const TEXT: &str = \"crate::roles::Role\";",
        "#[cfg(test)]\nmod tests {\n    use crate::roles::Role;\n}",
    ] {
        let graph = sketch(&[lower, roles, ("model/mod.rs", "mod id;"), ("model/id.rs", harmless)]);
        assert!(upward(&graph, &LAYERS).is_empty(), "{harmless}");
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
    let found = rooms_in_circles("", &circular);
    let rooms: Vec<&str> = found[0].rooms.iter().map(String::as_str).collect();
    assert_eq!((found.len(), found[0].folder.as_str()), (1, "roles"));
    assert_eq!(rooms, ["dealer", "error"]);
    let dealer = "mod error;\npub use error::DealerError;\npub struct Dealer;";
    let straight = sketch(&[roles, error, own, ("roles/dealer/mod.rs", dealer)]);
    assert!(rooms_in_circles("", &straight).is_empty());
}

#[test]
fn what_is_listed_and_gone_is_told() {
    let found = [("a.rs".to_string(), "b.rs".to_string())];
    assert!(compare(&found, &[("a.rs", "b.rs", "known")]).is_empty());
    assert_eq!(compare(&found, &[]), ["a.rs -> b.rs"]);
    assert_eq!(compare(&[], &[("a.rs", "b.rs", "known")]), ["listed, but gone: a.rs -> b.rs"]);
}
