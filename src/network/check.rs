//! Whether ops follow one another and their shapes chain.

use super::{Fold, Gather, LinearShape, MAX_PATCH, MAX_WEIGHTS, MAX_WIDTH, NetworkError, Op};

/// Checks a list of ops; the first that does not fit is named.
pub(super) fn order<L: LinearShape, A>(ops: &[Op<L, A>]) -> Result<(), NetworkError> {
    let mut state = Checker::default();
    for (op, step) in ops.iter().enumerate() {
        state.step(step).map_err(|reason| NetworkError::Op { op, reason })?;
    }
    match ops.last() {
        Some(Op::Fold(_)) => Ok(()),
        _ => Err(NetworkError::Op { op: ops.len(), reason: "the last op must be fold".into() }),
    }
}

#[derive(Default)]
struct Checker {
    /// The one that reads the image.
    gather: Option<Gather>,
    features: usize,
    weights: usize,
    after_linear: bool,
    linear_seen: bool,
    /// The last op was a gather.
    gathered: bool,
    /// A residual or a mean was seen.
    finished: bool,
    folded: bool,
}

impl Checker {
    fn step<L: LinearShape, A>(&mut self, op: &Op<L, A>) -> Result<(), String> {
        if self.folded {
            return Err("nothing may follow fold".into());
        }
        match (op, self.gather) {
            (Op::Gather(g), None) => {
                self.gather = Some(*g);
                self.gather(g, 1)
            }
            (Op::Gather(g), Some(_)) => self.next_gather(g),
            (_, None) => Err("the first op must be a gather".into()),
            (Op::Linear(l), Some(_)) => self.linear(l),
            (Op::Activation(_) | Op::Fold(_), Some(_)) if self.gathered => {
                Err("a linear op must follow a gather".into())
            }
            (Op::Activation(_), Some(_)) if self.after_linear && !self.finished => {
                self.after_linear = false;
                Ok(())
            }
            (Op::Activation(_), Some(_)) => Err("an activation must follow a linear op".into()),
            (Op::Residual, Some(g)) => self.finish("residual", &g),
            (Op::Mean, Some(g)) => self.finish("mean", &g),
            (Op::Fold(f), Some(g)) => self.fold(f, &g),
        }
    }

    fn next_gather(&mut self, g: &Gather) -> Result<(), String> {
        if !self.linear_seen || self.after_linear || self.finished {
            return Err("a gather after the first must follow an activation".into());
        }
        if g.stride != 1 || g.patch != 2 * g.pad + 1 {
            let reason =
                "a gather after the first must be a convolution: stride 1, one pixel predicted";
            return Err(reason.into());
        }
        self.gather(g, self.features)
    }

    fn gather(&mut self, g: &Gather, channels: usize) -> Result<(), String> {
        if g.patch == 0 || g.patch > MAX_PATCH || g.pad >= g.patch.div_ceil(2) {
            return Err(format!("patch {} with padding {} is not possible", g.patch, g.pad));
        }
        let inner = g.inner();
        if g.stride == 0 || g.stride > inner {
            return Err(format!("stride {} must be 1 to {inner}, the predicted patch", g.stride));
        }
        self.features = g.patch * g.patch * channels;
        self.gathered = true;
        Ok(())
    }

    fn linear(&mut self, l: &impl LinearShape) -> Result<(), String> {
        if self.after_linear || self.finished {
            return Err("a linear op must follow a gather or an activation".into());
        }
        if l.inputs() != self.features {
            return Err(format!("takes {} features but is given {}", l.inputs(), self.features));
        }
        if l.outputs() == 0 || l.outputs() > MAX_WIDTH {
            return Err(format!("{} outputs, must be 1 to {MAX_WIDTH}", l.outputs()));
        }
        self.weights += l.inputs() * l.outputs();
        if self.weights > MAX_WEIGHTS {
            return Err(format!("the network has more than {MAX_WEIGHTS} weights"));
        }
        self.features = l.outputs();
        (self.after_linear, self.linear_seen, self.gathered) = (true, true, false);
        Ok(())
    }

    fn finish(&mut self, name: &str, g: &Gather) -> Result<(), String> {
        let inner = g.inner();
        if self.finished || !self.after_linear || self.features != inner * inner {
            return Err(format!("{name} must follow a linear op with {} outputs", inner * inner));
        }
        self.finished = true;
        Ok(())
    }

    fn fold(&mut self, f: &Fold, g: &Gather) -> Result<(), String> {
        let inner = g.inner();
        if !self.linear_seen || !self.after_linear {
            return Err("fold must follow a linear op, a residual or a mean".into());
        }
        if f.patch != inner || f.window.len() != inner * inner || self.features != inner * inner {
            return Err(format!(
                "folds {0}x{0} patches with {1} window weights, but {2} features arrive and the \
                 gather leaves {inner}x{inner}",
                f.patch,
                f.window.len(),
                self.features
            ));
        }
        if f.window.contains(&0) {
            return Err("a window weight is zero".into());
        }
        self.folded = true;
        Ok(())
    }
}
