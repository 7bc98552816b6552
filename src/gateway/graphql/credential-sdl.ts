/** API keys and revoked tokens as GraphQL shows them. */
const apiKey = `id: ID!
  name: String!
  "Who acts when the key is used."
  subject: String!
  scopes: [String!]!
  createdAt: String!
  createdBy: String!
  "Null for never."
  expiresAt: String`;

export const credentialTypes = /* GraphQL */ `type ApiKey {
  ${apiKey}
}

type RevokedToken {
  jti: String!
  revokedAt: String!
  revokedBy: String!
  "When the entry goes: the token has expired by then."
  expiresAt: String
}

type CreateApiKeyResult {
  success: Boolean!
  ${apiKey}
  "Told this once. Null for a repeated call."
  key: String
  keyShown: Boolean!
  position: String!
}

type RevokeApiKeyResult {
  success: Boolean!
  id: ID!
  position: String!
}

type RevokeTokenResult {
  success: Boolean!
  jti: String!
  expiresAt: String!
  position: String!
}
`;

export const credentialQueryFields = /* GraphQL */ `  "In the order of their ids; after: the id of the last one. All of these need the scope admin."
  apiKeys(first: Int, after: ID): [ApiKey!]!
  "Null when there is none."
  apiKey(id: ID!): ApiKey
  "In the order of jti; after: that of the last one."
  revokedTokens(first: Int, after: String): [RevokedToken!]!
`;

export const credentialMutationFields = /* GraphQL */ `  "expiresAt or ttlSec, or neither for a key that does not expire. Without a subject the key has one of its own."
  createApiKey(name: String!, scopes: [String!]!, subject: String, expiresAt: String, ttlSec: Int): CreateApiKeyResult!
  revokeApiKey(id: ID!): RevokeApiKeyResult!
  "Either token, or jti and when the token expires (365 days unless given)."
  revokeToken(jti: String, expiresAt: String, token: String): RevokeTokenResult!
`;
