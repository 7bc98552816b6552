/** State policies as GraphQL shows them. */
const rules = `pattern: String!
  "Name of the resolver that settles conflicts."
  resolver: String
  owner: StateOwner
  maxKeys: Float
  maxBytes: Float
  maxVersions: Float
  maxAgeSec: Float`;

export const statePolicyTypes = /* GraphQL */ `"Either subject or scope: who may write the keys."
type StateOwner {
  subject: String
  scope: String
}

input StateOwnerInput {
  subject: String
  scope: String
}

"What the living keys of a pattern take up."
type StateUsage {
  keys: Float!
  bytes: Float!
}

"What holds for the keys of the pattern; null says nothing of that kind."
type StatePolicy {
  ${rules}
  "Of a pattern with a quota; null while it is being counted."
  usage: StateUsage
}

type SetStatePolicyResult {
  success: Boolean!
  ${rules}
  position: String!
}

type RemoveStatePolicyResult {
  success: Boolean!
  pattern: String!
  position: String!
}
`;

export const statePolicyQueryFields = /* GraphQL */ `  "All policies, or the one of exactly this pattern."
  statePolicies(pattern: String): [StatePolicy!]!
`;

export const statePolicyMutationFields = /* GraphQL */ `  "Replaces all that the pattern (a key, or a prefix and *) had; at least one rule. Needs the scope admin."
  setStatePolicy(pattern: String!, resolver: String, owner: StateOwnerInput, maxKeys: Float, maxBytes: Float, maxVersions: Float, maxAgeSec: Float): SetStatePolicyResult!
  removeStatePolicy(pattern: String!): RemoveStatePolicyResult!
`;
