//! The files of a crate as modules, and what the paths in them lead to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The names from the crate's root down; empty for the root.
pub(super) type Module = Vec<String>;

/// One file.
pub(super) struct File {
    /// From the package's folder.
    path: String,
    pub(super) module: Module,
    /// The text with comments, strings and characters blanked.
    code: String,
    /// Modules within the file: from, to, name, whether they are for tests.
    inner: Vec<(usize, usize, String, bool)>,
    /// It is compiled for tests only.
    pub(super) for_tests: bool,
    /// What it re-exports: name, and the path from the root.
    exported: BTreeMap<String, Module>,
}

/// A path of a file: where it stands, its names, the name it is given here, whether it is a re-export.
struct Named {
    at: usize,
    names: Vec<String>,
    alias: Option<String>,
    public: bool,
}

impl File {
    pub(super) fn new(path: String, text: &str) -> File {
        let code = blanked(text);
        let mut module: Module =
            path.trim_end_matches(".rs").split('/').map(str::to_string).collect();
        if module.last().is_some_and(|name| name == "mod") || path == "lib.rs" {
            module.pop();
        }
        let inner = inner_modules(&code);
        File { path, module, code, inner, for_tests: false, exported: BTreeMap::new() }
    }

    fn tests_at(&self, at: usize) -> bool {
        self.inner.iter().any(|(from, to, _, tests)| *tests && (*from..*to).contains(&at))
    }

    /// The module at a place of the file.
    fn module_at(&self, at: usize) -> Module {
        let within = self.inner.iter().filter(|(from, to, ..)| (*from..*to).contains(&at));
        self.module.iter().cloned().chain(within.map(|(_, _, name, _)| name.clone())).collect()
    }

    /// The code that is not for tests.
    pub(super) fn without_tests(&self) -> String {
        self.code.char_indices().filter(|(at, _)| !self.tests_at(*at)).map(|(_, c)| c).collect()
    }

    /// Whether code, that of tests too, has a word.
    pub(super) fn has_word(&self, word: &str) -> bool {
        words(&self.code).any(|(_, found)| found == word)
    }

    /// Every path of the code, those of `use` declarations first.
    fn named(&self) -> Vec<Named> {
        let mut found = Vec::new();
        let mut uses = Vec::new();
        for (at, _) in words(&self.code).filter(|(_, word)| *word == "use") {
            let Some(end) = self.code[at..].find(';').map(|len| at + len) else { continue };
            let before = self.code[..at].trim_end();
            let public = before.ends_with("pub")
                || (before.ends_with(')')
                    && before.rfind('(').is_some_and(|open| before[..open].ends_with("pub")));
            let tree: String =
                self.code[at + 3..end].split_whitespace().collect::<Vec<_>>().join(" ");
            for (names, alias) in leaves(&[], &tree) {
                found.push(Named { at, names, alias, public });
            }
            uses.push(at..end);
        }
        let in_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        let starts = words(&self.code).filter(|(at, word)| {
            let before = self.code[..*at].trim_end();
            let whole = before.len() == *at && before.ends_with([':', '$']);
            !whole
                && self.code[at + word.len()..].starts_with("::")
                && !uses.iter().any(|u| u.contains(at))
        });
        for (at, _) in starts {
            let text: String = self.code[at..].chars().take_while(|c| in_path(*c)).collect();
            let names = text.trim_end_matches(':').split("::").map(str::to_string).collect();
            found.push(Named { at, names, alias: None, public: false });
        }
        found
    }
}

/// All files of a package.
pub(super) struct Crate {
    /// Its folder, from `src`; empty for the program.
    pub(super) package: String,
    files: BTreeMap<Module, File>,
    /// What its root brings in from other packages, by the name it has here.
    lower: BTreeSet<String>,
}

impl Crate {
    /// The files of a package below `src`, without those of packages within it.
    pub(super) fn read(src: &Path, package: &str) -> Crate {
        fn below(folder: &Path, from: &str, found: &mut Vec<(String, String)>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = format!("{from}{}", path.file_name().unwrap().to_str().unwrap());
                if path.join("Cargo.toml").exists() {
                    continue;
                } else if path.is_dir() {
                    below(&path, &format!("{name}/"), found);
                } else if name.ends_with(".rs") && name != "main.rs" {
                    found.push((name, fs::read_to_string(&path).unwrap()));
                }
            }
        }
        let mut found = Vec::new();
        below(&src.join(package), "", &mut found);
        Crate::of(package, found)
    }

    /// Files by path and text.
    pub(super) fn of(package: &str, files: impl IntoIterator<Item = (String, String)>) -> Crate {
        let files = files.into_iter().map(|(path, text)| File::new(path, &text));
        let files: BTreeMap<Module, File> = files.map(|file| (file.module.clone(), file)).collect();
        let root = files.get(&Vec::new()).map(File::named).unwrap_or_default();
        let lower = root.into_iter().filter(|named| named.names[0].starts_with("ppdenoise_"));
        let lower = lower.filter_map(|named| named.alias.or_else(|| named.names.last().cloned()));
        let mut made = Crate { package: package.to_string(), lower: lower.collect(), files };
        let declared: Vec<Module> = made.files.values().flat_map(test_modules).collect();
        for file in made.files.values_mut() {
            file.for_tests = declared.iter().any(|module| file.module.starts_with(module));
        }
        let exported: Vec<(Module, BTreeMap<String, Module>)> = made
            .files
            .values()
            .map(|file| {
                let public = file.named().into_iter().filter(|named| named.public);
                let whole = public.filter_map(|named| {
                    let path = made.resolve(file, &named)?;
                    Some((named.alias.or_else(|| named.names.last().cloned())?, path))
                });
                (file.module.clone(), whole.collect())
            })
            .collect();
        for (module, exported) in exported {
            made.files.get_mut(&module).unwrap().exported = exported;
        }
        made
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &File> {
        self.files.values()
    }

    /// Where a file is, from `src`.
    pub(super) fn path(&self, file: &File) -> String {
        match self.package.as_str() {
            "" => file.path.clone(),
            package => format!("{package}/{}", file.path),
        }
    }

    /// What the table of layers calls the place of a file: its package, and in the program its folder.
    pub(super) fn room<'a>(&'a self, file: &'a File) -> &'a str {
        match self.package.as_str() {
            "" => file.module.first().map_or("", |name| name),
            package => package,
        }
    }

    /// The path from the root, if it is one of this crate.
    fn resolve(&self, file: &File, named: &Named) -> Option<Module> {
        let mut here = file.module_at(named.at);
        let mut names = &named.names[..];
        match names.first()?.as_str() {
            "crate" if names.get(1).is_some_and(|name| self.lower.contains(name)) => None,
            "crate" => Some(names[1..].to_vec()),
            "self" | "super" => {
                while let [first, rest @ ..] = names {
                    match first.as_str() {
                        "self" => {}
                        "super" => drop(here.pop()),
                        _ => break,
                    }
                    names = rest;
                }
                here.extend(names.iter().cloned());
                Some(here)
            }
            first => {
                here.push(first.to_string());
                self.files.contains_key(&here).then(|| {
                    here.extend(names[1..].iter().cloned());
                    here
                })
            }
        }
    }

    /// The module of the file that defines what a path names.
    fn definer(&self, path: &[String], depth: usize) -> Module {
        let known = (0..=path.len()).rev().find(|&n| self.files.contains_key(&path[..n]));
        let n = known.unwrap_or(0);
        let exported = self.files.get(&path[..n]).and_then(|file| file.exported.get(path.get(n)?));
        match exported {
            // As deep as no chain of re-exports is.
            Some(target) if depth < 16 && target[..] != *path => {
                let whole: Module = target.iter().chain(&path[n + 1..]).cloned().collect();
                self.definer(&whole, depth + 1)
            }
            _ => path[..n].to_vec(),
        }
    }

    /// The files that a file uses outside its tests.
    pub(super) fn imports(&self, file: &File) -> Vec<Module> {
        let code = file.named().into_iter().filter(|named| !file.tests_at(named.at));
        let paths = code.filter_map(|named| self.resolve(file, &named));
        let found = paths.map(|path| self.definer(&path, 0));
        found.filter(|module| *module != file.module && self.files.contains_key(module)).collect()
    }
}

/// The text with comments, strings and characters blanked, byte by byte.
fn blanked(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let len = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with("r\"") || rest.starts_with("r#") {
            let hashes = rest[1..].bytes().take_while(|b| *b == b'#').count();
            let end = format!("\"{}", "#".repeat(hashes));
            let opened = rest[1 + hashes..].starts_with('"');
            // A raw identifier has no quote.
            let body = if opened { rest[2 + hashes..].find(&end) } else { None };
            body.map_or(1, |body| 2 + hashes + body + end.len())
        } else if let Some(body) = rest.strip_prefix('"') {
            let mut escaped = false;
            let end = body.bytes().position(|b| {
                let ends = b == b'"' && !escaped;
                escaped = b == b'\\' && !escaped;
                ends
            });
            end.map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with('\'') {
            character(rest)
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
            continue;
        };
        let code = len == 1;
        if !code {
            out[at..at + len].iter_mut().filter(|b| **b != b'\n').for_each(|b| *b = b' ');
        }
        at += len;
    }
    String::from_utf8(out).unwrap()
}

/// The length of a character in quotes; 1 for a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some(_)) => text[3..].find('\'').map_or(1, |end| end + 4),
        (Some(_), Some((end, '\''))) => end + 1,
        _ => 1,
    }
}

/// The words of code and where they stand.
fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + code[at..].find(in_word)?;
        let len = code[start..].find(|c| !in_word(c)).unwrap_or(code.len() - start);
        at = start + len;
        Some((start, &code[start..at]))
    })
}

/// Whether what stands before a declaration marks it as for tests.
fn marked(before: &str) -> bool {
    let from = before.rfind([';', '}', '{']).map_or(0, |end| end + 1);
    before[from..].contains("#[cfg(test)]")
}

/// The modules with a body in this file.
fn inner_modules(code: &str) -> Vec<(usize, usize, String, bool)> {
    let mut found = Vec::new();
    let mut all = words(code).peekable();
    while let Some((at, word)) = all.next() {
        let Some(&(next, name)) = all.peek().filter(|_| word == "mod") else { continue };
        let body = next + name.len();
        if code[body..].trim_start().starts_with('{') {
            let mut depth = 0;
            let end = code[body..].bytes().position(|b| {
                depth += i32::from(b == b'{') - i32::from(b == b'}');
                b == b'}' && depth == 0
            });
            let end = end.map_or(code.len(), |end| body + end + 1);
            found.push((at, end, name.to_string(), marked(&code[..at])));
        }
    }
    found
}

/// The modules that a file declares for tests and that have files of their own.
fn test_modules(file: &File) -> Vec<Module> {
    let mut found = Vec::new();
    let mut all = words(&file.code).peekable();
    while let Some((at, word)) = all.next() {
        let Some(&(next, name)) = all.peek().filter(|_| word == "mod") else { continue };
        let declared = file.code[next + name.len()..].starts_with(';');
        if declared && (marked(&file.code[..at]) || file.tests_at(at)) {
            let mut module = file.module_at(at);
            module.push(name.to_string());
            found.push(module);
        }
    }
    found
}

/// The paths of a tree of imports, with the names they are given.
fn leaves(before: &[String], tree: &str) -> Vec<(Vec<String>, Option<String>)> {
    let tree = tree.trim();
    let (path, group) = match tree.find('{') {
        Some(open) => (&tree[..open], tree[open + 1..].strip_suffix('}')),
        None => (tree, None),
    };
    let (path, alias) = match path.split_once(" as ") {
        Some((path, alias)) => (path, Some(alias.trim().to_string())),
        None => (path, None),
    };
    let mut names = before.to_vec();
    let parts = path.split("::").map(str::trim);
    names.extend(parts.filter(|name| !name.is_empty() && *name != "*").map(str::to_string));
    let Some(group) = group else {
        if before.len() < names.len()
            && names.last().is_some_and(|name| name == "self")
            && names.len() > 1
        {
            names.pop();
        }
        return if names.is_empty() { Vec::new() } else { vec![(names, alias)] };
    };
    let (mut depth, mut from, mut found) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.extend(leaves(&names, &group[from..at]));
                from = at + 1;
            }
            _ => {}
        }
    }
    found.extend(leaves(&names, &group[from..]));
    found
}
