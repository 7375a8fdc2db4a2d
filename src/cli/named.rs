//! The models of the source tree by name.

use super::failure::{Code, Failure};
use std::path::{Path, PathBuf};

/// Names, and the files that they stand for.
const NAMED: [(&str, &str); 8] = [
    ("tiny", "fixtures/models/tiny-9-5-24.npz"),
    ("bootstrap", "fixtures/models/mlp-21-9-3x512-s25.npz"),
    ("wide", "fixtures/models/mlp-29-13-3x640-s25-r32.npz"),
    ("mlp", "fixtures/models/mlp-s25.npz"),
    ("default", "fixtures/models/default.npz"),
    ("fine", "fixtures/models/fine.npz"),
    ("colour", "fixtures/models/colour.npz"),
    ("dncnn", "fixtures/models/dncnn-s25.npz"),
];

/// The file of a name, or the path itself. `more` are names that the command knows besides.
pub(super) fn model_file(name: &str, more: &[&str]) -> Result<PathBuf, Failure> {
    match NAMED.iter().find(|(known, _)| *known == name) {
        Some((_, fixture)) if !Path::new(fixture).exists() => {
            let text = format!("the model {name} is not here: it is {fixture} of the sources");
            let help = "run this in the source tree, or give --model a path";
            Err(Failure::new(Code::Usage, text).help(help))
        }
        Some((_, fixture)) => Ok(PathBuf::from(fixture)),
        None if !Path::new(name).exists() => {
            let known = NAMED.iter().map(|(known, _)| known).chain(more).copied();
            let known = known.collect::<Vec<_>>().join(", ");
            let help = format!("give {known} or the path of an .npz file");
            Err(Failure::new(Code::Usage, format!("there is no model '{name}'")).help(help))
        }
        None => Ok(PathBuf::from(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_is_not_there_is_refused_with_a_way_out() {
        let refused = model_file("none.npz", &["paper"]).unwrap_err().to_string();
        assert!(refused.contains("bootstrap") && refused.contains("paper"), "{refused}");
    }
}
