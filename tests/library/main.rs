//! Properties of the library that need several of its modules.

mod secret_types;
mod tiles;
