/** Plugins as GraphQL shows them. */
const plugin = `name: String!
  "Of what runs here, or was installed last; else of what the folder holds."
  version: String!
  description: String!
  "available, disabled, starting, enabled, quarantined, failed or missing."
  status: String!
  statusReason: String!
  "Whether it comes with the hub."
  bundled: Boolean!
  "low, normal or trusted."
  trust: String!
  hash: String!
  "Name of the key of a good signature."
  signedBy: String
  "What the folder holds when that is another version: reloadPlugin takes it."
  offered: PluginOffered
  "What it may do: asked for, and granted."
  permissions: JSON!
  "What its manifest asks for."
  requested: JSON!
  limits: PluginLimits!
  "Semver ranges by name."
  dependencies: JSON!
  "Of this node, since the plugin was started."
  metrics: PluginMetrics!
  lastError: PluginLastError`;

export const pluginTypes = /* GraphQL */ `type Plugin {
  ${plugin}
}

type PluginOffered {
  version: String!
  hash: String!
}

type PluginLimits {
  memoryMb: Int!
  cpuMsPerCall: Int!
  timeoutMs: Int!
  callsPerSec: Int!
  messageBytes: Int!
}

"What is left out is what the manifest asks for."
input PluginLimitsInput {
  memoryMb: Int
  cpuMsPerCall: Int
  timeoutMs: Int
  callsPerSec: Int
  messageBytes: Int
}

type PluginMetrics {
  calls: Float!
  "By fault."
  failures: JSON!
  wishes: Float!
  "What it asked for and was not granted, by operation."
  refused: JSON!
  "By limit."
  limited: JSON!
  restarts: Float!
  heapBytes: Float!
  cpuMs: Float!
  "Of its calls of the last minute; null without any."
  p50Ms: Float
  p99Ms: Float
}

type PluginLastError {
  at: String!
  reason: String!
}

type PluginResult {
  success: Boolean!
  ${plugin}
  position: String!
}

type ShadowedVersion {
  version: String!
  hash: String!
}

"What a version that is not installed did with what the running one was called for. Nothing of it was carried out."
type ShadowReport {
  name: String!
  running: ShadowedVersion!
  shadow: ShadowedVersion!
  minutes: Float!
  "Shown to it."
  calls: Int!
  "Recorded, and not shown to it: too many, too slow, or it died."
  notShown: Int!
  differentAnswers: Int!
  "Of the running version alone."
  missingWishes: Int!
  additionalWishes: Int!
  differentWishes: Int!
  "Of the shadow, too many or too large to be kept: not compared, or not seen by its later reads."
  wishesLeftOut: Int!
  "By operation."
  refused: JSON!
  failures: JSON!
  latencyMs: ShadowLatencies!
  "The first 100, each { target, input, running, shadow }."
  differences: JSON!
  "The first 100, each { operation, running, shadow }; null where that version had none."
  wishes: JSON!
}

type ShadowLatencies {
  running: ShadowLatency!
  shadow: ShadowLatency!
}

type ShadowLatency {
  p50: Float
  p99: Float
}
`;

export const pluginQueryFields = /* GraphQL */ `  "By name: those that were enabled, and those that stand in a folder of this node. All of these need the scope plugins:admin."
  plugins: [Plugin!]!
  "Null when there is none."
  plugin(name: String!): Plugin
`;

export const pluginMutationFields = /* GraphQL */ `  "permissions: what it is granted, or the text requested: what its manifest asks for. hash: the only content that may run, null for any. What is left out stays as it was; at first it is what the manifest asks for."
  enablePlugin(name: String!, permissions: JSON, limits: PluginLimitsInput, config: JSON, hash: String): PluginResult!
  disablePlugin(name: String!, reason: String): PluginResult!
  "Takes what the folder holds, or starts it again. hash: the content that is meant."
  reloadPlugin(name: String!, hash: String): PluginResult!
  "Shows what the folder holds what the running version was called for in the last minutes (10 unless given, at most 60)."
  shadowPlugin(name: String!, minutes: Int): ShadowReport!
`;
