//! How much memory hostile and large inputs take, by an allocator that counts each thread's.

#[path = "../common/counting.rs"]
mod counting;

mod inputs;
mod scans;
