//! Places that cannot be written or read: the message names what is wrong, and what it advises helps.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;

use crate::home::{Home, Ran};

/// An account without rights of its own, where the tests run as root.
const NOBODY: u32 = 65534;

fn is_root(home: &Home) -> bool {
    home.path("").metadata().unwrap().uid() == 0
}

fn allow(home: &Home, path: &str, mode: u32) {
    std::fs::set_permissions(home.path(path), std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Gives everything to the account in which the program runs below.
fn hand_over(path: &Path) {
    chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            hand_over(&entry.unwrap().path());
        }
    }
}

/// Runs the program in an account for which rights count.
fn run(home: &Home, args: &[&str]) -> Ran {
    let mut command = home.command(args);
    if is_root(home) || home.path("").metadata().unwrap().uid() == NOBODY {
        command.uid(NOBODY).gid(NOBODY);
    }
    Ran::new(command.output().unwrap())
}

/// A workspace whose source is a database in WAL mode, in the folder `data`, without anything beside it.
fn shop_in_wal_mode() -> Home {
    let home = Home::active();
    std::fs::create_dir(home.path("data")).unwrap();
    std::fs::rename(home.path("app.db"), home.path("data/app.db")).unwrap();
    sql(&home, "PRAGMA journal_mode=WAL");
    let text = std::fs::read_to_string(home.path("outcome.yaml")).unwrap();
    home.write("outcome.yaml", &text.replace("sqlite:app.db", "sqlite:data/app.db"));
    home.sign(&["apply"]).exits(0);
    for gate in home.run(&["gate", "list", "--json"]).exits(0).json().as_array().unwrap() {
        home.sign(&["gate", "decide", gate["gate"].as_str().unwrap(), "--verdict", "approve"]).exits(0);
    }
    for end in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(home.path(&format!("data/app.db{end}")));
    }
    if is_root(&home) {
        hand_over(&home.path(""));
    }
    home
}

fn sql(home: &Home, statement: &'static str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        use sqlx::Connection as _;
        let mut db =
            sqlx::SqliteConnection::connect(&format!("sqlite:{}", home.path("data/app.db").display())).await.unwrap();
        sqlx::raw_sql(statement).execute(&mut db).await.unwrap();
        db.close().await.unwrap();
    });
}

#[track_caller]
fn says(home: &Home, parts: &[&str]) {
    let ran = run(home, &["connectors", "test", "app"]);
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert_ne!(ran.code, 0, "{said}");
    for part in parts {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_source_that_cannot_be_read_says_why_and_what_helps() {
    let home = shop_in_wal_mode();
    let reads = |what: &str| assert_eq!(run(&home, &["connectors", "test", "app"]).code, 0, "{what}");

    allow(&home, "data", 0o555);
    says(&home, &["is in WAL mode without its -shm file", "its folder is read-only", "PRAGMA journal_mode=DELETE"]);
    allow(&home, "data", 0o755);
    sql(&home, "PRAGMA journal_mode=DELETE");
    allow(&home, "data", 0o555);
    reads("what the message advises");

    allow(&home, "data", 0o755);
    sql(&home, "PRAGMA journal_mode=WAL");
    home.write("data/app.db-wal", "what a program left behind");
    if is_root(&home) || home.path("").metadata().unwrap().uid() == NOBODY {
        hand_over(&home.path("data"));
    }
    let _ = std::fs::remove_file(home.path("data/app.db-shm"));
    allow(&home, "data", 0o555);
    says(&home, &["has a write-ahead log (-wal) without its -shm file", "is not in the database yet", "copy "]);
    allow(&home, "data", 0o755);
    reads("a folder that can be written");

    allow(&home, "data/app.db", 0o000);
    says(&home, &["this account may not read ", "data/app.db", "the right to read"]);
    allow(&home, "data/app.db", 0o644);
    allow(&home, "data", 0o000);
    says(&home, &["this account may not read ", "/data"]);
    allow(&home, "data", 0o755);
    reads("everything is allowed again");

    std::fs::rename(home.path("data"), home.path("elsewhere")).unwrap();
    says(&home, &["the folder ", "/data is not there", "begins at the workspace's root"]);
    std::fs::create_dir(home.path("data")).unwrap();
    allow(&home, "data", 0o755);
    says(&home, &["the file ", "/data/app.db is not there"]);
    std::fs::create_dir(home.path("data/app.db")).unwrap();
    says(&home, &["/data/app.db is not a file"]);
}

#[test]
fn a_store_that_cannot_be_written_says_why() {
    let home = Home::active();
    if is_root(&home) {
        hand_over(&home.path(""));
    }
    let database = home.database();
    let database = database.strip_prefix(home.path("")).unwrap();
    for (path, mode, code, part) in [
        (database.parent().unwrap(), 0o555, "database_read_only", "may not write to "),
        (database, 0o000, "database_unavailable", "may not read "),
    ] {
        let path = path.to_str().unwrap();
        let before = home.path(path).metadata().unwrap().permissions().mode();
        // A program that ends need not have brought everything into the file itself.
        bring_in(&home.path(database.to_str().unwrap()));
        for end in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(home.path(&format!("{}{end}", database.display())));
        }
        allow(&home, path, mode);
        let ran = run(&home, &["poll", "--all", "--json"]).exits(8);
        let error = ran.json()["error"].clone();
        assert_eq!(error["code"], code, "{error}");
        let (message, hint) = (error["message"].as_str().unwrap(), error["hint"].as_str().unwrap());
        assert!(message.contains(part) && message.contains(path) && hint.contains("the right to"), "{error}");
        allow(&home, path, before & 0o7777);
        run(&home, &["status"]).exits(0);
    }
}

/// Writes what is beside a database into it.
fn bring_in(database: &std::path::Path) {
    use sqlx::{Connection as _, Executor as _};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut db = sqlx::SqliteConnection::connect(&format!("sqlite:{}", database.display())).await.unwrap();
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").await.unwrap();
        db.close().await.unwrap();
    });
}
