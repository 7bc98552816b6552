import * as z from 'zod';
import type { Json } from '../../../domain/event.ts';
import { parseJson } from '../../../domain/parse-json.ts';
import { anyJson } from '../../command/state-schemas.ts';
import type { HookAnswer } from './hooks.ts';

/** Values and characters of an answer; what is larger than 1,000,000 bytes no log takes anyway. */
const maxUnits = 1_000_000;
const maxReasonLength = 512;
const maxDetailBytes = 16_384;

const refusal = z.strictObject({ refuse: z.string(), details: anyJson.optional() });

/** What a hook that may refuse answers with, if with anything. */
export const verdicts = <Change>(change: z.ZodType<Change>): z.ZodType<HookAnswer<Change>> =>
  z.union([z.strictObject({ change }), refusal]);

/** The same of one that may only change. */
export const changes = <Change>(change: z.ZodType<Change>): z.ZodType<HookAnswer<Change>> =>
  z.strictObject({ change });

export type Read<Change> =
  | { readonly type: 'nothing' }
  | { readonly type: 'answer'; readonly answer: HookAnswer<Change> }
  | { readonly type: 'unusable'; readonly reason: string };

const copyOf = (value: unknown): Json | undefined => {
  try {
    return parseJson(value, maxUnits);
  } catch {
    // A getter or a proxy of code that runs in this process.
    return undefined;
  }
};

/** What a plugin has answered; nothing of it is believed. */
export const readAnswer = <Change>(value: unknown, answers: z.ZodType<HookAnswer<Change>>): Read<Change> => {
  if (value === undefined || value === null) return { type: 'nothing' };
  const copied = copyOf(value);
  if (copied === undefined)
    return { type: 'unusable', reason: 'the answer is no JSON, too large or too deep' };
  const parsed = answers.safeParse(copied);
  if (parsed.success) return { type: 'answer', answer: parsed.data };
  const [issue] = parsed.error.issues;
  const where = issue === undefined || issue.path.length === 0 ? 'it' : issue.path.join('/');
  return {
    type: 'unusable',
    reason: `the answer has the wrong shape: ${where}: ${issue?.message ?? ''}`.slice(0, maxReasonLength),
  };
};

/** Text of a plugin for clients and logs: bounded, well-formed, without control characters. */
export const plainText = (text: string): string =>
  text
    .slice(0, maxReasonLength)
    .replace(/\p{Cc}/gu, ' ')
    .toWellFormed();

/** Undefined too when they are too large: a refusal holds without them. */
export const boundedDetails = (details: Json | undefined): Json | undefined =>
  details === undefined || Buffer.byteLength(JSON.stringify(details)) > maxDetailBytes ? undefined : details;
