import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import type { Json } from 'nexus-integration-core/plugin';
import { createTopicMap } from './topics.ts';

export type Fault = {
  /** Topic pattern that the schema is kept under. */
  readonly schema: string;
  /** JSON pointer into the payload. */
  readonly pointer: string;
  /** Keyword of the schema that does not hold. */
  readonly keyword: string;
  readonly detail: string;
};

export type Taken = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/** Schemas by topic pattern, and what is wrong with a payload by them. */
export type Guard = {
  /** Puts a schema in the place of the one that the pattern had; a faulty one changes nothing. */
  put(pattern: string, schema: Json): Taken;
  remove(pattern: string): void;
  /** Whether `put` would take it. */
  check(pattern: string, schema: Json): Taken;
  /** Undefined when no schema is for the topic; otherwise at most 20 faults, in all that are. */
  faults(topic: string, payload: Json): readonly Fault[] | undefined;
};

export const maxSchemas = 500;
const maxSchemaLength = 65_536;
const maxFaults = 20;
/** Of a longer payload the first fault of each schema is told: all of them may be more than what is wrong with it. */
const maxLengthOfAll = 16_384;

type Compiled = { readonly first: ValidateFunction; all(): ValidateFunction };

/** Unknown keywords are faults of a schema; `format` is an annotation, as draft 2020-12 has it. */
const settings = {
  strictSchema: true,
  strictTypes: false,
  strictTuples: false,
  strictRequired: false,
  strictNumbers: true,
  validateFormats: false,
  logger: false,
  addUsedSchema: false,
} as const;

export const createGuard = (): Guard => {
  const first = new Ajv2020(settings);
  // Made for the first message that is refused: it costs as much as the other one.
  let all: Ajv2020 | undefined;
  const schemas = createTopicMap<Compiled>();

  const compile = (pattern: string, schema: Json): Compiled | string => {
    const fault = schemas.fault(pattern);
    if (fault !== undefined) return fault;
    if (typeof schema !== 'boolean' && !isRecord(schema)) return 'a schema is an object or a boolean';
    if (JSON.stringify(schema).length > maxSchemaLength)
      return `a schema has ${maxSchemaLength} characters at most`;
    if (!schemas.has(pattern) && schemas.size >= maxSchemas) return `there are ${maxSchemas} schemas already`;
    try {
      let later: ValidateFunction | undefined;
      return {
        first: compiledBy(first, schema),
        all: () => {
          all ??= new Ajv2020({ ...settings, allErrors: true });
          later ??= compiledBy(all, schema);
          return later;
        },
      };
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  };

  return {
    put(pattern, schema) {
      const compiled = compile(pattern, schema);
      if (typeof compiled === 'string') return { ok: false, reason: compiled };
      schemas.set(pattern, compiled);
      return { ok: true };
    },
    remove: (pattern) => schemas.delete(pattern),
    check(pattern, schema) {
      const compiled = compile(pattern, schema);
      return typeof compiled === 'string' ? { ok: false, reason: compiled } : { ok: true };
    },
    faults(topic, payload) {
      const matching = schemas.matching(topic);
      if (matching.length === 0) return undefined;
      const broken = matching.filter(([, { first: validate }]) => !validate(payload));
      if (broken.length === 0) return [];
      const short = JSON.stringify(payload).length <= maxLengthOfAll;
      return broken
        .flatMap(([pattern, compiled]) => faultsOf(pattern, short ? compiled.all() : compiled.first, payload))
        .slice(0, maxFaults);
    },
  };
};

const isRecord = (value: Json): value is { readonly [name: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** @throws {Error} that says what is wrong with the schema. */
const compiledBy = (ajv: Ajv2020, schema: boolean | { readonly [name: string]: Json }): ValidateFunction => {
  try {
    return ajv.compile(schema);
  } finally {
    // Nothing is kept by its `$id`: two topics may have the same schema.
    if (typeof schema === 'object') ajv.removeSchema(schema);
  }
};

const faultsOf = (schema: string, validate: ValidateFunction, payload: Json): readonly Fault[] => {
  validate(payload);
  return (validate.errors ?? []).map((error) => ({
    schema,
    pointer: pointerOf(error),
    keyword: error.keyword,
    detail: error.message ?? 'is not valid',
  }));
};

/** To the member that is missing, or is too much, as the hub's own faults have it. */
const pointerOf = ({ instancePath, params }: ErrorObject): string => {
  const member: unknown = params.missingProperty ?? params.additionalProperty ?? params.unevaluatedProperty;
  return typeof member === 'string'
    ? `${instancePath}/${member.replaceAll('~', '~0').replaceAll('/', '~1')}`
    : instancePath;
};
