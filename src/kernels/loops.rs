//! Plain loops that each backend compiles for its own instructions.

/// A loop, over elements side by side and without branches, that the compiler can vectorise.
pub(super) trait Loop {
    /// Runs it. Implementations are always inlined, so that they are compiled for the instructions of the function
    /// that calls them.
    fn run(self);
}

/// What a backend implements of the loops.
pub(super) trait Loops: Copy {
    fn run(self, work: impl Loop);
}
