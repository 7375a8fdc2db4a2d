//! Flags of a server from the environment and from a file.
//!
//! What is not on the command line is taken from the environment, what is not there either from the
//! file that `--config` names. Both are put into the command line before it is parsed, so that one
//! definition checks all three.

use super::args::Cli;
use super::failure::{Code, Failure};
use super::files::{is_stream, read_text};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The commands that take their flags from all three places.
const COMMANDS: [&str; 2] = ["serve", "prepare"];
/// What a variable's name begins with; the rest is the flag's, in capitals, with `_` for `-`.
const PREFIX: &str = "PPDENOISE_";
/// Flags that are no settings.
const NO_KEYS: [&str; 3] = ["config", "help", "version"];
/// The most bytes a file of settings may have.
const MAX_BYTES: u64 = 1 << 20;

/// The definition of the command line, in which a variable that is empty counts as not set.
pub(super) fn definition() -> Command {
    without_empty(Cli::command())
}

fn without_empty(command: Command) -> Command {
    let is_empty =
        |arg: &Arg| arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    // Another that is never set: there is no way to take the name away.
    let command =
        command.mut_args(|arg| if is_empty(&arg) { arg.env("").hide_env(true) } else { arg });
    command.mut_subcommands(without_empty)
}

/// A command line, completed.
#[derive(Debug)]
pub(super) struct Completed {
    pub(super) args: Vec<OsString>,
    /// Where flags come from that were not on it: `--flag` and a variable's or file's name.
    pub(super) origins: BTreeMap<String, String>,
}

/// Completes the command line of a server; any other, or one that is not well-formed so far, stays
/// as it is.
///
/// # Errors
/// A file that cannot be read or is no TOML, a key or variable that no server has a flag for, and
/// values of a wrong type.
pub(super) fn complete(
    args: Vec<OsString>,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Completed, Failure> {
    let unchanged = |args| Completed { args, origins: BTreeMap::new() };
    let lenient = COMMANDS
        .into_iter()
        .fold(definition(), |cli, name| cli.mut_subcommand(name, without_requirements));
    let Ok(matches) = lenient.try_get_matches_from(&args) else { return Ok(unchanged(args)) };
    let Some((name, given)) = matches.subcommand().filter(|(name, _)| COMMANDS.contains(name))
    else {
        return Ok(unchanged(args));
    };
    let mut cli = Cli::command();
    cli.build();
    let known = known_flags(&cli);
    let mut layers = vec![from_environment(environment, &known)?];
    if let Some(file) = given.get_one::<PathBuf>("config") {
        layers.push(from_file(file, &known)?);
    }
    let Some(command) = cli.find_subcommand(name) else { return Ok(unchanged(args)) };
    let mut taken: Vec<&Arg> = command.get_arguments().filter(|a| is_given(given, a)).collect();
    let (mut added, mut origins) = (Vec::new(), BTreeMap::new());
    for layer in layers {
        let new: Vec<&Arg> = command
            .get_arguments()
            .filter(|arg| layer.iter().any(|setting| arg.get_long() == Some(&setting.flag)))
            .filter(|arg| !taken.iter().any(|other| excludes(command, other, arg)))
            .collect();
        for setting in &layer {
            let Some(arg) = new.iter().find(|a| a.get_long() == Some(&setting.flag)) else {
                continue;
            };
            added.extend(setting.as_args(arg)?);
            origins.insert(format!("--{}", setting.flag), setting.origin.clone());
        }
        taken.extend(new);
    }
    let mut args = args;
    let after = args.iter().position(|arg| arg == name).map_or(args.len(), |at| at + 1);
    args.splice(after..after, added);
    Ok(Completed { args, origins })
}

/// What is required may come from elsewhere.
fn without_requirements(command: Command) -> Command {
    let groups: Vec<String> = command.get_groups().map(|g| g.get_id().to_string()).collect();
    let command = command.mut_args(|arg| arg.required(false));
    groups
        .into_iter()
        .fold(command, |command, group| command.mut_group(group, |group| group.required(false)))
}

/// Whether the command line, or a variable that its definition names, gives a flag.
fn is_given(matches: &ArgMatches, arg: &Arg) -> bool {
    let source = matches
        .try_contains_id(arg.get_id().as_str())
        .ok()
        .and_then(|_| matches.value_source(arg.get_id().as_str()));
    matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
}

/// Whether a flag that is given leaves no place for another: it is the same, or conflicts with it.
fn excludes(command: &Command, given: &Arg, other: &Arg) -> bool {
    let conflict = |a: &Arg, b: &Arg| {
        command.get_arg_conflicts_with(a).iter().any(|c| c.get_id() == b.get_id())
    };
    let one_of_both = command.get_groups().any(|group| {
        let has = |arg: &Arg| group.get_args().any(|id| id == arg.get_id());
        !group.clone().is_multiple() && has(given) && has(other)
    });
    given.get_id() == other.get_id()
        || one_of_both
        || conflict(given, other)
        || conflict(other, given)
}

/// The flags that servers have.
fn known_flags(cli: &Command) -> Vec<String> {
    let commands = COMMANDS.into_iter().filter_map(|name| cli.find_subcommand(name));
    let flags = commands.flat_map(Command::get_arguments).filter_map(Arg::get_long);
    let mut flags: Vec<String> =
        flags.filter(|flag| !NO_KEYS.contains(flag)).map(String::from).collect();
    flags.sort();
    flags.dedup();
    flags
}

/// A flag's values from somewhere.
struct Setting {
    flag: String,
    origin: String,
    values: Values,
}

enum Values {
    /// From a variable: what it means depends on the flag.
    Text(OsString),
    Toml(Value),
}

impl Setting {
    /// As it would be written on the command line.
    fn as_args(&self, arg: &Arg) -> Result<Vec<OsString>, Failure> {
        let texts: Vec<OsString> = match (&self.values, arg.get_action()) {
            (Values::Text(text), ArgAction::SetTrue) => match text.to_str() {
                Some("true") => return Ok(vec![format!("--{}", self.flag).into()]),
                Some("false") => return Ok(Vec::new()),
                _ => return Err(self.refused("true or false")),
            },
            (Values::Toml(Value::Boolean(on)), ArgAction::SetTrue) => {
                return Ok(on.then(|| format!("--{}", self.flag).into()).into_iter().collect());
            }
            (Values::Toml(_), ArgAction::SetTrue) => return Err(self.refused("true or false")),
            (Values::Text(text), _) => vec![text.clone()],
            (Values::Toml(Value::Array(values)), ArgAction::Append) => {
                values.iter().map(|value| self.text(value)).collect::<Result<_, _>>()?
            }
            (Values::Toml(value), _) => vec![self.text(value)?],
        };
        let arg = |text: OsString| {
            let mut arg = OsString::from(format!("--{}=", self.flag));
            arg.push(text);
            arg
        };
        Ok(texts.into_iter().map(arg).collect())
    }

    fn text(&self, value: &Value) -> Result<OsString, Failure> {
        match value {
            Value::String(text) => Ok(text.into()),
            Value::Integer(number) => Ok(number.to_string().into()),
            Value::Float(number) => Ok(number.to_string().into()),
            _ => Err(self.refused("text or a number")),
        }
    }

    fn refused(&self, expected: &str) -> Failure {
        let Setting { flag, origin, .. } = self;
        Failure::new(Code::Input, format!("{origin}: the value of '{flag}' is not {expected}"))
            .help("every flag and its values: `ppdenoise serve --help`")
    }
}

fn from_environment(
    environment: impl Iterator<Item = (OsString, OsString)>,
    known: &[String],
) -> Result<Vec<Setting>, Failure> {
    let mut settings = Vec::new();
    for (name, text) in environment {
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
        let flag = rest.to_ascii_lowercase().replace('_', "-");
        let origin = format!("{PREFIX}{rest}");
        if NO_KEYS[0] == flag || text.is_empty() {
            continue;
        }
        if !known.contains(&flag) || rest != variable(&flag) {
            let names: Vec<String> =
                known.iter().map(|flag| format!("{PREFIX}{}", variable(flag))).collect();
            let text = format!("no flag goes with the variable {origin}");
            return Err(Failure::new(Code::Usage, text).help(nearest(&origin, &names)));
        }
        settings.push(Setting { flag, origin, values: Values::Text(text) });
    }
    Ok(settings)
}

fn variable(flag: &str) -> String {
    flag.to_ascii_uppercase().replace('-', "_")
}

fn from_file(file: &Path, known: &[String]) -> Result<Vec<Setting>, Failure> {
    if is_stream(file) {
        let text = "--config names a file, not standard input";
        return Err(Failure::new(Code::Usage, text).help("give the name of a file"));
    }
    let text = read_text(file, MAX_BYTES)?;
    let table: Table = toml::from_str(&text).map_err(|e: toml::de::Error| {
        let line = e.span().map_or(1, |span| text[..span.start].lines().count().max(1));
        let text = format!("line {line} is no TOML: {}", e.message());
        Failure::new(Code::Input, text).about(file).help("write one `flag = value` a line")
    })?;
    let setting = |(key, value): (String, Value)| {
        if !known.contains(&key) {
            let text = format!("the key '{key}' is no flag of serve");
            let help = match value {
                Value::Table(_) => "write the flags at the top of the file, in no section".into(),
                _ => nearest(&key, known),
            };
            return Err(Failure::new(Code::Input, text).about(file).help(help));
        }
        let origin = format!("'{}'", file.display());
        Ok(Setting { flag: key, origin, values: Values::Toml(value) })
    };
    table.into_iter().map(setting).collect()
}

/// The known name most like this one.
fn nearest(name: &str, known: &[String]) -> String {
    let likeness = |other: &&String| (strsim::jaro_winkler(name, other) * 1e6) as u64;
    let nearest = known.iter().max_by_key(likeness).map_or("", String::as_str);
    format!("the nearest known name is '{nearest}'")
}

/// What to add to the parser's message about a flag that came from elsewhere.
pub(super) fn origin(error: &clap::Error, origins: &BTreeMap<String, String>) -> Option<String> {
    use clap::error::{ContextKind, ContextValue};
    let named = [ContextKind::InvalidArg, ContextKind::PriorArg].into_iter();
    let named = named.filter_map(|kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(vec![text.clone()]),
        Some(ContextValue::Strings(texts)) => Some(texts.clone()),
        _ => None,
    });
    let flag = |text: String| text.split([' ', '=']).next().unwrap_or_default().to_string();
    let named: Vec<String> = named.flatten().map(flag).collect();
    let (flag, origin) = origins.iter().find(|(flag, _)| named.contains(flag))?;
    Some(format!("note: {flag} comes from {origin}"))
}

/// The environment and arguments of this process.
pub(super) fn of_process() -> Result<Completed, Failure> {
    complete(std::env::args_os().collect(), std::env::vars_os())
}

#[cfg(test)]
mod tests;
