//! Which rights the user has that no reading needs. <https://clickhouse.com/docs/sql-reference/statements/grant#privileges>

use outcome_core::ports::Risk;

use super::super::rights::{refused, warned};

/// Rights to read from outside of the server: files of it, addresses, other databases.
const SOURCES: [&str; 21] = [
    "SOURCES",
    "FILE",
    "URL",
    "REMOTE",
    "S3",
    "S3QUEUE",
    "HDFS",
    "MYSQL",
    "POSTGRES",
    "POSTGRESQL",
    "MONGO",
    "REDIS",
    "ODBC",
    "JDBC",
    "SQLITE",
    "AZURE",
    "KAFKA",
    "NATS",
    "RABBITMQ",
    "HIVE",
    "READ",
];
/// Rights to change something.
const WRITES: [&str; 13] = [
    "INSERT",
    "ALTER",
    "CREATE",
    "DROP",
    "TRUNCATE",
    "OPTIMIZE",
    "BACKUP",
    "SYSTEM",
    "ACCESS MANAGEMENT",
    "KILL QUERY",
    "MOVE PARTITION",
    "UNDROP TABLE",
    "ROLE ADMIN",
];

/// `is_held_back`: each query runs in the mode `readonly = 1`, in which no function reaches out, whatever the rights.
///
/// The rows of `SHOW GRANTS`: `GRANT SELECT, INSERT ON shop.* TO reader WITH GRANT OPTION`, a line a scope; without ON of roles.
pub(super) fn risks(lines: &[String], is_held_back: bool) -> Vec<Risk> {
    let reaching = if is_held_back { warned } else { refused };
    let mut found = Vec::new();
    for line in lines {
        let Some(granted) = line.strip_prefix("GRANT ") else { continue };
        let Some((privileges, scope)) = granted.rsplit_once(" ON ") else {
            found.push(warned("it has rights through roles, which are not looked at here".to_owned()));
            continue;
        };
        let scope = scope.split(" TO ").next().unwrap_or_default();
        let names: Vec<String> = without_columns(privileges);
        let has = |all: &[&str]| {
            names
                .iter()
                .find(|name| all.iter().any(|one| name.split_whitespace().next() == Some(*one) || name == one))
                .cloned()
        };
        if names.iter().any(|name| name == "ALL") && scope == "*.*" {
            let what = "it has ALL on `*.*`, also to read files of the server and to reach other hosts";
            found.push(reaching(what.to_owned()));
        } else if let Some(name) = has(&SOURCES) {
            found.push(reaching(format!("it has {name}: to read files of the server or to reach other hosts")));
        } else if let Some(name) = has(&WRITES).or_else(|| names.iter().find(|name| *name == "ALL").cloned()) {
            found.push(warned(format!("it has {name} on {scope}")));
        } else if line.ends_with("WITH GRANT OPTION") {
            found.push(warned(format!("it may grant its rights on {scope} to others")));
        }
    }
    found.sort_by_key(|risk| !risk.is_refused());
    found
}

/// The privileges of a list such as `SELECT(a, b), INSERT`.
fn without_columns(privileges: &str) -> Vec<String> {
    let mut depth = 0_i32;
    let kept: String = privileges
        .chars()
        .filter(|c| {
            depth += i32::from(*c == '(');
            let is_kept = depth == 0;
            depth -= i32::from(*c == ')');
            is_kept
        })
        .collect();
    kept.split(',').map(|name| name.trim().to_ascii_uppercase()).collect()
}

#[cfg(test)]
mod tests {
    use outcome_core::ports::Danger;

    use super::*;

    #[test]
    fn what_is_granted_is_sorted_by_its_danger() {
        let of = |lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
            risks(&lines, false).into_iter().map(|risk| risk.danger).collect::<Vec<_>>()
        };
        assert_eq!(
            of(&["GRANT SELECT ON shop.* TO reader", "GRANT SELECT(a, insert_at), SHOW TABLES ON shop.o TO reader"]),
            []
        );
        assert_eq!(of(&["GRANT ALL ON *.* TO default WITH GRANT OPTION"]), [Danger::Refused]);
        assert_eq!(
            of(&["GRANT SELECT, INSERT ON a.* TO r", "GRANT FILE, URL ON *.* TO r"]),
            [Danger::Refused, Danger::Warned]
        );
        for line in [
            "GRANT ALTER TABLE ON a.* TO r",
            "GRANT writer TO r",
            "GRANT SELECT ON a.* TO r WITH GRANT OPTION",
            "GRANT ALL ON a.* TO r",
        ] {
            assert_eq!(of(&[line]), [Danger::Warned], "{line}");
        }
        assert_eq!(of(&["GRANT READ ON FILE TO r"]), [Danger::Refused]);
        let held_back = risks(&["GRANT ALL ON *.* TO default".to_owned()], true);
        assert_eq!(held_back.first().unwrap().danger, Danger::Warned);
    }
}
