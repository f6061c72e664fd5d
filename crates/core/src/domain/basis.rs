//! What a decision rests on: everything that it is about, as the deciding process found it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Assurance, GateType, SignedEnrolment};
use crate::ids::MemberId;
use crate::principal::Principal;

/// What a decision rests on. It is signed with it, and compared with the state before the decision counts. What a kind of decision is
/// not about is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Basis {
    /// Fingerprint of the workspace's root key: SHA-256 of the public key's hexadecimal form.
    pub root: String,
    /// From the key that decides to the root, each vouched for by the next.
    pub certificates: Vec<SignedEnrolment>,
    /// Who asked for it: who opened the gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<Principal>,
    /// The gate's type and policy, and who decided before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyBasis>,
    /// What the runtime recommended, and whether this goes against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recommendation: Option<RecommendationBasis>,
    /// Full id of the commit that was reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// SHA-256 of the difference that the commit makes, as the deciding process computed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
    /// SHA-256 of the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// SHA-256 of the rules about paths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// SHA-256 of the configuration that was applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<String>,
    /// Where the flag goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<FlagMove>,
    /// The figures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceBasis>,
}

/// The rules by which a gate was decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyBasis {
    /// What kind of gate.
    pub gate_type: GateType,
    /// The level that a positive decision needs.
    pub assurance: Assurance,
    /// How many members must decide.
    pub quorum: u32,
    /// The members who decided before this one.
    pub decided_before: Vec<MemberId>,
}

/// What the runtime recommended at a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecommendationBasis {
    /// Its words.
    pub says: String,
    /// Whether the verdict is another one.
    pub is_against: bool,
}

/// Where a decision puts a flag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlagMove {
    /// Its key.
    pub key: String,
    /// Percent of the units with the treatment before, as the runtime left it. 0 is off.
    pub from_pct: u8,
    /// Percent of the units afterwards.
    pub to_pct: u8,
}

/// The figures that a decision rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EvidenceBasis {
    /// SHA-256 of the evaluation; absent where nothing was evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// The end of the chain of readings; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readings: Option<String>,
}
