//! Which channels a notice goes to, and handing it to them.

use std::sync::OnceLock;

use super::letter::letter;
use crate::config::ChannelSpec;
use crate::domain::{GateChannel, Notice};
use crate::error::error_chain;
use crate::ports::Opening;
use crate::usecases::Runtime;
use crate::usecases::kernel::workspace_file::{config, resolver};

/// The channels that the file declares, read at the first notice of a delivery.
#[derive(Debug, Default)]
pub(super) struct Channels {
    declared: OnceLock<Vec<ChannelSpec>>,
}

/// What became of a notice.
pub(super) enum Told {
    /// These channels took it.
    Sent(Vec<String>),
    /// The file says `channel: none`.
    NotWanted,
    /// The file declares no channel for it.
    NoChannel,
}

impl Channels {
    /// Hands a notice to the channel that its gate names, or to every channel of the file.
    ///
    /// # Errors
    /// A sentence, when the file cannot be read or a channel did not take the notice. The others then get it again with
    /// the same key.
    pub(super) async fn tell(&self, runtime: &Runtime, notice: &Notice, key: &str) -> Result<Told, String> {
        let (kind, place) = match notice.gate().and_then(|about| about.channel.as_deref()).map(GateChannel::of) {
            Some(GateChannel::Nowhere) => return Ok(Told::NotWanted),
            Some(GateChannel::To { kind, place }) => (Some(kind), place),
            None => (None, None),
        };
        let mut names = Vec::new();
        for spec in self.declared(runtime).await?.iter().filter(|spec| kind.is_none_or(|kind| spec.kind == kind)) {
            let opening = Opening { root: &runtime.settings.root.value, resolve: &resolver(runtime) };
            let channel = spec.settings.open(&opening).map_err(|error| error_chain(&error))?;
            let letter = letter(notice, key, place.map(ToOwned::to_owned), &runtime.settings.app_url.value);
            channel.send(&letter).await.map_err(|error| error_chain(&error))?;
            names.push(channel.name().to_owned());
        }
        Ok(if names.is_empty() { Told::NoChannel } else { Told::Sent(names) })
    }

    async fn declared(&self, runtime: &Runtime) -> Result<&[ChannelSpec], String> {
        if let Some(known) = self.declared.get() {
            return Ok(known);
        }
        // A program without channels need not read the file to know that there are none.
        let found = match runtime.settings.vendors.channels {
            [] => Vec::new(),
            _ => config(runtime).await.map_err(|error| error_chain(&error))?.notifications.channels.clone(),
        };
        Ok(self.declared.get_or_init(|| found))
    }
}
