//! Runs the tools that prove the statistics, each in the package of [`stats_lab`].

use anyhow::Result;

pub fn coverage() -> Result<()> { todo!() }
pub fn mutants(_: &[String]) -> Result<()> { todo!() }
pub fn fuzz(_: &[String]) -> Result<()> { todo!() }
