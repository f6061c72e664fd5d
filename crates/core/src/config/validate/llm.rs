//! Language models. Unknown names are warnings: models change faster than this program, and none of them decides.

use super::report::{At, Problem, Reporter, list, shown, text};
use crate::config::LlmSpec;
use crate::config::file::LlmFile;
use crate::config::suggest::did_you_mean;

const PROVIDERS: &[&str] = &[
    "host-agent",
    "anthropic",
    "openai",
    "perplexity",
    "ollama",
    "openai-compatible",
    "azure-openai",
    "bedrock",
    "agent-cli",
];
/// How known models begin.
const FAMILIES: &[&str] = &[
    "claude-",
    "gpt-",
    "o1",
    "o3",
    "o4",
    "chatgpt-",
    "sonar",
    "llama",
    "mistral",
    "mixtral",
    "qwen",
    "gemma",
    "gemini-",
    "deepseek",
    "phi",
    "anthropic.",
    "amazon.",
    "meta.",
    "us.",
    "eu.",
];

pub(super) fn llm(file: Option<&At<LlmFile>>, reporter: &mut Reporter<'_>) -> LlmSpec {
    let Some(file) = file else { return LlmSpec::default() };
    provider(file.default_provider.as_ref(), reporter);
    let names_its_own = file.default_provider.as_ref().is_some_and(|provider| {
        matches!(provider.value.as_str(), "ollama" | "openai-compatible" | "azure-openai" | "bedrock")
    });
    for at in [&file.hypothesis_model, &file.analysis_model].into_iter().flatten() {
        let is_known = FAMILIES.iter().any(|family| at.value.to_ascii_lowercase().starts_with(family));
        if !is_known && !names_its_own {
            let message = format!("this version does not know the model `{}`", shown(&at.value));
            reporter.push(
                Problem::warning("config.unknown_model", at.span, message)
                    .valid("any model of your provider, as in `claude-opus-4` or `gpt-5`")
                    .help("check the spelling; a newer model still works"),
            );
        }
    }
    LlmSpec {
        default_provider: text(file.default_provider.as_ref()),
        hypothesis_model: text(file.hypothesis_model.as_ref()),
        analysis_model: text(file.analysis_model.as_ref()),
    }
}

/// The provider that needs no gateway: the user's own agent.
const HOST_AGENT: &str = "host-agent";

/// Warns of a provider that is not known, or that this version does not call.
pub(super) fn provider(at: Option<&At<String>>, reporter: &mut Reporter<'_>) {
    let Some(at) = at.filter(|at| at.value != HOST_AGENT) else { return };
    if PROVIDERS.contains(&at.value.as_str()) {
        let message = format!("`{}` is not called in this version, which talks to no language model", shown(&at.value));
        reporter.push(
            Problem::warning("config.provider_unavailable", at.span, message)
                .valid("`host-agent`")
                .help("write `host-agent` or leave it out: your own agent writes the hypotheses, without a key"),
        );
        return;
    }
    let help = did_you_mean(&at.value, PROVIDERS.iter().copied()).map_or_else(
        || "leave it out: your own agent then writes the hypotheses, without a key".to_owned(),
        |name| format!("did you mean `{name}`?"),
    );
    let message = format!("this version does not know the provider `{}`", shown(&at.value));
    reporter.push(Problem::warning("config.unknown_provider", at.span, message).valid(list(PROVIDERS)).help(help));
}
