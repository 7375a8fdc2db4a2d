//! Properties of the library that need several of its modules.

#[path = "../common/graphs.rs"]
mod graphs;
mod images;
mod memory;
mod roles;
mod secret_types;
mod sizes;
mod tiles;
