//! Prompts: ready-made requests for people whose client shows them. Everything they do, the tools do as well.

use rmcp::ErrorData;
use rmcp::model::{GetPromptResult, JsonObject, Prompt, PromptArgument, PromptMessage, Role};
use serde_json::{Value, json};

struct Spec {
    name: &'static str,
    title: &'static str,
    description: &'static str,
    argument: Option<(&'static str, &'static str, bool)>,
    text: &'static str,
}

const ALL: [Spec; 4] = [
    Spec {
        name: "propose_experiments",
        title: "Propose experiments",
        description: "Read the work order of an outcome and submit candidate experiments",
        argument: Some(("outcome_id", "The outcome; default: the only active one", false)),
        text: "Propose experiments{for}. Call get_work_order, read the code that its scope allows, and call query_learnings so \
               that you do not repeat a refuted idea. Then call submit_hypotheses with as many candidates as the work order asks \
               for. Each one must be small, reversible and behind its own flag. At the end show me the gates with their review_url: \
               I decide there.",
    },
    Spec {
        name: "build_experiment",
        title: "Build an experiment",
        description: "Build an approved experiment within its scope and report it",
        argument: Some(("experiment_id", "The experiment", true)),
        text: "Build the experiment{for}. Call get_experiment_brief. Work on a branch from its base_commit, only within its \
               scope, with the change behind its flag, and do not change what measures it. Run the tests, commit, and call \
               report_experiment_built with the commit. If the work needs more than the brief allows, call request_human_gate \
               with gate_type escalation instead. At the end show me the review_url.",
    },
    Spec {
        name: "explain_result",
        title: "Explain a result",
        description: "Explain in plain words what an experiment has shown so far",
        argument: Some(("experiment_id", "The experiment", true)),
        text: "Explain in plain words what the experiment has shown so far{for}. Call get_active_outcomes with detail full. \
               Give the effect with its decision interval and the levels, the number of units, the recommendation with its reason, \
               and what is not known yet. Do not compute statistics yourself. If there is no recommendation yet, say so.",
    },
    Spec {
        name: "weekly_review",
        title: "Weekly review",
        description: "What was tried, what moved, and what is waiting for a human",
        argument: None,
        text: "Write a review of the week for a person who does not read code. Call get_active_outcomes with detail full and \
               query_learnings without words. On one page: each outcome with baseline, value and target; what was tried and \
               what it taught, with its evidence grade; which gates are waiting for a human, for how long, with their review_url. \
               Do not change any figures.",
    },
];

/// The prompts as they are listed.
pub(crate) fn all() -> Vec<Prompt> {
    ALL.iter()
        .map(|spec| {
            let argument = spec.argument.map(|(name, description, is_required)| {
                vec![PromptArgument::new(name).with_description(description).with_required(is_required)]
            });
            Prompt::new(spec.name, Some(spec.description), argument).with_title(spec.title)
        })
        .collect()
}

/// The messages of a prompt.
///
/// # Errors
/// For an unknown prompt or a missing argument.
pub(crate) fn get(name: &str, arguments: Option<&JsonObject>) -> Result<GetPromptResult, ErrorData> {
    let spec = ALL.iter().find(|spec| spec.name == name).ok_or_else(|| {
        let known: Vec<&str> = ALL.iter().map(|spec| spec.name).collect();
        ErrorData::invalid_params(format!("the prompts are {}", known.join(", ")), Some(json!({ "prompts": known })))
    })?;
    let given = spec.argument.and_then(|(name, ..)| arguments?.get(name)).and_then(Value::as_str);
    let given: Option<String> =
        given.map(|text| text.chars().filter(|c| !c.is_control() && *c != '`').take(80).collect());
    let given = given.filter(|text| !text.is_empty());
    if let (Some((argument, _, true)), None) = (spec.argument, &given) {
        return Err(ErrorData::invalid_params(format!("the prompt {name} needs `{argument}`"), None));
    }
    let about = given.map(|text| format!(" (`{text}`)")).unwrap_or_default();
    let message = PromptMessage::new_text(Role::User, spec.text.replace("{for}", &about));
    let mut result = GetPromptResult::new(vec![message]);
    result.description = Some(spec.description.to_owned());
    Ok(result)
}
