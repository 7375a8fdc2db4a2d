//! What the pages, the help and the interfaces say, held against the program.

#[path = "../common/mod.rs"]
mod common;

mod commands;
mod deploy;
mod help;
mod interfaces;
mod json;
mod links;
mod messages;
mod pages;
mod schemas;
mod tables;
mod tested;
