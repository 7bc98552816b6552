import { createHash } from 'node:crypto';
import type { JsonSchema } from './json-schema.ts';

/** A document as it is sent. */
export type Document = { readonly bytes: Buffer; readonly etag: string };

/** Built when it is first asked for, and kept: it is the same for as long as the process runs. */
export const createDocument = (build: () => Promise<JsonSchema>): (() => Promise<Document>) => {
  let built: Promise<Document> | undefined;
  return () => {
    built ??= encode(build);
    return built;
  };
};

const encode = async (build: () => Promise<JsonSchema>): Promise<Document> => {
  const bytes = Buffer.from(JSON.stringify(await build()));
  return { bytes, etag: createHash('sha256').update(bytes).digest('base64url').slice(0, 22) };
};
