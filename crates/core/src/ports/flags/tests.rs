//! The rules that no service's kind changes, on a service in memory.

use std::sync::Mutex;

use super::*;
use crate::error::Code;

/// Keeps one flag; ignores the writes beyond the first `takes`.
struct Memory {
    state: Mutex<Option<FlagState>>,
    takes: Mutex<u32>,
    hides: Mutex<u32>,
}

impl Memory {
    fn new(takes: u32, hides: u32) -> Self {
        Self { state: Mutex::new(None), takes: Mutex::new(takes), hides: Mutex::new(hides) }
    }

    fn write(&self, state: FlagState) -> FlagState {
        let mut takes = self.takes.lock().unwrap();
        if *takes > 0 {
            *takes -= 1;
            *self.state.lock().unwrap() = Some(state.clone());
        }
        state
    }
}

#[async_trait]
impl FlagService for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }
    async fn ensure(&self, key: &str, _: &str) -> Result<FlagState, FlagError> {
        Ok(self.write(FlagState::off(key)))
    }
    async fn set_rollout(&self, key: &str, treatment_pct: u8) -> Result<FlagState, FlagError> {
        Ok(self.write(FlagState::on(key, treatment_pct)))
    }
    async fn off(&self, key: &str) -> Result<FlagState, FlagError> {
        Ok(self.write(FlagState::off(key)))
    }
    async fn read(&self, _: &str) -> Result<Option<FlagState>, FlagError> {
        let mut hides = self.hides.lock().unwrap();
        if *hides > 0 {
            *hides -= 1;
            return Ok(None);
        }
        Ok(self.state.lock().unwrap().clone())
    }
    async fn last_change(&self, _: &str) -> Result<Option<String>, FlagError> {
        Ok(Some("somebody did it".to_owned()))
    }
    async fn rights(&self) -> Result<Vec<Right>, FlagError> {
        Ok(Vec::new())
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_not_seen_is_an_error() {
    let service = Memory::new(1, 0);
    let five = FlagState::on("f", 5);
    assert_eq!(write_and_read_back(&service, &five, |pause| Box::pin(tokio::time::sleep(pause))).await.unwrap(), five);
    let error = write_and_read_back(&service, &FlagState::on("f", 20), |pause| Box::pin(tokio::time::sleep(pause)))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "memory accepted the write, but flag `f` is on at 5 % and not on at 20 %");
    assert_eq!(error.code(), Code::FlagFailed);
    let error =
        write_and_read_back(&Memory::new(0, 0), &five, |pause| Box::pin(tokio::time::sleep(pause))).await.unwrap_err();
    assert_eq!(error.to_string(), "memory accepted the write, but flag `f` is not there and not on at 5 %");
    let off = FlagState::off("f");
    let gone = write_and_read_back(&Memory::new(0, 0), &off, |pause| Box::pin(tokio::time::sleep(pause))).await;
    assert_eq!(gone.unwrap(), off, "a flag that is not there is off");
}

#[tokio::test(start_paused = true)]
async fn a_service_may_need_a_moment() {
    let service = Memory::new(1, 2);
    assert!(
        write_and_read_back(&service, &FlagState::on("f", 5), |pause| Box::pin(tokio::time::sleep(pause)))
            .await
            .is_ok()
    );
}

#[tokio::test(start_paused = true)]
async fn drift_is_what_somebody_else_did() {
    let service = Memory::new(9, 0);
    let five = FlagState::on("f", 5);
    let gone = drift(&service, &five).await.unwrap();
    let cause = Some("somebody did it".to_owned());
    assert_eq!(gone, Some(Drift { expected: five.clone(), found: Found::Nothing, cause: cause.clone() }));
    assert_eq!(drift(&service, &FlagState::off("f")).await.unwrap(), None, "a flag that is gone is as good as off");
    service.set_rollout("f", 5).await.unwrap();
    assert_eq!(drift(&service, &five).await.unwrap(), None);
    service.off("f").await.unwrap();
    let off = drift(&service, &five).await.unwrap();
    let said = "the flag `f` is off, but the runtime set it to on at 5 %; the last change there: somebody did it";
    assert_eq!(off.as_ref().unwrap().to_string(), said);
    assert_eq!(off, Some(Drift { expected: five, found: Found::At(FlagState::off("f")), cause }));
    let left_over = FlagState { treatment_pct: 50, ..FlagState::off("f") };
    assert_eq!(drift(&service, &left_over).await.unwrap(), None, "a share means nothing while the flag is off");
}

#[test]
fn keys_are_safe_in_paths() {
    for ok in ["a", "new-checkout", "v2.checkout_flow", "0"] {
        assert!(check_key(ok).is_ok(), "{ok}");
    }
    for bad in ["", ".", "..", "-a", "a/b", "a b", "é", "a\n", &"a".repeat(129)] {
        assert_eq!(check_key(bad).unwrap_err().code(), Code::InvalidInput, "{bad}");
    }
    assert!(check_pct(100).is_ok());
    assert!(check_pct(101).is_err());
}
