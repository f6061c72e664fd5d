//! The daemon as its users meet it: the real program on a free port, a browser without script, agents with tokens.

mod api;
mod decide;
mod ingest;
mod life;
mod pages;
mod routes;
mod support;
