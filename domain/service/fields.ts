import { sameJson } from '../json.ts';
import { defaultPolicy, type ServicePolicy } from './policy.ts';
import type { RecordedFields, ServiceFields } from './service.ts';

type Name = keyof ServiceFields;
type Writable = { -readonly [Field in Name]?: ServiceFields[Field] };

/** Each name once, so that a field that is added to the type and forgotten here does not compile. */
const table: { readonly [Field in Name]: Field } = {
  name: 'name',
  version: 'version',
  host: 'host',
  port: 'port',
  protocol: 'protocol',
  capabilities: 'capabilities',
  healthCheckUrl: 'healthCheckUrl',
  ttlSec: 'ttlSec',
  weight: 'weight',
  tags: 'tags',
  metadata: 'metadata',
  healthCheck: 'healthCheck',
  removeAfterSec: 'removeAfterSec',
  balancing: 'balancing',
  methods: 'methods',
  reach: 'reach',
};

export const serviceFieldNames: readonly Name[] = Object.values(table);

/** The fields of `changes` that differ from `fields`; undefined when none does. Values count, not references. */
export const changedFields = (
  fields: ServiceFields,
  changes: Partial<ServiceFields>,
): Partial<ServiceFields> | undefined => {
  const changed: Writable = {};
  let some = false;
  const compare = <Field extends Name>(name: Field): void => {
    const value = changes[name];
    if (value === undefined || sameJson(fields[name], value)) return;
    changed[name] = value;
    some = true;
  };
  for (const name of serviceFieldNames) compare(name);
  return some ? changed : undefined;
};

/** `fields` with `changes` over it. Only a service's own fields are taken, whatever else the record holds. */
export const withChanges = (fields: RecordedFields, changes: Partial<ServiceFields>): ServiceFields => ({
  name: changes.name ?? fields.name,
  version: changes.version ?? fields.version,
  host: changes.host ?? fields.host,
  port: changes.port ?? fields.port,
  protocol: changes.protocol ?? fields.protocol,
  capabilities: changes.capabilities ?? fields.capabilities,
  healthCheckUrl: changes.healthCheckUrl === undefined ? fields.healthCheckUrl : changes.healthCheckUrl,
  ttlSec: changes.ttlSec === undefined ? fields.ttlSec : changes.ttlSec,
  weight: changes.weight ?? fields.weight,
  tags: changes.tags ?? fields.tags,
  metadata: changes.metadata ?? fields.metadata,
  healthCheck: changes.healthCheck ?? fields.healthCheck ?? defaultPolicy.healthCheck,
  removeAfterSec: firstGiven(changes.removeAfterSec, fields.removeAfterSec, defaultPolicy.removeAfterSec),
  balancing: changes.balancing ?? fields.balancing ?? defaultPolicy.balancing,
  methods: changes.methods ?? fields.methods ?? defaultPolicy.methods,
  reach: changes.reach ?? fields.reach ?? defaultPolicy.reach,
});

const firstGiven = (...values: readonly (number | null | undefined)[]): number | null =>
  values.find((value) => value !== undefined) ?? null;

/** A service's own fields, picked from a wider record, with the default for each policy that it does not hold. */
export const fieldsOf = (record: RecordedFields): ServiceFields => withChanges(record, {});

/** `fields` as an event holds them: without the policies that are the default ones. */
export const recordedFields = (fields: ServiceFields): RecordedFields => {
  const { healthCheck, removeAfterSec, balancing, methods, reach, ...identity } = fieldsOf(fields);
  const policy: ServicePolicy = { healthCheck, removeAfterSec, balancing, methods, reach };
  return { ...identity, ...changedPolicy(policy) };
};

const changedPolicy = (policy: ServicePolicy): Partial<ServicePolicy> => {
  const { healthCheck, removeAfterSec, balancing, methods, reach } = policy;
  return {
    ...(sameJson(healthCheck, defaultPolicy.healthCheck) ? {} : { healthCheck }),
    ...(removeAfterSec === defaultPolicy.removeAfterSec ? {} : { removeAfterSec }),
    ...(sameJson(balancing, defaultPolicy.balancing) ? {} : { balancing }),
    ...(sameJson(methods, defaultPolicy.methods) ? {} : { methods }),
    ...(reach === defaultPolicy.reach ? {} : { reach }),
  };
};
