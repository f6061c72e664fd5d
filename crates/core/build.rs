//! Embeds the migrations: the files of `migrations/{sqlite,postgres}` become the tables `SQLITE` and `POSTGRES` of
//! `OUT_DIR/migrations.rs`, which `store::migrate` includes.
//!
//! A file is called `NUMBER_its_name.sql`. Its checksum, SHA-384 of its text, is stored in every database that it was run
//! on: a file that was released never changes.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha384};

fn main() -> Result<(), Box<dyn Error>> {
    let migrations = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("../../migrations");
    let mut code = String::new();
    for engine in ["sqlite", "postgres"] {
        let folder = migrations.join(engine);
        println!("cargo:rerun-if-changed={}", folder.display());
        write_table(&mut code, engine, &folder)?;
    }
    std::fs::write(PathBuf::from(std::env::var("OUT_DIR")?).join("migrations.rs"), code)?;
    Ok(())
}

fn write_table(code: &mut String, engine: &str, folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        files.push(entry?.path());
    }
    // Numbers have leading zeros.
    files.sort();
    writeln!(code, "const {}: &[Migration] = &[", engine.to_uppercase())?;
    for file in files {
        let wrong = || format!("{}: a migration is called NUMBER_its_name.sql", file.display());
        let name = file.file_name().and_then(|name| name.to_str()).ok_or_else(wrong)?;
        let (number, name) = name.strip_suffix(".sql").and_then(|name| name.split_once('_')).ok_or_else(wrong)?;
        let version: i64 = number.parse().map_err(|_| wrong())?;
        let sql = std::fs::read_to_string(&file)?;
        let checksum = Sha384::digest(&sql).to_vec();
        let name = name.replace('_', " ");
        writeln!(code, "Migration {{ version: {version}, name: {name:?}, sql: {sql:?}, checksum: &{checksum:?} }},")?;
    }
    writeln!(code, "];")?;
    Ok(())
}
