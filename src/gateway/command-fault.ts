import { isCommandType } from '../command/catalog.ts';
import { type Problem, within } from '../errors.ts';

/** A fault of a command as its envelope's sender sees it: what its schema points to stands under `/data`. */
export const commandFault = (type: string, found: Problem): Problem =>
  isCommandType(type) ? within('/data', found) : found;
