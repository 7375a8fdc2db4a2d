//! What the pages say is tested: every command with a filter runs tests, as many as the page says, and every test that
//! the threat model names is there. The tests are read from the sources, so that nothing is compiled for it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A program of tests as cargo makes it.
const LIBRARY: &str = "lib";

/// A function under `#[test]`.
#[derive(Debug)]
struct Test {
    /// As `cargo test -- --list` shows it.
    path: String,
    ignored: bool,
    /// Only built with features that are not on by default.
    optional: bool,
}

impl Test {
    fn name(&self) -> &str {
        self.path.rsplit("::").next().unwrap()
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The tests of a program: the libraries of all packages, which `cargo test --lib` runs, or one of `tests/`.
fn tests_of(program: &str) -> Vec<Test> {
    let files = match program {
        LIBRARY => {
            let folders = fs::read_dir(root().join("src")).unwrap().map(|e| e.unwrap().path());
            // Not the Python package, which is a workspace of its own.
            let ours = |text: String| !text.lines().any(|line| line == "[workspace]");
            let packages = folders
                .filter(|folder| fs::read_to_string(folder.join("Cargo.toml")).is_ok_and(ours));
            let folders = std::iter::once(root().join("src")).chain(packages);
            folders.map(|folder| folder.join("lib.rs")).collect()
        }
        name => vec![root().join(format!("tests/{name}/main.rs"))],
    };
    let mut tests = Vec::new();
    for file in files {
        assert!(file.exists(), "there is no program of tests called {program}");
        read(&file, file.parent().unwrap(), ("", false), &mut tests);
    }
    assert!(!tests.is_empty(), "{program} has no tests");
    tests
}

fn programs() -> Vec<String> {
    let folders = fs::read_dir(root().join("tests")).unwrap().map(|entry| entry.unwrap());
    let ours = folders.filter(|entry| entry.path().join("main.rs").exists());
    let names = ours.map(|entry| entry.file_name().into_string().unwrap());
    std::iter::once(LIBRARY.to_string()).chain(names).collect()
}

/// The tests of a file and of the files of its modules, which lie in `folder`.
fn read(file: &Path, folder: &Path, (module, optional): (&str, bool), tests: &mut Vec<Test>) {
    let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    // Modules within the file: their name, and the line that closes them. The formatter indents both alike.
    let mut within: Vec<(String, String)> = Vec::new();
    let mut attributes: Vec<&str> = Vec::new();
    for line in text.lines() {
        if within.last().is_some_and(|(_, close)| close == line) {
            within.pop();
        }
        let code = line.trim();
        if code.starts_with("#[") {
            attributes.push(code);
            continue;
        }
        let here = || {
            let names = within.iter().map(|(name, _)| name.as_str());
            let names = [module].into_iter().chain(names).filter(|name| !name.is_empty());
            names.collect::<Vec<_>>().join("::")
        };
        let has = |start: &str| attributes.iter().find(|a| a.starts_with(start)).copied();
        if let Some(name) = after_keyword(code, "mod") {
            let optional = optional || has("#[cfg(feature = \"train\")]").is_some();
            if code.ends_with('{') {
                let indent = &line[..line.len() - line.trim_start().len()];
                within.push((name.into(), format!("{indent}}}")));
            } else if code.ends_with(';') {
                let path = has("#[path = \"").map(|a| a.split('"').nth(1).unwrap());
                let inner = within.iter().fold(folder.to_owned(), |dir, (name, _)| dir.join(name));
                let (file, folder) = module_file(file, &inner, name, path);
                let below = [here(), name.into()];
                let below: Vec<_> = below.iter().filter(|n| !n.is_empty()).cloned().collect();
                read(&file, &folder, (&below.join("::"), optional), tests);
            }
        } else if let Some(name) = after_keyword(code, "fn")
            && has("#[test]").is_some()
        {
            let path = if here().is_empty() { name.into() } else { format!("{}::{name}", here()) };
            let optional = optional || has("#[cfg(feature = \"train\")]").is_some();
            tests.push(Test { path, ignored: has("#[ignore").is_some(), optional });
        }
        if !code.starts_with("//") {
            attributes.clear();
        }
    }
}

/// The name behind `mod` or `fn` at the start of a line, after what says who sees it.
fn after_keyword<'a>(code: &'a str, keyword: &str) -> Option<&'a str> {
    let code = match code.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(')')?.1.trim_start(),
        Some(rest) => rest.trim_start(),
        None => code,
    };
    let rest = code.strip_prefix(keyword)?.strip_prefix(' ')?;
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    Some(&rest[..end])
}

/// The file of a module, and the folder of its own modules.
fn module_file(file: &Path, folder: &Path, name: &str, path: Option<&str>) -> (PathBuf, PathBuf) {
    if let Some(path) = path {
        let file = file.parent().unwrap().join(path);
        let folder = file.parent().unwrap().to_owned();
        return (file, folder);
    }
    let own = folder.join(name);
    let flat = folder.join(format!("{name}.rs"));
    (if flat.exists() { flat } else { own.join("mod.rs") }, own)
}

/// A command as a page quotes it.
#[derive(Debug, PartialEq, Eq)]
struct Quoted {
    program: Option<String>,
    filters: Vec<String>,
    ignored: bool,
    train: bool,
}

/// Reads a command of `cargo test`; nothing for documentation tests.
fn quoted(command: &str) -> Option<Quoted> {
    let mut words = command.strip_prefix("cargo test")?.split_whitespace();
    let mut found = Quoted { program: None, filters: Vec::new(), ignored: false, train: false };
    while let Some(word) = words.next() {
        match word {
            "--lib" => found.program = Some(LIBRARY.into()),
            "--test" => found.program = Some(words.next().expect("a name").into()),
            "--features" => found.train = words.next() == Some("train"),
            "--doc" | "--list" => return None,
            "--ignored" => found.ignored = true,
            "--" | "--nocapture" | "--release" | "--locked" => {}
            flag if flag.starts_with('-') => panic!("{command}: what does {flag} do?"),
            filter => found.filters.push(filter.into()),
        }
    }
    Some(found)
}

/// How many tests a command runs.
fn count(command: &Quoted) -> usize {
    let programs = command.program.clone().map_or_else(programs, |name| vec![name]);
    let runs = |test: &Test| {
        let wanted = command.filters.is_empty()
            || command.filters.iter().any(|filter| test.path.contains(filter));
        wanted && test.ignored == command.ignored && (command.train || !test.optional)
    };
    programs.iter().flat_map(|name| tests_of(name)).filter(runs).count()
}

fn pages() -> Vec<PathBuf> {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<_> = docs.filter(|p| p.extension().is_some_and(|e| e == "md")).collect();
    pages.extend(["README.md", "src/python/README.md"].map(|page| root().join(page)));
    pages
}

/// The spans of code of a text, whose lines may be broken within one.
fn spans(text: &str) -> Vec<String> {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.split('`').skip(1).step_by(2).map(str::to_string).collect()
}

fn commands(text: &str) -> Vec<(String, Quoted)> {
    let of = |span: String| quoted(&span).map(|command| (span, command));
    spans(text).into_iter().filter_map(of).collect()
}

/// The items of a page's lists.
fn items(text: &str) -> Vec<String> {
    let mut items: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        if let Some(item) = line.trim_start().strip_prefix("- ") {
            items.push(item.into());
            open = true;
        } else if line.trim().is_empty() || line.starts_with('#') {
            open = false;
        } else if open {
            items.last_mut().unwrap().extend([" ", line.trim()]);
        }
    }
    items
}

/// "7, 10 and 1 pass" at the start of a result.
fn counts(result: &str) -> Option<Vec<usize>> {
    let numbers = result.split_once(" pass")?.0.replace(" and ", ", ");
    numbers.split(", ").map(|number| number.parse().ok()).collect()
}

#[test]
fn every_command_that_a_page_quotes_runs_tests() {
    let (mut checked, mut wrong) = (0, Vec::new());
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let prose: String = text.split("```").step_by(2).collect();
        for (span, command) in commands(&prose) {
            checked += 1;
            if count(&command) == 0 {
                wrong.push(format!("{}: `{span}` runs no test", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(checked > 30, "{checked} commands");
}

/// Comments of the tests themselves quote commands too.
#[test]
fn every_command_that_a_comment_quotes_runs_tests() {
    let mut checked = 0;
    for file in super::links::sources() {
        let text = fs::read_to_string(&file).unwrap();
        let comments = text.lines().filter_map(|line| line.trim_start().strip_prefix("//"));
        let comments: Vec<_> = comments.map(|c| c.trim_start_matches(['/', '!'])).collect();
        for (span, command) in commands(&comments.join("\n")) {
            if command.filters.iter().any(|filter| filter.contains(char::is_uppercase)) {
                continue;
            }
            assert!(count(&command) > 0, "{}: `{span}` runs no test", file.display());
            checked += 1;
        }
    }
    assert!(checked > 1, "{checked} commands");
}

#[test]
fn as_many_tests_pass_as_the_page_says() {
    let text = fs::read_to_string(root().join("docs/threat-model.md")).unwrap();
    let (mut said, mut checked, mut wrong) = (Vec::new(), 0, Vec::new());
    for item in items(&text) {
        if let Some(command) = item.strip_prefix("Command: ") {
            said = commands(command);
        } else if let Some(result) = item.strip_prefix("Result: ")
            && let Some(expected) = counts(result)
        {
            let names: Vec<_> = said.iter().map(|(span, _)| span).collect();
            let found: Vec<_> = said.iter().map(|(_, command)| count(command)).collect();
            checked += found.len();
            if found != expected {
                wrong.push(format!("{names:?}: {found:?} tests, and the page says {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(checked > 10, "{checked} counts");
}

/// A name of a test, of a module of tests (`keys::tests`), or of several tests that begin or end alike (`lut_...`).
fn is_tested(name: &str, tests: &[Test]) -> bool {
    if let Some(start) = name.strip_suffix("...") {
        return tests.iter().any(|test| test.name().starts_with(start));
    }
    if let Some(end) = name.strip_prefix("...") {
        return tests.iter().any(|test| test.name().ends_with(end));
    }
    let within = |test: &&Test| {
        let path = format!("::{}::", test.path);
        path.contains(&format!("::{name}::"))
    };
    tests.iter().any(|test| within(&test))
}

#[test]
fn every_claim_of_the_threat_model_names_tests_that_are_there() {
    let text = fs::read_to_string(root().join("docs/threat-model.md")).unwrap();
    let tests: Vec<Test> = programs().iter().flat_map(|name| tests_of(name)).collect();
    let (mut names, mut wrong) = (BTreeSet::new(), Vec::new());
    for item in items(&text) {
        let start = ["Tests: ", "Tested by: "].into_iter().find_map(|s| item.strip_prefix(s));
        let Some(claim) = start else { continue };
        let quoted = spans(claim);
        // A type is one whose example does not compile; a sentence is what an error says.
        let is_name = |span: &&String| {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:.".contains(c);
            span.chars().all(plain)
        };
        let named: Vec<_> = quoted.iter().filter(is_name).collect();
        let is_file = |span: &String| span.contains('/') && root().join(span).exists();
        let elsewhere = claim.contains("](") || quoted.iter().any(is_file);
        let above = claim.contains("above") || claim.contains("the same") || claim.contains("type");
        if named.is_empty() && !elsewhere && !above {
            wrong.push(format!("no test is named: {claim}"));
        }
        for name in named {
            names.insert(name.clone());
            if !is_tested(name, &tests) {
                wrong.push(format!("no test is called {name}: {claim}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(names.len() > 60, "{} names", names.len());
}

/// What is read from the sources is what the program itself says that it has.
#[test]
fn the_tests_of_this_program_are_those_that_it_lists() {
    let program = std::env::current_exe().unwrap();
    let output = std::process::Command::new(program).arg("--list").output().unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    let listed: BTreeSet<_> = listed.lines().filter_map(|l| l.strip_suffix(": test")).collect();
    let read = tests_of("docs");
    let built = |test: &&Test| cfg!(feature = "train") || !test.optional;
    let read: BTreeSet<_> = read.iter().filter(built).map(|test| test.path.as_str()).collect();
    assert_eq!(read, listed);
}

#[test]
fn commands_and_counts_are_read() {
    let command = quoted("cargo test --test e2e kill:: -- --ignored --nocapture").unwrap();
    let program = Some("e2e".to_string());
    let expected = Quoted { program, filters: vec!["kill::".into()], ignored: true, train: false };
    assert_eq!(command, expected);
    assert_eq!(quoted("cargo test --doc"), None);
    assert_eq!(counts("7, 10 and 1 pass"), Some(vec![7, 10, 1]));
    assert_eq!(counts("20 pass; [more](x.md)"), Some(vec![20]));
    assert_eq!(counts("pass"), None);
    assert_eq!(counts("462 kills, none"), None);
}
