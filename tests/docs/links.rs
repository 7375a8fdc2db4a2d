//! Links between the pages lead somewhere, paths that they name are there, and the index has every page.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<PathBuf> {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<PathBuf> =
        docs.filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
    pages.push(root().join("README.md"));
    pages
}

/// The targets of the links of a page, code left out.
fn links(text: &str) -> Vec<String> {
    let mut prose = String::new();
    for (i, part) in text.split("```").enumerate() {
        let spans = part.split('`').step_by(if i % 2 == 0 { 2 } else { usize::MAX });
        prose.extend(spans.filter(|_| i % 2 == 0));
    }
    let ends = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    ends.map(|(link, _)| link.to_string()).collect()
}

/// The anchors of a page's headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let slug = |line: &str| -> String {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(slug).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut checked = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in links(&text).iter().filter(|link| !link.starts_with("http")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => page.clone(),
                file => page.parent().unwrap().join(file),
            };
            assert!(target.exists(), "{}: {link}", page.display());
            if !anchor.is_empty() {
                let found = anchors(&fs::read_to_string(&target).unwrap());
                assert!(found.contains(anchor), "{}: {link} of {found:?}", page.display());
            }
            checked += 1;
        }
    }
    assert!(checked > 80, "{checked} links");
}

/// Files and folders of the repository that a page names in its text.
fn paths(text: &str) -> BTreeSet<&str> {
    let prose = text.split("```").step_by(2);
    let spans = prose.flat_map(|part| part.split('`').skip(1).step_by(2));
    let ours = |span: &&str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        let folders = ["src/", "tests/", "fixtures/", "docs/"];
        span.chars().all(plain) && folders.iter().any(|folder| span.starts_with(folder))
    };
    spans.filter(ours).collect()
}

#[test]
fn every_path_that_a_page_names_is_there() {
    let mut checked = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for path in paths(&text) {
            assert!(root().join(path).exists(), "{}: {path}", page.display());
            checked += 1;
        }
    }
    assert!(checked > 80, "{checked} paths");
}

/// All files of Rust.
pub(super) fn sources() -> Vec<PathBuf> {
    let mut folders = vec![root().join("src"), root().join("tests")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.extend((!path.ends_with("target")).then_some(path));
            } else if path.extension().is_some_and(|e| e == "rs") {
                files.push(path);
            }
        }
    }
    files
}

/// What a line of prose names that looks like a path of the repository or a file of Rust.
fn named(line: &str) -> impl Iterator<Item = &str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-@".contains(c);
    let words = line.split(move |c: char| !plain(c)).map(|word| word.trim_end_matches(['.', '-']));
    let folders = ["src/", "tests/", "fixtures/", "docs/"];
    words.filter(move |word| {
        let of_ours = folders.iter().any(|folder| word.starts_with(folder));
        // A name for any file, not a file.
        let open = word.contains("NAME") || word.contains("...");
        !open && (of_ours || (word.ends_with(".rs") && word.len() > 3))
    })
}

/// Source files are named as they lie in the repository, or by the end of their path.
#[test]
fn every_file_that_a_page_or_comment_names_is_there() {
    let sources = sources();
    let is_there = |path: &str, from: &Path| {
        let end = format!("/{path}");
        root().join(path).exists()
            || from.parent().unwrap().join(path).exists()
            || sources.iter().any(|file| file.to_string_lossy().ends_with(&end))
    };
    let (mut checked, mut wrong) = (0, Vec::new());
    for file in pages().iter().chain(&sources) {
        let is_page = file.extension().is_some_and(|e| e == "md");
        for line in fs::read_to_string(file).unwrap().lines() {
            let comment = line.find("//").map(|at| &line[at..]);
            let prose = if is_page { Some(line) } else { comment };
            for path in prose.into_iter().filter(|l| !l.contains("://")).flat_map(named) {
                checked += 1;
                if !is_there(path, file) {
                    wrong.push(format!("{}: no {path}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(checked > 300, "{checked} paths");
}

#[test]
fn the_index_has_every_page() {
    let index = links(&fs::read_to_string(root().join("docs/README.md")).unwrap());
    for page in pages() {
        let name = page.file_name().unwrap().to_str().unwrap();
        assert!(name == "README.md" || index.iter().any(|link| link == name), "no {name}");
    }
    let readme = links(&fs::read_to_string(root().join("README.md")).unwrap());
    assert!(readme.iter().any(|link| Path::new(link) == Path::new("docs/README.md")));
}
