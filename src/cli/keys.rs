//! Secret keys of the command line: where their passphrases come from.

use super::failure::{Code, Failure};
use super::files::is_stream;
use super::shown::one_line;
use crate::files::FormatError;
use crate::files::container::{Passphrase, no_passphrase};
use crate::files::private::check_private;
use clap::Args;
use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// How a secret key that is protected is opened.
#[derive(Clone, Debug, Args)]
pub(super) struct Unlock {
    /// File whose first line is the passphrase of the secret key, if the key has one; without this flag
    /// the passphrase is asked for at the terminal.
    #[arg(help_heading = "Keys", long, value_name = "FILE", env = "PPDENOISE_PASSPHRASE_FILE")]
    pub(super) passphrase_file: Option<PathBuf>,
}

impl Unlock {
    /// The passphrase of a locked key: of the file that the flag names, or asked for at a terminal.
    pub(super) fn passphrase(&self, file: &Path) -> Result<Passphrase, FormatError> {
        match &self.passphrase_file {
            Some(path) => read_passphrase(path),
            None if std::io::stdin().is_terminal() => {
                prompt(&one_line(&format!("passphrase of {}: ", file.display())))
            }
            None => no_passphrase(file),
        }
    }
}

/// The first line of a file that is its owner's alone; `-` is standard input.
pub(super) fn read_passphrase(path: &Path) -> Result<Passphrase, FormatError> {
    let most = Passphrase::MAX_LEN + 2;
    // As long as it can get, so that no copy is left behind when it grows.
    let mut bytes = Zeroizing::new(Vec::with_capacity(most + 1));
    let read = |source: &mut dyn Read, bytes: &mut Vec<u8>| -> std::io::Result<()> {
        let mut byte = Zeroizing::new([0]);
        while bytes.len() < most && source.read(byte.as_mut_slice())? == 1 && byte[0] != b'\n' {
            bytes.push(byte[0]);
        }
        Ok(())
    };
    let done = if is_stream(path) {
        read(&mut std::io::stdin().lock(), &mut bytes)
    } else {
        check_private(path)?;
        File::open(path).and_then(|mut file| read(&mut file, &mut bytes))
    };
    done.map_err(|e| FormatError::io(path, "read", e))?;
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    usable(std::mem::take(&mut *bytes), path)
}

/// Asks at the terminal, without echo.
fn prompt(text: &str) -> Result<Passphrase, FormatError> {
    let terminal = Path::new("/dev/tty");
    let line =
        rpassword::prompt_password(text).map_err(|e| FormatError::io(terminal, "read", e))?;
    usable(line.into_bytes(), terminal)
}

/// Asks for a new passphrase, twice.
pub(super) fn prompt_new() -> Result<Passphrase, Failure> {
    if !std::io::stdin().is_terminal() {
        let text = "--passphrase asks at a terminal, and this is none";
        let help = "give the passphrase with --passphrase-file FILE";
        return Err(Failure::new(Code::Usage, text).help(help));
    }
    let (first, second) = (prompt("new passphrase: ")?, prompt("again: ")?);
    if first != second {
        return Err(Failure::new(Code::Usage, "the two passphrases differ").help("try again"));
    }
    Ok(first)
}

fn usable(bytes: Vec<u8>, from: &Path) -> Result<Passphrase, FormatError> {
    let unusable =
        FormatError::PassphraseUnusable { file: from.into(), limit: Passphrase::MAX_LEN };
    Passphrase::new(bytes).ok_or(unusable)
}
