import type { LogEvent } from '../../domain/event.ts';

/** What a writer was told is durable: its text `mark` in an event of `stream` at `position`. */
export type Acknowledged = {
  readonly writer: string;
  readonly stream: string;
  readonly position: string;
  readonly mark: string;
};

const field = (data: unknown, name: string): unknown =>
  typeof data === 'object' && data !== null ? Reflect.get(data, name) : undefined;

/** The text that a writer put into this event; undefined for an event of the hub's own. */
const markOf = ({ type, data }: LogEvent): unknown =>
  type === 'StateSet'
    ? field(data, 'value')
    : type === 'MessagePublished'
      ? field(data, 'payload')
      : undefined;

/**
 * What is wrong with a whole log, given what was acknowledged, each writer's in the order in which it was told:
 * something acknowledged is missing, something is there twice or out of order. Empty when nothing is.
 */
export const faultsOf = (acknowledged: readonly Acknowledged[], events: readonly LogEvent[]): string[] => {
  const faults: string[] = [];
  const byPosition = new Map(events.map((event) => [String(event.position), event]));
  const told = new Map<string, string>();
  for (const { writer, stream, position, mark } of acknowledged) {
    const event = byPosition.get(position);
    if (event?.stream !== stream || markOf(event) !== mark) {
      faults.push(`${mark} was acknowledged at ${position} of ${stream} and is not there`);
    }
    if (position <= (told.get(writer) ?? ''))
      faults.push(`${mark} stands before what ${writer} wrote before it`);
    told.set(writer, position);
  }
  const marks = new Set<unknown>();
  const ids = new Set<string>();
  const heads = new Map<string, number>();
  let last = '';
  for (const event of events) {
    const { id, stream, revision, position } = event;
    const mark = markOf(event);
    if (mark !== undefined && marks.has(mark)) faults.push(`${String(mark)} is there twice`);
    if (ids.has(id)) faults.push(`the event ${id} is there twice`);
    if (revision !== (heads.get(stream) ?? -1) + 1) faults.push(`${stream} jumps to revision ${revision}`);
    if (position <= last) faults.push(`${position} stands behind ${last}`);
    marks.add(mark);
    ids.add(id);
    heads.set(stream, revision);
    last = position;
  }
  return faults;
};

/** Newest value and version of each key of the log's `StateSet`s, by key. */
export const statesOf = (
  events: readonly LogEvent[],
): Map<string, { readonly value: unknown; readonly version: number }> => {
  const states = new Map<string, { readonly value: unknown; readonly version: number }>();
  for (const { type, stream, data, revision } of events) {
    if (type === 'StateSet')
      states.set(stream.slice('state-'.length), { value: field(data, 'value'), version: revision + 1 });
  }
  return states;
};
