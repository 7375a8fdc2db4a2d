//! What the tests of errors share: exit codes, and servers that must fail.

use super::{Ended, Job, Lab};
use ppdenoise_base::size::Size;

/// Exit codes, as `--help` documents them.
pub const FAILED: i32 = 1;
pub const USAGE: i32 = 2;
pub const INPUT: i32 = 3;
pub const PEER: i32 = 4;

/// The size of the images.
pub const SIZE: Size = Size::new(12, 13);

/// Runs a server alone whose inputs must be refused before any connection: nobody listens at the
/// address, and it is never tried.
pub fn alone(lab: &Lab, job: Job) -> Ended {
    let ended = lab.connect(&job, "127.0.0.1:1").end();
    assert!(!ended.stderr.contains("connecting"), "{}", ended.stderr);
    assert!(!lab.exists(&job.outs[0]), "an output of a failed server");
    lab.no_leftovers();
    ended
}

/// Two servers of which at least one refuses: no result is left at either.
pub fn neither(lab: &Lab, first: Job, second: Job) -> [Ended; 2] {
    let ended = lab.serve(&first, &second);
    for out in first.outs.iter().chain(&second.outs) {
        assert!(!lab.exists(out), "{out} of a failed session");
    }
    lab.no_leftovers();
    ended
}
