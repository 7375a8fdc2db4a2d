//! The storages of PyTorch files, and where they lie: entries of a ZIP archive, or behind the pickles of a stream.

use super::MAX_PICKLE;
use super::pickle::{Node, Pickle};
use crate::model::load::Source;
use crate::model::zipped;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use zip::{CompressionMethod, ZipArchive};

/// The type of a tensor's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    F64,
    F32,
    F16,
    BF16,
    /// Integers and truth values of so many bytes, which no weight has.
    Integer(usize),
}

impl Kind {
    /// By the name of a storage's class or of a type.
    pub(super) fn of(class: &str) -> Result<Kind, String> {
        Ok(match class.rsplit('.').next().unwrap_or_default() {
            "DoubleStorage" | "float64" | "double" => Kind::F64,
            "FloatStorage" | "float32" | "float" => Kind::F32,
            "HalfStorage" | "float16" | "half" => Kind::F16,
            "BFloat16Storage" | "bfloat16" => Kind::BF16,
            "LongStorage" | "int64" | "long" | "uint64" => Kind::Integer(8),
            "IntStorage" | "int32" | "int" | "uint32" => Kind::Integer(4),
            "ShortStorage" | "int16" | "short" | "uint16" => Kind::Integer(2),
            "CharStorage" | "ByteStorage" | "BoolStorage" | "int8" | "uint8" | "bool" => {
                Kind::Integer(1)
            }
            other => {
                return Err(format!("is of {other}, which models here do not have"));
            }
        })
    }

    /// Bytes of a number.
    pub(super) fn size(self) -> usize {
        match self {
            Kind::F64 => 8,
            Kind::F32 => 4,
            Kind::F16 | Kind::BF16 => 2,
            Kind::Integer(bytes) => bytes,
        }
    }

    /// Its name in reports.
    pub(super) fn name(self) -> String {
        match self {
            Kind::Integer(bytes) => format!("I{}", 8 * bytes),
            float => format!("{float:?}"),
        }
    }
}

/// Numbers that tensors are made of, and where a tensor's part of them begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Storage {
    pub(super) key: String,
    pub(super) kind: Kind,
    /// How many numbers it has.
    pub(super) length: usize,
    pub(super) first: usize,
}

/// The two forms of files.
pub(super) enum Container {
    /// Since PyTorch 1.6: an archive, and the folder in it.
    Archive { archive: ZipArchive<Box<dyn Source>>, folder: String },
    /// Before: one stream, and where the storages lie in it.
    Stream { file: Box<dyn Source>, places: HashMap<String, u64> },
}

impl Container {
    /// The pickle of a ZIP archive, and the archive.
    pub(super) fn archive(file: Box<dyn Source>) -> Result<(Container, Pickle), String> {
        let mut archive = zipped::open(file).map_err(|e| {
            format!(
                "it begins like an archive and its directory is missing ({e}): it was cut, or damaged; \
                 fetch it again"
            )
        })?;
        for i in 0..archive.len() {
            let entry = archive.by_index_raw(i).map_err(|e| e.to_string())?;
            let name = entry.name().map_err(|e| e.to_string())?.to_string();
            if name.ends_with("constants.pkl") || name.contains("/code/") {
                return Err("it is TorchScript, a program; save its arrays in Python: \
                            torch.save(torch.jit.load('FILE').state_dict(), 'weights.pth')"
                    .into());
            }
            if entry.compression() != CompressionMethod::Stored {
                return Err("its entries are compressed, and torch.save compresses none".into());
            }
        }
        let names = archive.file_names().flatten();
        let Some(data) = names.filter(|name| name.ends_with("data.pkl")).min_by_key(|n| n.len())
        else {
            return Err("it has no data.pkl, as torch.save writes".into());
        };
        let folder = data.trim_end_matches("data.pkl").to_string();
        let mut order = String::new();
        if let Ok(entry) = archive.by_name(&format!("{folder}byteorder")) {
            entry.take(16).read_to_string(&mut order).map_err(|e| e.to_string())?;
        }
        if order.trim() == "big" {
            return Err("its numbers are big-endian; save it anew on another machine".into());
        }
        let entry = archive.by_name(&format!("{folder}data.pkl")).map_err(|e| e.to_string())?;
        let pickle = Pickle::read(&mut BufReader::new(entry), MAX_PICKLE)?;
        Ok((Container::Archive { archive, folder }, pickle))
    }

    /// The pickle of a stream: behind three that say what follows, before the storages. A pickle alone has none.
    pub(super) fn stream(mut file: Box<dyn Source>) -> Result<(Container, Pickle, u64), String> {
        let mut reader = BufReader::new(&mut file);
        // A long integer that says that PyTorch wrote it.
        const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
        let begins = reader.fill_buf().map_err(|e| e.to_string())?.starts_with(MAGIC);
        if begins {
            for _ in 0..2 {
                Pickle::read(&mut reader, 4096)?;
            }
            let system = Pickle::read(&mut reader, 4096)?;
            let little = system.value(system.root, "little_endian");
            if little.is_some_and(|id| *system.get(id) == Node::Bool(false)) {
                return Err("its numbers are big-endian; save it anew on another machine".into());
            }
        }
        let pickle = Pickle::read(&mut reader, MAX_PICKLE)?;
        let at = reader.stream_position().map_err(|e| e.to_string())?;
        drop(reader);
        Ok((Container::Stream { file, places: HashMap::new() }, pickle, at))
    }

    /// Finds the storages of a stream, which begin at `at` behind the list of their keys.
    pub(super) fn find(&mut self, storages: &[Storage], at: u64) -> Result<(), String> {
        let Container::Stream { file, places } = self else { return Ok(()) };
        if storages.is_empty() {
            return Ok(());
        }
        let told = |e: std::io::Error| e.to_string();
        file.seek(SeekFrom::Start(at)).map_err(told)?;
        let mut reader = BufReader::new(&mut *file);
        let keys = Pickle::read(&mut reader, MAX_PICKLE)?;
        let mut place = reader.stream_position().map_err(told)?;
        drop(reader);
        let end = file.seek(SeekFrom::End(0)).map_err(told)?;
        for id in keys.items(keys.root).unwrap_or_default() {
            let key = keys.text(*id).unwrap_or_default();
            let Some(storage) = storages.iter().find(|storage| storage.key == key) else {
                return Err(format!("nothing says what storage `{key}` is"));
            };
            let mut length = [0; 8];
            file.seek(SeekFrom::Start(place)).map_err(told)?;
            let cut = || format!("it ends before storage `{key}`: it was cut; fetch it again");
            file.read_exact(&mut length).map_err(|_| cut())?;
            let length = u64::from_le_bytes(length);
            if length != storage.length as u64 {
                return Err(format!(
                    "storage `{key}` has {length} numbers, expected {}",
                    storage.length
                ));
            }
            if places.insert(key.into(), place + 8).is_some() {
                return Err(format!("storage `{key}` is there twice"));
            }
            let next = length.checked_mul(storage.kind.size() as u64);
            place = next.and_then(|bytes| (place + 8).checked_add(bytes)).unwrap_or(u64::MAX);
            if place > end {
                return Err(format!("it ends in storage `{key}`: it was cut; fetch it again"));
            }
        }
        Ok(())
    }

    /// `length` bytes of a storage, from `start`.
    pub(super) fn bytes(&mut self, key: &str, start: u64, length: u64) -> Result<Vec<u8>, String> {
        let told = |e: std::io::Error| e.to_string();
        let mut bytes = Vec::new();
        match self {
            Container::Archive { archive, folder } => {
                let name = format!("{folder}data/{key}");
                let mut entry = archive.by_name(&name).map_err(|e| format!("`{name}`: {e}"))?;
                std::io::copy(&mut (&mut entry).take(start), &mut std::io::sink()).map_err(told)?;
                entry.take(length).read_to_end(&mut bytes).map_err(told)?;
            }
            Container::Stream { file, places } => {
                let place = places.get(key).ok_or_else(|| format!("storage `{key}` is missing"))?;
                file.seek(SeekFrom::Start(place.saturating_add(start))).map_err(told)?;
                file.take(length).read_to_end(&mut bytes).map_err(told)?;
            }
        }
        if bytes.len() as u64 == length {
            Ok(bytes)
        } else {
            Err(format!("storage `{key}` ends early: the file was cut; fetch it again"))
        }
    }
}
