//! What a network is given of a picture: each plane by itself, or the mosaic of all three.

use crate::image::{
    GreyImage, ImageError, Implausible, Orientation, Raster, Rect, mosaic, of_mosaic,
};
use crate::model::Trained;
use crate::network::SQUARE;
use crate::size::Size;
use std::borrow::Cow;

/// How the planes of pictures enter a network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Entry {
    /// One by one.
    Planes,
    /// The three of a colour picture as their mosaic.
    Mosaic {
        /// The level of its ground: what is 0 to the network, which gives 0 there.
        ground: f32,
    },
}

impl Entry {
    /// How they enter a network.
    pub fn of(trained: Trained) -> Entry {
        let ground = trained.units.mid_grey as f32;
        if trained.of_colours { Entry::Mosaic { ground } } else { Entry::Planes }
    }

    /// How those of results did that are mosaics or not.
    pub fn of_results(mosaics: bool) -> Entry {
        if mosaics { Entry::Mosaic { ground: 0.0 } } else { Entry::Planes }
    }

    /// Whether it is a mosaic.
    pub fn is_mosaic(self) -> bool {
        self != Entry::Planes
    }

    /// Refuses a whole picture that is grey where one in colour is wanted: also one of three equal planes, as the
    /// decoders of files see it, since noise that is the same in all planes is that of a grey picture. Parts of a
    /// picture may be grey.
    ///
    /// # Errors
    /// [`ImageError::Grey`].
    pub fn check(self, picture: &Raster) -> Result<(), ImageError> {
        let [first, others @ ..] = picture.planes() else { return Ok(()) };
        let grey = others.iter().all(|plane| plane == first);
        if self.is_mosaic() && grey { Err(ImageError::Grey) } else { Ok(()) }
    }

    /// What is given of these planes.
    ///
    /// # Errors
    /// As [`mosaic`], where three are wanted.
    pub fn images(self, planes: &[GreyImage]) -> Result<Cow<'_, [GreyImage]>, ImageError> {
        match self {
            Entry::Planes => Ok(planes.into()),
            Entry::Mosaic { ground } => Ok(vec![mosaic(planes, ground)?].into()),
        }
    }

    /// The planes that an image stands for.
    ///
    /// # Errors
    /// As [`of_mosaic`].
    pub fn planes(self, image: GreyImage) -> Result<Vec<GreyImage>, ImageError> {
        match self {
            Entry::Planes => Ok(vec![image]),
            Entry::Mosaic { .. } => of_mosaic(&image),
        }
    }

    /// The image of planes in an orientation, of their image.
    ///
    /// # Errors
    /// As [`of_mosaic`].
    pub fn turn(
        self,
        orientation: Orientation,
        image: &GreyImage,
    ) -> Result<GreyImage, ImageError> {
        match self {
            Entry::Planes => Ok(orientation.turn(image)),
            Entry::Mosaic { ground } => {
                let planes = of_mosaic(image)?;
                let turned = planes.iter().map(|plane| orientation.turn(plane));
                mosaic(&turned.collect::<Vec<_>>(), ground)
            }
        }
    }

    /// The upright image of one in this orientation.
    ///
    /// # Errors
    /// As [`of_mosaic`].
    pub fn turn_back(
        self,
        orientation: Orientation,
        image: &GreyImage,
    ) -> Result<GreyImage, ImageError> {
        self.turn(orientation.inverse(), image)
    }

    /// What was found of an upright image of this size, with its place in the picture.
    pub fn placed(self, found: Implausible, size: Size) -> Implausible {
        Implausible { place: self.place_back(Orientation::UPRIGHT, found.place, size), ..found }
    }

    /// Where in an upright picture a part lies of its image of this size in this orientation.
    pub fn place_back(self, orientation: Orientation, part: Rect, size: Size) -> Rect {
        let Rect { top, left, height, width } = orientation.place_back(part, size);
        match self {
            Entry::Planes => Rect { top, left, height, width },
            Entry::Mosaic { .. } => Rect {
                top: top / SQUARE,
                left: left / SQUARE,
                height: height.div_ceil(SQUARE),
                width: width.div_ceil(SQUARE),
            },
        }
    }
}
