//! A step of the pipeline as a process.

use super::tied::TiedChild;
use crate::lab::error::LabError;
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Command, ExitStatus, Stdio};

/// A subcommand that runs; killed if it is dropped before its end, so that a failure leaves none.
pub(super) struct Process {
    step: &'static str,
    child: TiedChild,
}

impl Process {
    /// Starts a command, whose `step` is the subcommand.
    pub(super) fn start(step: &'static str, command: &mut Command) -> Result<Process, LabError> {
        let child = TiedChild::spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
        child
            .map(|child| Process { step, child })
            .map_err(|source| LabError::Start { step, source })
    }

    /// The address that a listening server prints.
    pub(super) fn address(&self) -> Result<String, LabError> {
        let mut line = String::new();
        let stderr = self.child.process().stderr.take();
        if let Some(stderr) = stderr {
            let mut reader = BufReader::new(stderr);
            let _ = reader.read_line(&mut line);
            if let Some(address) = line.trim().strip_prefix("listening at ") {
                // The rest of its messages is short and fits the pipe until it is read.
                self.child.process().stderr = Some(reader.into_inner());
                return Ok(address.into());
            }
            let _ = reader.read_to_string(&mut line);
        }
        Err(failed(self.step, None, line.as_bytes()))
    }

    /// Its standard output, once it has succeeded.
    pub(super) fn succeed(self) -> Result<Vec<u8>, LabError> {
        let step = self.step;
        let unreadable = |e: io::Error| LabError::Report { step, reason: e.to_string() };
        let (status, stdout, stderr) = self.end().map_err(unreadable)?;
        if status.success() { Ok(stdout) } else { Err(failed(step, status.code(), &stderr)) }
    }

    /// Its exit status, standard output and standard error.
    fn end(self) -> io::Result<(ExitStatus, Vec<u8>, Vec<u8>)> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let pipes = {
            let mut process = self.child.process();
            (process.stdout.take(), process.stderr.take())
        };
        if let Some(mut pipe) = pipes.0 {
            pipe.read_to_end(&mut stdout)?;
        }
        if let Some(mut pipe) = pipes.1 {
            pipe.read_to_end(&mut stderr)?;
        }
        Ok((self.child.wait()?, stdout, stderr))
    }
}

fn failed(step: &'static str, code: Option<i32>, stderr: &[u8]) -> LabError {
    let text = String::from_utf8_lossy(stderr);
    let said = text.trim().trim_start_matches("error: ").to_string();
    LabError::Step { step, code, said }
}
