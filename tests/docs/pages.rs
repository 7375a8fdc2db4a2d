//! Pages that the program writes itself: the tables of docs/json.md and docs/commands.md are what it says.

use super::{schemas, tables};
use crate::common::Lab;
use clap::{Arg, Command};
use std::fs;
use std::path::Path;

/// From this line on a page is made.
const MARK: &str = "<!-- Made by `make pages` from here on; what is written by hand is lost. -->\n";
/// Compares a page with its sections, or writes it anew if the variable PAGES says so.
fn compare(page: &str, mut sections: Vec<String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let old = fs::read_to_string(&path).unwrap();
    let (head, body) = old.split_once(MARK).unwrap_or_else(|| panic!("{page} has no line {MARK}"));
    // A program without the trainer says nothing of its section: it stays, in front of what comes behind it.
    let trainers = body.split("\n## ").find(|section| section.starts_with("train\n"));
    if let (Some(kept), false) = (trainers, cfg!(feature = "train")) {
        let behind = sections.iter().position(|section| section.starts_with("## completions\n"));
        let at = behind.unwrap_or(sections.len());
        sections.insert(at, format!("## {}\n", kept.trim_end()));
    }
    let new = format!("{head}{MARK}\n{}", sections.join("\n"));
    if std::env::var_os("PAGES").is_some_and(|wanted| wanted == "write") {
        return fs::write(&path, new).unwrap();
    }
    let differs = old.lines().zip(new.lines()).find(|(old, new)| old != new);
    let features = if cfg!(feature = "train") { "--features train " } else { "" };
    assert!(
        old == new,
        "{page} is not what the program says; write it anew: PAGES=write cargo test {features}--test docs -- pages::\n\
         on the page, and of the program: {differs:#?}"
    );
}

#[test]
fn the_page_of_reports_is_made_from_their_schemas() {
    let all = schemas::of_program(&Lab::new());
    compare(
        "docs/json.md",
        all.iter().map(|(name, schema)| tables::section(name, schema, &all)).collect(),
    );
}

#[test]
fn the_page_of_commands_is_made_from_the_command_line() {
    let mut program = ppdenoise::internals::cli::command();
    program.build();
    let everywhere = program.get_arguments().filter(|arg| arg.is_global_set());
    let everywhere = format!("## Everywhere\n\n{}", table(everywhere));
    let own = program.get_subcommands().filter(|command| command.get_name() != "help");
    let sections = own.map(|command| {
        let (name, mut bare) = (command.get_name(), command.clone());
        let flags =
            command.get_arguments().filter(|arg| !arg.is_global_set() && !is_everywhere(arg));
        let about = command.get_about().expect("what a command does");
        let usage =
            bare.render_usage().to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        let usage = usage.trim_start_matches("Usage: ");
        format!("## {name}\n\n{about}.\n\n`{usage}`\n\n{}", table(flags))
    });
    compare("docs/commands.md", std::iter::once(everywhere).chain(sections).collect());
}

/// Help and version, which clap adds.
pub(crate) fn is_everywhere(arg: &Arg) -> bool {
    ["help", "version"].contains(&arg.get_id().as_str())
}

fn table<'a>(args: impl Iterator<Item = &'a Arg>) -> String {
    let rows = args.map(|arg| {
        let short = arg.get_short().map_or(String::new(), |short| format!("`-{short}`, "));
        let flag = format!("{short}`{arg}`");
        format!("| {} | {} |\n", flag.replace('|', "\\|"), words(arg).replace('|', "\\|"))
    });
    format!("| flag | |\n|---|---|\n{}", rows.collect::<String>())
}

/// The first sentence of the help, and the default.
fn words(arg: &Arg) -> String {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    assert!(!help.is_empty(), "{arg} has no word about it");
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let (text, told) = match help.split_once(" [default") {
        Some((text, told)) => {
            (text.to_string(), format!(" [default{}]", told.split(']').next().unwrap()))
        }
        None => (help, String::new()),
    };
    let sentence =
        text.split_once(". ").map_or(text.as_str(), |(first, _)| first).trim_end_matches('.');
    let defaults: Vec<_> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let default = match defaults[..] {
        _ if !arg.get_action().takes_values() => String::new(),
        [] => told,
        _ => format!(" [default: {}]", defaults.join(",")),
    };
    format!("{sentence}{default}")
}

/// The commands that `--help` lists are those of the page.
pub(crate) fn commands() -> Vec<Command> {
    let mut program = ppdenoise::internals::cli::command();
    program.build();
    program.get_subcommands().filter(|command| command.get_name() != "help").cloned().collect()
}
