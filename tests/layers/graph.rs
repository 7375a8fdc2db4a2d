//! Which file uses which, and where that goes in a circle.

use super::source::{Crate, Module};
use std::collections::{BTreeMap, BTreeSet};

/// Imports between files, each named by the module that it holds.
pub(super) struct Graph {
    edges: BTreeMap<Module, BTreeSet<Module>>,
    paths: BTreeMap<Module, String>,
}

impl Graph {
    pub(super) fn of(source: &Crate) -> Graph {
        let mut edges: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
        for file in source.files().filter(|file| !file.for_tests) {
            let targets = source.imports(file);
            edges.entry(file.module.clone()).or_default().extend(targets);
        }
        let paths = source.files().map(|file| (file.module.clone(), source.path(file))).collect();
        Graph { edges, paths }
    }

    pub(super) fn edges(&self) -> impl Iterator<Item = (&Module, &Module)> {
        self.edges.iter().flat_map(|(from, to)| to.iter().map(move |to| (from, to)))
    }

    /// The path of a module's file, from `src`.
    pub(super) fn file(&self, module: &[String]) -> String {
        self.paths[module].clone()
    }
}

/// The circles that are left without the imports given and those of parts from the entry of their folder;
/// of each the imports within it.
pub(super) fn circles(graph: &Graph, without: &[(String, String)]) -> Vec<Vec<String>> {
    let counts = |from: &Module, to: &Module| {
        let of_its_entry = from.len() > to.len() && from.starts_with(to);
        let listed = without
            .iter()
            .any(|(a, b)| (graph.file(from), graph.file(to)) == (a.clone(), b.clone()));
        !of_its_entry && !listed
    };
    let next = |from: &Module| -> Vec<&Module> {
        let all = graph.edges.get(from).into_iter().flatten();
        all.filter(|to| counts(from, to)).collect()
    };
    // What each file reaches; a circle is files that reach each other.
    let reached: BTreeMap<&Module, BTreeSet<&Module>> = graph
        .edges
        .keys()
        .map(|start| {
            let (mut seen, mut todo) = (BTreeSet::new(), next(start));
            while let Some(module) = todo.pop() {
                if seen.insert(module) {
                    todo.extend(next(module));
                }
            }
            (start, seen)
        })
        .collect();
    let mut found: Vec<Vec<String>> = Vec::new();
    let mut done = BTreeSet::new();
    for (&start, seen) in &reached {
        if !seen.contains(start) || !done.insert(start) {
            continue;
        }
        let back = |m: &&&Module| reached.get(**m).is_some_and(|seen| seen.contains(start));
        let circle: BTreeSet<&Module> = seen.iter().filter(back).copied().collect();
        let within = circle.iter().flat_map(|from| {
            let to = next(from).into_iter().filter(|to| circle.contains(to));
            to.map(|to| format!("{} -> {}", graph.file(from), graph.file(to)))
        });
        found.push(within.collect());
        done.extend(circle);
    }
    found
}

/// The rooms of a folder are its files and folders. Circles among them, of each the imports within it as pairs of
/// rooms, with how many there are: a file may name the error of its neighbour and be named by the neighbour's others,
/// which is no circle of files.
pub(super) fn circles_of_rooms(graph: &Graph, folder: &[String]) -> Vec<Vec<(String, String)>> {
    let room = |module: &Module| -> Option<String> {
        (module.len() > folder.len() && module.starts_with(folder))
            .then(|| module[folder.len()].clone())
    };
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (from, to) in graph.edges() {
        if let (Some(from), Some(to)) = (room(from), room(to))
            && from != to
        {
            edges.entry(from).or_default().insert(to);
        }
    }
    let reach = |start: &String| {
        let (mut seen, mut todo) = (BTreeSet::new(), vec![start]);
        while let Some(room) = todo.pop() {
            for next in edges.get(room).into_iter().flatten() {
                if seen.insert(next) {
                    todo.push(next);
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<&String>> =
        edges.keys().map(|room| (room, reach(room))).collect();
    let (mut found, mut done) = (Vec::new(), BTreeSet::new());
    for (&start, seen) in reached.iter().filter(|(start, seen)| seen.contains(*start)) {
        if done.contains(start) {
            continue;
        }
        let back = |room: &&&String| reached.get(**room).is_some_and(|seen| seen.contains(start));
        let circle: BTreeSet<&String> = seen.iter().filter(back).copied().collect();
        let within = circle.iter().flat_map(|from| {
            let to = edges[*from].iter().filter(|to| circle.contains(to));
            to.map(|to| ((*from).clone(), to.clone()))
        });
        found.push(within.collect());
        done.extend(circle);
    }
    found
}
