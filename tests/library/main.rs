//! Properties of the library that need several of its modules.

mod roles;
mod secret_types;
mod tiles;
