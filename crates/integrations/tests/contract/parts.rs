//! What is read of parts of a phase adds up to what is read of the phase, and a part says the same whatever other parts are asked with it.

use jiff::SignedDuration;
use outcome_core::domain::{Reading, SignalSpec, VariantReading, Window};
use outcome_core::ports::{PartRequest, SignalSource, VariantRequest};

/// Holds the parts of phases against the phases.
pub(crate) async fn add_up(
    source: &dyn SignalSource,
    signal: &SignalSpec,
    requests: &[VariantRequest],
    phases: &[Reading<Vec<VariantReading>>],
) {
    let name = &signal.metric;
    let parts: Vec<(usize, PartRequest)> = requests
        .iter()
        .enumerate()
        .flat_map(|(phase, request)| {
            cut(request.window).map(move |part| (phase, PartRequest { of: request.clone(), part }))
        })
        .collect();
    let asked: Vec<PartRequest> = parts.iter().map(|(_, part)| part.clone()).collect();
    let said = source.by_part(signal, &asked).await.unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(said.len(), asked.len(), "{name}");
    for (phase, whole) in phases.iter().enumerate() {
        let mut sum: Vec<VariantReading> = Vec::new();
        let of_phase = parts.iter().zip(&said).filter(|((of, _), _)| *of == phase);
        for arm in of_phase.flat_map(|(_, reading)| &reading.data) {
            match sum.iter_mut().find(|known| known.variant == arm.variant) {
                None => sum.push(*arm),
                Some(known) => *known = known.plus(arm).unwrap(),
            }
        }
        sum.retain(|arm| arm.sums.n() != Some(0));
        sum.sort_by_key(|arm| arm.variant);
        assert_eq!(sum.len(), whole.data.len(), "{name}, phase {phase}");
        for (sum, whole) in sum.iter().zip(&whole.data) {
            assert!(sum.is_near(whole), "{name}, phase {phase}: {sum:?} and not {whole:?}");
            let n_other = [sum, whole].map(|arm| arm.cohort.unwrap().n_other);
            assert_eq!(n_other[0], n_other[1], "{name}, phase {phase}: units of neither arm");
        }
    }
    // One at a time: what is known of earlier days is not asked for again.
    let mut n_both = 0;
    for (request, together) in asked.iter().zip(&said) {
        let alone = source.by_part(signal, std::slice::from_ref(request)).await.unwrap().remove(0);
        assert_eq!(alone.data.len(), together.data.len(), "{name}, {:?}", request.part);
        for (alone, together) in alone.data.iter().zip(&together.data) {
            assert!(alone.is_near(together), "{name}, {:?}: {alone:?} and not {together:?}", request.part);
            n_both += alone.cohort.unwrap().n_both;
        }
    }
    let n_other: i64 = said.iter().flat_map(|part| &part.data).map(|arm| arm.cohort.unwrap().n_other).sum();
    assert!(n_other > 0, "{name}: units of neither arm");
    assert!(n_both > 0, "{name}: units saw both arms");
}

/// Three parts of a window, of which the first is a day and an hour.
fn cut(window: Window) -> impl Iterator<Item = Window> {
    let first = window.from + SignedDuration::from_hours(25);
    let second = first + window.to.duration_since(first) / 3;
    [(window.from, first), (first, second), (second, window.to)].into_iter().map(|(from, to)| Window { from, to })
}
