//! Signal sources and flag services through their public doors, against real databases.

mod contract;
mod custom_http;
mod flagd_file;
mod mysql;
mod postgres;
mod registry;
mod sqlite;
