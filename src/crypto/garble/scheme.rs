//! The seam behind which another garbling library could stand.
//!
//! The engine garbles and evaluates through these two traits alone. An adapter for a library such as
//! `fancy-garbling` would build its circuit from [`Program::circuit`] and map its wire labels to
//! [`Labels`]; what it must keep is free XOR with one [`Delta`] a session, whose colour bit is 1,
//! since oblivious transfers deliver labels and output labels serve as transfers. None stands here
//! today: `fancy-garbling` is in no package registry, and the `scuttlebutt` that the registry has is
//! an unrelated tool, not the library that it builds on.

use super::{Delta, Evaluator, GarbleError, Garbled, Garbler, Labels, Program, TweakRange};

/// A semi-honest garbler of batches; see [`Garbler`] for the contract of each method.
pub trait GarbleCircuit: Send + Sync {
    /// The offset common to all wires.
    fn delta(&self) -> &Delta;

    /// Garbles a batch: appends the tables to `tables`, returns the outputs' zero labels.
    ///
    /// # Errors
    /// As [`Garbler::garble`].
    fn garble(
        &self,
        program: &Program,
        tweaks: TweakRange,
        inputs: &Labels,
        tables: &mut Vec<u8>,
    ) -> Result<Garbled, GarbleError>;
}

/// A semi-honest evaluator of batches.
pub trait EvaluateCircuit: Send + Sync {
    /// The active labels of the outputs.
    ///
    /// # Errors
    /// As [`Evaluator::evaluate`].
    fn evaluate(
        &self,
        program: &Program,
        tweaks: TweakRange,
        inputs: &Labels,
        tables: &[u8],
    ) -> Result<Labels, GarbleError>;
}

impl GarbleCircuit for Garbler {
    fn delta(&self) -> &Delta {
        Garbler::delta(self)
    }

    fn garble(
        &self,
        program: &Program,
        tweaks: TweakRange,
        inputs: &Labels,
        tables: &mut Vec<u8>,
    ) -> Result<Garbled, GarbleError> {
        Garbler::garble(self, program, tweaks, inputs, tables)
    }
}

impl EvaluateCircuit for Evaluator {
    fn evaluate(
        &self,
        program: &Program,
        tweaks: TweakRange,
        inputs: &Labels,
        tables: &[u8],
    ) -> Result<Labels, GarbleError> {
        Evaluator::evaluate(self, program, tweaks, inputs, tables)
    }
}
