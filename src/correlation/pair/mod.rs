//! Material that the two servers make between themselves, without a dealer.

pub mod linear;
