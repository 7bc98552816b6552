import { type Position, parsePosition } from '../../../domain/event.ts';
import type { Anchor } from '../replay/pace.ts';

/** How far a subscription has come with its replays. */
export type ReplayCursor = {
  /** Every replay whose request stands before this revision is over. */
  readonly request: number;
  /** Of the replay that was requested at that very revision; undefined while it has not begun. */
  readonly progress: ReplayProgress | undefined;
};

export type ReplayProgress = {
  /** Everything of its range up to here was handed over. */
  readonly position: Position;
  /** Messages that were. */
  readonly messages: number;
  /** Of its pace; undefined before the first message, and without a pace. */
  readonly anchor: Anchor | undefined;
};

/** `REQUEST`, `REQUEST.POSITION.MESSAGES` or `REQUEST.POSITION.MESSAGES.PUBLISHED.DUE`. */
export const encodeReplayCursor = ({ request, progress }: ReplayCursor): string => {
  if (progress === undefined) return String(request);
  const { position, messages, anchor } = progress;
  const pace = anchor === undefined ? [] : [anchor.publishedMs, anchor.dueMs];
  return [request, position, messages, ...pace].join('.');
};

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

/** A text that is none counts as one that has carried out nothing. */
export const parseReplayCursor = (text: string): ReplayCursor => {
  const [first = '', place = '', count = '', published = '', due = ''] = text.split('.');
  const [request, messages, publishedMs, dueMs] = [first, count, published, due].map(Number);
  const position = parsePosition(place);
  if (request === undefined || !isCount(request)) return { request: 0, progress: undefined };
  if (position === undefined || messages === undefined || !isCount(messages)) {
    return { request, progress: undefined };
  }
  const paced = publishedMs !== undefined && dueMs !== undefined && publishedMs > 0 && dueMs > 0;
  return { request, progress: { position, messages, anchor: paced ? { publishedMs, dueMs } : undefined } };
};
