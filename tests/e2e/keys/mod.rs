//! What is sealed, to whom, and what asks for a passphrase.

mod sealed;
mod secrets;
mod terminal;
