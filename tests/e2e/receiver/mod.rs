//! What comes out.

mod outputs;
mod plausible;
