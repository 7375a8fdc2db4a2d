//! Whether ops follow one another and their shapes join.

use super::{
    Border, Fold, Gather, LinearShape, MAX_PATCH, MAX_READS, MAX_SCALE, MAX_WEIGHTS, MAX_WIDTH,
    Map, NetworkError, Op, Read, Source, Stage,
};

/// A checked list of ops: its stages, its maps (the image first) and the gather of the predicted patches.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Checked {
    pub(super) stages: Vec<Stage>,
    pub(super) maps: Vec<Map>,
    pub(super) frame: Gather,
}

/// Checks a list of ops; the first that does not fit is named.
pub(super) fn check<L: LinearShape, A>(ops: &[Op<L, A>]) -> Result<Checked, NetworkError> {
    let error = |op: usize| move |reason: String| NetworkError::Op { op, reason };
    let fold = match ops.last() {
        Some(Op::Fold(fold)) => fold,
        _ => return Err(error(ops.len())("the last op must be fold".into())),
    };
    let frame = frame(ops.first(), fold).map_err(error(0))?;
    let image = Map { op: 0, channels: 1, scale: 1, opened: true, last: 0 };
    let mut checker = Checker {
        frame,
        stages: Vec::new(),
        maps: vec![image],
        features: 0,
        weights: 0,
        state: State::Start,
        finished: false,
    };
    for (op, step) in ops.iter().enumerate() {
        checker.step(op, step).map_err(error(op))?;
    }
    // A map that nobody reads has nobody behind its stage.
    let unread = (1..checker.maps.len()).find(|&map| checker.maps[map].last < map);
    if let Some(map) = unread {
        let reason = format!("nothing reads map {map}, which it makes");
        return Err(error(checker.maps[map].op)(reason));
    }
    Ok(Checked { stages: checker.stages, maps: checker.maps, frame })
}

/// The patches of the image whose centres are predicted. If they are single pixels any gather may read the
/// image, and the predicted pixels are all of them.
fn frame<L, A>(first: Option<&Op<L, A>>, fold: &Fold) -> Result<Gather, String> {
    let gather = match first {
        Some(Op::Gather(reads)) => match reads.first() {
            Some(Read { from: Source::Map(0), gather }) => *gather,
            _ => return Err("the first op must read the image".into()),
        },
        _ => return Err("the first op must be a gather".into()),
    };
    let Gather { patch, pad, stride, .. } = gather;
    if patch == 0 || patch > MAX_PATCH || pad >= patch {
        return Err(format!("patch {patch} with padding {pad} is not possible"));
    }
    if fold.patch == 1 && gather.border == Border::Zero {
        let own = stride == 1 && gather.inner() == 1;
        return Ok(if own { gather } else { Gather::convolution(1) });
    }
    let inner = gather.inner();
    if inner == 0 {
        return Err(format!("patch {patch} with padding {pad} is not possible"));
    }
    if stride == 0 || stride > inner {
        return Err(format!("stride {stride} must be 1 to {inner}, the predicted patch"));
    }
    Ok(gather)
}

/// What came last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Gather,
    Linear,
    Added,
    Activation,
    Shuffle,
    /// A residual or a mean.
    Finish,
    Fold,
}

struct Checker {
    frame: Gather,
    stages: Vec<Stage>,
    maps: Vec<Map>,
    features: usize,
    weights: usize,
    state: State,
    finished: bool,
}

impl Checker {
    fn step<L: LinearShape, A>(&mut self, op: usize, step: &Op<L, A>) -> Result<(), String> {
        use State::*;
        if self.state == Gather && !matches!(step, Op::Linear(_)) {
            return Err("a linear op must follow a gather".into());
        }
        match (step, self.state) {
            (_, Fold) => return Err("nothing may follow fold".into()),
            (Op::Gather(reads), Start) => self.gather(op, reads)?,
            (Op::Gather(reads), Linear | Added | Activation | Shuffle) => {
                self.map(op);
                self.gather(op, reads)?;
            }
            (Op::Gather(_), _) => {
                return Err("a gather must follow a linear op, an addition, an activation or a \
                            shuffle"
                    .into());
            }
            (Op::Linear(l), Gather | Activation) => self.linear(l)?,
            (Op::Linear(_), _) => {
                return Err("a linear op must follow a gather or an activation".into());
            }
            (Op::Add(maps), Linear) => self.add(maps)?,
            (Op::Add(_), _) => return Err("an addition must follow a linear op".into()),
            (Op::Activation(_), Linear | Added) => {}
            (Op::Activation(_), _) => {
                return Err("an activation must follow a linear op or an addition".into());
            }
            (Op::Shuffle(factor), Linear | Added | Activation) => self.shuffle(*factor)?,
            (Op::Shuffle(_), _) => {
                return Err(
                    "a shuffle must follow a linear op, an addition or an activation".into()
                );
            }
            (Op::Residual, _) => self.finish("residual")?,
            (Op::Mean, _) => self.finish("mean")?,
            (Op::Fold(fold), _) => self.fold(fold)?,
        }
        self.state = match step {
            Op::Gather(_) => Gather,
            Op::Linear(_) => Linear,
            Op::Add(_) => Added,
            Op::Activation(_) => Activation,
            Op::Shuffle(_) => Shuffle,
            Op::Residual | Op::Mean => Finish,
            Op::Fold(_) => Fold,
        };
        if let Some(stage) = self.stages.last_mut() {
            stage.ops.end = op + 1;
        }
        Ok(())
    }

    /// Ends a stage before op `op`: its map.
    fn map(&mut self, op: usize) {
        if let Some(stage) = self.stages.last() {
            let channels = self.features / (stage.shuffle * stage.shuffle);
            let scale = stage.scale / stage.shuffle;
            self.maps.push(Map { op: op - 1, channels, scale, opened: false, last: 0 });
        }
    }

    fn gather(&mut self, op: usize, reads: &[Read]) -> Result<(), String> {
        if reads.is_empty() || reads.len() > MAX_READS {
            return Err(format!("it reads {} maps, must be 1 to {MAX_READS}", reads.len()));
        }
        let (stage, mut scale, mut channels) = (self.stages.len(), None::<usize>, Vec::new());
        for read in reads {
            let (made, of) = match read.from {
                Source::Map(number) => {
                    let made = self.scale_of(number, &read.gather)?;
                    let map = &mut self.maps[number];
                    (map.opened, map.last) = (true, stage);
                    (made, map.channels)
                }
                Source::Plane => {
                    zero_bordered(&read.gather)?;
                    match scale {
                        Some(scale) => (scale, 1),
                        None => return Err("the plane must be read beside a map".into()),
                    }
                }
            };
            let stride = read.gather.stride;
            if read.from == Source::Plane && !made.is_multiple_of(stride) {
                return Err(format!("the plane cannot be read every {stride} pixels here"));
            }
            if *scale.get_or_insert(made) != made {
                return Err("it reads maps of different sizes".into());
            }
            channels.push(of);
        }
        let planes = reads.iter().position(|read| read.from == Source::Plane);
        if planes.is_some_and(|first| reads[first..].iter().any(|r| r.from != Source::Plane)) {
            return Err("the plane must be read last".into());
        }
        let of = |(read, channels): (&Read, &usize)| read.gather.patch.pow(2) * channels;
        self.features = reads.iter().zip(&channels).map(of).sum();
        let (reads, scale) = (reads.to_vec(), scale.unwrap_or(1));
        self.stages.push(Stage { ops: op..op + 1, reads, channels, scale, shuffle: 1 });
        Ok(())
    }

    /// The scale of what a gather makes of a map.
    fn scale_of(&self, number: usize, gather: &Gather) -> Result<usize, String> {
        let Some(map) = self.maps.get(number) else {
            return Err(format!("there is no map {number} yet, it is {} maps", self.maps.len()));
        };
        let Gather { patch, stride, pad, border } = *gather;
        if patch == 0 || patch > MAX_PATCH || pad >= patch {
            return Err(format!("patch {patch} with padding {pad} is not possible"));
        }
        if number == 0 && !self.frame_is_pixels() {
            let (inner, every) = (self.frame.inner(), self.frame.stride);
            if patch < 2 * pad || gather.inner() != inner || stride != every {
                return Err(format!(
                    "the image must be read in patches around {inner}x{inner} pixels, every {every}"
                ));
            }
            return Ok(1);
        }
        match border {
            Border::Reflect if stride == 1 && patch == 2 * pad + 1 => {}
            Border::Reflect => {
                return Err("a gather that mirrors must be a convolution: stride 1, one pixel \
                            predicted"
                    .into());
            }
            Border::Zero => zero_bordered(gather)?,
        }
        match map.scale * stride {
            scale if scale <= MAX_SCALE => Ok(scale),
            scale => Err(format!("its map is {scale} times coarser, at most {MAX_SCALE} can be")),
        }
    }

    /// Whether every single pixel is predicted.
    fn frame_is_pixels(&self) -> bool {
        self.frame.inner() == 1 && self.frame.stride == 1
    }

    fn linear(&mut self, l: &impl LinearShape) -> Result<(), String> {
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
        Ok(())
    }

    fn add(&mut self, maps: &[usize]) -> Result<(), String> {
        let (stage, scale) = (self.stages.len() - 1, self.stages[self.stages.len() - 1].scale);
        if maps.is_empty() || maps.len() > MAX_READS {
            return Err(format!("it adds {} maps, must be 1 to {MAX_READS}", maps.len()));
        }
        for &number in maps {
            let whole = self.frame_is_pixels();
            let Some(map) = self.maps.get_mut(number).filter(|_| number > 0 || whole) else {
                return Err(format!("there is no map {number} that could be added"));
            };
            if map.channels != self.features || map.scale != scale {
                return Err(format!(
                    "adds map {number} of {} channels at 1:{} to {} features at 1:{scale}",
                    map.channels, map.scale, self.features
                ));
            }
            map.last = stage;
        }
        Ok(())
    }

    fn shuffle(&mut self, factor: usize) -> Result<(), String> {
        let stage = self.stages.len() - 1;
        let scale = self.stages[stage].scale;
        let fits = (2..=MAX_SCALE).contains(&factor) && scale.is_multiple_of(factor);
        if !fits || !self.features.is_multiple_of(factor * factor) {
            return Err(format!(
                "{} features at 1:{scale} cannot be shuffled to {factor} times the height and width",
                self.features
            ));
        }
        self.stages[stage].shuffle = factor;
        Ok(())
    }

    fn finish(&mut self, name: &str) -> Result<(), String> {
        let inner = self.frame.inner();
        let follows = matches!(self.state, State::Linear | State::Added);
        if self.finished || !follows || self.features != inner * inner {
            return Err(format!("{name} must follow a linear op with {} outputs", inner * inner));
        }
        self.finished = true;
        Ok(())
    }

    fn fold(&mut self, f: &Fold) -> Result<(), String> {
        let inner = self.frame.inner();
        if !matches!(self.state, State::Linear | State::Added | State::Finish) {
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
        match self.stages.last().map_or(1, |stage| stage.scale) {
            1 => {}
            scale => return Err(format!("folds a map {scale} times coarser than the image's")),
        }
        if f.window.contains(&0) {
            return Err("a window weight is zero".into());
        }
        Ok(())
    }
}

/// Checks a gather that reads zeros beyond the border.
fn zero_bordered(gather: &Gather) -> Result<(), String> {
    let Gather { patch, stride, pad, border } = *gather;
    if patch == 0 || patch > MAX_PATCH || pad >= patch || border != Border::Zero {
        return Err(format!("patch {patch} with padding {pad} is not possible"));
    }
    if stride == 0 || stride > MAX_SCALE {
        return Err(format!("stride {stride} must be 1 to {MAX_SCALE}"));
    }
    Ok(())
}
