import { decodeEvent } from '../../../domain/catalog.ts';
import type { LogEvent, Position } from '../../../domain/event.ts';
import { steadyNow } from '../../clock.ts';
import { createReadSizes, maxReadEvents } from '../../core/pages.ts';
import type { EventLog } from '../../log/event-log.ts';
import type { Cut } from '../../nexus-replays.ts';
import { roughBytes } from '../../rough-bytes.ts';
import { type Effect, effectOfEvent } from './effects.ts';

export type EffectLimits = {
  readonly maxEffects: number;
  readonly maxEffectBytes: number;
};

export type ScanLimits = EffectLimits & { readonly maxScanned: number; readonly maxScanMs: number };

export type FormerEffects = {
  /** By the message that caused them, in log order. */
  readonly byCause: ReadonlyMap<string, readonly Effect[]>;
  readonly count: number;
  /** Those that the asker may not read. */
  readonly hidden: number;
  readonly cut: readonly Cut[];
};

export type FormerEffectsOptions = {
  readonly log: Pick<EventLog, 'readAll'>;
  readonly after: Position;
  readonly actor: string;
  readonly isCause: (messageId: string) => boolean;
  readonly mayRead: (stream: string) => boolean;
  readonly limits: ScanLimits;
  readonly signal: AbortSignal;
};

/** What `actor` has written because of some messages: one look through the log behind `after`, a page at a time. */
export const findFormerEffects = async (options: FormerEffectsOptions): Promise<FormerEffects> => {
  const { log, actor, isCause, mayRead, limits, signal } = options;
  const byCause = new Map<string, Effect[]>();
  const sizes = createReadSizes();
  const untilMs = steadyNow() + limits.maxScanMs;
  const cut = new Set<Cut>();
  let { after } = options;
  let [count, bytes, hidden, scanned] = [0, 0, 0, 0];

  const take = (event: LogEvent): void => {
    const { causationId, actor: by } = event.metadata;
    if (causationId === null || by !== actor || !isCause(causationId)) return;
    const decoded = decodeEvent(event);
    const effect = decoded.ok && decoded.known ? effectOfEvent(decoded.event) : undefined;
    if (effect === undefined) return;
    if (!mayRead(event.stream)) {
      hidden++;
      return;
    }
    bytes += roughBytes(effect, limits.maxEffectBytes);
    if (count >= limits.maxEffects || bytes > limits.maxEffectBytes) {
      cut.add('then');
      return;
    }
    count++;
    const effects = byCause.get(causationId);
    if (effects === undefined) byCause.set(causationId, [effect]);
    else effects.push(effect);
  };

  for (let more = true; more && !cut.has('then'); ) {
    if (scanned >= limits.maxScanned || steadyNow() > untilMs || signal.aborted) {
      cut.add('scan');
      break;
    }
    const page = await log.readAll({
      after,
      limit: sizes.next(Math.min(maxReadEvents, limits.maxScanned - scanned)),
    });
    for (const event of page.events) take(event);
    sizes.saw(page.events);
    scanned += Math.max(1, page.events.length);
    after = page.position;
    ({ more } = page);
  }
  return { byCause, count, hidden, cut: [...cut] };
};
