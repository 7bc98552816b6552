import { setImmediate as nextTurn } from 'node:timers/promises';
import * as z from 'zod';

/** A JSON Schema (2020-12), as OpenAPI 3.1 and AsyncAPI 3 take it. */
export type JsonSchema = { readonly [keyword: string]: unknown };

const components = new Map<string, z.ZodType>();

/** Gives `schema` a name, under which both documents hold it once. */
export const component = <Schema extends z.ZodType>(id: string, schema: Schema): Schema => {
  // Beside its description: zod makes a reference of what has an id.
  z.globalRegistry.add(schema, { ...z.globalRegistry.get(schema), id });
  components.set(id, schema);
  return schema;
};

const refTo = (id: string): string => `#/components/schemas/${id}`;

/** Without what says nothing to a reader: the pattern of what `format` tells, and the ends of whole numbers. */
const shorten = ({ jsonSchema }: { readonly jsonSchema: z.core.JSONSchema.BaseSchema }): void => {
  if (jsonSchema.format !== undefined) delete jsonSchema.pattern;
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
  if (jsonSchema.minimum === -Number.MAX_SAFE_INTEGER) delete jsonSchema.minimum;
};

const options = { io: 'input', unrepresentable: 'any', override: shorten } as const;

/** What may be sent, or what is answered; schemas that have a name are referred to. */
export const jsonSchemaOf = (schema: z.ZodType): JsonSchema => {
  const id = z.globalRegistry.get(schema)?.id;
  if (id !== undefined) return { $ref: refTo(id) };
  return bare(z.toJSONSchema(schema, options));
};

/** What a name stands for. */
export const componentSchema = (id: string): JsonSchema => {
  const schema = components.get(id);
  if (schema === undefined) throw new Error(`no schema is named ${id}`);
  return bare(z.toJSONSchema(schema, options).$defs?.[id] ?? {});
};

/** Every schema that `part` of a document refers to, and those that these refer to; others have their turn meanwhile. */
export const componentsOf = async (part: unknown): Promise<Readonly<Record<string, JsonSchema>>> => {
  const found = new Map<string, JsonSchema>();
  const waiting = [...namesIn(part)];
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    if (found.has(id)) continue;
    const schema = componentSchema(id);
    found.set(id, schema);
    waiting.push(...namesIn(schema));
    await nextTurn();
  }
  return Object.fromEntries([...found].sort(([left], [right]) => (left < right ? -1 : 1)));
};

const namesIn = (part: unknown): ReadonlySet<string> =>
  new Set(
    [...JSON.stringify(part).matchAll(/"#\/components\/schemas\/([A-Za-z]+)"/g)].map(([, id = '']) => id),
  );

/** Without what only a schema that stands alone has; references lead to the document's components. */
const bare = ({ $schema: _schema, $id: _id, id: _name, $defs: _defs, ...rest }: JsonSchema): JsonSchema =>
  Object.fromEntries(Object.entries(rest).map(([keyword, value]) => [keyword, referring(value)]));

const localRef = '#/$defs/';

const referring = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(referring);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([keyword, inner]) => [
      keyword,
      keyword === '$ref' && typeof inner === 'string' && inner.startsWith(localRef)
        ? refTo(inner.slice(localRef.length))
        : referring(inner),
    ]),
  );
};
