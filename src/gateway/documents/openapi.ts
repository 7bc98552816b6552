import { setImmediate as nextTurn } from 'node:timers/promises';
import { version } from '../../version.ts';
import { type RestOperation, restOperations } from '../operations/rest.ts';
import type { Answer, Body, Description, Parameter } from './describe.ts';
import {
  answerFields,
  causeField,
  keyField,
  readFields,
  requestFields,
  traceFields,
} from './header-fields.ts';
import { componentSchema, componentsOf, type JsonSchema, jsonSchemaOf } from './json-schema.ts';
import {
  createProblemAnswers,
  headerRefs,
  isPublicOperation,
  type ProblemAnswers,
  problemContent,
  problemsOf,
  takesKey,
} from './problems.ts';
import { sections } from './sections.ts';

const description = `One log of events behind a service registry, a message bus and versioned state.

Every fault is a problem (RFC 9457) whose \`code\` says what it is. Every mutation answers with \`X-Nexus-Position\`, and a read that
names it in \`X-Nexus-Min-Position\` sees it. Lists come in pages; times are RFC 3339. With authentication on, everything but
the two probes needs a bearer token whose \`scope\` covers it: the scopes of an operation stand with its security.
WebSocket, server-sent events and ZeroMQ are described by \`/asyncapi.json\`.`;

/** Operations of the catalogue by the names of their descriptions; one that takes any method stands for each that is described. */
const catalogue: ReadonlyMap<string, RestOperation> = new Map(
  restOperations.map((operation) => [`${operation.method} ${operation.path}`, operation]),
);

/** The operation that a description is of; undefined when the catalogue has none. */
export const operationOf = (name: string): RestOperation | undefined =>
  catalogue.get(name) ?? catalogue.get(name.replace(/^[A-Z]+/, 'ANY'));

/** Builds the document anew; the same for every hub of this version. */
export const openapiDocument = async (): Promise<JsonSchema> => {
  const problems = createProblemAnswers();
  const paths: Record<string, Record<string, JsonSchema>> = {};
  for (const { name: tag, operations } of sections) {
    for (const [name, described] of Object.entries(operations)) {
      const operation = operationOf(name);
      if (operation === undefined) throw new Error(`${name} is not in the catalogue of operations`);
      const method = name.slice(0, name.indexOf(' ')).toLowerCase();
      paths[operation.path] = {
        ...paths[operation.path],
        [method]: operationObject(tag, operation, described, problems),
      };
      await nextTurn();
    }
  }
  const responses = problems.all();
  return {
    openapi: '3.1.1',
    info: {
      title: 'NEXUS Integration Core',
      version,
      description,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    security: [{ bearer: [] }],
    tags: sections.map(({ name, about }) => ({ name, description: about })),
    paths,
    components: {
      schemas: await componentsOf([paths, responses, answerFields, requestFields]),
      responses,
      parameters: Object.fromEntries(
        Object.entries(requestFields).map(([name, field]) => [name, { name, in: 'header', ...field }]),
      ),
      headers: answerFields,
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          description:
            'A token whose `scope` (space-separated) covers the operation. Not needed in protected mode, in which the hub serves its own machine alone.',
        },
      },
    },
  };
};

const operationObject = (
  tag: string,
  operation: RestOperation,
  described: Description,
  problems: ProblemAnswers,
): JsonSchema => ({
  tags: [tag],
  operationId: described.id,
  summary: described.summary,
  ...(described.notes === undefined ? {} : { description: described.notes }),
  ...securityOf(operation),
  parameters: [
    ...pathParameters(operation, described),
    ...Object.entries(described.query ?? {}).map(([name, parameter]) =>
      parameterOf(name, 'query', parameter),
    ),
    ...fieldsOf(operation, described).map((name) => ({ $ref: `#/components/parameters/${name}` })),
  ],
  ...(described.bodies === undefined ? {} : { requestBody: bodyOf(operation, described, described.bodies) }),
  responses: answersOf(operation, described, problems),
});

/** A list of alternatives; the scopes of one must all be there. */
const securityOf = ({ needs, ...operation }: RestOperation): JsonSchema => {
  if (isPublicOperation({ needs })) return { security: [] };
  const scopes = needs.flatMap(({ scope, or }) =>
    scope === 'any' ? [] : [[scope], ...(or === undefined ? [] : [[or]])],
  );
  const rules = needs.flatMap(({ when, scope, or }) =>
    when === undefined ? [] : [`${when}: \`${scope}\`${or === undefined ? '' : ` or \`${or}\``}`],
  );
  return {
    security: scopes.length === 0 ? [{ bearer: [] }] : scopes.map((bearer) => ({ bearer })),
    ...(rules.length === 0 && operation.besides === undefined
      ? {}
      : { 'x-nexus-access': [...rules, ...(operation.besides === undefined ? [] : [operation.besides])] }),
  };
};

const pathParameters = ({ path }: RestOperation, described: Description): readonly JsonSchema[] =>
  namesIn(path).map((name) => {
    const parameter = described.path?.[name];
    if (parameter === undefined) throw new Error(`${described.id} does not describe {${name}}`);
    return parameterOf(name, 'path', parameter);
  });

const namesIn = (path: string): readonly string[] =>
  [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);

const parameterOf = (name: string, place: 'path' | 'query', parameter: Parameter): JsonSchema => {
  const { schema, about, required, example, repeatable } = parameter;
  const shown = repeatable === true && example !== undefined ? [example] : example;
  return {
    name,
    in: place,
    description: about,
    ...(place === 'path' || required === true ? { required: true } : {}),
    ...exampled(jsonSchemaOf(schema), place === 'path' || required === true, shown),
  };
};

/** Pages fill an `example` in before anybody asks: what may be left out has its own in the schema. */
const exampled = (schema: JsonSchema, isNeeded: boolean, example: unknown): JsonSchema => {
  if (example === undefined) return { schema };
  return isNeeded ? { schema, example } : { schema: { ...schema, examples: [example] } };
};

const fieldsOf = (operation: RestOperation, described: Description): readonly string[] => {
  const own = described.headers ?? [];
  if (isPublicOperation(operation)) return own;
  return [
    ...own,
    ...(operation.kind === 'read' ? readFields : [causeField]),
    ...(takesKey(operation, described) ? [keyField] : []),
    ...traceFields,
  ];
};

const bodyOf = (operation: RestOperation, described: Description, bodies: readonly Body[]): JsonSchema => ({
  required: bodies.every(({ required }) => required !== false),
  content: Object.fromEntries(
    bodies.map(({ type = 'application/json', schema, examples }) => [
      type,
      {
        schema: schema === undefined ? commandBody(operation, described) : jsonSchemaOf(schema),
        ...(Object.keys(examples).length === 0
          ? {}
          : {
              examples: Object.fromEntries(
                Object.entries(examples).map(([name, value]) => [name, { value }]),
              ),
            }),
      },
    ]),
  ),
});

/** The data of the operation's command, without what the path names. */
const commandBody = ({ command, method, path }: RestOperation, described: Description): JsonSchema => {
  if (command === undefined)
    throw new Error(`${method} ${path} is no command, and needs a schema of its body`);
  const { properties, required, ...rest } = componentSchema(`${command}Data`);
  const inPath = new Set(namesIn(path).map((name) => described.path?.[name]?.field ?? name));
  const fields = Object.entries(isSchema(properties) ? properties : {}).filter(([name]) => !inPath.has(name));
  const needed = Array.isArray(required) ? required.filter((name) => !inPath.has(String(name))) : [];
  return {
    ...rest,
    properties: Object.fromEntries(fields),
    ...(needed.length === 0 ? {} : { required: needed }),
  };
};

const isSchema = (value: unknown): value is JsonSchema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const answersOf = (
  operation: RestOperation,
  described: Description,
  problems: ProblemAnswers,
): JsonSchema => {
  const all: Record<string, JsonSchema> = {};
  const problemsByStatus = problemsOf(operation, described);
  for (const [status, codes] of problemsByStatus) all[status] = problems.refTo(status, codes);
  for (const [status, answer] of Object.entries(described.answers)) {
    const codes = problemsByStatus.get(Number(status));
    all[status] = answerObject(
      operation,
      described,
      answer,
      codes === undefined ? {} : problemContent(codes),
    );
  }
  return all;
};

const answerObject = (
  operation: RestOperation,
  described: Description,
  { about, content = {}, headers = [] }: Answer,
  more: JsonSchema,
): JsonSchema => {
  const shown = Object.entries(content).map(
    ([type, schema]) => [type, { schema: jsonSchemaOf(schema) }] as const,
  );
  const fields = [
    'X-Request-Id',
    ...headers,
    ...(operation.command === undefined ? [] : ['X-Nexus-Position']),
    ...(takesKey(operation, described) ? ['Idempotent-Replayed'] : []),
    ...(isPublicOperation(operation) ? [] : ['RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset']),
  ];
  return {
    description: about,
    headers: headerRefs(fields),
    ...(shown.length === 0 ? {} : { content: { ...Object.fromEntries(shown), ...more } }),
  };
};
