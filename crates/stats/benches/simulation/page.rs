//! Writes `docs/statistics/simulation.md` and its pictures.

use std::path::Path;

use crate::arguments::Arguments;
use crate::mistakes;
use crate::report::{Section, summary};

/// # Errors
/// When the files cannot be written.
pub fn write(sections: &[Section], arguments: &Arguments) -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/statistics");
    std::fs::create_dir_all(&folder)?;
    for picture in sections.iter().flat_map(|section| &section.pictures) {
        std::fs::write(folder.join(picture.file), &picture.svg)?;
    }
    std::fs::write(folder.join("simulation.md"), page(sections, arguments))
}

fn page(sections: &[Section], arguments: &Arguments) -> String {
    let Arguments { replications, seed, .. } = arguments;
    let intro = format!(
        "# Simulation: error rates and power\n\n\
         What the engine promises, counted on simulated experiments, beside what other tools compute on the same data. The \
         engine is called through its own functions; the rivals' formulas are in `crates/stats/benches/simulation/methods.rs` \
         with their sources. This page is written by\n\n\
         ```sh\ncargo bench -p outcome-stats --bench simulation -- --replications {replications} --seed {seed} --write\n```\n\n\
         which takes about twenty minutes on two cores. The same seed gives the same page on any number of threads; another \
         seed gives another sample of the same size.\n\n\
         A cell reads: measured (published in STATS.md; distance). The distance is in standard errors: Monte Carlo error of \
         this simulation and of the published one (20,000 replications), and the rounding of the published figure. Beside a \
         published range it is the distance to the nearer end, 0 inside. A cell with one figure has no published one. Bold \
         rows are ours. alpha is 0.05 where nothing else is said, tau is the minimum detectable effect (MDE). STATS.md does not give all \
         parameters of its scenarios; what was chosen is said with each, and where a figure is not met, why.\n\n"
    );
    let mut out = intro + &summary(sections) + "\n";
    for section in sections {
        out.push_str(&section.markdown());
        out.push('\n');
    }
    out + &mistakes::markdown()
}
