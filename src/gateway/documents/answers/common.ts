import * as z from 'zod';
import { errorTable } from '../../../errors.ts';
import { component } from '../json-schema.ts';

/**
 * What the hub answers. Nothing is validated by these schemas while it runs: a test holds them to the answers of a
 * running hub, and refuses members that they do not name.
 */

export const position = component(
  'Position',
  z
    .string()
    .regex(/^[0-9a-f]{16}(?:[0-9a-f]{16})?$/)
    .describe('A place in the log: opaque, of fixed width; its byte order is the order of the log.'),
);
export const time = z.iso.datetime();
export const json = z.unknown();
export const texts = z.array(z.string());
export const count = z.number().int().min(0);
export const cursor = z.string().describe('Where the next page begins; absent on the last one.').optional();
export const more = z.boolean().describe('More stands behind the last one.');
export const done = component('Done', z.object({ done: count }).describe('How many.'));

export const gap = component(
  'Gap',
  z
    .object({ from: position, to: position })
    .describe('Of what stood behind `from` some was removed by retention, the newest of it at `to`.'),
);

const codes = z.enum(Object.keys(errorTable));

export const problem = component(
  'Problem',
  z
    .looseObject({
      type: z.string().regex(/^urn:nexus:problem:/),
      title: z.string(),
      status: z.number().int().min(400).max(599),
      detail: z.string().describe('For people; may change.'),
      code: codes.describe('What programs decide by.'),
      errors: z
        .array(z.looseObject({ pointer: z.string(), detail: z.string() }))
        .describe('Of `invalid`: each fault, by a JSON pointer into the input or the name of a parameter.')
        .optional(),
    })
    .describe('RFC 9457. The facts of a code stand beside it (docs/errors.md).'),
);
