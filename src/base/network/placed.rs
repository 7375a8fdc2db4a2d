//! A stage on an image of one size: which features its rows read, and where in its map they go.

use super::{Gather, MAX_MAP, MAX_MAPS, Map, NetworkError, Padding, PatchGrid, Source, Stage};
use crate::size::Size;
use std::ops::Range;

/// A stage with the grids of what it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageGrid {
    /// The stage.
    pub stage: Stage,
    /// The patches of each of its reads, one for every row of the stage.
    pub reads: Vec<PatchGrid>,
    /// Its rows are those of a map of so many rows and columns.
    pub size: Size,
    /// Rows and columns of the map that it makes.
    pub out: Size,
}

/// The stages on an image that is continued.
pub(super) fn grids(
    stages: &[Stage],
    maps: &[Map],
    frame: &Gather,
    padding: Padding,
) -> Result<Vec<StageGrid>, NetworkError> {
    let (size, whole) = (padding.padded(), padding.grid(frame)?);
    let finest = whole.map_size();
    let at = |scale: usize| finest.map(|side| side.div_ceil(scale));
    let pixels = frame.inner() == 1 && frame.stride == 1;
    // The image's own values are few beside those of its maps, and kept in any case.
    let values = |map: &Map| map.channels * at(map.scale).pixels();
    for (stage, _) in stages.iter().enumerate() {
        // Map n is made by stage n - 1.
        let kept = |number: usize, map: &Map| number <= stage + 1 && map.last >= stage;
        let kept = maps.iter().enumerate().skip(1).filter(|(number, map)| kept(*number, map));
        let (mut all, Size { height, width }) = (0, padding.size());
        for (_, map) in kept {
            if values(map) > MAX_MAP {
                return Err(NetworkError::MapTooLarge { height, width, channels: map.channels });
            }
            all += values(map);
        }
        if all > MAX_MAPS {
            let channels = all.div_ceil(finest.pixels().max(1));
            return Err(NetworkError::MapsTooLarge { height, width, channels });
        }
    }
    let of_stage = |stage: &Stage| {
        let grid = |(read, &channels): (&super::Read, &usize)| match read.from {
            Source::Map(0) if !pixels => PatchGrid::new(size, channels, &read.gather),
            Source::Map(0) => PatchGrid::over(size, channels, &read.gather),
            Source::Map(number) => PatchGrid::over(at(maps[number].scale), channels, &read.gather),
            Source::Plane => {
                PatchGrid::over(at(stage.scale / read.gather.stride), channels, &read.gather)
            }
        };
        let reads = stage.reads.iter().zip(&stage.channels).map(grid);
        Ok(StageGrid {
            stage: stage.clone(),
            reads: reads.collect::<Result<_, _>>()?,
            size: at(stage.scale),
            out: at(stage.scale / stage.shuffle),
        })
    };
    stages.iter().map(of_stage).collect::<Result<_, _>>().map_err(|e| padding.named(e))
}

impl StageGrid {
    /// The number of rows: of patches that go through the stage.
    pub fn rows(&self) -> usize {
        self.size.pixels()
    }

    /// Values of the map that it makes if it gives each row `features`.
    pub fn map_values(&self, features: usize) -> usize {
        self.out.pixels() * (features / (self.stage.shuffle * self.stage.shuffle))
    }

    /// The features of `rows`, one read's behind the other's. `source` gives a run of a map's features, which
    /// is whole lines.
    pub fn gather<T: Copy + Default, S: AsRef<[T]>>(
        &self,
        rows: Range<usize>,
        source: impl FnMut(Source, Range<usize>) -> S,
    ) -> Vec<T> {
        self.gathered(rows, self.reads.len(), source)
    }

    /// Those of maps alone: of the inputs that have a mask. `source` is asked by the number of a map.
    pub fn gather_masked<T: Copy + Default, S: AsRef<[T]>>(
        &self,
        rows: Range<usize>,
        mut source: impl FnMut(usize, Range<usize>) -> S,
    ) -> Vec<T> {
        // The plane is read last.
        let maps = self.stage.maps().count();
        let numbers: Vec<usize> = self.stage.maps().collect();
        let mut next = numbers.into_iter();
        self.gathered(rows, maps, |_, run| source(next.next().unwrap_or(0), run))
    }

    fn gathered<T: Copy + Default, S: AsRef<[T]>>(
        &self,
        rows: Range<usize>,
        reads: usize,
        mut source: impl FnMut(Source, Range<usize>) -> S,
    ) -> Vec<T> {
        let one = |(grid, read): (&PatchGrid, &super::Read)| {
            let lines = grid.sources(rows.clone());
            grid.gather(rows.clone(), source(read.from, lines.clone()).as_ref(), lines.start)
        };
        let mut parts: Vec<Vec<T>> =
            self.reads[..reads].iter().zip(&self.stage.reads).map(one).collect();
        if parts.len() == 1 {
            return parts.swap_remove(0);
        }
        let widths: Vec<usize> = parts.iter().map(|part| part.len() / rows.len().max(1)).collect();
        let mut features = Vec::with_capacity(parts.iter().map(Vec::len).sum());
        for row in 0..rows.len() {
            for (part, width) in parts.iter().zip(&widths) {
                features.extend_from_slice(&part[row * width..][..*width]);
            }
        }
        features
    }

    /// Where the features of `rows`, `width` each, lie in the map that the stage makes.
    pub fn placement(&self, rows: Range<usize>, width: usize) -> Placement {
        let factor = self.stage.shuffle;
        if factor == 1 {
            return Placement { run: rows.start * width..rows.end * width, places: None };
        }
        let (columns, Size { height, width: out }) = (self.size.width, self.out);
        let (line, channels) = (out * width / (factor * factor), width / (factor * factor));
        let first = rows.start / columns * factor;
        let last = height.min(rows.end.div_ceil(columns) * factor);
        let mut places = Vec::with_capacity(rows.len() * width);
        for (i, row) in rows.enumerate() {
            let (top, left) = (row / columns * factor, row % columns * factor);
            for (y, x) in (0..factor).flat_map(|y| (0..factor).map(move |x| (y, x))) {
                if top + y < height && left + x < out {
                    let at = (top + y) * line + (left + x) * channels;
                    let feature = |c: usize| i * width + (c * factor + y) * factor + x;
                    places.extend((0..channels).map(|c| (feature(c), at + c)));
                }
            }
        }
        Placement { run: first * line..last * line, places: Some(places) }
    }
}

/// Where some rows' features lie in a map. Those that a shuffle puts beyond it lie nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// A run of the map in which all of them are.
    pub run: Range<usize>,
    /// Which feature lies at which place of the map; in their order if not given.
    places: Option<Vec<(usize, usize)>>,
}

impl Placement {
    /// The features that the map has, in the order of this placement.
    pub fn select<T: Copy>(&self, features: Vec<T>) -> Vec<T> {
        match &self.places {
            None => features,
            Some(places) => places.iter().map(|&(feature, _)| features[feature]).collect(),
        }
    }

    /// The values at the places, in the same order, of the map from the start of `run` on.
    pub fn pick<T: Copy>(&self, run: Vec<T>) -> Vec<T> {
        match &self.places {
            None => run,
            Some(places) => places.iter().map(|&(_, at)| run[at - self.run.start]).collect(),
        }
    }

    /// Puts values in the same order where they lie in the whole map.
    pub fn put<T: Copy>(&self, values: &[T], map: &mut [T]) {
        match &self.places {
            None => map[self.run.clone()].copy_from_slice(values),
            Some(places) => places.iter().zip(values).for_each(|((_, at), v)| map[*at] = *v),
        }
    }
}
