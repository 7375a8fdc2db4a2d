//! Pictures and the files they lie in, as every role that has some meets them: which files are meant, how
//! they are read and written, what a denoised one is called, and what is known of its noise.
//!
//! In every path `-` alone stands for standard input or standard output.
//!
//! May use: images, files and what is told to an observer.
//!
//! Security: files are hostile; what is written is its owner's alone, unless it replaces a file that others
//! may read.

mod distinct;
mod entering;
mod error;
mod levels;
mod listing;
mod names;
mod read;
mod target;

pub use distinct::ensure_distinct;
pub use entering::Entry;
pub use error::PictureError;
pub use levels::{ImageLevels, Levels, Noise};
pub use listing::{Listed, Listing, images, is_folder, shares};
pub use names::{CHANNELS, base_name, is_stream, restored_name};
pub use read::{
    Chosen, MAX_WHOLE_BYTES, Scan, Seen, look, open_noisy_rows, open_rows, read_compared,
    read_image_bytes, read_noisy, read_origin, read_picture, read_reference,
};
pub use target::{Target, output_format, write_raster};
