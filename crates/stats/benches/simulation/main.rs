//! The simulation suite: error rates and power of the engine beside what other tools do.
//!
//! `cargo bench -p outcome-stats --bench simulation -- [--replications 20000] [--seed 1] [--only t1,t3] [--write]`
//!
//! Reproduces the figures of STATS.md (section 4, and those quoted in section 2) on simulated data. Ours always calls
//! `outcome_stats`; rivals are in [`methods`]. `--write` writes `docs/statistics/simulation.md` and its pictures.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "numbers of tests are small and not negative"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal over arrays of fixed shape; it may fail loudly"
)]

mod arguments;
mod boundaries;
mod engine;
mod methods;
mod mistakes;
mod page;
mod report;
mod rng;
mod runner;
mod svg;
mod t01;
mod t02;
mod t03;
mod t04;
mod t05;
mod t06;
mod t07;
mod t08;
mod t09;
mod t10;
mod t11;
mod t12;
mod t13;
mod t14;
mod tally;

use std::time::Instant;

use arguments::Arguments;
use report::Section;
use runner::Runner;

type Scenario = fn(&Runner) -> Section;

/// Every scenario with its name on the command line.
const SCENARIOS: [(&str, Scenario); 14] = [
    ("t1", t01::run),
    ("t2", t02::run),
    ("t3", t03::run),
    ("t4", t04::run),
    ("t5", t05::run),
    ("t6", t06::run),
    ("t7", t07::run),
    ("t8", t08::run),
    ("t9", t09::run),
    ("t10", t10::run),
    ("t11", t11::run),
    ("t12", t12::run),
    ("t13", t13::run),
    ("t14", t14::run),
];

fn main() {
    let arguments = match Arguments::parse(std::env::args().skip(1), &SCENARIOS.map(|(name, _)| name)) {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("{message}");
            std::process::exit(2);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let runner = Runner { replications: arguments.replications, seed: arguments.seed, threads };
    let began = Instant::now();
    let sections: Vec<Section> = SCENARIOS
        .iter()
        .filter(|(name, _)| arguments.wants(name))
        .map(|(name, run)| {
            let began = Instant::now();
            let section = run(&runner);
            println!("{}", section.markdown());
            eprintln!("{name}: {:.1?}", began.elapsed());
            section
        })
        .collect();
    println!("{}", report::summary(&sections));
    eprintln!("all: {:.1?} on {threads} threads", began.elapsed());
    if arguments.write {
        page::write(&sections, &arguments).expect("docs/statistics can be written");
    }
}
