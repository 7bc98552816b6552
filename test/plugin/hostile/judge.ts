import { unreachable } from '../../../domain/decider.ts';
import type { Happened } from './arena.ts';
import { type HostilePlugin, mustBeLimited } from './hostile-plugin.ts';

const within = (what: string, seen: readonly string[], allowed: readonly string[]): readonly string[] =>
  seen.filter((one) => !allowed.includes(one)).map((one) => `${what} is ${one}, not ${allowed.join(' or ')}`);

const foundIn = (payload: unknown): readonly unknown[] => {
  if (typeof payload !== 'object' || payload === null || !('found' in payload)) return [];
  return Array.isArray(payload.found) ? payload.found : [payload.found];
};

/** What did not come to `plugin` as its fate says: nothing. */
export const judge = ({ fate }: HostilePlugin, happened: Happened): readonly string[] => {
  const wrong: string[] = foundIn(happened.payload).map((found) => `it found ${JSON.stringify(found)}`);
  const ran = happened.enabled < 300;
  const causes = happened.failed.map(({ cause }) => cause);
  if (happened.enabled >= 500)
    wrong.push(`enabling it was answered with ${happened.enabled} ${happened.refusal}`);
  for (const { reason } of happened.failed) if (reason === '') wrong.push('no event says why');
  switch (fate.end) {
    case 'lives':
      if (!ran) wrong.push(`it was refused: ${happened.refusal}`);
      wrong.push(...within('an answer', happened.failures, fate.answer));
      wrong.push(...causes.map((cause) => `it fell, of ${cause}`));
      if (happened.status !== 'enabled') wrong.push(`it is ${happened.status}: ${happened.statusReason}`);
      if (mustBeLimited(fate) && !happened.limits.some((limit) => fate.limit?.some((one) => one === limit))) {
        wrong.push(`no event tells of ${fate.limit.join(' or ')}, but ${happened.limits.join()}`);
      }
      return wrong;
    case 'falls':
      if (!ran) wrong.push(`it was refused: ${happened.refusal}`);
      if (causes.length === 0) wrong.push(`no event tells that it fell; it is ${happened.status}`);
      wrong.push(
        ...within('the cause', causes, fate.causes),
        ...within('an answer', happened.failures, fate.answer),
      );
      return wrong;
    case 'either':
      wrong.push(
        ...within('the cause', causes, fate.causes),
        ...within('an answer', happened.failures, fate.answer),
      );
      return wrong;
    case 'refused':
      if (ran && causes.length === 0) wrong.push(`it runs: ${happened.status}`);
      return wrong;
    default:
      return unreachable(fate);
  }
};
