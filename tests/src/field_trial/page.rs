//! `docs/statistics/field-trial.md`, from a report.

use std::fmt::Write as _;

use outcome_core::present::whole;

use super::kind::{DELETED_USUALLY, Kind, SEES_OTHERWISE, STEPS};
use super::measured::{LAG_HOURS, Measured, WINDOW_HOURS};
use super::report::{Count, Ending, Group, LATE, Played, Report, Row, Stated, Units};

/// The page. The same report gives the same page.
#[must_use]
pub fn page(report: &Report) -> String {
    let mut out = intro(report);
    out.push_str(&plans(report));
    if let Some(stated) = report.stated_to(Group::Contract).or_else(|| report.stated_to(Group::Query)) {
        out.push_str(&in_short(report, stated));
    }
    out.push_str(&programs(report));
    if !report.engine.is_empty() {
        out.push_str(&engine(report));
    }
    out.push_str(LIMITS);
    out
}

fn intro(report: &Report) -> String {
    let Report { n_aa, n_ab, n_engine, seed, days, seconds, .. } = report;
    let of = |group: Group| report.of_group(group).count();
    format!(
        "# Field trial: experiments from `init` to their end\n\n\
         {n_aa} experiments without an effect and {n_ab} with one, or with data that must be noticed, played through the built \
         programs: an empty folder, a SQLite database that is filled day by day, a clock that is set, a proposal, a build, signed \
         gates, a daily `poll`, and a human who does what each gate recommends. {by_hand} are measured by queries that somebody wrote, \
         {by_metric} by [metrics](../outcome-yaml.md#facts-and-metrics) whose SQL the runtime writes. What happened is read from \
         outside: `status`, `experiment show` and the file of flags. {engine} more ran through the engine of `simulate`, with the plan \
         of one that has a query. This page is written by\n\n\
         ```sh\ncargo xtask field-trial --aa {n_aa} --ab {n_ab} --engine {n_engine} --days {days} --seed {seed} --write\n```\n\n\
         which took {seconds} seconds with a debug build on two shared cores. It ends with 1 when a false pause or a false `ship` is \
         more frequent than stated, two Monte Carlo standard errors allowed; when a flag is on after a pause; when a log does not \
         verify; or when a number of a metric is not what the people did. Without `--seed` the commit chooses other data.\n\n",
        by_hand = of(Group::Query),
        by_metric = of(Group::Contract),
        engine = whole(report.engine.iter().map(|row| row.runs).sum::<u32>().into()),
    )
}

/// What is planned and what the people do.
fn plans(report: &Report) -> String {
    let Report { days, daily_units, mde, .. } = report;
    let metrics: Vec<String> = Measured::ALL
        .into_iter()
        .filter(|measured| measured.is_contract())
        .map(|measured| format!("{} ({:.0} %)", measured.says(), measured.relative_mde() * 100.0))
        .collect();
    format!(
        "Every plan: {days} days, a week at least, one daily look, one constraint that is not harmed, no further experiments planned for \
         the outcome, and an even split unless it has two rollout steps.\n\n\
         - **By a query**: {base:.0} % of the control's units buy, at once; the MDE is {points:.0} points; {daily_units:.0} units a day.\n\
         - **By a metric**: {metrics}, with the MDE in percent of the control's value. {daily_units:.0} users a day, or {accounts:.0} \
         accounts with three users each on average, who share a habit. Users come back: each visit is a row of the exposures. What \
         counts is what happens within {WINDOW_HOURS} hours; three in five orders are in the first session, one in twenty comes \
         after the window. A fifth of the rows is loaded late, within the `lag` of {LAG_HOURS} hours. {deleted:.2} % of the users are \
         deleted a day, with all their rows. {other:.1} % have a second identity, which the flag service splits anew. Three in ten have \
         ordered before, which the covariate uses.\n\
         - **Two rollout steps**: {first} % of the users, then {second} %. A human gives a success on the first step to more people; \
         the split is by hash, so some who come back change their arm.\n\n",
        metrics = metrics.join(", "),
        base = super::BASE_RATE * 100.0,
        points = mde * 100.0,
        accounts = daily_units * Measured::Accounts.unit_share(),
        deleted = DELETED_USUALLY * 100.0,
        other = SEES_OTHERWISE[0] * 100.0,
        first = STEPS[0],
        second = STEPS[1],
    )
}

fn in_short(report: &Report, stated: Stated) -> String {
    let mut out = "## In short\n\n| | stated at the launch gate | by a query | by a metric | through the engine |\n|---|---|---|---|---|\n".to_owned();
    let line = |what: &str, stated: String, of: &dyn Fn(Group) -> Count, engine: Option<f64>| {
        let [query, contract] = Group::ALL.map(of).map(|count| format!("{} of {}", count.n, count.of));
        format!(
            "| {what} | at most {stated} | {query} | {contract} | {} |\n",
            engine.map_or_else(|| "-".to_owned(), percent)
        )
    };
    let parts = [stated.harm, stated.guardrail, stated.data].map(percent);
    let said = format!("{} (harm {}, constraint {}, data {})", percent(stated.pauses()), parts[0], parts[1], parts[2]);
    let (paused, shipped_by_engine) = (quiet(report).map(Row::paused), quiet(report).map(|row| row.ship));
    out.push_str(&line("paused without a reason", said, &|group| report.false_pauses(group), paused));
    out.push_str(&line(
        "shipped without a gain",
        percent(stated.ship),
        &|group| report.false_ships(group),
        shipped_by_engine,
    ));
    out.push('\n');
    let [by_query, by_metric] = Group::ALL.map(|group| shipped(report, Kind::Gain, group));
    let _ = writeln!(
        out,
        "- A gain of one MDE was recommended to ship in {by_query} by a query and in {by_metric} by a metric{}.",
        engine_power(report)
    );
    for (kind, effect) in [(Kind::LargeHarm, -5.0), (Kind::Harm, -2.0), (Kind::SlightHarm, -1.0)] {
        let by = Group::ALL.map(|group| (group, listed(report.of_group(group).filter(|played| played.kind == kind))));
        let by = by.iter().filter(|(_, days)| days != "-").map(|(group, days)| format!("on day {days} {}", group.by()));
        let _ = writeln!(
            out,
            "- A treatment that is worse by {:.0} MDE was off {}{}.",
            -effect,
            by.collect::<Vec<_>>().join(", "),
            engine_off(report, effect)
        );
    }
    let _ = writeln!(
        out,
        "- A treatment that loses 15 % of its units before they are counted was paused on day {}: the arms' units do not match.{}",
        listed(report.of(Kind::Crash)),
        find(report, "loses", 0.0).map_or_else(String::new, |row| {
            format!(" Of those that lose 5 %, the engine's pause {} within the plan.", percent(row.data))
        })
    );
    let deleted = [Kind::ShortOutage, Kind::Deletions];
    let _ = writeln!(
        out,
        "- A source that could not be read paused at the third failed poll in a row ({} of {}); two failed polls, and deletions in \
         both arms alike, paused {} of {}.",
        report.of(Kind::LongOutage).filter(|played| played.ending == Ending::Source).count(),
        report.of(Kind::LongOutage).count(),
        deleted.iter().map(|kind| n_paused(report, *kind)).sum::<usize>(),
        deleted.iter().map(|kind| report.of(*kind).count()).sum::<usize>(),
    );
    out.push_str(&ramps(report));
    out.push_str(&both_arms(report));
    let n_compared: u32 = report.played.iter().map(|played| played.n_compared).sum();
    let _ = writeln!(
        out,
        "- After {} polls the runtime's numbers of a metric were compared with those of the people who were played, which are counted \
         without SQL: the units of each arm that are mature and whole, and of conversions and ratios the effect before a ramp. {}\n",
        whole(f64::from(n_compared)),
        if report.problems.is_empty() { "They were the same." } else { "Not all were the same." },
    );
    out.push_str(&by_engine(report));
    out
}

/// What became of those whose share changed.
fn ramps(report: &Report) -> String {
    let ramped: Vec<&Played> = report.played.iter().filter(|played| played.ramp.is_some()).collect();
    if ramped.is_empty() {
        return String::new();
    }
    let units = || ramped.iter().filter_map(|played| played.units);
    let (all, whole_ones): (u64, u64) =
        (units().map(|units| units.first_step).sum(), units().map(|units| units.first_step_whole).sum());
    let fine = || ramped.iter().filter(|played| played.kind != Kind::HarmRamp);
    let after: Vec<String> = ramped
        .iter()
        .filter(|played| played.kind == Kind::HarmRamp)
        .filter_map(|played| Some(played.off?.checked_sub(played.ramp?)?.to_string()))
        .collect();
    format!(
        "- {n} experiments changed their share. Of the {all} units that were first exposed on their first step, {share} were whole: their {WINDOW_HOURS} \
         hours were over before the share changed. Claims rest on them and on those of the second step. {shipped} of {n_fine} that stayed \
         as they were shipped in the end. Where the treatment broke on the second step, the flag was off {after} days after the change.\n",
        n = ramped.len(),
        all = whole(all as f64),
        share = percent(whole_ones as f64 / all.max(1) as f64),
        shipped = fine().filter(|played| played.ending == Ending::Ship).count(),
        n_fine = fine().count(),
        after = if after.is_empty() { "-".to_owned() } else { after.join(", ") },
    )
}

/// Units that saw both arms.
fn both_arms(report: &Report) -> String {
    let share = |units: Units| units.both as f64 / units.all.max(1) as f64;
    let of = |many: bool| report.played.iter().filter(move |played| (played.kind == Kind::BothArms) == many);
    let usual: Vec<f64> = of(false).filter_map(|played| played.units.map(share)).collect();
    if usual.is_empty() {
        return String::new();
    }
    let mean = usual.iter().sum::<f64>() / usual.len() as f64;
    let mut out = format!(
        "- {:.2} % of a metric's units saw both arms within a phase, at most {:.2} % in one experiment; those count for the arm that they \
         saw first.",
        mean * 100.0,
        usual.iter().copied().fold(0.0, f64::max) * 100.0
    );
    let many: Vec<&Played> = of(true).collect();
    if let Some(first) = many.iter().find_map(|played| played.units) {
        let claimed = many.iter().filter(|played| matches!(played.ending, Ending::Ship | Ending::Futile)).count();
        let _ = write!(out, " Where {} did, {claimed} of {} made a claim.", percent(share(first)), many.len());
    }
    out + "\n"
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
    if let (Some(late), Some(at_once)) = (find(report, LATE, 1.0), find(report, "", 1.0)) {
        let _ = writeln!(
            out,
            "**Values that come late cost power.** A unit of a query counts as soon as it is exposed. With values that come within a \
             week, the effect looks smaller while many units are young: a gain of one MDE is shipped in {} instead of {}, and called \
             futile in {} instead of {}. Plan longer, or use a metric, which claims on units whose time is over.\n",
            percent(late.ship),
            percent(at_once.ship),
            percent(late.futile),
            percent(at_once.futile)
        );
    }
    if let (Some(late), Some(stated)) = (find(report, LATE, 0.0), report.stated_to(Group::Query)) {
        let _ = writeln!(
            out,
            "**They also break what a known end states.** Without an effect {} of {} runs with late values were shipped, where at most {} \
             are stated: from one look to the next such values move more than the information says. So a query has an open end \
             unless its outcome says `ship_test: known_end`, as these here do, most of whose values are final at once; a metric waits for its \
             values by itself. This row is not judged by what is stated of ships.\n",
            percent(late.ship),
            late.runs,
            percent(stated.ship)
        );
    }
    out
}

fn programs(report: &Report) -> String {
    let mut out = "## Through the programs\n\n\
                   | measured by | true effect and data | n | ship | harm | constraint | mismatch | source | futile | no answer | day of \
                   the end (median, latest) |\n|---|---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for measured in Measured::ALL {
        for kind in Kind::ALL {
            let all: Vec<&Played> = report.of(kind).filter(|played| played.measured == measured).collect();
            if all.is_empty() {
                continue;
            }
            let n = |ending: Ending| all.iter().filter(|played| played.ending == ending).count();
            let mut days: Vec<u32> = all.iter().map(|played| played.day).collect();
            days.sort_unstable();
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {}, {} |",
                measured.says(),
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
- So few experiments can show that the programs do what the engine does. They cannot show a rate of some per cent: that is what the \
engine's rows are for.\n\
- Units come evenly over the days. Weekdays and novelty are not in it. Units of a query have their value at once and do not come back.\n\
- A pause ends an experiment here; what a human finds out after it is not played.\n\
- Programs are polled once a day, so the third failure of a source is two days after the first. The daemon tries again within \
minutes, as the engine's rows do. Sources of metrics are always there.\n\
- The engine's rows are of rates and have no windows; amounts and ratios are in [the simulation](simulation.md) and in `simulate`.\n";

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

/// How many of a kind shipped, of how many.
fn shipped(report: &Report, kind: Kind, group: Group) -> String {
    let all = || report.of_group(group).filter(|played| played.kind == kind);
    format!("{} of {}", all().filter(|played| played.ending == Ending::Ship).count(), all().count())
}

fn n_paused(report: &Report, kind: Kind) -> usize {
    report.of(kind).filter(|played| played.ending.is_pause()).count()
}

/// The days on which the flags were off, in order.
fn listed<'a>(of: impl Iterator<Item = &'a Played>) -> String {
    let mut days: Vec<u32> = of.filter_map(|played| played.off).collect();
    days.sort_unstable();
    let days: Vec<String> = days.into_iter().map(|day| day.to_string()).collect();
    if days.is_empty() { "-".to_owned() } else { days.join(", ") }
}

/// With as many figures as a thousand runs support.
fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
