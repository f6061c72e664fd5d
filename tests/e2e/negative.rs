//! Every door that an agent has, tried with the built programs: none of them decides a gate, and each try is refused or found,
//! and recorded. Then bad input: a stable code, and nothing lost.

mod command_line;
mod daemon;
mod database;
mod inputs;
mod mcp;
mod place;
mod rows;
