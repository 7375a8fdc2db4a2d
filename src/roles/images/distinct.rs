//! Images whose results would have one name.

use super::error::PictureError;
use super::read::read_origin;
use std::collections::HashMap;
use std::path::Path;

/// Refuses two files that would restore to one name. Two of DICOM are told apart by what they are: files of two studies
/// often have the same names.
///
/// # Errors
/// [`PictureError::OneName`].
pub fn ensure_distinct<'a>(
    names: impl IntoIterator<Item = (String, &'a Path)>,
) -> Result<(), PictureError> {
    let mut seen: HashMap<String, &Path> = HashMap::new();
    for (name, path) in names {
        if let Some(other) = seen.insert(name.clone(), path) {
            let (first_is, second_is) = (object(other), object(path));
            let (first, second) = (other.into(), path.into());
            return Err(PictureError::OneName { first, first_is, second, second_is, name });
        }
    }
    Ok(())
}

/// Which object a file of DICOM is, in brackets.
fn object(path: &Path) -> Box<str> {
    read_origin(path).map_or_else(|_| "".into(), |origin| format!(" ({origin})").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_files_of_one_name_are_refused() {
        let two = [("a".to_string(), Path::new("x/a")), ("a".to_string(), Path::new("y/a"))];
        let text = ensure_distinct(two).unwrap_err().to_string();
        assert_eq!(text, "'x/a' and 'y/a' would both become 'a'");
        let other = [("a".to_string(), Path::new("x/a")), ("b".to_string(), Path::new("y/a"))];
        assert!(ensure_distinct(other).is_ok());
    }
}
