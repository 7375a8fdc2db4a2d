//! Properties of the library that need several of its modules.

mod images;
mod roles;
mod secret_types;
mod tiles;
