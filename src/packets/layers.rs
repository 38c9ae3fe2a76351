//! What lies around RDP on a connection and is taken off: each layer takes a flow and returns a flow, whose bytes keep
//! their places.

pub(super) mod proxy;
