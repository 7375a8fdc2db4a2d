//! Values that must not be printed, copied by accident, or left in memory.

use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A secret that is wiped when dropped, prints as `Secret(..)`, and is neither `Clone` nor
/// `Display`; [`Secret::expose`] is the one way to read it, so that uses can be found by name.
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes ownership of a secret value.
    pub fn new(value: T) -> Self {
        Secret(value)
    }

    /// The value itself; the caller must not log it or put it into an error.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> ZeroizeOnDrop for Secret<T> {}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_is_opaque() {
        let s = Secret::new([7u8; 32]);
        assert_eq!(format!("{s:?}"), "Secret(..)");
        assert_eq!(s.expose(), &[7u8; 32]);
    }
}
