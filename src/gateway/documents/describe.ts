import type * as z from 'zod';
import type { ErrorCode } from '../../errors.ts';

/** What people read of an operation, beside what the catalogue (src/gateway/operations/rest.ts) says of it. */
export type Description = {
  /** `operationId`: the name of a function in generated clients. */
  readonly id: string;
  readonly summary: string;
  /** CommonMark. */
  readonly notes?: string;
  readonly path?: Readonly<Record<string, Parameter>>;
  readonly query?: Readonly<Record<string, Parameter>>;
  /** Header fields beside those that every operation of its kind takes. */
  readonly headers?: readonly HeaderField[];
  /** False for a write that keeps no Idempotency-Key. */
  readonly idempotencyKey?: false;
  readonly bodies?: readonly Body[];
  readonly answers: Readonly<Record<number, Answer>>;
  /** Codes of its own: those of its kind are added (problems.ts). */
  readonly codes?: readonly ErrorCode[];
};

/** Each parameter with an example is sent by a test. */
export type Parameter = {
  readonly schema: z.ZodType;
  readonly about: string;
  readonly required?: true;
  readonly example?: string | number;
  /** A list: the parameter comes once for each item. */
  readonly repeatable?: true;
  /** Of a path: the field of the command that it stands for, where that has another name. */
  readonly field?: string;
};

export type Body = {
  /** `application/json` unless given. */
  readonly type?: string;
  /** Undefined: the data of the operation's command, without what the path names. */
  readonly schema?: z.ZodType;
  readonly required?: false;
  /** Each one is sent by a test, and must be answered by the first of the good answers. */
  readonly examples: Readonly<Record<string, unknown>>;
};

export type Answer = {
  readonly about: string;
  /** By media type; none for an answer without a body. */
  readonly content?: Readonly<Record<string, z.ZodType>>;
  readonly headers?: readonly AnswerField[];
};

export type HeaderField =
  | 'If-Match'
  | 'If-None-Match'
  | 'Last-Event-ID'
  | 'X-Nexus-Timeout-Ms'
  | 'X-Nexus-Deadline';

export type AnswerField = 'X-Nexus-Position' | 'ETag' | 'Location' | 'X-Nexus-Instance' | 'Link';

/** Operations of one section of the document, by method and path, in reading order. */
export type Section = {
  readonly name: string;
  readonly about: string;
  readonly operations: Readonly<Record<string, Description>>;
};

export const jsonType = 'application/json';
export const eventStreamType = 'text/event-stream';

/** An answer in JSON. */
export const answer = (about: string, schema: z.ZodType, ...headers: readonly AnswerField[]): Answer => ({
  about,
  content: { [jsonType]: schema },
  headers,
});

export const nothing: Answer = { about: 'Done.' };
