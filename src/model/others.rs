//! Model files that are not read, told by their first bytes, and how each becomes one that is.

use super::{ModelError, zipped};
use std::io::{Read, Seek};

/// What a pointer of Git LFS begins with.
const LFS: &[u8] = b"version https://git-lfs.github.com/spec/";
/// What HDF5 begins with, of MATLAB's behind a text.
const HDF5: &[u8] = b"\x89HDF\r\n\x1a\n";

/// Of Keras, whose kernels have the channels last.
const KERAS: ModelError = ModelError::Elsewhere {
    what: "HDF5, as Keras (.h5, .keras) writes it, which is not read here",
    remedy: "save its arrays in Python: import keras, numpy; w = keras.models.load_model('FILE').get_weights(); \
             numpy.savez('weights.npz', **{'wb'[i % 2] + str(i // 2 + 1): a.transpose(3, 2, 0, 1) if a.ndim == 4 \
             else a.T for i, a in enumerate(w)}), for layers that have a kernel and a bias each",
};
const MATLAB: ModelError = ModelError::Elsewhere {
    what: "MATLAB -v7.3, which is HDF5 and not read here",
    remedy: "load it in MATLAB and use save('weights.mat', ..., '-v7'), or in Python: import h5py, scipy.io; \
             f = h5py.File('FILE'); scipy.io.savemat('weights.mat', {k: f[k][()].T for k in f if k[:2] == 'w_'})",
};
const POINTER: ModelError = ModelError::Elsewhere {
    what: "a pointer of Git LFS, which stands for the file and holds none of its weights",
    remedy: "fetch the file with `git lfs pull`, or in Python: import huggingface_hub; \
             huggingface_hub.hf_hub_download('OWNER/NAME', 'FILE')",
};
const CUT: ModelError = ModelError::Elsewhere {
    what: "the beginning of an archive, whose end is missing or damaged",
    remedy: "it was cut; fetch or copy it again",
};

/// Refuses what begins like a model file of another kind. Leaves the file at its beginning.
///
/// # Errors
/// [`ModelError::Elsewhere`], [`ModelError::Read`].
pub(super) fn refuse(file: &mut (impl Read + Seek)) -> Result<(), ModelError> {
    let mut begin = Vec::new();
    file.rewind()?;
    file.by_ref().take(LFS.len() as u64).read_to_end(&mut begin)?;
    file.rewind()?;
    if begin.starts_with(b"PK") {
        let refused = match zipped::open(&mut *file) {
            Err(_) => Some(CUT),
            Ok(archive) => {
                let mut names = archive.file_names().flatten();
                names.any(|name| name.ends_with("model.weights.h5")).then_some(KERAS)
            }
        };
        file.rewind()?;
        return refused.map_or(Ok(()), Err);
    }
    match begin.as_slice() {
        begin if begin.starts_with(HDF5) => Err(KERAS),
        begin if begin.starts_with(b"MATLAB 7.3") => Err(MATLAB),
        LFS => Err(POINTER),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelFile;
    use std::io::{Cursor, Write};
    use zip::ZipWriter;

    #[test]
    fn other_programs_files_are_named_with_what_converts_them() {
        let mut keras = ZipWriter::new(Cursor::new(Vec::new()));
        keras.start_file("model.weights.h5", zip::write::SimpleFileOptions::default()).unwrap();
        keras.write_all(HDF5).unwrap();
        let keras = keras.finish().unwrap().into_inner();
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n";
        for (bytes, what, line) in [
            (&[HDF5, &[0; 90]].concat()[..], "Keras", "keras.models.load_model"),
            (&keras, "Keras", "numpy.savez"),
            (b"MATLAB 7.3 MAT-file, Platform: GLNXA64", "MATLAB -v7.3", "h5py.File"),
            (pointer, "Git LFS", "git lfs pull"),
            (&keras[..keras.len() / 2], "archive", "it was cut"),
            (b"PK", "archive", "it was cut"),
        ] {
            let text = ModelFile::open(Cursor::new(bytes.to_vec())).unwrap_err().to_string();
            assert!(text.contains(what) && text.contains(line), "{text}");
            assert_eq!(text.lines().count(), 1);
        }
    }
}
