//! Signal sources and flag services through their public doors, against real databases.

mod contract;
mod mysql;
mod postgres;
mod sqlite;
