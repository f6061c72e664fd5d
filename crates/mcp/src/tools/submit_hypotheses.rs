//! Candidates come in, are checked one by one, and the selected ones wait for a human at the portfolio gate.

use std::sync::LazyLock;

use outcome_core::Code;
use outcome_core::domain::Author;
use outcome_core::usecases::{Problem, Rejected, Submission};
use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::hypothesis::FlatHypothesis;
use super::{Call, Detail, ToolSpec, hypothesis, schema_of, with_known};
use crate::answer::{Answer, Failure, action};
use crate::args;

pub(super) const NAME: &str = super::names::SUBMIT_HYPOTHESES;

pub(super) static SPEC: ToolSpec = ToolSpec {
    name: NAME,
    title: "Submit hypotheses",
    description: "Submits 1 to 20 candidates. Each is checked and scored; selected ones wait for a human at \
                  the portfolio gate, others return with reasons. Amounts are absolute, in the signal's units, positive = \
                  better. Call get_work_order first.",
    is_read_only: false,
    search_hint: Some("submit experiments"),
    input: LazyLock::new(schema_of::<Args>),
    aliases: &[
        ("id", "outcome_id"),
        ("outcome", "outcome_id"),
        ("slug", "outcome_id"),
        ("candidates", "hypotheses"),
        ("hypothesis", "hypotheses"),
        ("experiments", "hypotheses"),
        ("workspace_id", ""),
    ],
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Args {
    outcome_id: String,
    #[schemars(with = "Vec<FlatHypothesis>")]
    hypotheses: Vec<Value>,
}

pub(super) async fn call(call: &Call<'_>, arguments: Option<JsonObject>) -> Result<Answer, Failure> {
    let args: Args = args::parse(&SPEC, arguments)?;
    let (mut good, mut rejected) = (Vec::new(), Vec::new());
    for raw in args.hypotheses.iter().take(50) {
        match hypothesis::parse(raw) {
            Ok(candidate) => good.push(candidate),
            Err(problems) => rejected.push(json!({ "title_says": hypothesis::title(raw), "problems": problems })),
        }
    }
    if good.is_empty() && !rejected.is_empty() {
        // With the numbers of this outcome, where there is one.
        let order = call.runtime.hypotheses().work_order(&args.outcome_id).await;
        let example = order.map_or_else(|_| hypothesis::example(), |order| hypothesis::example_for(&order));
        let open: Vec<Value> = args.hypotheses.iter().take(1).map(|raw| hypothesis::completed(&example, raw)).collect();
        return Err(Failure::new(Code::HypothesisIncomplete, "no candidate was accepted: see `rejected`")
            .hint("fix the fields named there and submit again")
            .with("rejected", rejected)
            .next(NAME, json!({ "outcome_id": args.outcome_id, "hypotheses": open })));
    }
    let submission = Submission { outcome: args.outcome_id.clone(), hypotheses: good, author: Author::Ai };
    let done = match call.runtime.hypotheses().submit(submission, call.by).await {
        Ok(done) => done,
        Err(error) if error.code() == Code::NotFound => return Err(with_known(call, "outcome", error.into()).await),
        Err(error) => {
            let mut failure = Failure::from(&error);
            if let Some(list) = error.detail::<Vec<Rejected>>("rejected") {
                failure = failure.with("rejected", renamed(&list));
            }
            return Err(failure.next("get_work_order", json!({ "outcome_id": args.outcome_id })));
        }
    };
    rejected.extend(renamed(&done.rejected));
    let mut gates: Vec<Value> = Vec::new();
    for gate in &done.gates {
        let review_url = call.runtime.gates().url(gate).await?;
        gates.push(json!({ "gate": gate, "status": "pending", "review_url": review_url }));
    }
    let next = done.gates.first().map(|gate| action("get_gate", json!({ "gate_id": gate })));
    let body = json!({
        "outcome": args.outcome_id,
        "proposed": done.proposed,
        "kept": done.kept,
        "under_way": done.under_way,
        "rejected": rejected,
        "gates": gates,
        "what_follows": (!gates.is_empty()).then_some(
            "a human decides each gate on its page. Build nothing before that. Show the review_url to the user."
        ),
        "kept_means": (!done.kept.is_empty()).then_some(
            "no place for it now. A place is free when an experiment of this outcome ends or is rejected at its gate, or when what is in \
             its way does. Submit the same candidate again then: its gate opens. Or ask a human with request_human_gate (escalation): \
             a yes opens its portfolio gate."
        ),
    });
    Ok(Answer::new(body).within(Detail::Full.budget()).next_all(next))
}

/// The core's rejections with the names of this tool: flat fields, and the title as somebody's words.
fn renamed(list: &[Rejected]) -> Vec<Value> {
    let field =
        |problem: &Problem| json!({ "field": hypothesis::flat_field(&problem.field), "message": problem.message });
    let one = |item: &Rejected| {
        let problems: Vec<Value> = item.problems.iter().map(field).collect();
        json!({ "title_says": hypothesis::short_title(&item.title), "problems": problems })
    };
    list.iter().map(one).collect()
}
