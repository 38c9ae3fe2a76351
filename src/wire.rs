//! Bytes to values: one file per protocol layer, pure, without input or output, never panicking, keeping what it
//! does not know.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

pub mod cursor;
pub mod text;
pub mod tpkt;
pub mod proxy;
pub mod negotiation;
pub mod tls;
pub mod community_id;
pub mod keylog;
pub mod certificate;
pub mod ntlm;
mod der;
pub mod kerberos;
pub mod spnego;
pub mod credssp;
pub mod rdstls;
pub mod rdsaad;
pub mod gcc;
pub mod client_info;
pub mod licensing;
pub mod redirection;
pub mod capability;
pub mod session_info;
pub mod autodetect;
pub mod share;
pub mod mcs;
pub mod dns;
pub mod rdpudp;
pub mod multitransport;
pub mod encryption;
pub mod http;
pub mod websocket;
pub mod gateway;
pub mod gateway_sizes;

pub use cursor::WireError;
