//! Readings a page at a time, and what `audit verify` makes of them.

use jiff::{SignedDuration, Timestamp};
use outcome_core::domain::{Experiment, Variant};
use outcome_tests::lab::{Lab, hypothesis};
use outcome_tests::polls::{reading, store_polls};

use crate::each_lab;

async fn running(lab: &Lab) -> Experiment {
    let slug = lab.running("Measured", "measured").await.unwrap();
    lab.runtime.experiments().show(&slug).await.unwrap().experiment
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_readings_never_cuts_a_poll() {
    each_lab(async |lab: Lab| {
        let experiment = running(&lab).await;
        let start = lab.runtime.now();
        let hour = |n: i64| start + SignedDuration::from_hours(n);
        let mut tx = lab.runtime.db().write(lab.runtime.workspace().id).await.unwrap();
        for (n, at) in [1, 1, 2, 2, 2, 3].into_iter().enumerate() {
            let reading = reading(&lab, &experiment, &format!("signal-{n}"), Variant::Control, hour(at));
            assert!(tx.measurement_insert(&reading, &format!("poll/{n}")).await.unwrap());
        }
        let mut page = async |from: i64, to: i64, limit: usize| -> (Vec<Timestamp>, Timestamp) {
            let page = tx.measurement_page(experiment.id, (hour(from), hour(to)), limit).await.unwrap();
            (page.readings.iter().map(|stored| stored.measurement.measured_at).collect(), page.until)
        };
        assert_eq!(page(0, 9, 4).await, (vec![hour(1); 2], hour(1)), "the second poll did not fit");
        assert_eq!(page(2, 9, 2).await, (vec![hour(2); 3], hour(2)), "one poll is more than the limit");
        assert_eq!(page(2, 9, 4).await, (vec![hour(2); 3], hour(2)), "there may be more");
        assert_eq!(page(2, 9, 5).await, (vec![hour(2), hour(2), hour(2), hour(3)], hour(9)));
        assert_eq!(page(4, 9, 4).await, (vec![], hour(9)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_that_was_changed_or_removed_is_found_among_many_pages() {
    each_lab(async |lab: Lab| {
        let experiment = running(&lab).await;
        let first = lab.runtime.now() + SignedDuration::from_hours(1);
        store_polls(&lab, &experiment, first, 1_100).await.unwrap();
        assert_eq!(lab.runtime.audit_log().verify(&[]).await.unwrap().problems, Vec::<String>::new());

        let at = |n: i64| first + SignedDuration::from_hours(n);
        let of = |n: i64, arm: &str| format!("natural_key = 'poll/{}/crashed/0/{arm}/{}'", experiment.id, at(n));
        let changed = format!("UPDATE measurement SET query_hash = 'other' WHERE {}", of(700, "treatment"));
        assert_eq!(lab.raw(&changed).await.unwrap(), 1);
        let removed = format!("DELETE FROM measurement WHERE {}", of(1_099, "control"));
        assert_eq!(lab.raw(&removed).await.unwrap(), 1);
        let problem =
            |n: i64| format!("the readings of experiment {} at {} differ from the logged ones", experiment.id, at(n));
        assert_eq!(lab.runtime.audit_log().verify(&[]).await.unwrap().problems, [problem(700), problem(1_099)]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn verifying_finds_nothing_wrong_while_others_write() {
    each_lab(async |lab: Lab| {
        let experiment = running(&lab).await;
        let first = lab.runtime.now() + SignedDuration::from_hours(1);
        store_polls(&lab, &experiment, first, 600).await.unwrap();
        let writing = async {
            for n in 600..700 {
                store_polls(&lab, &experiment, first + SignedDuration::from_hours(n), 1).await.unwrap();
                if n % 50 == 20 {
                    lab.submit(hypothesis(&format!("Idea {n}"), &format!("idea-{n}"))).await.unwrap();
                }
            }
        };
        let verifying = async {
            for _ in 0..5 {
                assert_eq!(lab.runtime.audit_log().verify(&[]).await.unwrap().problems, Vec::<String>::new());
            }
        };
        tokio::join!(writing, verifying);
        assert_eq!(lab.runtime.audit_log().verify(&[]).await.unwrap().problems, Vec::<String>::new());
    })
    .await;
}
