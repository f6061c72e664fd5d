//! What every flag service with experiments of its own must do for an experiment that is guarded.

use outcome_core::ports::FlagService;
use outcome_core::ports::elsewhere::Elsewhere;

use super::flag_kit::foreign;

/// The experiment, which is there.
pub(crate) async fn found(service: &dyn FlagService, reference: &str) -> Elsewhere {
    service.elsewhere().unwrap().experiment(reference).await.unwrap().unwrap()
}

/// It cannot be guarded, for this reason.
pub(crate) async fn cannot(service: &dyn FlagService, reference: &str, words: &str) {
    let error = service.elsewhere().unwrap().experiment(reference).await.unwrap_err();
    let problem = foreign(&error);
    assert!(problem.contains(words), "{problem}, and not {words}");
}

/// Nothing is asked about what is no number, id or key of an experiment, and what is not there is not there.
pub(crate) async fn is_not_there(service: &dyn FlagService, references: &[&str]) {
    for reference in references {
        let found = service.elsewhere().unwrap().experiment(reference).await.unwrap();
        assert!(found.is_none(), "{reference}: {found:?}");
    }
}

/// The same without what deals its arms, which is the service's own.
pub(crate) fn without_deal(found: Elsewhere) -> Elsewhere {
    assert!(!found.deal.is_empty());
    Elsewhere { deal: String::new(), ..found }
}
