//! docs/cli.md agrees with the program.

use std::collections::BTreeMap;

use outcome_core::Code;

use crate::home::Home;

const PAGE: &str = include_str!("../../../../docs/cli.md");

#[test]
fn the_documented_exit_codes_are_the_ones_of_the_table() {
    let mut expected: BTreeMap<u8, Vec<&str>> = BTreeMap::new();
    for code in Code::ALL {
        expected.entry(code.exit_code()).or_default().push(code.as_str());
    }
    let mut documented: BTreeMap<u8, Vec<&str>> = BTreeMap::new();
    for row in PAGE.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let Some(Ok(exit)) = cells.first().map(|cell| cell.parse::<u8>()) else { continue };
        let codes =
            cells.last().unwrap().split(", ").map(|code| code.trim_matches('`')).filter(|code| !code.is_empty());
        documented.entry(exit).or_default().extend(codes);
    }
    assert_eq!(documented.remove(&0), Some(vec![]), "0 is done, without a code");
    assert_eq!(documented, expected);
}

#[test]
fn every_command_is_documented() {
    let home = Home::new();
    let help = home.run(&["--help"]).exits(0).stdout;
    let commands = help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
    for line in commands.take_while(|line| !line.trim().is_empty()).filter(|line| !line.starts_with("   ")) {
        let name = line.split_whitespace().next().unwrap();
        assert!(name == "help" || PAGE.contains(&format!("`{name}")), "docs/cli.md does not know `{name}`");
    }
}
