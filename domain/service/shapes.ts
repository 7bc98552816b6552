import type { EventShape } from '../catalog.ts';
import type { LogEvent } from '../event.ts';
import { type ServicePolicy, strategies } from './policy.ts';
import {
  type ServiceEvent,
  type ServiceFields,
  type ServiceIdentity,
  serviceStatuses,
  statusCauses,
} from './service.ts';

type Data = Readonly<Record<string, unknown>>;
type Check = (value: unknown) => boolean;

const isData = (value: unknown): value is Data =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isText: Check = (value) => typeof value === 'string';
const isTextList: Check = (value) => Array.isArray(value) && value.every(isText);
const isCount: Check = (value) => Number.isSafeInteger(value) && Number(value) >= 0;
const isOptional =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);
const isOneOf = (values: readonly string[]): Check => {
  const known: ReadonlySet<unknown> = new Set(values);
  return (value) => known.has(value);
};
const isRecordOf =
  (checks: Readonly<Record<string, Check>>): Check =>
  (value) =>
    isData(value) && Object.entries(checks).every(([name, check]) => check(value[name]));

const isStatus = isOneOf(serviceStatuses);
const isCause = isOneOf(statusCauses);
const isStrategy = isOneOf(strategies);

const identityChecks: { readonly [Name in keyof ServiceIdentity]: Check } = {
  name: isText,
  version: isText,
  host: isText,
  port: Number.isInteger,
  protocol: isOneOf(['http', 'https']),
  capabilities: isTextList,
  healthCheckUrl: (value) => value === null || isText(value),
  ttlSec: (value) => value === null || Number.isInteger(value),
  weight: Number.isFinite,
  tags: isTextList,
  metadata: isData,
};

const isMethod = isRecordOf({
  idempotent: isOptional((value) => typeof value === 'boolean'),
  strategy: isOptional(isStrategy),
  timeoutMs: isOptional(isCount),
});

const policyChecks: { readonly [Name in keyof ServicePolicy]: Check } = {
  healthCheck: isRecordOf({
    intervalMs: isCount,
    timeoutMs: isCount,
    healthyThreshold: isCount,
    unhealthyThreshold: isCount,
    graceMs: isCount,
  }),
  removeAfterSec: (value) => value === null || isCount(value),
  balancing: isRecordOf({
    strategy: isStrategy,
    slowStartSec: isCount,
    maxEjectedPercent: isCount,
    panicPercent: isCount,
    maxInFlight: isCount,
  }),
  methods: (value) => isData(value) && Object.values(value).every(isMethod),
  reach: isOneOf(['direct', 'socket']),
};

const fieldChecks: { readonly [Name in keyof ServiceFields]: Check } = { ...identityChecks, ...policyChecks };
const identityCheckList = Object.entries(identityChecks);
const policyCheckList = Object.entries(policyChecks);
const fieldCheckList = Object.entries(fieldChecks);

const reasonFault = (data: Data): string | undefined => (isText(data.reason) ? undefined : 'reason');

const registeredFault = (data: Data, { stream }: LogEvent): string | undefined => {
  if (typeof data.id !== 'string' || stream !== `service-${data.id}`) return 'id';
  for (const [name, check] of identityCheckList) if (!check(data[name])) return name;
  for (const [name, check] of policyCheckList) if (!isOptional(check)(data[name])) return name;
  return isStatus(data.status) ? reasonFault(data) : 'status';
};

const updatedFault = ({ changes }: Data): string | undefined => {
  if (!isData(changes)) return 'changes';
  for (const [name, check] of fieldCheckList) if (!isOptional(check)(changes[name])) return `changes/${name}`;
  return undefined;
};

const statusFault = (data: Data): string | undefined => {
  if (!isStatus(data.from)) return 'from';
  if (!isStatus(data.to)) return 'to';
  return isOptional(isCause)(data.cause) ? reasonFault(data) : 'cause';
};

/** How the events of a service are decoded. */
export const serviceShapes: { readonly [Type in ServiceEvent['type']]: EventShape } = {
  ServiceRegistered: { category: 'service', fault: registeredFault },
  ServiceUpdated: { category: 'service', fault: updatedFault },
  ServiceStatusChanged: { category: 'service', fault: statusFault },
  ServiceDeregistered: { category: 'service', fault: reasonFault },
  CircuitOpened: {
    category: 'service',
    fault: (data) => (isText(data.until) ? reasonFault(data) : 'until'),
  },
  CircuitClosed: { category: 'service', fault: reasonFault },
  ServiceAttached: { category: 'service', fault: ({ node }) => (isText(node) ? undefined : 'node') },
};
