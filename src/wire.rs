//! Bytes to values: one file per protocol layer, pure, without input or output, never panicking, keeping what it
//! does not know.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

pub mod cursor;
pub mod tpkt;
pub mod proxy;
pub mod negotiation;
pub mod tls;
pub mod keylog;
pub mod certificate;
pub mod credssp;
pub mod licensing;
pub mod mcs;
pub mod rdpudp;
pub mod multitransport;

pub use cursor::WireError;
