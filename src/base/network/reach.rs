//! How far apart two pixels of an image can be and still matter to one another.

use super::{LinearShape, Network, Op};

/// What cutting an image into tiles has to keep to, so that a pixel of a tile becomes what it is in
/// the whole image.
///
/// Along an axis let a tile begin at a multiple of `alignment`. A pixel with at least `margin` pixels
/// of the tile between itself and either cut has the very value that it has in the whole image; the
/// ends of the image itself are no cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Pixels that a tile goes on beyond what it answers for.
    pub margin: usize,
    /// Tiles begin at multiples of it.
    pub alignment: usize,
}

/// Pixels of the image that the first pixel of a map, and each further one that many pixels on, depends on:
/// so many before its own place, and after it.
#[derive(Clone, Copy, Default)]
struct Field {
    before: usize,
    after: usize,
    pitch: usize,
}

impl Field {
    /// What depends on either.
    fn and(self, other: Field) -> Field {
        let (before, after) = (self.before.max(other.before), self.after.max(other.after));
        Field { before, after, ..self }
    }
}

impl<L: LinearShape, A> Network<L, A> {
    /// How a cut through the image is felt.
    ///
    /// A pixel of a map with pitch p, in pixels of the image, depends on an interval around its place i p. A
    /// gather widens it by its patch, times the pitch of what it reads; what several maps say, also of one
    /// that is added, is taken together; a shuffle by r splits a pixel into r, the last of which lies
    /// (r - 1) pitches behind it. An output patch at y predicts y to y + inner - 1. So a pixel of the result depends on
    /// `before` + inner - 1 pixels before it and `after` behind it, and on no others: were they all in the
    /// tile, nothing is mirrored or taken for zero that the whole image has, since what lies at a place
    /// depends on the image there.
    ///
    /// The maps must also have the same pixels: a tile begins at a multiple of every pitch, and maps are as
    /// large as what begins in it. Where patches overlap the last lies flush with the tile's end and may fit
    /// no stride: it covers the last `inner` pixels and follows patches that end before them, which are
    /// out of reach already, but for pads of 0, which take one pixel more.
    pub fn reach(&self) -> Reach {
        let (gather, mut fields) = (self.gather(), vec![Field { pitch: 1, ..Field::default() }]);
        for stage in self.stages() {
            let pitch = stage.scale * gather.stride;
            let mut field = Field { pitch, ..Field::default() };
            for read in &stage.reads {
                let cut = &read.gather;
                // The plane depends on nothing but where the image ends.
                let from = match read.number() {
                    Some(number) => fields[number],
                    None => Field { pitch: pitch / cut.stride, ..Field::default() },
                };
                let before = from.before + cut.pad * from.pitch;
                let after = from.after + (cut.patch - 1).saturating_sub(cut.pad) * from.pitch;
                field = field.and(Field { before, after, pitch });
            }
            for op in stage.ops.clone() {
                if let Op::Add(maps) = &self.ops()[op] {
                    field = maps.iter().fold(field, |field, map| field.and(fields[*map]));
                }
            }
            let finer = pitch / stage.shuffle;
            field.before += (stage.shuffle - 1) * finer;
            fields.push(Field { pitch: finer, ..field });
        }
        let (last, inner) = (fields[fields.len() - 1], gather.inner());
        let margin = (last.before + inner - 1).max(last.after).max(inner);
        Reach { margin, alignment: self.alignment() }
    }

    /// The least number of pixels that is a whole number of places of every map.
    pub(super) fn alignment(&self) -> usize {
        let stride = self.gather().stride;
        self.stages().iter().fold(stride, |all, stage| lcm(all, stage.scale * stride))
    }
}

fn lcm(a: usize, b: usize) -> usize {
    let gcd = |mut a: usize, mut b: usize| {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    // Beyond what any image has: it is refused for its size.
    (a / gcd(a, b)).saturating_mul(b)
}
