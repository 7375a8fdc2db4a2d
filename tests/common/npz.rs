//! Archives of arrays as NumPy writes them.

use ndarray::{Array, Dimension};
use ndarray_npy::{WritableElement, WriteNpyExt};
use std::io::{Cursor, Write};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// An .npz archive in memory.
pub(crate) struct Npz(ZipWriter<Cursor<Vec<u8>>>);

impl Npz {
    pub(crate) fn new() -> Self {
        Npz(ZipWriter::new(Cursor::new(Vec::new())))
    }

    pub(crate) fn add<A: WritableElement, D: Dimension>(
        &mut self,
        name: &str,
        array: &Array<A, D>,
    ) {
        let mut bytes = Vec::new();
        array.write_npy(&mut bytes).unwrap();
        self.0.start_file(format!("{name}.npy"), SimpleFileOptions::default()).unwrap();
        self.0.write_all(&bytes).unwrap();
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0.finish().unwrap().into_inner()
    }
}
