//! A write that has to change a row and finds none is an error that names it; where none is legal, it is no error.

use jiff::SignedDuration;
use outcome_core::domain::Closing;
use outcome_core::ids::{ExperimentId, GateId, MessageId, OutcomeId, WorkspaceId};
use outcome_core::store::Engine;
use outcome_core::{Code, Result};
use outcome_tests::lab::{Lab, OUTCOME, hypothesis};
use uuid::Uuid;

use crate::each_lab;

/// An id that nothing has.
const NOBODY: Uuid = Uuid::from_u128(7);

fn missing<T: std::fmt::Debug>(result: Result<T>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.code(), Code::RowMissing, "{error}");
    error.context()["table"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_row_that_is_not_there_is_an_error_that_names_it() {
    each_lab(async |lab: Lab| {
        let slug = lab.submit(hypothesis("One", "one")).await.unwrap();
        let mut tx = lab.runtime.db().write(lab.runtime.workspace().id).await.unwrap();
        let mut experiment = tx.experiment_by_slug(&slug).await.unwrap().unwrap();
        let mut outcome = tx.outcome_by_slug(OUTCOME).await.unwrap().unwrap();
        let (mut gate, _) = tx.gate_list_open().await.unwrap().remove(0);

        // Something was remembered of the first before the second was missed.
        let remembered = |id: ExperimentId| (id, "{}".to_owned(), "{}".to_owned());
        let both = [remembered(experiment.id), remembered(ExperimentId(NOBODY))];
        assert_eq!(missing(tx.remember_all(&both).await), "experiment");
        experiment.id = ExperimentId(NOBODY);
        assert_eq!(missing(tx.experiment_update(&experiment).await), "experiment");
        outcome.id = OutcomeId(NOBODY);
        assert_eq!(missing(tx.outcome_update(&outcome, "hash").await), "outcome");
        gate.id = GateId(NOBODY);
        assert_eq!(missing(tx.gate_update(&gate).await), "gate");
        let now = lab.runtime.now();
        assert_eq!(missing(tx.outbox_failed(MessageId(NOBODY), now, "down").await), "outbox");
        drop(tx);

        let stranger = WorkspaceId(NOBODY);
        match (lab.runtime.db().engine(), lab.runtime.db().write(stranger).await) {
            (Engine::Sqlite, tx) => {
                assert_eq!(tx.unwrap().log_head().await.unwrap_err().code(), Code::WorkspaceNotFound);
            }
            (Engine::Postgres, tx) => assert_eq!(missing(tx.map(|_| ())), "workspace"),
        }
        let view = lab.runtime.experiments().show(&slug).await.unwrap();
        assert_eq!(view.experiment.running, None, "the transaction was dropped");
        assert_eq!(lab.runtime.audit_log().verify(&[]).await.unwrap().problems, Vec::<String>::new());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_may_find_nothing_say_so() {
    each_lab(async |lab: Lab| {
        let slug = lab.submit(hypothesis("One", "one")).await.unwrap();
        let now = lab.runtime.now();
        let later = now + SignedDuration::from_mins(10);
        let mut tx = lab.runtime.db().write(lab.runtime.workspace().id).await.unwrap();
        let experiment = tx.experiment_by_slug(&slug).await.unwrap().unwrap();
        tx.phase_end(experiment.id, now).await.unwrap();
        tx.session_delete("unknown", now).await.unwrap();
        tx.outbox_overtake_flag(ExperimentId(NOBODY), now).await.unwrap();
        assert!(!tx.outbox_close(MessageId(NOBODY), Closing::Delivered, now).await.unwrap());
        assert!(tx.nonce_use("test", "once", later).await.unwrap());
        assert!(!tx.nonce_use("test", "once", later).await.unwrap());

        // The first holder comes back after its time, when another one works.
        assert!(tx.lease_take("work", "first", now, (now, later)).await.unwrap());
        assert!(tx.lease_take("work", "second", later, (now, later)).await.unwrap());
        assert!(!tx.lease_release("work", "first").await.unwrap());
        assert!(tx.lease_release("work", "second").await.unwrap());
    })
    .await;
}
