//! Numbers and their forms: rings, fixed point, packed bits, blocks, slope tables, digits of an exact comparison,
//! tanh and its stand-ins.
//!
//! May use: [`crate::ids`]. Pure: no files, sockets, clock or randomness of the operating system.
//!
//! Security: arithmetic on values of any kind, shares and secrets too. Nothing branches on, or addresses
//! memory by, a ring element; tables and plaintext functions are public.
//!
//! Stability: none but of the names that `ppdenoise::api` has.

pub mod bits;
pub mod block;
pub mod fixed;
pub mod packing;
pub mod relu;
pub mod ring;
pub mod slope_table;
pub mod tanh;
