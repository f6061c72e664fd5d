//! What the tests share: a real PostgreSQL, a laboratory workspace, and the programs that were built.

pub mod lab;
pub mod mcp;
pub mod peers;
pub mod polls;
pub mod postgres;
pub mod programs;
pub mod vectors;
