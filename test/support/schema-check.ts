import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';

type Schema = Readonly<Record<string, unknown>>;

const isRecord = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The same document, in which no object may have a member that its schema does not name. */
const closed = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(closed);
  if (!isRecord(value)) return value;
  const inner = Object.fromEntries(Object.entries(value).map(([name, part]) => [name, closed(part)]));
  return value.type === 'object' && isRecord(value.properties) && value.additionalProperties === undefined
    ? { ...inner, additionalProperties: false }
    : inner;
};

export type SchemaCheck = {
  /** What is wrong with `value` by the schema at `pointer` (a JSON pointer into the document), or an empty list. */
  faults(pointer: string, value: unknown): readonly string[];
};

/** Checks values by the schemas of an OpenAPI or AsyncAPI document; members that a schema does not name are faults. */
export const createSchemaCheck = (document: object): SchemaCheck => {
  const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
  // The name of a document is none of a schema.
  const { id: _id, ...parts } = closed(document) as Schema;
  ajv.addSchema(parts, 'document');
  const known = new Map<string, ValidateFunction>();
  return {
    faults: (pointer, value) => {
      const uri = `document#${encodeURI(pointer)}`;
      const validate = known.get(uri) ?? ajv.compile({ $ref: uri });
      known.set(uri, validate);
      if (validate(value)) return [];
      return (validate.errors ?? []).map(
        ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
      );
    },
  };
};

/** A JSON pointer of these steps (RFC 6901). */
export const pointerOf = (...steps: readonly (string | number)[]): string =>
  steps.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
