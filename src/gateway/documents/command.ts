import * as z from 'zod';
import { commandSchemas, commandTypes } from '../../command/catalog.ts';
import { component } from './json-schema.ts';

const idempotent = {
  commandId: z.string().min(1).max(128).describe('The same id with the same input is done once.').optional(),
  expectedRevision: z
    .number()
    .int()
    .min(-1)
    .describe('The stream’s newest revision that the caller believes in; -1 for none.')
    .optional(),
};
/** Each type of command with its data. */
export const command = component(
  'Command',
  z.union(
    commandTypes.map((type) =>
      z.strictObject({
        type: z.literal(type),
        data: component(`${type}Data`, commandSchemas[type]),
        ...idempotent,
      }),
    ),
  ),
);
