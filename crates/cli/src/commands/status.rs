//! `status`: everything at a glance, and what to do next.

use jiff::Timestamp;
use outcome_core::Result;
use outcome_core::domain::{ExperimentStatus, OutcomeStatus};
use outcome_core::present::{AnswerState, Scale, count, due, instant, p_value, plain, relative, when, words};
use outcome_core::usecases::{ExperimentLine, Freshness, GateLine, OutcomeLine, Status};

use crate::args;
use crate::cx::{Cx, Exit};
use crate::output::{Page, Table, on_terminal, safe};
use crate::pages::or_on_its_page;

/// Cells of the progress bar.
const BAR: usize = 20;

/// Runs it.
pub async fn run(cx: &Cx, args: &args::Status) -> Result<Exit> {
    let status = cx.open().await?.workspaces().status(args.active).await?;
    // Asked only where it is read.
    let elsewhere = match status.gates.first() {
        Some(gate) if !cx.out.is_json => or_on_its_page(&gate.review_url).await,
        _ => String::new(),
    };
    cx.out.result(&status, |page| show(page, &status, &elsewhere, args.full))?;
    Ok(Exit::OK)
}

/// `elsewhere`: where the first gate is decided besides here.
fn show(page: &mut Page, status: &Status, elsewhere: &str, is_full: bool) {
    let name = page.bold(&safe(&status.workspace));
    let now = page.dim(&instant(status.now));
    page.line(&format!("{name}  {now}"));
    for doubt in &status.clocks {
        let text = page.red(&format!("Only danger is looked for: {}", safe(doubt)));
        page.prose(0, &text);
    }
    for source in &status.resting_sources {
        let text = page.yellow(&safe(source));
        page.prose(0, &text);
    }
    if let Some(unapplied) = &status.unapplied {
        let text = page.yellow(&safe(unapplied));
        page.prose(0, &text);
        page.hint("  `outcome-runtime plan` shows the difference, `outcome-runtime apply` makes the file count");
    }
    for line in &status.outcomes {
        outcome(page, line, status.now, is_full);
    }
    if !status.gates.is_empty() {
        page.head("Waiting for you");
        for gate in &status.gates {
            gate_lines(page, gate);
        }
    }
    if !status.undelivered.is_empty() {
        page.head("Not delivered yet");
        for message in &status.undelivered {
            page.item(message);
        }
    }
    if status.dead_letters.n > 0 {
        page.blank();
        let given_up = page.red(&given_up(status));
        page.prose(0, &given_up);
        page.hint("  `outcome-runtime messages` shows why, `outcome-runtime messages retry --all` tries again");
    }
    if status.without_channel.n > 0 {
        page.blank();
        page.prose(0, &page.dim(&told_nobody(status)));
    }
    if let Some(next) = next(status, elsewhere) {
        page.blank();
        page.hint(&format!("next: {next}"));
    }
}

/// What was given up, in a line.
fn given_up(status: &Status) -> String {
    let letters = &status.dead_letters;
    let n = if letters.n == 1 {
        "1 message was given up".to_owned()
    } else {
        format!("{} messages were given up", letters.n)
    };
    let newest = letters.newest.as_deref().map(|newest| format!("; the newest: {}", safe(newest)));
    let at = letters.at.map(|at| format!(" ({})", when(status.now, at)));
    format!("{n}{}{}", newest.unwrap_or_default(), at.unwrap_or_default())
}

/// What people were not told, in a line.
fn told_nobody(status: &Status) -> String {
    let n = status.without_channel.n;
    let notices = if n == 1 { "1 notice has".to_owned() } else { format!("{n} notices have") };
    let newest = status.without_channel.newest.as_deref().map(|newest| format!("; the newest: {}", safe(newest)));
    let at = status.without_channel.at.map(|at| format!(" ({})", when(status.now, at)));
    format!("{notices} no channel{}{}", newest.unwrap_or_default(), at.unwrap_or_default())
}

fn gate_lines(page: &mut Page, gate: &GateLine) {
    let time = due(gate.minutes_left);
    let time = if gate.minutes_left < 0 { page.red(&time) } else { page.yellow(&time) };
    let about = gate.experiment.as_deref().unwrap_or("-");
    let holder = gate.holder.as_deref().map(|holder| format!(" · held by {}", safe(holder))).unwrap_or_default();
    let kind = page.bold(&plain(gate.gate_type.as_str()));
    page.prose(4, &format!("  {kind}  {}  {time}{holder}", safe(about)));
    page.line(&format!("    outcome-runtime gate decide {}", safe(&gate.gate)));
}

fn outcome(page: &mut Page, line: &OutcomeLine, now: Timestamp, is_full: bool) {
    let scale = on_terminal(&line.scale);
    page.blank();
    let title = page.bold(&safe(&line.title_says));
    let state = match line.status {
        OutcomeStatus::Active | OutcomeStatus::Achieved => page.green(line.status.as_str()),
        OutcomeStatus::Expired => page.yellow(line.status.as_str()),
        OutcomeStatus::Draft | OutcomeStatus::Abandoned => page.dim(line.status.as_str()),
    };
    page.prose(2, &format!("{title}  {}  {state}", safe(&line.outcome)));
    let signal = &line.signal;
    let value = signal.value.map_or_else(|| "no value yet".to_owned(), |value| scale.level(value));
    let value = page.bold(&value);
    let from = line.baseline.map_or_else(|| "not measured".to_owned(), |baseline| scale.level(baseline));
    page.prose(
        4,
        &format!(
            "  {} {value}   {from} -> {} ({}){}",
            safe(&signal.name),
            scale.level(line.target),
            line.direction,
            progress(line.signal.value, line.baseline, line.target)
        ),
    );
    let read = signal.measured_at.map_or_else(|| "never read".to_owned(), |at| format!("read {}", when(now, at)));
    let freshness = match signal.freshness {
        Freshness::Fresh => page.green("fresh"),
        Freshness::NeverRead => page.dim("no reading"),
        late @ (Freshness::Stale | Freshness::Failing) => page.red(late.as_str()),
    };
    let poll = signal
        .next_poll_at
        .map(|at| if at <= now { "next poll is due".to_owned() } else { format!("next poll {}", relative(now, at)) });
    let deadline = line.deadline.map(|at| format!("deadline {}", when(now, at)));
    let facts: Vec<_> = [Some(read), Some(freshness), poll, deadline].into_iter().flatten().collect();
    page.prose(2, &format!("  {}", facts.join(" · ")));
    if let Some(attainment) = &line.attainment {
        let text = if attainment.is_met { page.green(&attainment.says) } else { page.dim(&attainment.says) };
        page.prose(2, &format!("  {text}"));
    }
    if let Some(problem) = &signal.problem {
        let text = page.red(&safe(problem));
        page.prose(2, &format!("  {text}"));
    }
    for unchecked in &line.unchecked {
        let text = page.yellow(&safe(unchecked));
        page.prose(2, &format!("  {text}"));
    }
    if line.experiments.is_empty() {
        return;
    }
    page.blank();
    for experiment in &line.experiments {
        sentence(page, experiment);
    }
    for experiment in line.experiments.iter().filter(|experiment| !experiment.status.is_terminal()) {
        for problem in &experiment.health {
            let text = page.yellow(&safe(problem));
            page.prose(4, &format!("  {}: {text}", safe(&experiment.experiment)));
        }
    }
    if is_full {
        page.blank();
        numbers(page, line, &scale);
    }
    if line.n_more > 0 {
        page.hint(&format!("  and {} more: `outcome-runtime experiment list --outcome {}`", line.n_more, line.outcome));
    }
}

/// An experiment in a sentence: what it came to, or before its launch what it is about.
fn sentence(page: &mut Page, line: &ExperimentLine) {
    let status = plain(line.status.as_str());
    let name = page.bold(&safe(&line.experiment));
    match &line.answer {
        Some(answer) => {
            let label = answer.state.label();
            let label = match answer.state {
                AnswerState::Worked => page.green(label),
                AnswerState::DidNot | AnswerState::Broken => page.red(label),
                AnswerState::TooEarly => page.dim(label),
            };
            page.prose(4, &format!("  {name}  {label} · {status}"));
            page.text("    ", &answer.says);
        }
        None => {
            page.line(&format!("  {name}  {status}"));
            page.quote(4, &line.title_says);
        }
    }
}

/// The engine's numbers.
fn numbers(page: &mut Page, line: &OutcomeLine, scale: &Scale) {
    let is_measured = line.experiments.iter().any(|experiment| experiment.verdict.is_some());
    let mut table = Table::new(if is_measured {
        &["experiment", "status", "effect", "interval", "p (success / harm)", "n (c / t)", "recommendation"]
    } else {
        &["experiment", "status", "title"]
    });
    if is_measured && page.is_narrow() {
        for experiment in &line.experiments {
            two_lines(page, experiment, scale);
        }
    } else {
        for experiment in &line.experiments {
            let [name, status, rest @ ..] = cells(experiment, scale);
            let title: String = experiment.title_says.chars().take(60).collect();
            let rest = if is_measured { rest.to_vec() } else { vec![title] };
            let row: Vec<_> = [name, status].into_iter().chain(rest).collect();
            table.row(&row.iter().map(String::as_str).collect::<Vec<_>>());
        }
        page.table(table);
    }
    for experiment in &line.experiments {
        if let Some((before, after)) = experiment.level_before.zip(experiment.level_after) {
            let weekly = format!("before {}, after {}", scale.level(before), scale.level(after));
            page.prose(4, &page.dim(&format!("  {} by week: {weekly}", safe(&experiment.experiment))));
        }
    }
    for levels in levels(line) {
        page.prose(4, &page.dim(&format!("  interval: {levels}")));
    }
}

/// How sure the intervals of the table are, each wording once, with the experiments it is about where there are several.
fn levels(line: &OutcomeLine) -> Vec<String> {
    let mut found: Vec<(String, Vec<&str>)> = Vec::new();
    for experiment in &line.experiments {
        let Some(levels) = experiment.interval.map(|shown| shown.levels()) else { continue };
        match found.iter_mut().find(|(known, _)| *known == levels) {
            Some((_, names)) => names.push(&experiment.experiment),
            None => found.push((levels, vec![&experiment.experiment])),
        }
    }
    let is_one = found.len() == 1;
    let say =
        |(levels, names): (String, Vec<&str>)| if is_one { levels } else { format!("{levels}: {}", names.join(", ")) };
    found.into_iter().map(say).collect()
}

/// An experiment on a narrow terminal.
fn two_lines(page: &mut Page, line: &ExperimentLine, scale: &Scale) {
    let [name, status, effect, interval, p, n, verdict] = cells(line, scale).map(|cell| safe(&cell));
    page.line(&format!("  {name}  {status}"));
    if line.verdict.is_some() {
        let facts = page.dim(&format!("    {verdict}: {effect} {interval}, p {p}, n {n}"));
        page.prose(4, &facts);
    }
}

fn cells(line: &ExperimentLine, scale: &Scale) -> [String; 7] {
    let dash = || "-".to_owned();
    let status = match line.pause_cause {
        Some(cause) => format!("{} ({cause})", line.status),
        None => line.status.to_string(),
    };
    let p = match (line.p, line.p_value) {
        (Some(p), _) => format!("{} / {}", p_value(p.better), p_value(p.worse)),
        (None, Some(p)) => format!("{} two-sided, smallest so far", p_value(p)),
        (None, None) => dash(),
    };
    let n = match (line.n_control, line.n_treatment) {
        (Some(control), Some(treatment)) => format!("{} / {}", count(control), count(treatment)),
        _ => dash(),
    };
    [
        line.experiment.clone(),
        status,
        line.effect.map_or_else(dash, |effect| scale.change(effect)),
        line.interval.map_or_else(dash, |shown| shown.ends(scale)),
        p,
        n,
        line.verdict.map_or_else(dash, |verdict| words(verdict.as_str())),
    ]
}

/// How much of the way from the baseline to the target is done.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of 20 cells"
)]
fn progress(value: Option<f64>, baseline: Option<f64>, target: f64) -> String {
    let (Some(value), Some(baseline)) = (value, baseline) else { return String::new() };
    let way = target - baseline;
    if way.abs() < f64::EPSILON {
        return String::new();
    }
    let share = (value - baseline) / way;
    let done = share.clamp(0.0, 1.0);
    let cells = (done * BAR as f64).round() as usize;
    // Of a way that is over, or was gone backwards, a share says nothing.
    let beyond = match share {
        share if share > 1.0 => ", beyond the target",
        share if share < 0.0 => ", behind the baseline",
        _ => "",
    };
    format!("   [{}{}] {:.0} %{beyond}", "#".repeat(cells), "-".repeat(BAR - cells), done * 100.0)
}

/// The most useful next step.
fn next(status: &Status, elsewhere: &str) -> Option<String> {
    if let Some(gate) = status.gates.first() {
        return Some(format!("`outcome-runtime gate decide {}`, {}", gate.gate, safe(elsewhere)));
    }
    if status.outcomes.is_empty() {
        return Some("edit outcome.yaml, then `outcome-runtime validate` and `outcome-runtime apply`".to_owned());
    }
    let is_live = |line: &&OutcomeLine| line.status == OutcomeStatus::Active;
    let Some(active) = status.outcomes.iter().find(is_live) else {
        let draft = status.outcomes.iter().find(|line| line.status == OutcomeStatus::Draft)?;
        return Some(format!(
            "`outcome-runtime activate {}` measures the baseline and starts the horizon",
            draft.outcome
        ));
    };
    let open = |line: &ExperimentLine| !line.status.is_terminal();
    if active.lacks_exposures {
        return Some(
            "make the table of exposures and name it in outcome.yaml, where a comment says how; then `outcome-runtime apply`"
                .to_owned(),
        );
    }
    if !active.experiments.iter().any(open) {
        return Some(format!(
            "ask your agent for hypotheses (get_work_order), or submit your own: `outcome-runtime experiment propose \
             --outcome {} --file hypothesis.yaml`",
            active.outcome
        ));
    }
    let building = active.experiments.iter().find(|line| line.status == ExperimentStatus::Building)?;
    Some(format!(
        "let your agent build `{}`; the brief: `outcome-runtime experiment brief {}`",
        building.experiment, building.experiment
    ))
}

#[cfg(test)]
mod tests {
    use super::progress;

    #[test]
    fn the_way_to_the_target_is_never_more_than_all_of_it() {
        let of = |value| progress(Some(value), Some(0.30), 0.35);
        assert!(of(0.325).ends_with("] 50 %"), "{}", of(0.325));
        assert!(of(0.876).ends_with("] 100 %, beyond the target"), "{}", of(0.876));
        assert!(of(0.20).ends_with("] 0 %, behind the baseline"), "{}", of(0.20));
        assert_eq!(progress(Some(1.0), Some(0.30), 0.30), "", "no way, no share of it");
        assert_eq!(progress(None, Some(0.30), 0.35), "");
    }
}
