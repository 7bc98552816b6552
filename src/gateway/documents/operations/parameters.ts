import * as z from 'zod';
import type { Parameter } from '../describe.ts';

export const limit: Parameter = {
  schema: z.number().int().min(1).default(100),
  about: 'Items of a page; more than 1,000 count as 1,000.',
  example: 10,
};
export const cursor: Parameter = { schema: z.string(), about: 'Where a page of this list has ended.' };
export const asOf: Parameter = {
  schema: z.string(),
  about: 'A position or an RFC 3339 time: as it was then.',
};
export const after: Parameter = {
  schema: z.string().max(64),
  about:
    'A position: what stands behind it; `start`: all that is kept. Without it a page begins at the start, and a live tail at now.',
  example: 'start',
};
