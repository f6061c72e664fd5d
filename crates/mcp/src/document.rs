//! A resource that is part of the program.

use rmcp::model::{MetaObject, ReadResourceResult, Resource, ResourceContents};

/// A text of ours under an address.
pub(crate) struct Document {
    pub(crate) uri: &'static str,
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) description: &'static str,
    pub(crate) mime: &'static str,
    pub(crate) text: &'static str,
    pub(crate) meta: Option<fn() -> MetaObject>,
}

impl Document {
    /// As it is listed.
    pub(crate) fn resource(&self) -> Resource {
        let mut resource = Resource::new(self.uri, self.name)
            .with_title(self.title)
            .with_description(self.description)
            .with_mime_type(self.mime)
            .with_size(self.text.len() as u64);
        resource.meta = self.meta.map(|meta| meta());
        resource
    }

    pub(crate) fn read(&self) -> ReadResourceResult {
        let mut content = ResourceContents::text(self.text, self.uri).with_mime_type(self.mime);
        if let Some(meta) = self.meta {
            content = content.with_meta(meta());
        }
        ReadResourceResult::new(vec![content])
    }
}
