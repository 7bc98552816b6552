/** Types and root fields of the registry. */
export const serviceTypes = /* GraphQL */ `
type Service {
  id: ID!
  name: String!
  "Semver."
  version: String!
  "The word socket for an instance that is called over its own WebSocket."
  host: String!
  "0 for an instance that is called over its own WebSocket."
  port: Int!
  protocol: String!
  capabilities: [String!]!
  healthCheckUrl: String
  ttlSec: Int
  "starting, healthy, degraded, unhealthy, draining, maintenance or offline."
  status: String!
  statusReason: String!
  "registration, heartbeat, ttl, probe, invocations, flapping, socket, report or operator; null in the oldest records."
  statusCause: String
  statusSince: String!
  "0 to 1, as the service last reported it."
  load: Float
  inFlight: Int!
  weight: Int!
  tags: [String!]!
  metadata: JSON!
  healthCheck: HealthCheck!
  "Null: never."
  removeAfterSec: Int
  balancing: Balancing!
  "By name: { input, output, idempotent, strategy, timeoutMs }."
  methods: JSON!
  "direct or socket."
  reach: String!
  "Null while calls may go to it."
  circuit: Circuit
  registeredAt: String!
  lastSeenAt: String!
  revision: Int!
}

type HealthCheck {
  intervalMs: Int!
  timeoutMs: Int!
  healthyThreshold: Int!
  unhealthyThreshold: Int!
  graceMs: Int!
}

type Balancing {
  strategy: String!
  slowStartSec: Int!
  maxEjectedPercent: Int!
  panicPercent: Int!
  maxInFlight: Int!
}

type Circuit {
  reason: String!
  since: String!
  until: String!
  openings: Int!
}

"What is declared under a service's name: the newest interface of each major version."
type ServiceInterface {
  name: String!
  interfaces: [InterfaceVersion!]!
}

type InterfaceVersion {
  "1, or 0.3 of 0.x."
  major: String!
  version: String!
  "By name: { input, output, idempotent }."
  methods: JSON!
  declaredBy: String!
  declaredAt: String!
  position: String!
}

type ServiceChange {
  "registered, updated, status, circuit or deregistered."
  change: String!
  service: Service!
  position: String!
}

"What is left out has its default."
input HealthCheckInput {
  intervalMs: Int
  timeoutMs: Int
  healthyThreshold: Int
  unhealthyThreshold: Int
  graceMs: Int
}

"What is left out has its default."
input BalancingInput {
  strategy: String
  slowStartSec: Int
  maxEjectedPercent: Int
  panicPercent: Int
  maxInFlight: Int
}

input RegisterServiceInput {
  id: ID
  name: String!
  version: String!
  "Not with reach socket; else needed, as port is."
  host: String
  port: Int
  protocol: String
  capabilities: [String!]
  healthCheckUrl: String
  ttlSec: Int
  weight: Int
  tags: [String!]
  metadata: JSON
  healthCheck: HealthCheckInput
  "Null: never. Left out: after three days."
  removeAfterSec: Int
  balancing: BalancingInput
  methods: JSON
  reach: String
}

"Either status, with a reason or without, or fields to change. Null takes away healthCheckUrl, ttlSec or removeAfterSec."
input UpdateServiceInput {
  "draining, maintenance or healthy."
  status: String
  reason: String
  name: String
  version: String
  host: String
  port: Int
  protocol: String
  capabilities: [String!]
  healthCheckUrl: String
  ttlSec: Int
  weight: Int
  tags: [String!]
  metadata: JSON
  healthCheck: HealthCheckInput
  removeAfterSec: Int
  balancing: BalancingInput
  methods: JSON
}

type RegisterServiceResult {
  success: Boolean!
  id: ID!
  "False when the service was known."
  created: Boolean!
  service: Service!
  position: String!
}

type UpdateServiceResult {
  success: Boolean!
  id: ID!
  service: Service!
  position: String!
}

type DeregisterServiceResult {
  success: Boolean!
  id: ID!
  position: String!
}

type HeartbeatResult {
  success: Boolean!
  id: ID!
  ttlSec: Int
  status: String!
}

type RetireInterfaceResult {
  success: Boolean!
  name: String!
  major: String!
  position: String!
}

type InvokeServiceResult {
  success: Boolean!
  result: JSON
  "Id of the instance that answered."
  instance: ID!
  attempts: Int!
  durationMs: Float!
}
`;

export const serviceQueryFields = /* GraphQL */ `  "Null when there is none. asOf is a position or a time."
  service(id: ID!, asOf: String): Service
  "By id. capability: all of them. version: a semver range. With first or after a page: 100 unless given, at most 1,000; after: an id, exclusive."
  services(name: String, capability: [String!], status: String, version: String, tag: String, reach: String, asOf: String, first: Int, after: String): [Service!]!
  "Null when none is declared."
  serviceInterface(name: String!): ServiceInterface
  "By name. after: a name, exclusive. first: 100 unless given, at most 1,000."
  serviceInterfaces(first: Int, after: String): [ServiceInterface!]!
`;

export const serviceMutationFields = /* GraphQL */ `  registerService(input: RegisterServiceInput!): RegisterServiceResult!
  updateService(id: ID!, input: UpdateServiceInput!): UpdateServiceResult!
  deregisterService(id: ID!, reason: String): DeregisterServiceResult!
  "load: 0 to 1. status: healthy, degraded or unhealthy."
  heartbeat(id: ID!, load: Float, status: String, metrics: JSON): HeartbeatResult!
  "key: what consistent-hash and sticky go by. idempotent: the call may be repeated."
  invokeService(name: String!, method: String!, data: JSON, strategy: String, key: String, capability: String, timeoutMs: Int, idempotent: Boolean): InvokeServiceResult!
  "So that the major version can be begun anew."
  retireInterface(name: String!, major: String!, reason: String): RetireInterfaceResult!
`;
