mod commands {
    pub mod demo;
}
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    commands::demo::run(std::env::args().nth(2).map(std::path::PathBuf::from).as_deref()).await
}
