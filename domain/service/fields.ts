import { sameJson } from '../json.ts';
import type { ServiceFields } from './service.ts';

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
export const withChanges = (fields: ServiceFields, changes: Partial<ServiceFields>): ServiceFields => ({
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
});

/** A service's own fields, picked from a wider record. */
export const fieldsOf = (record: ServiceFields): ServiceFields => withChanges(record, {});
