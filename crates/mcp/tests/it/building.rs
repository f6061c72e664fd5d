//! What a builder of a later session learns, and what becomes of a hypothesis that found no place.

use anyhow::Result;
use outcome_core::domain::Verdict;
use outcome_tests::lab::{FILE, Lab, OUTCOME, decision, hypothesis, with_reason, write};
use outcome_tests::mcp::MODERN;
use serde_json::{Value, json};

use super::{candidate, session};

async fn brief(lab: &Lab, experiment: &str, detail: &str) -> Result<Value> {
    let mut client = session(lab, MODERN).await?;
    let brief = client.ok("get_experiment_brief", json!({ "experiment_id": experiment, "detail": detail })).await?;
    client.close().await?;
    Ok(brief)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_brief_says_how_the_flag_answers_and_what_to_record() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let experiment = lab.submit(hypothesis("Softer level", "soft")).await?;
    lab.decide(&experiment, Verdict::Approve).await?;
    let plain = brief(&lab, &experiment, "concise").await?;
    let flag = &plain["flag"];
    assert_eq!((&flag["service"], &flag["place"]), (&json!("flagd file"), &json!("flags.json")), "{plain}");
    assert_eq!(
        (&flag["value_type"], &flag["treatment"], &flag["control"]),
        (&json!("boolean"), &json!(true), &json!(false))
    );
    assert!(plain["exposure"]["record"].as_str().unwrap().contains("on both arms"), "{plain}");
    assert!(plain.get("code").is_none() && plain.get("history").is_none(), "{plain}");

    write(&lab.root(), "package.json", "{}")?;
    let full = brief(&lab, &experiment, "full").await?;
    assert_eq!(full["code"]["language"], "typescript");
    let steps: Vec<&str> =
        full["history"].as_array().unwrap().iter().filter_map(|past| past["step"].as_str()).collect();
    assert_eq!(steps, ["proposed", "portfolio_approved"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_build_asks_a_human_and_a_yes_sends_it_back_with_its_reason() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let experiment = lab.submit(hypothesis("Hard level", "hard")).await?;
    lab.decide(&experiment, Verdict::Approve).await?;
    let mut client = session(&lab, MODERN).await?;
    let reason = "The engine has no levels";
    let report = json!({ "experiment_id": experiment, "outcome": "failed", "implementation_summary": reason });
    let failed = client.ok("report_experiment_built", report).await?;
    let gate = failed["gate"].as_str().unwrap().to_owned();
    let shown = lab.runtime.gates().show(&gate).await?;
    assert!(shown.context.agent_says.is_some_and(|says| says.contains(reason)));

    lab.runtime.gates().decide(with_reason(decision(&gate, Verdict::Approve))).await?;
    assert_eq!(lab.runtime.experiments().show(&experiment).await?.experiment.state.status.as_str(), "building");
    let again = brief(&lab, &experiment, "concise").await?;
    assert_eq!(again["last_failure_says"], reason);
    // A human who lets it be tried again at the terminal has answered the question, too.
    client
        .ok(
            "report_experiment_built",
            json!({ "experiment_id": experiment, "outcome": "failed", "implementation_summary": "No" }),
        )
        .await?;
    lab.runtime.builds().retry(&experiment, &outcome_tests::lab::local()).await?;
    assert!(lab.runtime.experiments().show(&experiment).await?.gates.is_empty());
    // And once it is built, the reason is history.
    lab.build(&experiment).await?;
    let built = brief(&lab, &experiment, "full").await?;
    assert!(built.get("last_failure_says").is_none() && built["history"].to_string().contains(reason), "{built}");
    client.close().await?;
    assert!(lab.runtime.audit_log().verify(&[]).await?.is_intact);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rework_note_reaches_the_next_session() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let experiment = lab.submit(hypothesis("Softer level", "soft")).await?;
    lab.decide(&experiment, Verdict::Approve).await?;
    lab.build(&experiment).await?;
    let gate = lab.runtime.experiments().show(&experiment).await?.gates.remove(0);
    let note = "Level three keeps its music";
    let request =
        outcome_core::usecases::DecideRequest { note: Some(note.to_owned()), ..decision(&gate, Verdict::Rework) };
    lab.runtime.gates().decide(request).await?;
    assert_eq!(brief(&lab, &experiment, "concise").await?["rework_says"], note);
    lab.build(&experiment).await?;
    assert!(brief(&lab, &experiment, "concise").await?.get("rework_says").is_none());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hypothesis_without_a_place_waits_for_one_or_for_a_humans_yes() -> Result<()> {
    let lab = Lab::declaring(None, &FILE.replace("max_concurrent: 3", "max_concurrent: 1")).await?;
    let mut client = session(&lab, MODERN).await?;
    let submit = |title: &str, flag: &str| json!({ "outcome_id": OUTCOME, "hypotheses": [candidate(title, flag)] });
    client.ok("submit_hypotheses", submit("First", "first")).await?;
    for _ in 0..2 {
        let kept = client.ok("submit_hypotheses", submit("Second", "second")).await?;
        assert_eq!((&kept["proposed"], &kept["gates"]), (&json!([]), &json!([])), "{kept}");
        assert!(kept["kept"][0].as_str().unwrap().starts_with("second: no slot is free"), "{kept}");
        assert!(kept["kept_means"].as_str().unwrap().contains("again"), "{kept}");
    }
    // A place is free: the same call opens its gate.
    lab.decide("first", Verdict::Reject).await?;
    let proposed = client.ok("submit_hypotheses", submit("Second", "second")).await?;
    assert_eq!(proposed["proposed"], json!(["second"]), "{proposed}");
    // It is not called proposed once it is approved.
    lab.decide("second", Verdict::Approve).await?;
    let under_way = client.ok("submit_hypotheses", submit("Second", "second")).await?;
    assert_eq!((&under_way["proposed"], &under_way["under_way"]), (&json!([]), &json!(["second is building"])));

    // A yes to a question opens the portfolio gate, and takes no decision for it.
    client.ok("submit_hypotheses", submit("Third", "third")).await?;
    let question = json!({ "experiment_id": "third", "gate_type": "escalation", "question": "May I build this?" });
    let asked = client.ok("request_human_gate", question).await?;
    lab.act("second", Verdict::Kill).await?;
    lab.runtime.gates().decide(with_reason(decision(asked["gate"].as_str().unwrap(), Verdict::Approve))).await?;
    let third = lab.runtime.experiments().show("third").await?;
    assert_eq!((third.experiment.state.status.as_str(), third.gates.len()), ("awaiting_portfolio_gate", 1));
    client.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_known_is_left_open_and_an_open_value_is_refused() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let mut client = session(&lab, MODERN).await?;
    let experiment = lab.submit(hypothesis("Softer level", "soft")).await?;
    lab.decide(&experiment, Verdict::Approve).await?;
    let refused = client.fails("report_experiment_built", json!({ "experiment_id": experiment })).await?;
    let next = &refused["next_actions"][0]["arguments"];
    assert_eq!(*next, json!({ "experiment_id": experiment, "implementation_summary": "<implementation summary>" }));
    let again = client.fails("report_experiment_built", next.clone()).await?;
    assert!(again["error"]["message"].as_str().unwrap().contains("is a placeholder"), "{again}");

    let foreign = json!({ "task_progress": "- [x] read", "random_string": "x", "outcome_id": "", "limit": "null" });
    let answer = client.ok("get_active_outcomes", foreign).await?;
    assert_eq!(answer["ignored_arguments"], json!(["random_string", "task_progress"]));
    client.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_may_be_an_empty_list_or_a_text() -> Result<()> {
    let lab = Lab::sqlite().await?;
    for version in super::VERSIONS {
        let mut client = session(&lab, version).await?;
        let plain = client.ok("get_active_outcomes", json!({})).await?;
        for arguments in [json!([]), json!(""), json!("{}"), json!("{\"limit\": 20}")] {
            let answer = client.call("get_active_outcomes", arguments.clone()).await?;
            assert!(!answer.is_error && answer.value == plain, "{arguments}: {}", answer.value);
        }
        client.close().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_question_has_a_gate_of_its_own_and_the_same_one_has_not() -> Result<()> {
    let lab = Lab::sqlite().await?;
    let experiment = lab.submit(hypothesis("Softer level", "soft")).await?;
    let mut client = session(&lab, MODERN).await?;
    let ask = |question: &str| json!({ "experiment_id": experiment, "gate_type": "escalation", "question": question });
    let first = client.ok("request_human_gate", ask("May level three change?")).await?;
    assert_eq!(client.ok("request_human_gate", ask("May level three change?")).await?["gate"], first["gate"]);
    for question in ["May the music change?", "And the sound?", "The colours?", "The font?"] {
        let other = client.ok("request_human_gate", ask(question)).await?;
        assert!(other["gate"] != first["gate"] && other["human_sees"].to_string().contains(question), "{other}");
    }
    let refused = client.fails("request_human_gate", ask("One more?")).await?;
    assert_eq!(refused["error"]["code"], "conflict", "{refused}");
    client.close().await?;
    Ok(())
}
