//! `completions` and `man`: what other programs take from the definition of the command line.

use super::args::manual::{Completions, Man};
use super::failure::{Code, Failure};
use super::files::write_public;
use super::output::{Console, print_bytes};
use clap::Command;
use std::path::Path;

/// Prints the completion script of a shell.
pub(super) fn completions(args: &Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "ppdenoise", &mut script);
    print_bytes(&script)
}

/// Prints the page of the whole program, or writes that of every command into a folder.
pub(super) fn man(args: &Man, console: &Console) -> Result<(), Failure> {
    // What `--version` says of a machine is no part of a manual.
    let mut program = super::command().long_version(None::<&str>).disable_help_subcommand(true);
    program.build();
    let Some(folder) = &args.out else { return print_bytes(&page(program)?) };
    make_folder(folder)?;
    let commands: Vec<Command> = program.get_subcommands().cloned().collect();
    for command in commands.into_iter().chain([program]) {
        let name = command.get_display_name().unwrap_or(command.get_name());
        let path = folder.join(Path::new(&format!("{name}.1")));
        write_public(&path, &page(command)?)?;
        console.note(path.display().to_string());
    }
    Ok(())
}

/// A folder for what this program says of itself.
pub(super) fn make_folder(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|e| {
        Failure::new(Code::Failed, format!("the folder cannot be made: {e}")).about(folder)
    })
}

fn page(command: Command) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    let source = concat!("ppdenoise ", env!("CARGO_PKG_VERSION"));
    let man = clap_mangen::Man::new(command).source(source).manual("ppdenoise");
    let failed = |e| Failure::new(Code::Failed, format!("the manual page cannot be made: {e}"));
    man.render(&mut page).map_err(failed)?;
    Ok(page)
}
