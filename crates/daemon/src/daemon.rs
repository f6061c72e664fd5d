//! From arguments to a served workspace, and back to silence.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use outcome_core::config::Vendors;
use outcome_core::settings::{Overrides, Settings, Sourced, process_env};
use outcome_core::usecases::Runtime;
use outcome_core::{Code, Error, Result};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::auth::site::Site;
use crate::serve::{self, Limits};
use crate::{App, Args, jobs, router, service_manager};

/// How long requests that are under way may take after the signal to stop.
const REQUEST_GRACE: Duration = Duration::from_secs(10);
/// How long a poll round that is under way may take after that: its sources have time limits of their own.
const JOB_GRACE: Duration = Duration::from_secs(30);

/// Serves until SIGTERM or SIGINT. `vendors`: what an outcome file may name.
///
/// # Errors
/// [`Code::PortTaken`], [`Code::WorkspaceNotFound`], or what the database says.
pub async fn run(args: Args, vendors: &'static Vendors) -> Result<()> {
    let mut settings = settings(&args, vendors)?;
    let listener = listen(args.listen).await?;
    let address = listener.local_addr().map_err(|e| Error::new(Code::Io, "the port has no address").because(e))?;
    settings.pages = Sourced { value: format!("http://{address}"), from: "flag --listen".to_owned() };
    let runtime = Runtime::open(settings).await?;
    let site = Site::new(&runtime.gates().pages().await?, &args.allow_hosts)?;
    let tick = Duration::from_secs(args.tick);
    let mut beside = Vec::new();
    for root in &args.also {
        let settings = settings_at(root, &overrides(&args, vendors), "flag --also")?;
        let runtime = runtime.open_beside(settings).await?;
        tracing::info!(workspace = %runtime.workspace().slug, "Also reading the signals of `{}`", runtime.workspace().slug);
        let site = Site::new(&runtime.gates().pages().await?, &[])?;
        beside.push(App::new(runtime, site, tick, Vec::new()));
    }
    let app = App::new(runtime, site, tick, beside);
    if let Some(path) = &args.address_file {
        write_address(path, address)?;
    }
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "Listening beyond loopback: passphrases are sent unencrypted unless a TLS proxy is in front");
    }
    tracing::info!(%address, workspace = %app.runtime.workspace().slug, "Serving `{}` on http://{address}",
        app.runtime.workspace().slug);

    let cancel = app.stopping.clone();
    let mut tasks = JoinSet::new();
    app.all().for_each(|app| jobs::spawn(&mut tasks, app, &cancel));
    tasks.spawn(service_manager::watchdog(cancel.clone()));
    service_manager::ready(&format!("Serving {} on {address}", app.runtime.workspace().slug));

    let served = serve(listener, &app, &cancel).await;
    cancel.cancel();
    if tokio::time::timeout(JOB_GRACE, async { while tasks.join_next().await.is_some() {} }).await.is_err() {
        tracing::warn!("A job did not end in time and was stopped; its readings are repeated at the next start");
        tasks.shutdown().await;
    }
    for app in app.all() {
        if tokio::time::timeout(REQUEST_GRACE, jobs::deliver_last(app)).await.is_err() {
            tracing::warn!("A flag was not moved before the end; whoever runs next moves it");
        }
        app.runtime.db().close().await;
    }
    tracing::info!("Stopped");
    served
}

async fn serve(listener: TcpListener, app: &App, cancel: &CancellationToken) -> Result<()> {
    let stop = CancellationToken::new();
    let mut server = std::pin::pin!(serve::serve(listener, router::build(app), Limits::default(), stop.clone()));
    tokio::select! {
        () = &mut server => return Err(Error::new(Code::Io, "serving ended by itself")),
        done = signal() => done?,
    }
    tracing::info!("Stopping: no new requests are accepted, open requests are finished");
    service_manager::stopping();
    cancel.cancel();
    stop.cancel();
    match tokio::time::timeout(REQUEST_GRACE, server).await {
        Ok(()) => Ok(()),
        Err(_) => {
            tracing::warn!("Requests were still open after {} s and were cancelled", REQUEST_GRACE.as_secs());
            Ok(())
        }
    }
}

fn overrides(args: &Args, vendors: &'static Vendors) -> Overrides {
    Overrides { database: args.database.clone(), ..Overrides::new(vendors) }
}

fn settings_at(root: &Path, overrides: &Overrides, from: &str) -> Result<Settings> {
    let root = root
        .canonicalize()
        .map_err(|e| Error::new(Code::WorkspaceNotFound, format!("{} cannot be opened", root.display())).because(e))?;
    Settings::at(Sourced { value: root, from: from.to_owned() }, overrides, &process_env)
}

fn settings(args: &Args, vendors: &'static Vendors) -> Result<Settings> {
    let overrides = overrides(args, vendors);
    match &args.workspace {
        Some(root) => settings_at(root, &overrides, "flag --workspace"),
        None => {
            let cwd = std::env::current_dir()
                .map_err(|e| Error::new(Code::Io, "the working directory cannot be read").because(e))?;
            Settings::discover(&cwd, &overrides, &process_env)
        }
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|e| match e.kind() {
        std::io::ErrorKind::AddrInUse => {
            Error::new(Code::PortTaken, format!("another program already listens on {address}"))
                .hint(format!(
                    "is another daemon running (`ss -ltnp sport = :{}`)? Stop it, or choose another port with \
                     `--listen {}:PORT` or OUTCOME_RUNTIME_LISTEN; port 0 selects a free port",
                    address.port(),
                    address.ip()
                ))
                .with("address", address.to_string())
                .with("port", address.port())
        }
        _ => Error::new(Code::Io, format!("cannot listen on {address}"))
            .because(e)
            .hint("choose another address with --listen"),
    })
}

/// Whole or not at all: a script that waits for the file never reads half of it.
fn write_address(path: &Path, address: SocketAddr) -> Result<()> {
    let unwritable =
        |e: std::io::Error| Error::new(Code::Io, format!("{} cannot be written", path.display())).because(e);
    let beside = path.with_extension("part");
    std::fs::write(&beside, format!("{address}\n")).map_err(unwritable)?;
    std::fs::rename(&beside, path).map_err(unwritable)
}

async fn signal() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |e: std::io::Error| Error::new(Code::Io, "operating-system signals cannot be received").because(e);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
