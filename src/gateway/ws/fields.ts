import type { Json } from '../../../domain/event.ts';
import { fault, problem } from '../../errors.ts';

/** The members of a frame, or of an object in one. */
export type Fields = { readonly [key: string]: Json };

export const isFields = (value: Json | undefined): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** @param pointer JSON pointer (RFC 6901) into the frame; empty for the whole. */
export const invalid = (pointer: string, detail: string) =>
  fault(
    problem('invalid', `${pointer === '' ? 'The frame' : pointer}: ${detail}`, {
      errors: [{ pointer, detail }],
    }),
  );
