//! What a kind of file is called. Which kinds there are says [`super::header`], where each says it of itself.

use std::fmt;

/// What a file is: a word, since errors hold two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kind(&'static Called);

/// What is said of it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Called {
    /// The word before its name: "a", "an", or "a set of".
    pub article: &'static str,
    pub name: &'static str,
    /// Which command makes it, as a clause.
    pub made_by: &'static str,
}

impl Kind {
    /// The kind of this name.
    pub const fn of(called: &'static Called) -> Kind {
        Kind(called)
    }

    /// The word before the name: "a", "an", or "a set of".
    pub fn article(self) -> &'static str {
        self.0.article
    }

    /// Which command makes such a file, as a clause.
    pub fn made_by(self) -> &'static str {
        self.0.made_by
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}
