//! What comes out.

mod outputs;
