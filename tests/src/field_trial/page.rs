//! `docs/statistics/field-trial.md`, from a report.

use std::fmt::Write as _;

use outcome_core::present::whole;

use super::kind::Kind;
use super::report::{Ending, Played, Report, Row, Stated};

/// The page. The same report gives the same page.
#[must_use]
pub fn page(report: &Report) -> String {
    let Some(stated) = report.stated else { return String::new() };
    let mut out = intro(report);
    out.push_str(&in_short(report, stated));
    out.push_str(&programs(report));
    if !report.engine.is_empty() {
        out.push_str(&engine(report));
    }
    out.push_str(LIMITS);
    out
}

fn intro(report: &Report) -> String {
    let Report { n_aa, n_ab, n_engine, seed, days, daily_units, mde, seconds, .. } = report;
    format!(
        "# Field trial: experiments from `init` to their end\n\n\
         {n_aa} experiments without an effect and {n_ab} with one, or with data that must be noticed, played through the built \
         programs: an empty folder, a SQLite database that is filled day by day, a clock that is set, a proposal, a build, signed \
         gates, a daily `poll`, and a human who does what each gate recommends. What happened is read from outside: `status` and \
         the file of flags. {engine} more ran through the engine of `simulate`, with the plan of one of them. This page is written \
         by\n\n\
         ```sh\ncargo xtask field-trial --aa {n_aa} --ab {n_ab} --engine {n_engine} --days {days} --seed {seed} --write\n```\n\n\
         which took {seconds} seconds with a debug build on two shared cores. It ends with 1 when a false pause or a false `ship` is more frequent than stated, two \
         Monte Carlo standard errors allowed; when a flag is on after a pause; or when a log does not verify. Without `--seed` the \
         commit chooses other data.\n\n\
         Every plan: {base:.0} % of the control's units buy, the MDE is {points:.0} points, an even split, {daily_units:.0} units \
         a day, {days} days, a week at least, one daily look, one constraint that is not harmed, no further experiments planned \
         for the outcome.\n\n",
        engine = whole(report.engine.iter().map(|row| row.runs).sum::<u32>().into()),
        base = super::BASE_RATE * 100.0,
        points = mde * 100.0,
    )
}

fn in_short(report: &Report, stated: Stated) -> String {
    let (pauses, ships) = (report.false_pauses(), report.false_ships());
    let mut out = format!(
        "## In short\n\n\
         | | stated at the launch gate | through the programs | through the engine |\n|---|---|---|---|\n\
         | paused without a reason | at most {} (harm {}, constraint {}, data {}) | {} of {} | {} |\n\
         | shipped without a gain | at most {} | {} of {} | {} |\n\n",
        percent(stated.pauses()),
        percent(stated.harm),
        percent(stated.guardrail),
        percent(stated.data),
        pauses.n,
        pauses.of,
        quiet(report).map_or_else(|| "-".to_owned(), |row| percent(row.paused())),
        percent(stated.ship),
        ships.n,
        ships.of,
        quiet(report).map_or_else(|| "-".to_owned(), |row| percent(row.ship)),
    );
    let (found, all) = (shipped(report, Kind::Gain), report.of(Kind::Gain).count());
    let _ = writeln!(out, "- A gain of one MDE was recommended to ship in {found} of {all}{}.", engine_power(report));
    for (kind, effect) in [(Kind::LargeHarm, -5.0), (Kind::Harm, -2.0), (Kind::SlightHarm, -1.0)] {
        let days: Vec<String> = sorted_off(report, kind).into_iter().map(|day| day.to_string()).collect();
        let _ = writeln!(
            out,
            "- A treatment that is worse by {:.0} MDE was off on day {}{}.",
            -effect,
            days.join(", "),
            engine_off(report, effect)
        );
    }
    let _ = writeln!(
        out,
        "- A treatment that loses 15 % of its units before they are counted was paused on day {}: the arms' units do not match.{}",
        list(report, Kind::Crash),
        find(report, "loses", 0.0).map_or_else(String::new, |row| {
            format!(" Of those that lose 5 %, the engine's pause {} within the plan.", percent(row.data))
        })
    );
    let _ = writeln!(
        out,
        "- A source that could not be read paused at the third failed poll in a row ({} of {}); two failed polls, and deletions in \
         both arms alike, paused {} of {}.\n",
        report.of(Kind::LongOutage).filter(|played| played.ending == Ending::Source).count(),
        report.of(Kind::LongOutage).count(),
        [Kind::ShortOutage, Kind::Deletions].iter().map(|kind| n_paused(report, *kind)).sum::<usize>(),
        [Kind::ShortOutage, Kind::Deletions].iter().map(|kind| report.of(*kind).count()).sum::<usize>(),
    );
    out.push_str(&by_engine(report));
    out
}

/// What only many runs can show.
fn by_engine(report: &Report) -> String {
    let mut out = String::new();
    if let Some(row) = find(report, "", -1.0) {
        let _ = writeln!(
            out,
            "A treatment that is worse by one MDE ends as harmful in {} and as futile in {} of the engine's runs. Both take its flag \
             off; futile claims less.\n",
            percent(row.harm),
            percent(row.futile)
        );
    }
    if let (Some(late), Some(at_once)) = (find(report, "values", 1.0), find(report, "", 1.0)) {
        let _ = writeln!(
            out,
            "**Values that come late cost power.** A unit counts as soon as it is exposed. With values that come within a week, the \
             effect looks smaller while many units are young: a gain of one MDE is shipped in {} instead of {}, and called futile \
             in {} instead of {}. Plan longer, or count units whose time is over.\n",
            percent(late.ship),
            percent(at_once.ship),
            percent(late.futile),
            percent(at_once.futile)
        );
    }
    out
}

fn programs(report: &Report) -> String {
    let mut out = "## Through the programs\n\n\
                   | true effect and data | n | ship | harm | constraint | mismatch | source | futile | no answer | day of the end \
                   (median, latest) |\n|---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for kind in Kind::ALL {
        let all: Vec<&Played> = report.of(kind).collect();
        if all.is_empty() {
            continue;
        }
        let n = |ending: Ending| all.iter().filter(|played| played.ending == ending).count();
        let mut days: Vec<u32> = all.iter().map(|played| played.day).collect();
        days.sort_unstable();
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {}, {} |",
            kind.says(),
            all.len(),
            n(Ending::Ship),
            n(Ending::Harm),
            n(Ending::Guardrail),
            n(Ending::Mismatch),
            n(Ending::Source),
            n(Ending::Futile),
            n(Ending::Inconclusive),
            days.get(days.len() / 2).copied().unwrap_or_default(),
            days.last().copied().unwrap_or_default()
        );
    }
    out + "\n"
}

fn engine(report: &Report) -> String {
    let mut out = "## Through the engine\n\n\
                   What goes wrong does so in every run of its rows. \"Off\" is the day by which the flag was off in half and in \
                   nine tenths of the runs, for whatever reason.\n\n\
                   | what goes wrong | effect in MDE | runs | ship | harm | constraint | data | futile | no answer | days | off \
                   |\n|---|---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for row in &report.engine {
        let off = |days: Option<f64>| days.map_or_else(|| "-".to_owned(), |days| format!("{days:.0}"));
        let _ = writeln!(
            out,
            "| {} | {:+.0} | {} | {} | {} | {} | {} | {} | {} | {:.1} | {}, {} |",
            if row.mishap.is_empty() { "nothing" } else { &row.mishap },
            row.effect,
            row.runs,
            percent(row.ship),
            percent(row.harm),
            percent(row.guardrail),
            percent(row.data),
            percent(row.futile),
            percent(row.inconclusive),
            row.days,
            off(row.median_days_off),
            off(row.p90_days_off)
        );
    }
    out + "\n"
}

const LIMITS: &str = "## How to read it, and what it does not say\n\n\
- False pauses and false ships are rarer than stated, since the stated shares hold however long and often one looks, and a plan ends.\n\
- Forty experiments can show that the programs do what the engine does. They cannot show a rate of some per cent: that is what the \
engine's rows are for.\n\
- Units are independent, come evenly over the days, and have their value at once unless a row says otherwise. Weekdays, novelty and \
units that come back are not in it.\n\
- A pause ends an experiment here; what a human finds out after it is not played.\n\
- Programs are polled once a day, so the third failure of a source is two days after the first. The daemon tries again within \
minutes, as the engine's rows do.\n\
- Rates only: amounts and ratios are in [the simulation](simulation.md) and in `simulate`.\n";

/// The engine's row of this effect whose mishap has this word; the empty one for no mishap.
fn find<'a>(report: &'a Report, word: &str, effect: f64) -> Option<&'a Row> {
    let is = |row: &&Row| row.mishap.is_empty() == word.is_empty() && row.mishap.contains(word) && row.effect == effect;
    report.engine.iter().find(is)
}

fn quiet(report: &Report) -> Option<&Row> {
    find(report, "", 0.0)
}

fn engine_power(report: &Report) -> String {
    find(report, "", 1.0)
        .map_or_else(String::new, |row| format!(", and in {} of {} by the engine", percent(row.ship), row.runs))
}

fn engine_off(report: &Report, effect: f64) -> String {
    let Some(row) = find(report, "", effect) else { return String::new() };
    let (Some(median), Some(p90)) = (row.median_days_off, row.p90_days_off) else { return String::new() };
    format!("; by the engine half were off by day {median:.0} and nine in ten by day {p90:.0}")
}

fn shipped(report: &Report, kind: Kind) -> usize {
    report.of(kind).filter(|played| played.ending == Ending::Ship).count()
}

fn n_paused(report: &Report, kind: Kind) -> usize {
    report.of(kind).filter(|played| played.ending.is_pause()).count()
}

fn sorted_off(report: &Report, kind: Kind) -> Vec<u32> {
    let mut days: Vec<u32> = report.of(kind).filter_map(|played| played.off).collect();
    days.sort_unstable();
    days
}

fn list(report: &Report, kind: Kind) -> String {
    sorted_off(report, kind).into_iter().map(|day| day.to_string()).collect::<Vec<_>>().join(", ")
}

/// With as many figures as a thousand runs support.
fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
